"""Inputs that every backend of `ntk_gram` is tried on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..checks import Case
from . import ntk_variants


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    # Sizes that are no multiple of a block, and one past it.
    for n, m, p in [(1, 1, 1), (7, 5, 3), (2, 257, 10), (33, 65, 10)]:
        args = rng.normal(size=(n, p)), rng.normal(size=(m, p))
        yield Case(f"n{n}-m{m}-p{p}", args, {"variants": ntk_variants(3)})
    x = rng.normal(size=(17, 4))
    yield Case("symmetric", (x,), {"variants": ntk_variants(4)})
    yield Case("c-sigma-1", (x, x[:6] + 1), {"variants": [(3, 1), (2, 0)], "c_sigma": 1.0})
    yield Case("variant-twice", (x, x[:6] + 1), {"variants": [(2, 2), (0, 0), (2, 2)]})
    with_zero = x * (np.arange(17) % 3 > 0)[:, None]
    yield Case("zero-inputs", (with_zero, x[:3] - 1), {"variants": ntk_variants(2)})
    yield Case("zero-inputs-symmetric", (with_zero,), {"variants": ntk_variants(2)})


def drawn(rng: np.random.Generator) -> Case:
    n, m, p = rng.integers([2, 2, 3], [40, 40, 12])
    variants = [*ntk_variants(3)]
    rng.shuffle(variants)
    args = rng.normal(size=(n, p)), rng.normal(size=(m, p))
    return Case("drawn", args, {"variants": variants, "c_sigma": rng.uniform(1, 3)})
