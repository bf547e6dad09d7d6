// What happens to a map in a layer: the ReLU of each entry, then the sum over its neighbours.
#pragma once

#include <algorithm>

#include "_images.h"

// A call in a row of a map would cost more than what it calls.
#define INLINE __attribute__((always_inline))

namespace cntk {

// The covariance of a pair of pixels in all lanes, and with it the tangent.
struct Covariance {
    vf covariance;
};

struct Both {
    vf covariance, tangent;
};

INLINE inline Covariance operator+(const Covariance& a, const Covariance& b) {
    return {a.covariance + b.covariance};
}

INLINE inline Both operator+(const Both& a, const Both& b) {
    return {a.covariance + b.covariance, a.tangent + b.tangent};
}

// What a ReLU makes of a pair: A and B - A of the text.
struct Activated {
    vf covariance, inherited;
};

// kappa_0 and kappa_1 by the polynomials of _activation.py.
class Relu {
    vf p[7], q[6];

    template <int K = 0, int TERMS> INLINE static vf polynomial(const vf (&terms)[TERMS], vf u) {
        if constexpr (K == TERMS - 1) return terms[K];
        else return polynomial<K + 1>(terms, u) * u + terms[K];
    }

  public:
    explicit Relu(const Problem& problem) {
        for (int k = 0; k < 7; k++) p[k] = splat(problem.p_over_9[k]);
        for (int k = 0; k < 6; k++) q[k] = splat(problem.q[k]);
    }

    // After the first ReLU, where no cosine is negative.
    INLINE Activated operator()(vf s, vf t, Norm x, const Norms& z) const {
        const vf u = maximum(1 - s * (x.inverse * z.inverse), vf{});
        const vf r = root(u);
        const vf kappa1 = 1 - u * (1 - r * polynomial(q, u));
        return {x.scale * z.scale * kappa1, t * (1 / 9.f - r * polynomial(p, u))};
    }

    INLINE Activated first(vf s, vf t, Norm x, const Norms& z) const {
        const vf c = s * (x.inverse * z.inverse);
        const vf u = maximum(1 - maximum(c, -c), vf{});
        const vf r = root(u), rp = r * polynomial(p, u);
        const vf kappa1 = 1 - u + minimum(c, vf{}) + u * r * polynomial(q, u);
        return {x.scale * z.scale * kappa1, t * (c < 0 ? rp : 1 / 9.f - rp)};
    }
};

// Member by member: as a whole it would be moved by way of general registers.
INLINE inline void put(Covariance& to, const Covariance& from) { to.covariance = from.covariance; }

INLINE inline void put(Both& to, const Both& from) {
    to.covariance = from.covariance;
    to.tangent = from.tangent;
}

// Sums over 3 x 3 neighbours, in place and row by row: when the sums along a row are known, the
// row before it is complete.
template <class E> class Box {
    long width, given = 0;
    bool circular;
    E *rows, *zeros, *below;

    E* row_before(long steps) const {
        return given < steps ? zeros : rows + (given - steps) % 3 * width;
    }

  public:
    static constexpr long ROWS = 5;

    // `memory` has room for so many rows of the widest map, of zeros when it is first used.
    Box(long width, long widest, bool circular, E* memory)
        : width(width), circular(circular), rows(memory + 2 * widest), zeros(memory),
          below(circular ? memory + widest : zeros) {}

    // `at(j)` gives the entries of a row; `out(j, sum)` takes those of the row before it. Two
    // columns at a time, since they share a sum.
    template <class At, class Out> INLINE void row(At at, Out out) {
        const E *above = row_before(2), *before = row_before(1);
        E* here = rows + given++ % 3 * width;
        auto complete = [=](long j, const E& sum) INLINE {
            const E all = above[j] + before[j] + sum;
            put(here[j], sum);
            out(j, all);
        };
        const E first = at(0);
        E centre = first, pair = first;
        if (circular) pair = pair + at(width - 1);
        long j = 0;
        for (; j + 2 < width; j += 2) {
            const E right = at(j + 1);
            complete(j, pair + right);
            const E next = at(j + 2);
            pair = right + next;
            complete(j + 1, centre + pair);
            centre = next;
        }
        if (j + 1 < width) {
            const E right = at(j + 1);
            complete(j, pair + right);
            pair = centre + right;
            j++;
        }
        if (circular) pair = pair + first;
        complete(j, pair);
    }

    // Where rows are circular: the row given first is above the second, and that below the last.
    void keep_row() { std::copy_n(row_before(1), width, below); }

    template <class Out> INLINE void finish(Out out) const {
        const E *above = row_before(2), *before = row_before(1);
        for (long j = 0; j < width; j++) out(j, above[j] + before[j] + below[j]);
    }
};

}  // namespace cntk
