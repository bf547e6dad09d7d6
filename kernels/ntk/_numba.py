"""NTK recursion on the CPU: a stretch of a row of the Gram matrix goes through all levels in cache.

All variants share one square root and two polynomials a level. That is so little that the second
half of a symmetric matrix is computed too: copying it from the first, against the order of memory,
took two to three times as long.
"""

# Compiled functions have no annotations: numba and Triton infer their types.
# mypy: disallow-untyped-defs=False

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit, prange
from numba.extending import overload
from numba.np.numpy_support import as_dtype

from . import Variant
from ._arc_cosine import coefficients
from ._places import places

STRETCH = 256  # entries: all levels and fixed layers of it stay in the level-1 cache

# A product and a sum may become one operation, which LLVM has to be told; nothing else may change.
flat = njit(fastmath={"contract"}, error_model="numpy", cache=True)


def _pairs(terms):
    """Coefficients two by two from the highest power down, as constants of compiled code."""
    even = np.append(terms, np.zeros(len(terms) % 2, terms.dtype))
    return tuple((pair[0], pair[1]) for pair in even.reshape(-1, 2)[::-1])


def _polynomials(u):
    """p and q in the dtype of `u`, for compiled code only."""


@overload(_polynomials)
def _polynomials_of_dtype(u):
    p, q = map(_pairs, coefficients(as_dtype(u.dtype)))
    return lambda u: (p, q)


@flat
def _polynomial(pairs, x):
    """Even powers and odd ones apart. The number of pairs is part of their type, so that LLVM has
    no loop here and takes several x at once."""
    square = x * x
    even, odd = pairs[0]
    for k in range(1, len(pairs)):
        even = even * square + pairs[k][0]
        odd = odd * square + pairs[k][1]
    return odd * x + even


@flat
def _activate(u, kappa0):
    p, q = _polynomials(u)
    zero, one = u.dtype.type(0), u.dtype.type(1)
    for k in range(len(u)):
        c = u[k]
        v = one - abs(c)
        r = np.sqrt(v)
        rp = r * _polynomial(p, v)
        kappa0[k] = rp if c < zero else one - rp
        u[k] = max(c, zero) + v * r * _polynomial(q, v)


@flat
def _train(theta, kappa0, u):
    for k in range(len(u)):
        theta[k] = theta[k] * kappa0[k] + u[k]


@flat
def _write(theta, rho, factor, out):
    for k in range(len(out)):
        out[k] = theta[k] * rho[k] * factor


@flat
def _stretch(sigma, norm1, norm2, diagonal, buffers, plan, gram):
    """All levels of one stretch of a row: `gram` [places stretch] takes the results.

    `diagonal` is the column that meets itself, or -1. Theta is kept over rho.
    """
    fixed, outputs, factor = plan
    u, rho, kappa0, theta = buffers[0], buffers[1], buffers[2], buffers[3:]
    zero, one = sigma.dtype.type(0), sigma.dtype.type(1)
    for k in range(len(u)):
        rho[k] = norm1 * norm2[k]
        u[k] = sigma[k] / rho[k] if rho[k] > zero else zero
    for level in range(len(outputs)):
        if level == 1:
            for k in range(len(u)):
                u[k] = min(max(u[k], -one), one)
            if diagonal >= 0:
                u[diagonal] = one  # next to 1 the arc cosine magnifies rounding: 1e-7 becomes 3e-4
        if level > 0:
            _activate(u, kappa0)
        for f in range(len(fixed)):
            if fixed[f] == level:
                theta[f] = u
            elif fixed[f] < level:
                _train(theta[f], kappa0, u)
            if outputs[level, f] >= 0:
                _write(theta[f], rho, factor[level], gram[outputs[level, f]])


@njit(error_model="numpy", cache=True, parallel=True)
def _rows(sigma, norm1, norm2, plan, symmetric, gram):
    n, m = sigma.shape
    lines = 3 + len(plan[0])
    for i in prange(n):
        buffers = np.empty(lines * STRETCH, sigma.dtype)
        for start in range(0, m, STRETCH):
            end = min(start + STRETCH, m)
            diagonal = i - start if symmetric and start <= i < end else -1
            # Whole rows of one buffer: their type then says that they are contiguous.
            part = buffers[: lines * (end - start)].reshape(lines, end - start)
            out = gram[:, i, start:end]
            _stretch(sigma[i, start:end], norm1[i], norm2[start:end], diagonal, part, plan, out)


def ntk_gram(
    x1: np.ndarray,
    x2: np.ndarray | None = None,
    *,
    variants: Sequence[Variant],
    c_sigma: float = 2.0,
) -> np.ndarray:
    others = x1 if x2 is None else x2
    wanted = places(variants)
    factor = ((c_sigma / 2) ** np.arange(len(wanted.outputs))).astype(x1.dtype)
    gram = np.empty((wanted.count, len(x1), len(others)), x1.dtype)
    _rows(
        np.ascontiguousarray(x1 @ others.T),
        np.linalg.norm(x1, axis=1),
        np.linalg.norm(others, axis=1),
        (wanted.fixed, wanted.outputs, factor),
        x2 is None,
        gram,
    )
    return wanted.in_order(gram)
