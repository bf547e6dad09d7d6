// CNTK on the CPU: as many images of z as a vector has lanes against one of x, one map at a time.
//
// A 3 x 3 convolution moves both pixels of a pair by the same step, so pairs of different offset
// p - q never mix: the four-dimensional tensor falls into maps, one for each offset, and a map goes
// through all layers in cache. Neighbours in a map are whole vectors, so nothing is shuffled.

#include <new>
#include <stdexcept>
#include <type_traits>

#include "../_export.h"
#include "../_parallel.h"
#include "_images.h"

namespace {

using namespace cntk;

constexpr int STRIPS = 2;  // images of x that share what is loaded of z

// Covariance and tangent of a pair of pixels in all lanes, or the covariance alone.
template <int N> struct Entry {
    vf plane[N];
};

template <int N> inline Entry<N> operator+(Entry<N> a, const Entry<N>& b) {
    for (int k = 0; k < N; k++) a.plane[k] += b.plane[k];
    return a;
}

// What a ReLU makes of a pair: A and B - A of the text.
struct Activated {
    vf covariance, inherited;
};

// kappa_0 and kappa_1 by the polynomials of _activation.py.
class Relu {
    vf p[7], q[6];

    template <int TERMS> static vf polynomial(const vf* coefficients, vf u) {
        vf sum = coefficients[TERMS - 1];
        for (int k = TERMS - 2; k >= 0; k--) sum = sum * u + coefficients[k];
        return sum;
    }

  public:
    explicit Relu(const Problem& problem) {
        for (int k = 0; k < 7; k++) p[k] = splat(problem.p_over_9[k]);
        for (int k = 0; k < 6; k++) q[k] = splat(problem.q[k]);
    }

    // After the first ReLU, where no cosine is negative.
    Activated operator()(vf s, vf t, Norm x, const Norms& z) const {
        const vf u = maximum(1 - s * (x.inverse * z.inverse), vf{});
        const vf r = root(u);
        const vf kappa1 = 1 - u * (1 - r * polynomial<6>(q, u));
        return {x.scale * z.scale * kappa1, t * (1 / 9.f - r * polynomial<7>(p, u))};
    }

    Activated first(vf s, vf t, Norm x, const Norms& z) const {
        const vf c = s * (x.inverse * z.inverse);
        const vf u = maximum(1 - maximum(c, -c), vf{});
        const vf r = root(u), rp = r * polynomial<7>(p, u);
        const vf kappa1 = 1 - u + minimum(c, vf{}) + u * r * polynomial<6>(q, u);
        return {x.scale * z.scale * kappa1, t * (c < 0 ? rp : 1 / 9.f - rp)};
    }
};

// Sums over 3 x 3 neighbours, in place and row by row: when the sums along a row are known, the
// row before it is complete.
template <class E> class Box {
    long width;
    bool circular;
    E *above, *before, *here, *top;

    void next() {
        E* free = above;
        above = before, before = here, here = free;
    }

  public:
    static constexpr long ROWS = 4;

    // `rows` has room for that many rows.
    Box(long width, bool circular, E* rows) : width(width), circular(circular) {
        above = rows, before = above + width, here = before + width, top = here + width;
        std::fill(rows, rows + ROWS * width, E{});
    }

    // `at(j)` gives the entries of a row; `out(j, sum)` takes those of the row before it. Two
    // columns at a time, since they share a sum.
    template <class At, class Out> void row(At at, Out out) {
        auto put = [&](long j, const E& sum) {
            here[j] = sum;
            out(j, above[j] + before[j] + sum);
        };
        E pair = at(0), centre = pair;
        const E first = circular ? pair : E{};
        if (circular) pair = pair + at(width - 1);
        long j = 0;
        for (; j + 2 < width; j += 2) {
            const E right = at(j + 1);
            put(j, pair + right);
            const E next = at(j + 2);
            pair = right + next;
            put(j + 1, centre + pair);
            centre = next;
        }
        if (j + 1 < width) {
            const E right = at(j + 1);
            put(j, pair + right);
            put(j + 1, centre + right + first);
        } else {
            put(j, pair + first);
        }
        next();
    }

    // Where rows are circular: the row given last is above the first, and the first below the last.
    void keep_first_row() { std::copy_n(before, width, top); }

    template <class Out> void finish(Out out) const {
        for (long j = 0; j < width; j++) out(j, above[j] + before[j] + top[j]);
    }
};

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

// The offsets of one axis: all that some window sees, none twice.
struct Offsets {
    long first, last;

    Offsets(long size, long reach, bool circular) : first(-reach), last(reach) {
        if (circular && 2 * reach + 1 > size) first = 0, last = size - 1;
    }
};

// What all tasks read.
struct Tables {
    std::vector<Norm> norms;  // [n layers height width]
    std::vector<Group> groups;
};

// One image of x on its way through the layers of a map.
template <bool NTK> struct Strip {
    using E = Entry<1 + NTK>;

    const float* pixels;
    const Norm* norms;
    std::vector<E> map, rows;        // a map has one row before it, for what is not wanted
    std::vector<Entry<1>> thin_rows;
    std::vector<Entry<2>> final;     // one row of what is pooled, covariances and tangents
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
    using E = Entry<1 + NTK>;
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
                group->lane_is_used(lane) &&
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
        for (long window = 0; window < problem.windows; window++)
            for (long j = 0; j < map.columns; j++)
                for (long lane = 0; lane < SIDE; lane++) {
                    const long shift = group->shift(lane);
                    const long column = column_of(problem, map.column2 + j, shift);
                    if (column >= 0 && map.column_offset + shift <= last_offset)
                        column_weights[window * width + j][lane] =
                            problem.column_weights[(window * width + map.column1 + j) * width +
                                                   column];
                }
    }

    long row2(long i) const { return (map.row2 + i) % problem.height; }

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
        through_boxes<Entry<1>>([&](Image& x, long i) {
            const long pixels = problem.pixels(), moved = problem.height * group->columns;
            const long channels = problem.channels;
            const float* p = x.pixels + (map.row1 + i) * problem.width + map.column1;
            const vf* q = &group->pixels[row2(i) * group->columns + map.column2];
            return [=](long j) {
                Entry<1> sum{};
                for (long c = 0; c < channels; c++)
                    sum.plane[0] += p[c * pixels + j] * q[c * moved + j];
                return sum;
            };
        }, [](Image&, long) {});
    }

    template <bool FIRST, bool MASKED, bool POOLED> void hidden_layer(long layer) {
        // In the first layer B is A where it is not trained, so one box does for both.
        through_boxes<Entry<FIRST && FROZEN ? 1 : 1 + NTK>>(
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
            boxes.emplace_back(map.columns, problem.circular, strips[k].template rows_of<Row>());
        auto row = [&](long k, long i, long above) {
            boxes[k].row(activation(strips[k], i), into(strips[k], above));
            done(strips[k], i);
        };
        if (problem.circular)
            for (long k = 0; k < images; k++) {
                boxes[k].row(activation(strips[k], map.rows - 1), into(strips[k], -1));
                row(k, 0, -1);
                boxes[k].keep_first_row();
            }
        for (long i = problem.circular; i < map.rows; i++)
            for (long k = 0; k < images; k++) row(k, i, i - 1);
        for (long k = 0; k < images; k++) boxes[k].finish(into(strips[k], map.rows - 1));
    }

    auto into(Image& x, long i) const {
        return [row = x.row(map, i)](long j, const auto& sum) {
            constexpr int LAST = sizeof(sum) / sizeof(vf) - 1;
            for (int plane = 0; plane <= NTK; plane++)
                row[j].plane[plane] = sum.plane[std::min(plane, LAST)];
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
        Entry<2>* final = x.final.data();
        return [=, relu = relu](long j) {
            const vf s = from[j].plane[0];
            vf t = NTK && !FROZEN && FIRST ? s : NTK && !FIRST ? from[j].plane[NTK] : vf{};
            if (MASKED) t *= mask[j];
            const auto [covariance, inherited] =
                FIRST ? relu.first(s, t, p[j], q[j]) : relu(s, t, p[j], q[j]);
            if (POOLED) final[j] = {{covariance, FROZEN ? inherited : inherited + covariance}};
            if constexpr (NTK && !(FIRST && FROZEN)) return E{{covariance, inherited + covariance}};
            else return Entry<1>{{covariance}};
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
            for (long j = 0; j < map.columns; j++) sum += weights[j] * x.final[j].plane[kind];
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
    const Norm* known = problem.z == problem.x ? tables.norms.data() : nullptr;
    in_parallel(groups(problem), threads, [&] {
        return [&](long group) { tables.groups[group] = group_of(problem, group, known); };
    });
    return tables;
}

template <bool NTK, bool FROZEN> void run(const Problem& problem, int threads) {
    const Tables tables = tables_of(problem, threads);
    using W = Worker<NTK, FROZEN>;
    in_parallel(W::tasks(problem), threads, [&] { return W(problem, tables); });
}

}  // namespace

EXPORT int cntk_gram_float32(const Problem* problem, int threads) {
    try {
        if (!problem->ntk) run<false, false>(*problem, threads);
        else if (problem->frozen_ends) run<true, true>(*problem, threads);
        else run<true, false>(*problem, threads);
    } catch (const std::bad_alloc&) {
        return 1;
    } catch (const std::length_error&) {
        return 1;
    }
    return 0;
}
