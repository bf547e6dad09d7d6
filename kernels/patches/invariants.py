"""Relations that `coates_ng_features` obeys whatever code computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..checks import Invariant

Run = Callable[..., np.ndarray]
Rng = np.random.Generator
Sides = tuple[np.ndarray, np.ndarray]

N, C, H, W, K, S = 4, 2, 6, 9, 5, 3
ROUNDINGS = C * S * S + 1


def invariants() -> Iterator[Invariant]:
    yield Invariant("non-negative", _non_negative, 0)
    yield Invariant("homogeneous-in-images-and-bias", _scaled, ROUNDINGS)
    yield Invariant("negated-filters-swap-the-sides", _negated, ROUNDINGS)
    yield Invariant("sides-differ-by-the-correlation", _correlated, ROUNDINGS)
    yield Invariant("images-permute-with-the-result", _permuted, ROUNDINGS)
    yield Invariant("filters-permute-with-the-result", _filters_permuted, ROUNDINGS)
    yield Invariant("translations-move-the-result", _translated, ROUNDINGS)


def _inputs(rng: Rng) -> Sides:
    return rng.normal(size=(N, C, H, W)), rng.normal(size=(K, C, S, S))


def _non_negative(features: Run, rng: Rng) -> Sides:
    found = features(*_inputs(rng), bias=0.5)
    return found, np.maximum(found, 0)


def _scaled(features: Run, rng: Rng) -> Sides:
    images, filters = _inputs(rng)
    scaled = features(1000 * images, filters, bias=1000 * 0.5)
    return scaled, 1000 * features(images, filters, bias=0.5)


def _negated(features: Run, rng: Rng) -> Sides:
    images, filters = _inputs(rng)
    swapped = np.roll(features(images, -filters, bias=0.5), K, axis=1)
    return swapped, features(images, filters, bias=0.5)


def _correlated(features: Run, rng: Rng) -> Sides:
    """Without a threshold, at the first position."""
    images, filters = _inputs(rng)
    positive, negative = np.split(features(images, filters, bias=0.0)[:, :, 0, 0], 2, axis=1)
    return positive - negative, np.einsum("ncij,kcij->nk", images[:, :, :S, :S], filters)


def _permuted(features: Run, rng: Rng) -> Sides:
    (images, filters), order = _inputs(rng), rng.permutation(N)
    return features(images[order], filters), features(images, filters)[order]


def _filters_permuted(features: Run, rng: Rng) -> Sides:
    (images, filters), order = _inputs(rng), rng.permutation(K)
    both = np.concatenate([order, K + order])
    return features(images, filters[order]), features(images, filters)[:, both]


def _translated(features: Run, rng: Rng) -> Sides:
    """A patch has the same features wherever it lies: cut one row and two columns off."""
    images, filters = _inputs(rng)
    return features(images[:, :, 1:, 2:], filters), features(images, filters)[:, :, 1:, 2:]
