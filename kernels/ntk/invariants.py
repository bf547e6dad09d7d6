"""Relations that `ntk_gram` obeys whatever code computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..checks import Invariant
from . import ntk_variants

Run = Callable[..., np.ndarray]
Rng = np.random.Generator
Sides = tuple[np.ndarray, np.ndarray]

N, M, P, DEPTH = 9, 7, 6, 3
VARIANTS = ntk_variants(DEPTH)
LEVEL = 10  # roundings of one level of the recursion
ROUNDINGS = P + LEVEL * DEPTH


def invariants() -> Iterator[Invariant]:
    yield Invariant("x2-left-out-is-x1", _triangle_is_full, ROUNDINGS)
    yield Invariant("symmetric", _swapped, ROUNDINGS)
    yield Invariant("positive-semi-definite", _positive, ROUNDINGS)
    yield Invariant("homogeneous-in-each-input", _scaled, ROUNDINGS)
    yield Invariant("rotations-change-nothing", _rotated, ROUNDINGS + P)
    yield Invariant("diagonal-is-depth-plus-1-times-the-square", _diagonal, ROUNDINGS)
    yield Invariant("samples-permute-with-the-gram", _permuted, ROUNDINGS)
    yield Invariant("one-pass-is-separate-passes", _separate, ROUNDINGS)
    yield Invariant("c-sigma-to-the-power-of-depth", _normalised, ROUNDINGS)


def _inputs(rng: Rng) -> Sides:
    return rng.normal(size=(N, P)), rng.normal(size=(M, P))


def _triangle_is_full(gram: Run, rng: Rng) -> Sides:
    x, _ = _inputs(rng)
    return gram(x, variants=VARIANTS), _without_diagonal_rounding(gram, x)


def _without_diagonal_rounding(gram: Run, x: np.ndarray) -> np.ndarray:
    """The Gram of x with a copy of itself; where they meet, the known diagonal.

    Two arrays are not known to be equal, so their cosine is 1 but for a rounding, which the arc
    cosine magnifies to its square root.
    """
    full = gram(x, x.copy(), variants=VARIANTS)
    squares = (x.astype(np.float64) ** 2).sum(axis=1)
    for values, (depth, fixed) in zip(full, VARIANTS, strict=True):
        np.fill_diagonal(values, (depth - fixed + 1) * squares)
    return full


def _swapped(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    return gram(x, y, variants=VARIANTS), gram(y, x, variants=VARIANTS).swapaxes(1, 2)


def _positive(gram: Run, rng: Rng) -> Sides:
    """Every entry off by a unit moves an eigenvalue by as many units as there are rows."""
    x = rng.normal(size=(5 * N, P))
    grams = gram(x, variants=VARIANTS)
    lowest = np.linalg.eigvalsh(grams).min(axis=1)
    relative = lowest / (len(x) * grams.max(axis=(1, 2)))
    return np.minimum(relative, 0), 0 * relative


def _scaled(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    return gram(3 * x, y / 1000, variants=VARIANTS), 3e-3 * gram(x, y, variants=VARIANTS)


def _rotated(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    turn, _ = np.linalg.qr(rng.normal(size=(P, P)))
    return gram(x @ turn, y @ turn, variants=VARIANTS), gram(x, y, variants=VARIANTS)


def _diagonal(gram: Run, rng: Rng) -> Sides:
    x, _ = _inputs(rng)
    squares = (x**2).sum(axis=1)
    diagonals = gram(x, variants=VARIANTS).diagonal(axis1=1, axis2=2)
    return diagonals, np.array([(depth - fixed + 1) * squares for depth, fixed in VARIANTS])


def _permuted(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    i, j = rng.permutation(N), rng.permutation(M)
    return gram(x[i], y[j], variants=VARIANTS), gram(x, y, variants=VARIANTS)[:, i][:, :, j]


def _separate(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    alone = [gram(x, y, variants=[variant])[0] for variant in VARIANTS]
    return gram(x, y, variants=VARIANTS), np.array(alone)


def _normalised(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    factors = np.array([0.5**depth for depth, _ in VARIANTS])[:, None, None]
    halved = gram(x, y, variants=VARIANTS, c_sigma=1.0)
    return halved, factors * gram(x, y, variants=VARIANTS)
