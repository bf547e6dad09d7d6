// CNTK on the CPU: one image of x against as many of z as a vector has lanes, one map at a time.
//
// A 3 x 3 convolution moves both pixels of a pair by the same step, so pairs of different offset
// p - q never mix: the four-dimensional tensor falls into maps, one for each offset, and a map goes
// through all layers in cache. Neighbours in a map are whole vectors, so nothing is shuffled.

#include <new>
#include <stdexcept>
#include <type_traits>

#include "../_export.h"
#include "../_parallel.h"
#include "_layers.h"

namespace {

using namespace cntk;

constexpr int STRIPS = 2;  // images of x that share what is loaded of z

// A pair of offsets; rows and columns of x and of a group that it brings together.
struct Map {
    long row_offset, column_offset;
    long rows, row1, row2;
    long columns, column1, column2;
};

Map map_of(const Problem& problem, const Group& group, long row_offset, long column_offset) {
    const long height = problem.height, width = problem.width;
    if (problem.circular) {
        const long row2 = (height - row_offset) % height, column2 = (width - column_offset) % width;
        return {row_offset, column_offset, height, 0, row2 % height, width, 0, column2 % width};
    }
    const long row1 = std::max(0L, row_offset), column1 = std::max(0L, column_offset);
    const long end = std::min(width, width + column_offset + group.shifts - 1);
    return {row_offset,    column_offset, height - std::abs(row_offset), row1, row1 - row_offset,
            end - column1, column1,       column1 - column_offset};
}

// What all tasks read.
struct Tables {
    std::vector<Norm> norms;  // [n layers height width]
    std::vector<Group> groups;
};

// One image of x on its way through the layers of a map.
template <bool NTK> struct Strip {
    using E = std::conditional_t<NTK, Both, Covariance>;

    const float* pixels;
    const Norm* norms;
    std::vector<E> map, rows;        // a map has one row before it, for what is not wanted
    std::vector<Covariance> thin_rows;
    std::vector<Both> final;         // one row of what is pooled, covariances and tangents
    std::vector<vf> pooled;          // [kinds depths windows], of one map
    std::vector<double> sums;        // [kinds depths windows lanes], of all maps
    std::vector<char> identical;     // [lanes]
    std::vector<double> itself;      // [kinds depths windows], of the map in which it meets itself

    explicit Strip(const Problem& problem)
        : map((problem.height + 1) * problem.width), rows(Box<E>::ROWS * problem.width),
          thin_rows(Box<E>::ROWS * problem.width), final(problem.width), pooled(problem.values()),
          sums(problem.values() * SIDE), identical(SIDE), itself(problem.values()) {}

    E* row(const Map& place, long i) { return &map[(i + 1) * place.columns]; }

    template <class Rows> Rows* rows_of() {
        if constexpr (std::is_same_v<Rows, E>) return rows.data();
        else return thin_rows.data();
    }
};

// Takes images of x and a group of images of z through all their maps.
template <bool NTK, bool FROZEN> class Worker {
    using E = std::conditional_t<NTK, Both, Covariance>;
    using Image = Strip<NTK>;

    const Problem& problem;
    const Tables& tables;
    const Relu relu;
    std::vector<Image> strips;
    std::vector<vf> column_weights;  // [windows width], of one map
    const Group* group;
    Map map;
    long first, images;              // of x

  public:
    Worker(const Problem& problem, const Tables& tables)
        : problem(problem), tables(tables), relu(problem), strips(STRIPS, Image(problem)),
          column_weights(problem.windows * problem.width) {}

    static long tasks(const Problem& problem) {
        return blocks(problem) * groups(problem) * problem.parts;
    }

    void operator()(long task) {
        const long part = task % problem.parts, pair = task / problem.parts;
        group = &tables.groups[pair / blocks(problem)];
        first = pair % blocks(problem) * STRIPS;
        const long end = problem.symmetric ? group->first + group->images : problem.n;
        images = std::min<long>(STRIPS, end - first);
        if (images <= 0) return;
        for (long k = 0; k < images; k++) start(strips[k], first + k);
        all_maps(part);
        for (long k = 0; k < images; k++) deliver(strips[k], part, first + k);
    }

  private:
    static long blocks(const Problem& problem) { return (problem.n + STRIPS - 1) / STRIPS; }

    void start(Image& x, long image) {
        const long pixels = problem.pixels(), size = problem.channels * pixels;
        x.pixels = problem.x + image * size;
        x.norms = &tables.norms[image * problem.layers * pixels];
        std::fill(x.sums.begin(), x.sums.end(), 0);
        bool any = false;
        for (long lane = 0; lane < SIDE; lane++) {
            x.identical[lane] =
                group->is_used(lane) &&
                std::equal(x.pixels, x.pixels + size, problem.z + group->image(lane) * size);
            any |= x.identical[lane];
        }
        if (any) meet_itself(x);
    }

    // The map of offset 0 of an image and itself: the cosine is 1 and the recursion linear, and a
    // rounding of 1e-7 in the cosine would cost 3e-4.
    void meet_itself(Image& x) {
        auto s = squared_norms(problem, x.pixels);
        box(problem, s);
        auto t = s;
        if (FROZEN) std::fill(t.begin(), t.end(), 0);
        for (long layer = 0; layer < problem.layers; layer++) {
            std::vector<double> final[2] = {s, t};
            for (size_t k = 0; k < s.size(); k++) {
                s[k] /= 9, t[k] /= 9;
                final[0][k] = s[k];
                final[1][k] = FROZEN ? t[k] : s[k] + t[k];
                t[k] += s[k];
            }
            if (problem.slots[layer] >= 0) pool_itself(x, problem.slots[layer], final);
            box(problem, s);
            box(problem, t);
        }
    }

    void pool_itself(Image& x, long slot, const std::vector<double>* final) {
        const long height = problem.height, width = problem.width;
        for_values(slot, [&](long value, long kind, long window) {
            const float* rows = problem.row_weights + window * height * height;
            const float* columns = problem.column_weights + window * width * width;
            x.itself[value] = 0;
            for (long i = 0; i < height; i++)
                for (long j = 0; j < width; j++)
                    x.itself[value] += double(rows[i * (height + 1)]) * columns[j * (width + 1)] *
                                       final[kind][i * width + j];
        });
    }

    // Every place of the result at one depth; kind 0 is the covariance, kind 1 the tangent.
    template <class Visit> void for_values(long slot, Visit visit) const {
        long place = slot * problem.windows;
        for (long kind = !problem.nngp; kind <= problem.ntk; kind++) {
            for (long window = 0; window < problem.windows; window++)
                visit(place + window, kind, window);
            place += problem.depths * problem.windows;
        }
    }

    void all_maps(long part) {
        const Offsets rows(problem.height, problem.row_reach, problem.circular);
        const Offsets columns(problem.width, problem.column_reach, problem.circular);
        for (long column = columns.first; column <= columns.last; column += group->shifts) {
            map = map_of(problem, *group, 0, column);
            find_column_weights(columns.last);
            for (long row = rows.first + part; row <= rows.last; row += problem.parts) {
                map = map_of(problem, *group, row, column);
                if (group->shifts > 1 && !problem.circular) one_map<true>();
                else one_map<false>();
                for (long k = 0; k < images; k++) add_to_sums(strips[k]);
            }
        }
    }

    void find_column_weights(long last_offset) {
        const long width = problem.width;
        std::fill(column_weights.begin(), column_weights.end(), vf{});
        for (long lane = 0; lane < SIDE; lane++) {
            if (map.column_offset + group->shift(lane) > last_offset) continue;
            for (long j = 0; j < map.columns; j++) {
                const long column = column_of(problem, *group, lane, map.column2 + j);
                if (column < 0) continue;
                const float* from = problem.column_weights + (map.column1 + j) * width + column;
                for (long window = 0; window < problem.windows; window++)
                    column_weights[window * width + j][lane] = from[window * width * width];
            }
        }
    }

    long row2(long i) const {
        const long row = map.row2 + i;
        return row < problem.height ? row : row - problem.height;
    }

    template <bool MASKED> void one_map() {
        for (long k = 0; k < images; k++)
            std::fill(strips[k].pooled.begin(), strips[k].pooled.end(), vf{});
        input();
        for (long layer = 0; layer < problem.layers; layer++)
            if (layer == 0) some_layer<true, MASKED>(layer);
            else some_layer<false, MASKED>(layer);
    }

    template <bool FIRST, bool MASKED> void some_layer(long layer) {
        const bool last = layer == problem.layers - 1;
        if (last) last_layer<FIRST, MASKED>(layer);
        else if (problem.slots[layer] >= 0) hidden_layer<FIRST, MASKED, true>(layer);
        else hidden_layer<FIRST, MASKED, false>(layer);
    }

    void input() {
        through_boxes<Covariance>([&](Image& x, long i) {
            const long pixels = problem.pixels(), moved = problem.height * group->columns;
            const long channels = problem.channels;
            const float* p = x.pixels + (map.row1 + i) * problem.width + map.column1;
            const vf* q = &group->pixels[row2(i) * group->columns + map.column2];
            return [=](long j) INLINE {
                vf sum{};
                for (long c = 0; c < channels; c++) sum += p[c * pixels + j] * q[c * moved + j];
                return Covariance{sum};
            };
        }, [](Image&, long) {});
    }

    template <bool FIRST, bool MASKED, bool POOLED> void hidden_layer(long layer) {
        // In the first layer B is A where it is not trained, so one box does for both.
        through_boxes<std::conditional_t<FIRST && FROZEN, Covariance, E>>(
            [&](Image& x, long i) { return activation<FIRST, MASKED, POOLED>(x, layer, i); },
            [&](Image& x, long i) { if (POOLED) pool(x, problem.slots[layer], i); });
    }

    template <bool FIRST, bool MASKED> void last_layer(long layer) {
        for (long i = 0; i < map.rows; i++)
            for (long k = 0; k < images; k++) {
                auto at = activation<FIRST, MASKED, true>(strips[k], layer, i);
                for (long j = 0; j < map.columns; j++) at(j);
                pool(strips[k], problem.slots[layer], i);
            }
    }

    // Replaces the maps by the boxes of what `activation(x, i)` gives for each row.
    template <class Row, class Activation, class Done>
    void through_boxes(Activation activation, Done done) {
        std::vector<Box<Row>> boxes;
        for (long k = 0; k < images; k++)
            boxes.emplace_back(map.columns, problem.width, problem.circular,
                               strips[k].template rows_of<Row>());
        auto row = [&](long k, long i, long above) {
            boxes[k].row(activation(strips[k], i), into(strips[k], above));
            done(strips[k], i);
        };
        if (problem.circular)
            for (long k = 0; k < images; k++) {
                boxes[k].row(activation(strips[k], map.rows - 1), into(strips[k], -1));
                row(k, 0, -1);
                boxes[k].keep_row();
            }
        for (long i = problem.circular; i < map.rows; i++)
            for (long k = 0; k < images; k++) row(k, i, i - 1);
        for (long k = 0; k < images; k++) boxes[k].finish(into(strips[k], map.rows - 1));
    }

    auto into(Image& x, long i) const {
        return [row = x.row(map, i)](long j, const auto& sum) INLINE {
            constexpr bool ALIKE = !std::is_same_v<decltype(sum), const E&>;
            if constexpr (ALIKE) put(row[j], {sum.covariance, sum.covariance});
            else put(row[j], sum);
        };
    }

    // The function that gives the entries of row i after the ReLU.
    template <bool FIRST, bool MASKED, bool POOLED>
    auto activation(Image& x, long layer, long i) const {
        const long row = layer * problem.height;
        const Norm* p = x.norms + (row + map.row1 + i) * problem.width + map.column1;
        const Norms* q = &group->norms[(row + row2(i)) * group->columns + map.column2];
        const vf* mask = &group->mask[map.column2];
        const E* from = x.row(map, i);
        Both* final = x.final.data();
        return [=, relu = relu](long j) INLINE {
            const vf s = from[j].covariance;
            vf t{};
            if constexpr (NTK && !FIRST) t = from[j].tangent;
            else if (NTK && !FROZEN) t = s;
            if (MASKED) t *= mask[j];
            const auto [covariance, inherited] =
                FIRST ? relu.first(s, t, p[j], q[j]) : relu(s, t, p[j], q[j]);
            if (POOLED) put(final[j], {covariance, FROZEN ? inherited : inherited + covariance});
            if constexpr (NTK && !(FIRST && FROZEN)) return Both{covariance, inherited + covariance};
            else return Covariance{covariance};
        };
    }

    void pool(Image& x, long slot, long i) const {
        const long height = problem.height, width = problem.width;
        for_values(slot, [&](long value, long kind, long window) {
            const float weight =
                problem.row_weights[(window * height + map.row1 + i) * height + row2(i)];
            if (weight == 0) return;
            const vf* weights = &column_weights[window * width];
            vf sum{};
            if (kind == 0)
                for (long j = 0; j < map.columns; j++) sum += weights[j] * x.final[j].covariance;
            else
                for (long j = 0; j < map.columns; j++) sum += weights[j] * x.final[j].tangent;
            x.pooled[value] += weight * sum;
        });
    }

    void add_to_sums(Image& x) const {
        for (long value = 0; value < problem.values(); value++)
            for (long lane = 0; lane < SIDE; lane++) {
                const bool itself = x.identical[lane] && map.row_offset == 0 &&
                                    map.column_offset + group->shift(lane) == 0;
                x.sums[value * SIDE + lane] += itself ? x.itself[value] : x.pooled[value][lane];
            }
    }

    void deliver(const Image& x, long part, long image) const {
        for (long value = 0; value < problem.values(); value++) {
            double* out = problem.out + ((part * problem.values() + value) * problem.n + image) *
                                            problem.m;
            for (long k = 0; k < group->images; k++) out[group->first + k] = 0;
            for (long lane = 0; lane < group->images * group->shifts; lane++)
                out[group->image(lane)] += x.sums[value * SIDE + lane];
        }
    }
};

Tables tables_of(const Problem& problem, int threads) {
    const long size = problem.layers * problem.pixels();
    Tables tables{std::vector<Norm>(problem.n * size), std::vector<Group>(groups(problem))};
    in_parallel(problem.n, threads, [&] {
        return [&](long image) {
            const float* pixels = problem.x + image * problem.channels * problem.pixels();
            find_norms(problem, pixels, &tables.norms[image * size]);
        };
    });
    in_parallel(groups(problem), threads, [&] {
        return [&](long number) {
            tables.groups[number] = group_of(problem, number);
            fill(problem, tables.groups[number]);
        };
    });
    return tables;
}

bool is_sound(const Problem& problem) {
    for (int64_t size : {problem.channels, problem.height, problem.width, problem.layers,
                         problem.depths, problem.windows, problem.kinds(), problem.parts})
        if (size < 1) return false;
    for (long layer = 0; layer < problem.layers; layer++)
        if (problem.slots[layer] >= problem.depths) return false;
    return problem.slots[problem.layers - 1] >= 0 && problem.n >= 0 && problem.m >= 0 &&
           problem.row_reach < problem.height && problem.column_reach < problem.width;
}

template <bool NTK, bool FROZEN> void all_pairs(const Problem& problem, int threads) {
    using W = Worker<NTK, FROZEN>;
    const Tables tables = tables_of(problem, threads);
    in_parallel(W::tasks(problem), threads, [&] { return W(problem, tables); });
}

}  // namespace

EXPORT long cntk_gram_lanes() { return SIDE; }

// 0; 1 where memory does not suffice; 2 where there is nothing to compute with.
EXPORT int cntk_gram_float32(const Problem* problem, int threads) {
    if (!is_sound(*problem)) return 2;
    try {
        if (!problem->ntk) all_pairs<false, false>(*problem, threads);
        else if (problem->frozen_ends) all_pairs<true, true>(*problem, threads);
        else all_pairs<true, false>(*problem, threads);
    } catch (const std::bad_alloc&) {
        return 1;
    } catch (const std::length_error&) {
        return 1;
    }
    return 0;
}
