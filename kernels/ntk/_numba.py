"""NTK recursion on the CPU: a stretch of a row of the Gram matrix goes through all levels in cache.

The arc cosine is the cost, so all variants share one at each level, and of a symmetric matrix the
upper triangle is computed and mirrored.
"""

# Compiled functions have no annotations: numba and Triton infer their types.
# mypy: disallow-untyped-defs=False

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit, prange

from . import Variant

STRETCH = 256  # entries: all levels and fixed layers of it stay in the level-1 cache
TILE = 32  # rows and columns that are mirrored at once


@njit(error_model="numpy", cache=True)
def _stretch(sigma, rho, fixed, factor, outputs, diagonal, gram, row, start):
    """Columns `start` onwards of one row: `sigma` holds inner products, `rho` those of norms.

    `outputs` [levels fixed] holds the place in `gram` of a depth and a number of fixed layers, or
    -1; `diagonal` is the column that meets itself, or -1.
    """
    one, pi = sigma.dtype.type(1), sigma.dtype.type(np.pi)
    theta = np.zeros((len(fixed), len(sigma)), sigma.dtype)
    kappa0 = np.zeros_like(sigma)
    for level in range(len(outputs)):
        if level > 0:
            for k in range(len(sigma)):
                u = sigma[k] / rho[k] if rho[k] > 0 else rho[k]
                # Next to 1 the arc cosine magnifies rounding: 1e-7 becomes 3e-4.
                u = one if k == diagonal else min(max(u, -one), one)
                kappa0[k] = one - np.arccos(u) / pi
                sigma[k] = rho[k] * (u * kappa0[k] + np.sqrt(one - u * u) / pi)
        for f in range(len(fixed)):
            for k in range(len(sigma)):
                theta[f, k] *= kappa0[k]
            if fixed[f] <= level:
                for k in range(len(sigma)):
                    theta[f, k] += sigma[k]
            if outputs[level, f] >= 0:
                for k in range(len(sigma)):
                    gram[outputs[level, f], row, start + k] = theta[f, k] * factor[level]


@njit(error_model="numpy", cache=True, parallel=True)
def _rows(sigma, norm1, norm2, fixed, factor, outputs, symmetric, gram):
    n, m = sigma.shape
    for turn in prange(n):
        # Long rows and short ones of the triangle in turn, so that threads get equal shares.
        i = turn // 2 if turn % 2 == 0 else n - 1 - turn // 2
        for start in range(i if symmetric else 0, m, STRETCH):
            end = min(start + STRETCH, m)
            rho = norm1[i] * norm2[start:end]
            diagonal = i - start if symmetric else -1
            values = sigma[i, start:end].copy()
            _stretch(values, rho, fixed, factor, outputs, diagonal, gram, i, start)


@njit(cache=True, parallel=True)
def _mirror(gram):
    """Copy the upper triangle to the lower, tile by tile, so that both stay in cache."""
    places, n, _ = gram.shape
    for turn in prange(places * ((n + TILE - 1) // TILE)):
        place, top = turn % places, turn // places * TILE
        for left in range(0, top + TILE, TILE):
            for i in range(top, min(top + TILE, n)):
                for j in range(left, min(left + TILE, i)):
                    gram[place, i, j] = gram[place, j, i]


def ntk_gram(
    x1: np.ndarray,
    x2: np.ndarray | None = None,
    *,
    variants: Sequence[Variant],
    c_sigma: float = 2.0,
) -> np.ndarray:
    others = x1 if x2 is None else x2
    levels = max(depth for depth, _ in variants) + 1
    fixed = sorted({fixed for _, fixed in variants})
    distinct = sorted({(depth, first) for depth, first in variants})
    outputs = np.full((levels, len(fixed)), -1)
    for place, (depth, first) in enumerate(distinct):
        outputs[depth, fixed.index(first)] = place

    gram = np.zeros((len(distinct), len(x1), len(others)), x1.dtype)
    _rows(
        np.ascontiguousarray(x1 @ others.T),
        np.linalg.norm(x1, axis=1),
        np.linalg.norm(others, axis=1),
        np.array(fixed),
        ((c_sigma / 2) ** np.arange(levels)).astype(x1.dtype),
        outputs,
        x2 is None,
        gram,
    )
    if x2 is None:
        _mirror(gram)
    if distinct == list(variants):
        return gram
    return gram[[distinct.index((depth, first)) for depth, first in variants]]
