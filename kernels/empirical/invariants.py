"""Relations that `empirical_ntk_gram` obeys whatever code computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..checks import Invariant
from .cases import mlp, seeded

Run = Callable[..., np.ndarray]
Rng = np.random.Generator
Sides = tuple[np.ndarray, np.ndarray]

N, M, FEATURES, CLASSES = 6, 4, 5, 3
NETWORK: dict[str, Any] = {"modules": {"module": seeded(lambda: mlp(True), (FEATURES,))}}
ROUNDINGS = (FEATURES + 1) * 16 + 17 * 8 + 9 * CLASSES  # a product for each parameter


def invariants() -> Iterator[Invariant]:
    yield Invariant("x2-left-out-is-x1", _triangle_is_full, ROUNDINGS)
    yield Invariant("symmetric", _swapped, ROUNDINGS)
    yield Invariant("positive-semi-definite", _positive, ROUNDINGS)
    yield Invariant("samples-permute-with-the-gram", _permuted, ROUNDINGS)
    yield Invariant("layers-sum-to-the-whole", _layers, ROUNDINGS)
    yield Invariant("trace-is-the-mean-of-classes", _trace, ROUNDINGS)
    yield Invariant("class-is-the-diagonal-of-full", _classes, ROUNDINGS)
    yield Invariant("pseudo-is-the-sum-of-full-over-classes", _pseudo, ROUNDINGS)


def _inputs(rng: Rng) -> Sides:
    return rng.normal(size=(N, FEATURES)), rng.normal(size=(M, FEATURES))


def _triangle_is_full(gram: Run, rng: Rng) -> Sides:
    x, _ = _inputs(rng)
    return gram(x, output="full", **NETWORK), gram(x, x.copy(), output="full", **NETWORK)


def _swapped(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    return gram(x, y, output="class", **NETWORK), gram(y, x, output="class", **NETWORK).mT


def _positive(gram: Run, rng: Rng) -> Sides:
    """Every entry off by a unit moves an eigenvalue by as many units as there are rows."""
    x, _ = _inputs(rng)
    grams = gram(x, output="class", **NETWORK)
    lowest = np.linalg.eigvalsh(grams).min(axis=-1)
    relative = lowest / (N * grams.max(axis=(-1, -2)))
    return np.minimum(relative, 0), 0 * relative


def _permuted(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    i, j = rng.permutation(N), rng.permutation(M)
    return gram(x[i], y[j], **NETWORK), gram(x, y, **NETWORK)[i][:, j]


def _layers(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    return gram(x, y, by_layer=True, **NETWORK).sum(axis=0), gram(x, y, **NETWORK)


def _trace(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    return gram(x, y, **NETWORK), gram(x, y, output="class", **NETWORK).mean(axis=0)


def _classes(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    full = gram(x, y, output="full", **NETWORK)
    return gram(x, y, output="class", **NETWORK), np.einsum("ccij->cij", full)


def _pseudo(gram: Run, rng: Rng) -> Sides:
    x, y = _inputs(rng)
    full = gram(x, y, output="full", **NETWORK)
    return gram(x, y, output="pseudo", **NETWORK), full.sum(axis=(0, 1)) / CLASSES
