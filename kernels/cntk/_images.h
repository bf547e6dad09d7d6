// Images as maps read them: beside the pixels the standard deviation of every pre-activation, for
// one image alone and for a group of images in the lanes of vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "../_vectors.h"

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
            norms[k].scale = float(deviation / 3);
            norms[k].inverse = variance[k] > 0 ? float(1 / deviation) : 0;
            variance[k] /= 9;
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

// Copies one row of an image, of `unit` floats a column, to where `column_of` finds it.
inline void move_row(const Problem& shape, const Group& group, long lane, long unit,
                     const float* from, float* to) {
    const long width = shape.width, shift = group.shift(lane);
    const long step = shape.circular ? width : group.columns;
    for (long start = shape.circular ? shift - width : shift; start < group.columns;
         start += step) {
        const long left = std::max(start, 0L), right = std::min(start + width, group.columns);
        std::copy_n(from + (left - start) * unit, (right - left) * unit, to + left * unit);
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

// Lays out for a group what `of(image)` points to: `rows` rows, `unit` floats a column.
template <class Of>
void lay_out(const Problem& shape, const Group& group, long rows, long unit, Of of, vf* vectors) {
    const long row_size = group.columns * unit, count = rows * row_size;
    std::vector<float> streams[SIDE];
    for (long lane = 0; lane < SIDE; lane++) {
        streams[lane].resize(count + SIDE);
        if (!group.is_used(lane)) continue;
        const float* from = of(group.image(lane));
        for (long row = 0; row < rows; row++)
            move_row(shape, group, lane, unit, from + row * shape.width * unit,
                     &streams[lane][row * row_size]);
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

// `known` are the norms of all images of z, where they have been found already.
inline void fill(const Problem& problem, const Norm* known, Group& group) {
    const long height = problem.height, rows = problem.layers * height;
    const long size = rows * problem.width, floats = problem.channels * problem.pixels();
    std::vector<Norm> found(known ? 0 : group.images * size);
    for (long k = 0; !known && k < group.images; k++)
        find_norms(problem, problem.z + (group.first + k) * floats, &found[k * size]);
    const Norm* norms = known ? known + group.first * size : found.data();
    const std::vector<float> ones(problem.width, 1);

    group.pixels.resize(problem.channels * height * group.columns);
    group.norms.resize(rows * group.columns);
    group.mask.resize(group.columns);
    auto pixels_of = [&](long image) { return problem.z + image * floats; };
    auto norms_of = [&](long image) {
        return reinterpret_cast<const float*>(norms + (image - group.first) * size);
    };
    lay_out(problem, group, problem.channels * height, 1, pixels_of, group.pixels.data());
    lay_out(problem, group, rows, 2, norms_of, reinterpret_cast<vf*>(group.norms.data()));
    lay_out(problem, group, 1, 1, [&](long) { return ones.data(); }, group.mask.data());
}

}  // namespace cntk
