"""What the peers of `cntk_gram` share that hold a value for every pair of pixels at every layer.

A kernel on four axes goes through all layers: one value for each pixel of one image and each pixel
of the other. All of them compute every depth, window and process that is asked for from one pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import NotMeasured

if TYPE_CHECKING:
    from ..timing.workloads import Workload


def adapt(workload: Workload, device: str) -> tuple[Workload, str]:
    """As asked for, except that nothing is gained from symmetry or from padding that wraps."""
    if workload.dtype != "float32":
        raise NotMeasured("it computes in float32")
    if workload.arguments.get("padding", "zeros") != "zeros":
        raise NotMeasured("it pads with zeros only")
    if any(workload.arguments.get("flips", ())):
        arguments = workload.arguments | {"flips": [False]}
        return replace(workload, arguments=arguments), "without the mirrored half"
    return workload, ""


def wanted(
    level: int, depths: Sequence[int], get: Sequence[str]
) -> Iterator[tuple[tuple[int, int], str]]:
    """Where the result has the kernels of this depth: its places for process and depth."""
    for d, depth in enumerate(depths):
        if depth == level:
            for g, process in enumerate(get):
                yield (g, d), process


SIDES = (slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))
"""Target and source of a shift by one pixel, forwards and backwards."""


def shifts(axis: int) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Where to add from where, so that pairs of pixels move together along one axis of the image.

    `axis` is 0 for rows and 1 for columns; the last four axes are height, width, height, width.
    """
    every = slice(None)
    pairs = []
    for target, source in SIDES:
        moved = [
            (side, every, side, every) if axis == 0 else (every, side, every, side)
            for side in (target, source)
        ]
        pairs.append(((..., *moved[0]), (..., *moved[1])))
    return pairs
