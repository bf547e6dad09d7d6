// What happens to an entry of a map in a layer: the ReLU of a pair of pixels.
#pragma once

#include "_images.h"

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

}  // namespace cntk
