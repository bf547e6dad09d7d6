"""How exact a kernel is: its error against float64 by depth, a line for each size of images.

The numbers are those of `tests/experiments/numerics.py`; its newest record speaks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import figures, words
from .figures import Mark, Quantity, Sizes
from .recorded import parsed

PATTERN = "numerics*.json"
REDO = "python -m tests.experiments.numerics"
PRECISION = "float32"
PATCHES = {
    "distinct": "no two patches are parallel",
    "parallel": "some patches are parallel",
}


@dataclass(frozen=True)
class Series:
    """Relative errors of one backend on one set of images, over the depths."""

    kernel: str
    get: str
    window: int | str | None
    side: int
    patches: str
    inputs: str
    backend: str
    dtype: str
    depths: tuple[int, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class NumericsRecord:
    """A run of the experiment."""

    commit: str
    started: str
    series: tuple[Series, ...]


def read(*folders: Path) -> list[NumericsRecord]:
    """Every record of some folders whose name says that it is one, oldest first.

    Raises:
        HistoryError: for a file that is no such record; it names the file.
    """
    paths = [path for folder in folders for path in sorted(folder.glob(PATTERN))]
    if not paths:
        return []
    from pydantic import TypeAdapter

    form = TypeAdapter(NumericsRecord)
    found = [parsed(path, form, REDO) for path in paths]
    return sorted(found, key=lambda record: record.started)


def drawn(kernel: str, records: Sequence[NumericsRecord]) -> tuple[str, tuple[Sizes, ...]]:
    """When and where it was measured, and a chart for each process; empty where it was not."""
    for record in reversed(records):
        charts = tuple(_charts(kernel, record))
        if charts:
            sha, dash, dirty = record.commit.partition("-dirty")
            return f"Measured at {sha[:7]}{dash}{dirty} on {record.started[:10]}.", charts
    return "", ()


def _charts(kernel: str, record: NumericsRecord) -> Iterator[Sizes]:
    own = [one for one in record.series if (one.kernel, one.dtype) == (kernel, PRECISION)]
    sides = sorted({one.side for one in own})
    for get in dict.fromkeys(one.get for one in own):
        quantities = [
            Quantity(f"relative error, {said}", "", marks)
            for patches, said in PATCHES.items()
            if (marks := tuple(_marks([s for s in own if (s.get, s.patches) == (get, patches)])))
        ]
        if quantities:
            yield Sizes(
                title=f"{kernel}, {get.upper()}: error in {PRECISION} by depth and size",
                note="The worst of all backends, windows and images of a size.",
                hues=figures.hues(map(_name, sides)),
                x="hidden layers",
                quantities=tuple(quantities),
            )


def _name(side: int) -> str:
    return f"{side} pixels a side"


def _marks(found: Sequence[Series]) -> Iterator[Mark]:
    """The worst at each size and depth; on a logarithmic axis 0 has no place."""
    worst: dict[tuple[int, int], tuple[float, Series]] = {}
    for one in found:
        for depth, error in zip(one.depths, one.errors, strict=False):
            place = one.side, depth
            if 0 < error < math.inf and depth > 0 and error > worst.get(place, (0.0,))[0]:
                worst[place] = error, one
    for (side, depth), (error, one) in sorted(worst.items(), key=lambda item: item[0]):
        pooled = "" if one.window is None else f", window {one.window}"
        yield Mark(
            series=_name(side),
            x=depth,
            y=error,
            low=error,
            high=error,
            place=f"{_name(side)}, {words.count(depth, 'layer')}",
            said=f"{words.number(error, 2)} by {one.backend} on {one.inputs}{pooled}",
        )
