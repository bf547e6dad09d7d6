"""Inputs that every backend of `saliency_mask` is tried on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..checks import Case

Rng = np.random.Generator


def _case(
    label: str, b: int, f: int, c: int, h: int, w: int, scale: int, rng: Rng | None = None
) -> Case:
    rng = rng or np.random.default_rng(0)
    images = rng.normal(size=(b, c, h, w))
    weights = 3 * rng.normal(size=(b, -(-h // scale), -(-w // scale)))
    return Case(label, (images, weights, rng.normal(size=(b, f, c, h, w))), {"scale": scale})


def cases() -> Iterator[Case]:
    yield _case("one_pixel", 1, 1, 1, 1, 1, 1)
    yield _case("one_cell", 2, 1, 1, 3, 3, 5)
    yield _case("pixel_grid", 2, 3, 1, 5, 7, 1)
    yield _case("cropped_grid", 3, 2, 3, 5, 7, 4)
    yield _case("whole_grid", 2, 2, 1, 8, 12, 4)
    yield _case("past_a_block", 1, 2, 1, 1, 257, 4)
    saturated = _case("saturated", 2, 2, 1, 6, 4, 2)
    images, weights, fillers = saturated.args
    yield Case("saturated", (images, 200 * weights, fillers), saturated.kwargs)


def drawn(rng: Rng) -> Case:
    b, f, c, h, w, scale = rng.integers([1, 1, 1, 3, 3, 1], [4, 4, 4, 14, 14, 6]).tolist()
    return _case("drawn", b, f, c, h, w, scale, rng)
