"""Polynomials for the arc-cosine kernels, accurate to float32.

With u = 1 - c and r = sqrt(u), for a cosine c in [0, 1],

    kappa_0(c) = 1 - r p(u),        kappa_1(c) = c + u r q(u),

where p and q are smooth, so a square root and eleven multiply-adds replace the arc cosine. For
c < 0 take u = 1 + c: kappa_0(c) = r p(u) and kappa_1(c) = u r q(u). After one ReLU no cosine is
negative.

The coefficients, of ascending powers of u, are minimax fits: absolute errors on [0, 1] are 2.8e-8
in kappa_0 and 8.0e-9 in kappa_1, below the rounding of float32.
"""

from __future__ import annotations

P = (
    0.4501585641316801,
    0.037499013629260725,
    0.008582562348348003,
    0.0018924535912771322,
    0.0022032628427332457,
    -0.001167221803723322,
    0.0008313372696383745,
)
Q = (
    0.3001039350870131,
    0.015027404287934044,
    0.0022963681676936077,
    0.0008382084019078361,
    -0.00017966913812193395,
    0.00022363139555809427,
)
