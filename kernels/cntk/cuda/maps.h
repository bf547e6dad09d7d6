// One pair of images: what a block of warps does, and one map of it through all layers in a warp.
//
// A lane is a column of x, and the rows of the covariance S and of the tangent T are registers from
// the first layer to the last. So the vertical sums of a box are additions, the horizontal ones two
// shuffles. Row i of x meets row i - down of z, and a column j meets column j - shift, both modulo
// the size; where zeros lie outside the image, no value crosses the seams in front of row `down`
// and column `shift`. At a seam a factor is 0: that costs nothing in a multiply-add, a branch would.
//
// Every map is kept at its scale by the 1/9 of the next convolution, which is part of the
// polynomials' constants.
//
// Macros give the sizes, HEIGHT and WIDTH; the options, WANT_NTK and CIRCULAR; how many of the two
// tables are copied to shared memory, STAGED; and coefficients over 9, P_OVER_9 and Q_OVER_9.
#pragma once

#include "lanes.h"

constexpr int SIZE = HEIGHT * WIDTH;
constexpr int KINDS = 1 + WANT_NTK;  // S, or S and T
constexpr float NINTH = 1.0f / 9;
constexpr float TINY = 1e-30f;  // in place of 0 where a root is divided by

// What one launch computes; the same fields in the same order as `Job` in _cuda.py.
struct Job {
    const float* pixels1;   // [n channels HEIGHT WIDTH]
    const float* pixels2;   // [m channels HEIGHT WIDTH]
    const float* inverse1;  // [n layers HEIGHT WIDTH], 1 / deviation
    const float* inverse2;  // [m layers 2 HEIGHT WIDTH], all rows twice over
    const int* positions;   // [packs 4 32], for each lane: column of x, of z, lane left, lane right
    const float* factors;   // [packs 3 32]: open to the left, to the right, at shift 0
    const int* downs;       // [row_offsets]
    const float* rows;      // [windows row_offsets HEIGHT], pooling weights
    const float* columns;   // [windows packs 32]
    const int* seen;        // [windows row_offsets packs], whether a window gives weight to a map
    const int* slots;       // [layers], place among the depths, or -1
    float* gram;            // [KINDS depths windows n m]
    int first;              // image of x of the first block
    int n, m;
    int symmetric;
    int channels, layers, depths, windows, row_offsets, packs;
    int frozen_ends;
};

struct Pair {
    int i, j;
    const float *pixels1, *pixels2;
    const float *inverse1, *inverse2;  // wherever the warps read them
};

// One pack of column shifts, as a lane sees it.
struct Lane {
    Positions column1, column2;
    Positions left, right;
    Lanes open_left, open_right;
    Lanes one;  // 0 where the cosine is known to be 1
};

DEVICE int outputs(const Job& job) { return KINDS * job.depths * job.windows; }

DEVICE Pair pair_of(const Job& job, int block) {
    const int i = job.first + block / job.m, j = block % job.m;
    const long long table = (long long)job.layers * SIZE, image = (long long)job.channels * SIZE;
    return {i, j, job.pixels1 + i * image, job.pixels2 + j * image,
            job.inverse1 + i * table, job.inverse2 + 2 * j * table};
}

DEVICE bool is_wanted(const Job& job, const Pair& pair) {
    return !job.symmetric || pair.i <= pair.j;
}

template <int N>
DEVICE Lanes polynomial(const float (&coefficients)[N], Lanes u) {
    Lanes value = coefficients[N - 1];
    UNROLL
    for (int k = N - 2; k >= 0; k--) value = multiply_add(value, u, coefficients[k]);
    return value;
}

DEVICE Lanes p_over_9(Lanes u) {
    constexpr float coefficients[] = {P_OVER_9};
    return polynomial(coefficients, u);
}

DEVICE Lanes q_over_9(Lanes u) {
    constexpr float coefficients[] = {Q_OVER_9};
    return polynomial(coefficients, u);
}

// The one layer whose cosine c may be negative; T is S, or 0 where the layer is not trained.
DEVICE void first_relu(Lanes* s, Lanes* t, Lanes inverse, Lanes one, float start) {
    const Lanes c = *s * inverse;
    const Lanes u = at_least(one - absolute(c), TINY);
    const Lanes r = u * reciprocal_root(u);
    const Lanes of_size = multiply_add(u, multiply_add(r, q_over_9(u), -NINTH), NINTH);
    const Lanes kappa1 = multiply_add(at_most(c, 0), NINTH, of_size);
    const Lanes a = reciprocal(inverse) * kappa1;
    if (WANT_NTK) {
        const Lanes rp = r * p_over_9(u);
        *t = multiply_add(start * *s, where_negative(c, rp, NINTH - rp), a);
    }
    *s = a;
}

DEVICE void relu(Lanes* s, Lanes* t, Lanes inverse, Lanes one) {
    const Lanes u = at_least(multiply_add(-*s, inverse, one), TINY);
    const Lanes r = u * reciprocal_root(u);
    const Lanes kappa1 = multiply_add(u, multiply_add(r, q_over_9(u), -NINTH), NINTH);
    const Lanes a = reciprocal(inverse) * kappa1;
    if (WANT_NTK) *t = multiply_add(*t, multiply_add(-r, p_over_9(u), NINTH), a);
    *s = a;
}

DEVICE Lanes sum_of_columns(Lanes a, const Lane& lane) {
    if (CIRCULAR) return a + from_lane(a, lane.left) + from_lane(a, lane.right);
    const Lanes sum = multiply_add(lane.open_left, from_left(a), a);
    return multiply_add(lane.open_right, from_right(a), sum);
}

// The box of the first `N` kinds of map in place; `after` takes each row as soon as it is there.
template <int N, class Function>
DEVICE void box(Lanes (&maps)[KINDS][HEIGHT], const Lane& lane, int down, Function after) {
    Lanes first[N], above[N], here[N], below[N];
    UNROLL
    for (int k = 0; k < N; k++) {
        first[k] = here[k] = sum_of_columns(maps[k][0], lane);
        if (CIRCULAR) above[k] = sum_of_columns(maps[k][HEIGHT - 1], lane);
    }
    float open_above = 1;
    UNROLL
    for (int i = 0; i < HEIGHT; i++) {
        const float open_below = CIRCULAR || i + 1 != down;
        UNROLL
        for (int k = 0; k < N; k++) {
            below[k] = i + 1 < HEIGHT ? sum_of_columns(maps[k][(i + 1) % HEIGHT], lane) : first[k];
            Lanes sum = here[k];
            if (CIRCULAR || i > 0) sum = multiply_add(open_above, above[k], sum);
            if (CIRCULAR || i + 1 < HEIGHT) sum = multiply_add(open_below, below[k], sum);
            maps[k][i] = sum;
            above[k] = here[k];
            here[k] = below[k];
        }
        open_above = open_below;
        after(i);
    }
}

DEVICE int row_of_z(int i, int down) { return i < down ? i - down + HEIGHT : i - down; }

// 1 / (deviation of x * deviation of z) of one layer; the table of z has its rows twice, so that
// they run on across the seam.
struct Inverse {
    const float *first1, *first2;

    DEVICE Inverse(const Pair& pair, int layer, int down)
        : first1(pair.inverse1 + layer * SIZE),
          first2(pair.inverse2 + (2 * layer + 1) * SIZE - down * WIDTH) {}

    DEVICE Lanes row(int i, const Lane& lane) const {
        return load(first1 + i * WIDTH, lane.column1) * load(first2 + i * WIDTH, lane.column2);
    }
};

DEVICE bool are_identical(const Job& job, const Pair& pair, const Lane& lane) {
    bool identical = true;
    for (int k = 0; k < job.channels * HEIGHT; k++)
        identical &= all_equal(load(pair.pixels1 + k * WIDTH, lane.column1),
                               load(pair.pixels2 + k * WIDTH, lane.column1));
    return identical;
}

DEVICE Lane lane_of(const Job& job, int pack) {
    const int* positions = job.positions + pack * 4 * 32;
    const float* factors = job.factors + pack * 3 * 32;
    return {load_lanes(positions),      load_lanes(positions + 32), load_lanes(positions + 64),
            load_lanes(positions + 96), load_lanes(factors),        load_lanes(factors + 32), 1.0f};
}

// Products of pixels, summed over channels.
DEVICE void product(Lanes (&s)[HEIGHT], const Job& job, const Pair& pair, const Lane& lane,
                    int down) {
    UNROLL
    for (int i = 0; i < HEIGHT; i++) s[i] = 0;
    KEEP_LOOP
    for (int channel = 0; channel < job.channels; channel++) {
        const float *x = pair.pixels1 + channel * SIZE, *z = pair.pixels2 + channel * SIZE;
        UNROLL
        for (int i = 0; i < HEIGHT; i++)
            s[i] = multiply_add(load(x + i * WIDTH, lane.column1),
                                load(z + row_of_z(i, down) * WIDTH, lane.column2), s[i]);
    }
}

// Add to this warp's sums [KINDS depths windows] what one layer of one map gives to each window.
DEVICE void pool(const Lanes (&maps)[KINDS][HEIGHT], const Job& job, int slot, int row_offset,
                 int pack, double* sums) {
    KEEP_LOOP
    for (int window = 0; window < job.windows; window++) {
        const int at = window * job.row_offsets + row_offset;
        if (!job.seen[at * job.packs + pack]) continue;
        const float* rows = job.rows + at * HEIGHT;
        const Lanes column = load_lanes(job.columns + (window * job.packs + pack) * 32);
        Lanes pooled[KINDS];
        UNROLL
        for (int k = 0; k < KINDS; k++) pooled[k] = 0;
        UNROLL
        for (int i = 0; i < HEIGHT; i++) {
            UNROLL
            for (int k = 0; k < KINDS; k++)
                pooled[k] = multiply_add(rows[i], maps[k][i], pooled[k]);
        }
        UNROLL
        for (int k = 0; k < KINDS; k++) {
            const float sum = total(column * pooled[k]);
            if (is_first_lane()) sums[(k * job.depths + slot) * job.windows + window] += sum;
        }
    }
}

DEVICE void all_layers(const Job& job, const Pair& pair, int row_offset, int pack, double* sums) {
    const int down = job.downs[row_offset];
    Lane lane = lane_of(job, pack);
    // A rounding of 1e-7 in a cosine of 1 would cost 3e-4. With 0 in place of 1 in u = 1 - c, u is
    // negative, and cut to 0.
    if (down == 0 && are_identical(job, pair, lane))
        lane.one = lane.one - load_lanes(job.factors + (pack * 3 + 2) * 32);

    Lanes maps[KINDS][HEIGHT];
    product(maps[0], job, pair, lane, down);
    const Inverse inverse(pair, 0, down);
    box<1>(maps, lane, down, [&](int i) {
        first_relu(&maps[0][i], &maps[KINDS - 1][i], inverse.row(i, lane), lane.one,
                   job.frozen_ends ? 0.0f : 1.0f);
    });
    KEEP_LOOP
    for (int layer = 0;;) {
        const int slot = job.slots[layer];
        if (slot >= 0) pool(maps, job, slot, row_offset, pack, sums);
        if (++layer == job.layers) break;
        const Inverse inverse(pair, layer, down);
        box<KINDS>(maps, lane, down, [&](int i) {
            relu(&maps[0][i], &maps[KINDS - 1][i], inverse.row(i, lane), lane.one);
        });
    }
}

DEVICE const float* copied(const float* from, int n, int thread, int threads, float* to) {
    for (int k = thread; k < n; k += threads) to[k] = from[k];
    return to;
}

// One thread's part of clearing the sums [warps KINDS depths windows] and copying the tables.
DEVICE Pair stage(const Job& job, Pair pair, int thread, int threads, double* shared) {
    const int sums = threads / 32 * outputs(job);
    for (int k = thread; k < sums; k += threads) shared[k] = 0;
    const int entries = job.layers * SIZE;
    float* table2 = reinterpret_cast<float*>(shared + sums);
    float* table1 = table2 + 2 * entries;
    if (STAGED >= 1) pair.inverse2 = copied(pair.inverse2, 2 * entries, thread, threads, table2);
    if (STAGED >= 2) pair.inverse1 = copied(pair.inverse1, entries, thread, threads, table1);
    return pair;
}

DEVICE void all_maps(const Job& job, const Pair& pair, int warp, int warps, double* shared) {
    double* sums = shared + warp * outputs(job);
    KEEP_LOOP
    for (int task = warp; task < job.row_offsets * job.packs; task += warps)
        all_layers(job, pair, task / job.packs, task % job.packs, sums);
}

// One thread's part of adding up the warps, in their order, into the Gram matrices.
DEVICE void write(const Job& job, const Pair& pair, int thread, int threads, const double* shared) {
    const int warps = threads / 32, half = job.depths * job.windows;
    for (int output = thread; output < outputs(job); output += threads) {
        double value = 0;
        for (int warp = 0; warp < warps; warp++) {
            const double* sums = shared + warp * outputs(job);
            value += sums[output];
            if (job.frozen_ends && output >= half) value -= sums[output - half];
        }
        float* gram = job.gram + (long long)output * job.n * job.m;
        gram[(long long)pair.i * job.m + pair.j] = static_cast<float>(value);
        if (job.symmetric) gram[(long long)pair.j * job.m + pair.i] = static_cast<float>(value);
    }
}
