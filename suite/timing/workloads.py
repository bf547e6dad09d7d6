"""What is measured: a kernel in one shape, whole or in part.

A contender that needs minutes for the whole is measured on the first images of both sides, and its
time is then given for a pair. What is computed on a part is a corner of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from claimbench.kernels import checks, shapes

from ..checking import load_claims
from ..kernel_shapes import inputs


@dataclass(frozen=True)
class Workload:
    """One call of a kernel.

    Attributes:
        source: whose shape it is: the id of a claim, `standard` or `sweep`.
        inputs: shape of each array argument, in the kernel's order, of the whole.
        modules: arguments that are torch modules, each by a function that makes it.
        size: how many of x1 and of x2 are taken; `None` for all.
    """

    kernel: str
    source: str
    label: str
    inputs: shapes.Inputs
    arguments: dict[str, Any]
    modules: dict[str, Callable[[], Any]] = field(default_factory=dict)
    dtype: str = "float32"
    size: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return f"{self.source}.{self.label}"

    @property
    def divisible(self) -> bool:
        """Whether a part of it is a call too: the first block of a Gram matrix."""
        return list(self.inputs) in (["x1"], ["x1", "x2"])

    @property
    def taken(self) -> shapes.Inputs:
        """Shapes of the arrays that are given to the kernel."""
        if self.size is None:
            return self.inputs
        return {
            name: (min(count, shape[0]), *shape[1:])
            for (name, shape), count in zip(self.inputs.items(), self.size, strict=False)
        }

    def work(self) -> shapes.Work | None:
        itemsize = np.dtype(self.dtype).itemsize
        return shapes.work(self.kernel, self.taken, self.arguments | self.modules, itemsize)

    @property
    def items(self) -> int:
        """Pairs or images of one call; 1 where they are not counted."""
        if (work := self.work()) is not None:
            return work.items
        return shapes.pairs(self.taken) if self.divisible else 1

    @property
    def item(self) -> str:
        """What one of the items is called."""
        if (work := self.work()) is not None:
            return work.item
        return "pair" if self.divisible else "call"

    def part(self, n: int, m: int) -> Workload:
        """The block of the first `n` of x1 and the first `m` of x2, or all where there are less."""
        part = replace(self, size=(n, m))
        return replace(self, size=None) if part.taken == self.inputs else part

    def arrays(self, seed: int) -> list[np.ndarray]:
        """Random inputs; those of a part are the first of the whole."""
        drawn = inputs(self, seed)
        taken = self.taken.values()
        return [array[: shape[0]] for array, shape in zip(drawn, taken, strict=True)]

    def case(self, arrays: Sequence[np.ndarray]) -> checks.Case:
        return checks.Case(self.name, tuple(arrays), self.arguments, self.modules)


def workloads(kernels: Sequence[str], tier: str, device: str) -> list[Workload]:
    """The claims' shapes of a tier, or the kernels' own under `standard` and `sweep`."""
    found = _own(kernels, tier, device) if tier in OWN else _of_claims(kernels, tier)
    return list(found)


OWN = {"standard": shapes.standard, "sweep": shapes.sweep}


def _own(kernels: Sequence[str], tier: str, device: str) -> Iterator[Workload]:
    for kernel in kernels:
        for label, shape in OWN[tier](kernel).items():
            if shape.device in (None, device):
                yield Workload(
                    kernel, tier, label, shape.inputs, shape.arguments, shape.modules,
                    shape.dtype,
                )  # fmt: skip


def _of_claims(kernels: Sequence[str], tier: str) -> Iterator[Workload]:
    for claim in load_claims():
        for label, shape in claim.shapes.items():
            if claim.kernel in kernels and shape.tier == tier:
                yield Workload(claim.kernel, claim.id, label, shape.inputs, shape.arguments)
