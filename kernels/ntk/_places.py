"""Where the recursion leaves each variant: what the CPU backends are told of `variants`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import Variant


@dataclass(frozen=True)
class Places:
    """Distinct variants, each with its place in a stack of Gram matrices.

    Attributes:
        count: places in the stack.
        fixed: numbers of fixed layers that occur [fixed], ascending.
        outputs: place of a depth and a number of fixed layers [levels fixed], or -1.
        of_variants: place of each variant asked for.
    """

    count: int
    fixed: np.ndarray
    outputs: np.ndarray
    of_variants: list[int]

    def in_order(self, gram: np.ndarray) -> np.ndarray:
        """The stack as asked for: a variant that is asked for twice is copied."""
        return gram if self.count == len(self.of_variants) else gram[self.of_variants]


def places(variants: Sequence[Variant]) -> Places:
    asked = [(depth, fixed) for depth, fixed in variants]
    distinct = list(dict.fromkeys(asked))
    fixed = sorted({fixed for _, fixed in distinct})
    outputs = np.full((max(depth for depth, _ in distinct) + 1, len(fixed)), -1)
    for place, (depth, first) in enumerate(distinct):
        outputs[depth, fixed.index(first)] = place
    return Places(len(distinct), np.array(fixed), outputs, [distinct.index(v) for v in asked])
