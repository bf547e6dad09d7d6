"""Shapes that a kernel is measured on whatever the claims use, and the work that a call needs.

All stand beside a kernel, in its folder's `shapes.py`: `STANDARD` and `SWEEP`, tables of
`StandardShape` by label, and `work(inputs, arguments, itemsize)`. A kernel without that file has
none of them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import prod
from types import ModuleType
from typing import Any, Literal

from ._dispatch import KERNELS

Inputs = Mapping[str, tuple[int, ...]]
"""Shape of each array argument, in the kernel's order."""

Device = Literal["cpu", "cuda"] | None
"""The only device that a shape is meant for; `None` for all."""


@dataclass(frozen=True)
class StandardShape:
    """One size of a kernel's inputs.

    Attributes:
        inputs: shape of each array argument, in the kernel's order.
        arguments: the keyword arguments.
        modules: those of them that are torch modules, each by a function that makes it.
        dtype: of the arrays.
        device: the only device that it is meant for; `None` for all. What fills a GPU takes a
            processor minutes.
    """

    inputs: Inputs
    arguments: dict[str, Any]
    modules: dict[str, Callable[[], Any]] = field(default_factory=dict)
    dtype: Literal["float32", "float64"] = "float32"
    device: Device = None


@dataclass(frozen=True)
class Work:
    """What the best algorithm known to us does in one call, however it is arranged.

    Attributes:
        flops: floating-point operations: a multiply-add is two, a square root or a division one.
        bytes: that must cross the memory bus once: inputs read and outputs written.
        items: pairs of a Gram matrix (a symmetric one has n (n + 1) / 2), or images, or samples:
            what the time of a call grows with.
        item: what one of them is called.

    Operations and bytes are `None` where nobody has counted them.
    """

    flops: float | None
    bytes: float | None
    items: int
    item: str = "pair"


def standard(kernel: str) -> dict[str, StandardShape]:
    """The kernel's standard shapes by label."""
    return _table(kernel, "STANDARD")


def sweep(kernel: str) -> dict[str, StandardShape]:
    """The same calls at several sizes, from small to large, by label: for curves over size."""
    return _table(kernel, "SWEEP")


def _table(kernel: str, name: str) -> dict[str, StandardShape]:
    return dict(getattr(_beside(kernel), name, {}))


def work(kernel: str, inputs: Inputs, arguments: dict[str, Any], itemsize: int) -> Work | None:
    """The work of one call, or `None` where the kernel does not tell.

    An argument that is a torch module is given by the function that makes it.
    """
    module = _beside(kernel)
    counted: Work | None = module.work(inputs, arguments, itemsize) if module else None
    return counted


def pairs(inputs: Inputs) -> int:
    """Entries that a Gram matrix of x1 and x2, or of x1 with itself, has to compute."""
    n = inputs["x1"][0]
    return n * inputs["x2"][0] if "x2" in inputs else n * (n + 1) // 2


def entries(inputs: Inputs) -> int:
    """Numbers in all the arrays together."""
    return sum(prod(shape) for shape in inputs.values())


def _beside(kernel: str) -> ModuleType | None:
    package = KERNELS[kernel].reference.__module__
    # Another distribution's kernel may be a plain module, which has nothing beside it.
    if not hasattr(sys.modules[package], "__path__") or find_spec(".shapes", package) is None:
        return None
    return importlib.import_module(".shapes", package)
