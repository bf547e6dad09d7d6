"""Inputs that every backend of `coates_ng_features` is tried on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..checks import Case

Rng = np.random.Generator


def _case(
    label: str, n: int, c: int, h: int, w: int, k: int, s: int, bias: float, rng: Rng | None = None
) -> Case:
    rng = rng or np.random.default_rng(0)
    filters = rng.normal(size=(k, c, s, s)) / s
    return Case(label, (rng.normal(size=(n, c, h, w)), filters), {"bias": bias})


def cases() -> Iterator[Case]:
    yield _case("one_pixel", 1, 1, 1, 1, 1, 1, 0.5)
    yield _case("whole_image", 2, 3, 5, 5, 7, 5, 1.0)
    yield _case("not_square", 3, 2, 5, 11, 3, 3, 0.25)
    yield _case("even_filter", 1, 1, 7, 6, 5, 2, 0.0)
    yield _case("past_a_block_of_filters", 1, 1, 3, 3, 65, 2, 0.5)
    yield _case("past_a_block_of_positions", 1, 3, 5, 17, 2, 5, 1.0)
    yield _case("past_65_positions", 1, 1, 1, 65, 2, 1, 0.5)
    yield _case("negative_bias", 2, 1, 4, 4, 3, 3, -0.5)


def drawn(rng: Rng) -> Case:
    n, c, h, w, k = rng.integers([1, 1, 5, 5, 2], [5, 5, 12, 12, 9]).tolist()
    s = int(rng.integers(1, 5))
    return _case("drawn", n, c, h, w, k, s, rng.uniform(0, 1), rng)
