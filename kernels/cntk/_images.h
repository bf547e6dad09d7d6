// Images as maps read them: beside the pixels the standard deviation of every pre-activation, for
// one image alone and for a group of images in the lanes of vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "../_vectors.h"
#include "_box.h"

namespace cntk {

using namespace vectors;
constexpr long SIDE = LANES<float>;

struct Problem {
    int64_t n, m, channels, height, width, layers, depths, windows;
    int64_t row_reach, column_reach;  // the largest offset p - q that some window sees
    int64_t symmetric, circular, frozen_ends, nngp, ntk;
    int64_t parts;                    // that the maps of a pair are dealt out in
    const float *x, *z;               // [n channels height width], [m channels height width]
    const float* row_weights;         // [windows height height]
    const float* column_weights;      // [windows width width]
    const int64_t* slots;             // [layers]: a place among the depths, or -1
    const float *p_over_9, *q;        // as in _activation.py
    double* out;                      // [parts kinds depths windows n m]

    long pixels() const { return height * width; }
    long kinds() const { return nngp + ntk; }
    long values() const { return kinds() * depths * windows; }
};

// Of one pixel at one layer. The product of two scales has the 1/9 of the next convolution in it, so
// that maps keep their size at every depth. The inverse is 0 next to a patch of zeros.
struct Norm {
    float scale, inverse;
};

struct Norms {
    vf scale, inverse;
};

// A number in double for each lane.
struct Doubles {
    vd low, high;
};

INLINE inline Doubles operator+(const Doubles& a, const Doubles& b) {
    return {a.low + b.low, a.high + b.high};
}

INLINE inline Doubles operator*(const Doubles& a, const Doubles& b) {
    return {a.low * b.low, a.high * b.high};
}

INLINE inline void put(Doubles& to, const Doubles& from) { to.low = from.low, to.high = from.high; }

INLINE inline Doubles widen(vf v) {
    vh halves[2];
    std::memcpy(halves, &v, sizeof v);
    return {__builtin_convertvector(halves[0], vd), __builtin_convertvector(halves[1], vd)};
}

INLINE inline vf narrow(const Doubles& v) {
    const vh halves[2] = {__builtin_convertvector(v.low, vh), __builtin_convertvector(v.high, vh)};
    vf narrowed;
    std::memcpy(&narrowed, halves, sizeof narrowed);
    return narrowed;
}

// Sums of the nine pixels around each, in place.
inline void box(const Problem& shape, std::vector<double>& image) {
    const long height = shape.height, width = shape.width;
    const std::vector<double> from = image, zeros(width);
    std::vector<double> sums(width + 2);
    auto row = [&](long i) {
        if (shape.circular) return &from[(i + height) % height * width];
        return i < 0 || i == height ? zeros.data() : &from[i * width];
    };
    double* sum = &sums[1];
    for (long i = 0; i < height; i++) {
        const double *above = row(i - 1), *here = row(i), *below = row(i + 1);
        for (long j = 0; j < width; j++) sum[j] = above[j] + here[j] + below[j];
        sum[-1] = shape.circular ? sum[width - 1] : 0;
        sum[width] = shape.circular ? sum[0] : 0;
        for (long j = 0; j < width; j++)
            image[i * width + j] = sum[j - 1] + sum[j] + sum[j + 1];
    }
}

inline std::vector<double> squared_norms(const Problem& shape, const float* image) {
    std::vector<double> squares(shape.pixels());
    for (long c = 0; c < shape.channels; c++, image += shape.pixels())
        for (long k = 0; k < shape.pixels(); k++) squares[k] += double(image[k]) * image[k];
    return squares;
}

// [layers height width]. A pixel meets itself with a cosine of 1, so variances obey a linear
// recursion; it is in double because its errors would add up over the layers.
inline void find_norms(const Problem& shape, const float* image, Norm* norms) {
    auto variance = squared_norms(shape, image);
    for (long layer = 0; layer < shape.layers; layer++, norms += shape.pixels()) {
        box(shape, variance);
        for (long k = 0; k < shape.pixels(); k++) {
            const double deviation = std::sqrt(variance[k]);
            norms[k].scale = float(deviation * (1 / 3.));
            norms[k].inverse = float(deviation) > 0 ? 1 / float(deviation) : 0;
            variance[k] *= 1 / 9.;
        }
    }
}

// The offsets of one axis: all that some window sees, none twice.
struct Offsets {
    long first, last;

    Offsets(long size, long reach, bool circular) : first(-reach), last(reach) {
        if (circular && 2 * reach >= size) first = 0, last = size - 1;
    }

    long count() const { return last - first + 1; }
};

// Images of z in lanes. Where few are left, each fills several lanes, moved to the right by 0, 1,
// ... columns: what is one column offset for the group is a different one for each of its copies.
// Without circular padding there is nothing beside a moved image, and a mask says so.
struct Group {
    long first, images, shifts;
    long columns;              // circular images go on to twice their width: no column wraps around
    std::vector<vf> pixels;    // [channels height columns]
    std::vector<Norms> norms;  // [layers height columns]
    std::vector<vf> mask;      // [columns]

    bool is_used(long lane) const { return lane < images * shifts; }
    long image(long lane) const { return first + lane / shifts; }
    long shift(long lane) const { return lane % shifts; }
};

// The column of the image in a lane that stands at a column of its group, or -1 beside the image.
inline long column_of(const Problem& shape, const Group& group, long lane, long column) {
    const long of = column - group.shift(lane);
    if (shape.circular) return (of + shape.width) % shape.width;
    return of < shape.width ? std::max(of, -1L) : -1;
}

// Copies one row of an image to where `column_of` finds it.
inline void move_row(const Problem& shape, const Group& group, long lane, const float* from,
                     float* to) {
    const long width = shape.width, shift = group.shift(lane);
    const long step = shape.circular ? width : group.columns;
    for (long start = shape.circular ? shift - width : shift; start < group.columns;
         start += step) {
        const long left = std::max(start, 0L), right = std::min(start + width, group.columns);
        std::copy_n(from + (left - start), right - left, to + left);
    }
}

// From one stream of floats for each lane to one stream of vectors.
inline void into_lanes(const std::vector<float>* streams, long count, vf* vectors) {
    vf block[SIDE];
    for (long start = 0; start < count; start += SIDE) {
        for (long lane = 0; lane < SIDE; lane++) block[lane] = load(&streams[lane][start]);
        transpose<float>(block);
        std::copy_n(block, std::min(SIDE, count - start), vectors + start);
    }
}

// Lays out for a group the rows that `of(image)` points to.
template <class Of>
void lay_out(const Problem& shape, const Group& group, long rows, Of of, vf* vectors) {
    const long count = rows * group.columns;
    std::vector<float> streams[SIDE];
    for (long lane = 0; lane < SIDE; lane++) {
        streams[lane].resize(count + SIDE);
        if (!group.is_used(lane)) continue;
        const float* from = of(group.image(lane));
        for (long row = 0; row < rows; row++)
            move_row(shape, group, lane, from + row * shape.width,
                     &streams[lane][row * group.columns]);
    }
    into_lanes(streams, count, vectors);
}

inline long groups(const Problem& problem) { return (problem.m + SIDE - 1) / SIDE; }

inline Group group_of(const Problem& problem, long number) {
    const Offsets offsets(problem.width, problem.column_reach, problem.circular);
    Group group;
    group.first = number * SIDE;
    group.images = std::min<long>(SIDE, problem.m - group.first);
    group.shifts = std::min<long>(SIDE / group.images, offsets.count());
    group.columns = problem.circular ? 2 * problem.width : problem.width + group.shifts - 1;
    return group;
}

inline std::vector<Doubles> squared_norms(const Problem& problem, const Group& group) {
    const long size = problem.height * group.columns;
    std::vector<Doubles> squares(size);
    for (long c = 0; c < problem.channels; c++)
        for (long k = 0; k < size; k++) {
            const Doubles pixel = widen(group.pixels[c * size + k]);
            squares[k] = squares[k] + pixel * pixel;
        }
    return squares;
}

// `find_norms` of all images of a group at once.
inline void find_norms(const Problem& problem, Group& group) {
    const long height = problem.height, columns = group.columns;
    auto variance = squared_norms(problem, group);
    const Doubles third{splat(1 / 3.), splat(1 / 3.)}, ninth{splat(1 / 9.), splat(1 / 9.)};
    Norms* norms = group.norms.data();
    auto at = [&](long i) {
        return [from = &variance[i * columns]](long j) INLINE { return from[j]; };
    };
    auto out = [&](long i) {
        return [=, to = &variance[i * columns], mask = group.mask.data()](
                   long j, const Doubles& sum) INLINE {
            const Doubles inside = sum * widen(mask[j]);  // nothing beside an image that was moved
            const Doubles deviation{root(inside.low), root(inside.high)};
            const vf narrowed = narrow(deviation);
            norms[i * columns + j].scale = narrow(deviation * third);
            norms[i * columns + j].inverse = narrowed > 0 ? 1 / narrowed : vf{};
            put(to[j], inside * ninth);
        };
    };
    for (long layer = 0; layer < problem.layers; layer++, norms += height * columns) {
        std::vector<Doubles> memory(Box<Doubles>::ROWS * columns);
        const Box<Doubles> box(columns, columns, problem.circular, memory.data());
        through_box(height, box, problem.circular, at, out);
    }
}

inline void fill(const Problem& problem, Group& group) {
    const long height = problem.height, floats = problem.channels * problem.pixels();
    const std::vector<float> ones(problem.width, 1);
    group.pixels.resize(problem.channels * height * group.columns);
    group.norms.resize(problem.layers * height * group.columns);
    group.mask.resize(group.columns);
    auto pixels_of = [&](long image) { return problem.z + image * floats; };
    lay_out(problem, group, problem.channels * height, pixels_of, group.pixels.data());
    lay_out(problem, group, 1, [&](long) { return ones.data(); }, group.mask.data());
    find_norms(problem, group);
}

}  // namespace cntk
