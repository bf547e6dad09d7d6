"""A tile as a task: its blocks, its checksum, its parts, and how parts make it whole again."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from claimbench.kernels import backends_used

from ..devices import resolve_device
from ..workers import Pool, WorkerLost
from .functions import GramFunction, Samples, Site, digest
from .plan import Tile

Values = Float[np.ndarray, "variants n m"]

AGREEMENT = 1e-3
"""By how much of a value two devices may differ in float32; a wrong tile differs by far more."""


class Area(NamedTuple):
    """A rectangle within a tile."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


class Answer(NamedTuple):
    """What a worker sends back.

    Attributes:
        values: of the area.
        digest: SHA-256 of their bytes, taken where they were computed.
        site: what computed them.
        worker: who that was.
    """

    values: Values
    digest: str
    site: Site
    worker: str


def in_blocks(
    function: GramFunction, x: Samples, z: Samples | None, area: Area, block: int
) -> Values:
    """An area of the matrices of `x`, or of `x` and `z`, by calls of `block` samples a side.

    Where `z` is `None` the area is on the diagonal or above it, and what is below the diagonal is
    the transpose of what is above. A call that finds no memory is made again in halves.
    """
    out = np.empty((len(function.variants), *area.shape), x.dtype)
    for top in range(area.rows.start, area.rows.stop, block):
        for left in range(area.columns.start, area.columns.stop, block):
            rows = slice(top, min(top + block, area.rows.stop))
            columns = slice(left, min(left + block, area.columns.stop))
            inside = _moved(rows, area.rows), _moved(columns, area.columns)
            if z is None and left < top:
                mirror = _moved(columns, area.rows), _moved(rows, area.columns)
                out[:, *inside] = out[:, *mirror].swapaxes(1, 2)
            elif z is None and left == top:
                out[:, *inside] = _called(function, x[rows], None)
            else:
                out[:, *inside] = _called(function, x[rows], (x if z is None else z)[columns])
    return out


def _moved(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)


def _called(function: GramFunction, x: Samples, z: Samples | None) -> Values:
    """One call; of halves where the device has not the memory for it."""
    try:
        return function(x, z)
    except MemoryError:
        if len(x) == 1:
            raise
        half = len(x) // 2
        others = x if z is None else z
        return np.concatenate([_called(function, part, others) for part in (x[:half], x[half:])], 1)


def computed(
    function: GramFunction, x: Samples, z: Samples | None, area: Area, block: int
) -> Answer:
    """On a worker: the values of an area, and what vouches for them."""
    with backends_used() as used:
        values = in_blocks(function, x, z, area, block)
    return Answer(values, digest(values), Site.here(function.device, used), worker_name())


def worker_name() -> str:
    """As dask calls it, on one of its workers; elsewhere the process."""
    if distributed := sys.modules.get("distributed"):  # on its workers it is there
        with suppress(ValueError):
            return str(distributed.get_worker().address)
    return f"{platform.node()}:{os.getpid()}"


@dataclass(frozen=True, eq=False)
class TileTask:
    """An area of a tile, for a worker.

    Attributes:
        function: answers what is missing of the tile.
        x: samples of the tile's rows.
        z: of its columns; `None` for a tile on the diagonal of a symmetric matrix.
    """

    function: GramFunction
    tile: Tile
    x: Samples
    z: Samples | None
    area: Area
    block: int
    pool: Pool = field(repr=False)

    @property
    def call(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        shared = [None if each is None else self.pool.share(each) for each in (self.x, self.z)]
        return computed, (self.function, *shared, self.area, self.block)

    def check(self, answer: Answer) -> None:
        values, who = answer.values, answer.worker
        wanted = len(self.function.variants), *self.area.shape
        if values.shape != wanted or values.dtype != self.x.dtype:
            raise WorkerLost(f"{who} answered {values.dtype} of {values.shape}, not {wanted}", who)
        if digest(values) != answer.digest:
            raise WorkerLost(f"the answer of {who} was corrupted on its way", who)
        if answer.site != self.function.site:
            raise WorkerLost(
                f"{who} runs something else: {answer.site}, not {self.function.site}", who
            )
        if self.pool.remote or not np.isfinite(values).all():
            self._audit(answer)

    def _audit(self, answer: Answer) -> None:
        """Hold one pair of an answer, one that is not finite if there is one, against our own."""
        wrong = np.argwhere(~np.isfinite(answer.values))
        rng = np.random.default_rng([self.tile.row, self.tile.column])
        i, j = wrong[0][1:] if len(wrong) else rng.integers(self.area.shape)
        row, column = self.area.rows.start + i, self.area.columns.start + j
        others = self.x if self.z is None else self.z
        ours = _here(self.function)(self.x[row : row + 1], others[column : column + 1])[:, 0, 0]
        if not np.isfinite(ours).all():
            raise ValueError(
                f"{self.function}: the value of row {self.tile.rows.start + row} and column "
                f"{self.tile.columns.start + column} is not finite in {self.x.dtype}; scale the "
                "samples, or compute in float64 (--backend reference)"
            )
        theirs = answer.values[:, i, j]
        if not np.allclose(theirs, ours, rtol=AGREEMENT, atol=AGREEMENT * np.abs(ours).max()):
            raise WorkerLost(
                f"{answer.worker} answered wrongly: {theirs}, not {ours}", answer.worker
            )

    def parts(self) -> Sequence[TileTask]:
        """Quarters, of whole blocks; three of them on the diagonal, whose fourth is a mirror."""
        rows, columns = (_halves(part, self.block) for part in self.area)
        if len(rows) == len(columns) == 1:
            return ()
        areas = [Area(r, c) for r in rows for c in columns]
        if self.z is None and self.area.rows == self.area.columns:
            areas = [area for area in areas if area.rows.start <= area.columns.start]
        return [replace(self, area=area) for area in areas]

    def __str__(self) -> str:
        where = f"tile {self.tile.row}, {self.tile.column}"
        return f"{where} of {self.function} ({' x '.join(map(str, self.area.shape))} samples)"


def _here(function: GramFunction) -> GramFunction:
    """The function on this machine, whatever the workers have."""
    device = "cpu" if function.device == "cpu" else resolve_device("auto")
    backend = function.backend if device == function.device else None
    return replace(function, device=device, backend=backend)


def _halves(part: slice, block: int) -> list[slice]:
    blocks = -(-(part.stop - part.start) // block)
    middle = part.start + (blocks // 2) * block
    return [part] if blocks < 2 else [slice(part.start, middle), slice(middle, part.stop)]


class Assembly:
    """Tiles of which parts have come; whole ones need nothing of it."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], tuple[Values, int]] = {}

    def whole(self, task: TileTask, values: Values) -> Values | None:
        """The tile that an answer completes, or `None` where more has to come."""
        shape = task.tile.shape
        if task.area.shape == shape:
            return values
        key = task.tile.row, task.tile.column
        out, filled = self._open.pop(key, (np.empty((len(values), *shape), values.dtype), 0))
        out[:, task.area.rows, task.area.columns] = values
        filled += task.area.shape[0] * task.area.shape[1]
        if task.z is None and task.area.rows != task.area.columns:
            out[:, task.area.columns, task.area.rows] = values.swapaxes(1, 2)
            filled += task.area.shape[0] * task.area.shape[1]
        if filled == shape[0] * shape[1]:
            return out
        self._open[key] = out, filled
        return None
