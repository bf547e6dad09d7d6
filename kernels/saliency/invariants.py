"""Relations that `saliency_mask` obeys whatever code computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..checks import Invariant

Run = Callable[..., np.ndarray]
Rng = np.random.Generator
Sides = tuple[np.ndarray, np.ndarray]
Inputs = tuple[np.ndarray, np.ndarray, np.ndarray]

B, F, C, H, W, SCALE = 3, 2, 2, 7, 10, 4
ROUNDINGS = 12  # the logistic function, two interpolations, a blend
SHUT = -1e4


def invariants() -> Iterator[Invariant]:
    yield Invariant("open-mask-shows-the-image", _opened, ROUNDINGS)
    yield Invariant("shut-mask-shows-the-filler", _shut, ROUNDINGS)
    yield Invariant("between-image-and-filler", _between, ROUNDINGS)
    yield Invariant("filler-like-the-image-shows-the-image", _alike, ROUNDINGS)
    yield Invariant("weights-of-zero-show-the-mean", _mean, ROUNDINGS)
    yield Invariant("opposite-weights-swap-image-and-filler", _swapped, ROUNDINGS)
    yield Invariant("images-permute-with-the-result", _permuted, ROUNDINGS)


def _inputs(rng: Rng) -> Inputs:
    grid = -(-H // SCALE), -(-W // SCALE)
    return (
        rng.normal(size=(B, C, H, W)),
        3 * rng.normal(size=(B, *grid)),
        rng.normal(size=(B, F, C, H, W)),
    )


def _repeated(images: np.ndarray) -> np.ndarray:
    return np.repeat(images[:, None], F, axis=1)


def _opened(blend: Run, rng: Rng) -> Sides:
    images, weights, fillers = _inputs(rng)
    return blend(images, 0 * weights - SHUT, fillers, scale=SCALE), _repeated(images)


def _shut(blend: Run, rng: Rng) -> Sides:
    images, weights, fillers = _inputs(rng)
    return blend(images, 0 * weights + SHUT, fillers, scale=SCALE), fillers


def _between(blend: Run, rng: Rng) -> Sides:
    images, weights, fillers = _inputs(rng)
    blended, shown = blend(images, weights, fillers, scale=SCALE), _repeated(images)
    return blended, np.clip(blended, np.minimum(shown, fillers), np.maximum(shown, fillers))


def _alike(blend: Run, rng: Rng) -> Sides:
    images, weights, _ = _inputs(rng)
    return blend(images, weights, _repeated(images), scale=SCALE), _repeated(images)


def _mean(blend: Run, rng: Rng) -> Sides:
    images, weights, fillers = _inputs(rng)
    mean = (_repeated(images) + fillers) / 2
    return blend(images, 0 * weights, fillers, scale=SCALE), mean


def _swapped(blend: Run, rng: Rng) -> Sides:
    images, weights, fillers = _inputs(rng)
    one = blend(images, weights, fillers[:, :1], scale=SCALE)
    return one, blend(fillers[:, 0], -weights, images[:, None], scale=SCALE)


def _permuted(blend: Run, rng: Rng) -> Sides:
    inputs, order = _inputs(rng), rng.permutation(B)
    moved = (array[order] for array in inputs)
    return blend(*moved, scale=SCALE), blend(*inputs, scale=SCALE)[order]
