"""A Gram matrix, computed where workers are and kept where a store is.

missing tiles  ->  from other stores, as far as they have them
               ->  from workers, block by block, each answer with its checksum
               ->  into the store, which gives out blocks and whole matrices
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from claimbench.kernels import backend_asked, ran_elsewhere

from ..workers import Pool, asked, schedule
from . import measured
from .functions import GramFunction, Samples, Variant
from .plan import Grid, Plan, Tile, block_side
from .progress import Progress
from .store import CorruptTile, Store, short, siblings
from .tasks import Area, Assembly, TileTask, in_blocks

STORED_SECONDS = 20.0
"""A matrix that takes longer is stored: nobody wants to wait for it again after a kill."""

HELD = 2**33
"""Bytes of matrices that stay in memory."""


@dataclass(frozen=True)
class Workplace:
    """Where Gram matrices are computed and kept.

    Attributes:
        pool: the workers that share the tiles.
        folder: of the stores; a temporary one where it is `None`.
        tell: is given the plan, and then how far the work is.
        held: bytes of matrices that stay in memory.
        stored_seconds: a matrix that takes less is not stored, unless it is larger than `held`.
    """

    pool: Pool = field(default_factory=Pool)
    folder: Path | None = None
    tell: Callable[[str], None] = lambda line: None
    held: int = HELD
    stored_seconds: float = STORED_SECONDS


HERE = Workplace()
_workplace: ContextVar[Workplace] = ContextVar("workplace", default=HERE)


@contextmanager
def working(place: Workplace) -> Iterator[None]:
    """Gram matrices of this block are computed there."""
    token = _workplace.set(place)
    try:
        yield
    finally:
        _workplace.reset(token)


DIAGONAL = 256
"""Values a side of the blocks in which a diagonal is read."""


@dataclass(frozen=True)
class Matrix:
    """One matrix, wherever it is; a rectangle of it is read with two slices."""

    read: Callable[[slice, slice], Float[np.ndarray, "r c"]]
    shape: tuple[int, int]

    def __getitem__(self, area: tuple[slice, slice]) -> Float[np.ndarray, "r c"]:
        rows, columns = (
            slice(*part.indices(size)[:2]) for part, size in zip(area, self.shape, strict=True)
        )
        return self.read(rows, columns)

    def first(self, n: int) -> Matrix:
        """That of the first samples of rows and columns."""
        return replace(self, shape=(n, n))

    def diagonal(self) -> Float[np.ndarray, " n"]:
        ends = range(0, min(self.shape), DIAGONAL)
        return np.concatenate([self[i : i + DIAGONAL, i : i + DIAGONAL].diagonal() for i in ends])


class Grams:
    """The matrices of all variants of a function, in memory."""

    def __init__(self, values: Float[np.ndarray, "variants n m"]):
        self._values = values

    @property
    def shape(self) -> tuple[int, int]:
        return self._values.shape[1], self._values.shape[2]

    def __getitem__(self, index: int) -> Matrix:
        """The matrix of one variant."""
        return Matrix(partial(self._block, index), self.shape)

    def scratch(self, index: int, n: int) -> Path | None:
        """Folder for a solution of the matrix of one variant and the first samples, if any."""
        return None

    def _block(self, index: int, rows: slice, columns: slice) -> Float[np.ndarray, "r c"]:
        return self._values[index, rows, columns]


class StoredGrams(Grams):
    """The matrices of all variants of a function in a store, which is mended where it must be."""

    def __init__(self, work: _Work):
        self._work = work

    @property
    def shape(self) -> tuple[int, int]:
        return self._work.store.grid.shape

    def scratch(self, index: int, n: int) -> Path | None:
        name = f"{short(self._work.function.variants[index])}-{n}"
        return self._work.store.path.with_suffix(".solving") / name

    def _block(self, index: int, rows: slice, columns: slice) -> Float[np.ndarray, "r c"]:
        variant = self._work.function.variants[index]
        while True:
            try:
                return self._work.store.block(variant, rows, columns)
            except CorruptTile as e:
                self._work.mend(e)


def gram(function: GramFunction, x: Samples, z: Samples | None = None) -> Grams:
    """The Gram matrices of `x`, or of `x` and `z`, by the workers of the present workplace.

    Raises:
        ValueError: if a sample or a value of the matrix is not finite.
        PoolError: if the workers cannot do it.
        StoreError: if something else is where its store should be.
        NoBackend: if no backend runs it.
    """
    _require_finite(x, z)
    place = _workplace.get()
    found, block = _timed(function, x, z, place.pool)
    grid = Grid(len(x), None if z is None else len(z), block)
    pair_bytes = len(function.variants) * x.itemsize
    if (
        grid.pairs * found.pair_seconds <= place.stored_seconds
        and len(x) * grid.shape[1] * pair_bytes <= place.held
    ):
        whole = Area(slice(0, grid.shape[0]), slice(0, grid.shape[1]))
        return Grams(in_blocks(found.function, x, z, whole, block))
    for kernel, backend in found.site.backends:
        ran_elsewhere(kernel, backend)
    work = _Work.begun(found, x, z, block, place)
    work.finish()
    return StoredGrams(work)


def plan_of(function: GramFunction, x: Samples, z: Samples | None = None) -> Plan:
    """What `gram` would do, without what is on record."""
    pool = _workplace.get().pool
    return measured.planned(*_timed(function, x, z, pool), x, z, pool)


def _timed(
    function: GramFunction, x: Samples, z: Samples | None, pool: Pool
) -> tuple[measured.Speed, int]:
    """The speed of a function on a worker, and the side of the blocks that it is called on.

    What is asked for here by `using` is not known there, so that the function comes to say it.
    """
    function = replace(function, backend=function.backend or backend_asked())
    block = block_side(function.flops(x), "cuda" if function.device == "cuda" else "cpu")
    some = x[:block], (x if z is None else z)[:block]
    speed: measured.Speed = asked(pool, measured.speed, function, *some)
    return speed, block


def _require_finite(*samples: Samples | None) -> None:
    for x in samples:
        if x is None:
            continue
        wrong = np.flatnonzero(~np.isfinite(x).all(axis=tuple(range(1, x.ndim))))
        if len(wrong):
            raise ValueError(
                f"{len(wrong)} of {len(x)} samples hold values that are not finite, the first is "
                f"sample {wrong[0]}; remove them or replace their values"
            )


@dataclass
class _Work:
    """What is being computed: a function on some samples, its plan and its store."""

    function: GramFunction
    x: Samples
    z: Samples | None
    plan: Plan
    store: Store
    place: Workplace

    @classmethod
    def begun(
        cls, speed: measured.Speed, x: Samples, z: Samples | None, block: int, place: Workplace
    ) -> _Work:
        """With its store, whose tiles keep the size that they were begun with."""
        folder = place.folder or Path(tempfile.mkdtemp(prefix="claimbench-gram-"))
        plan = measured.planned(speed, block, x, z, place.pool)
        store = Store.made(folder, speed.function, x, z, plan.grid.side)
        plan = replace(plan, grid=store.grid)
        work = cls(speed.function, x, z, plan, store, place)
        if place.folder is None:
            weakref.finalize(work, shutil.rmtree, folder, ignore_errors=True)
        return work

    def finish(self) -> None:
        """Compute what is not there."""
        missing = self._missing()
        missing = [each for each in missing if not self._borrowed(*each)]
        self.plan = replace(self.plan, known=len(self.plan.grid) - len(missing))
        self._require_room()
        self.place.tell(f"{self.function}: {self.plan}")
        self._compute(missing)

    def _require_room(self) -> None:
        wanted = self.plan.bytes_to_store
        free = shutil.disk_usage(self.store.path).free
        if wanted > free:
            raise OSError(
                f"{self.store.path} has {free / 2**30:.1f} GiB free, and the tiles need "
                f"{wanted / 2**30:.1f} GiB; make room, or choose another folder with --results"
            )

    def mend(self, error: CorruptTile) -> None:
        """Compute a tile again that is not whole."""
        self.place.tell(f"{error}; computed again")
        self.store.remove(error.variant, error.tile)
        self._compute([(error.tile, [error.variant])])

    def _missing(self) -> list[tuple[Tile, list[Variant]]]:
        variants = self.function.variants
        found = [
            (tile, [v for v in variants if not self.store.has(v, tile)]) for tile in self.store.grid
        ]
        return [(tile, wanted) for tile, wanted in found if wanted]

    def _borrowed(self, tile: Tile, wanted: list[Variant]) -> bool:
        """Whether all of a tile was found in other stores of this function."""
        return all(self._copied(tile, variant) for variant in wanted)

    def _copied(self, tile: Tile, variant: Variant) -> bool:
        for other in self._others:
            try:
                places = other.places(*self.store.samples(tile))
                if places is not None:
                    self.store.write(variant, tile, other.gathered(variant, *places))
                    return True
            except CorruptTile:
                continue
        return False

    @cached_property
    def _others(self) -> list[Store]:
        return list(siblings(self.store))

    def _compute(self, missing: Sequence[tuple[Tile, list[Variant]]]) -> None:
        tasks = (self._task(tile, wanted) for tile, wanted in missing)
        assembly, progress = Assembly(), Progress(self.place.tell, str(self.function), len(missing))
        for task, answer in schedule(tasks, self.place.pool):
            values = assembly.whole(task, answer.values)
            if values is None:
                continue
            for variant, value in zip(task.function.variants, values, strict=True):
                if not self.store.has(variant, task.tile):
                    self.store.write(variant, task.tile, value)
            progress.step()

    def _task(self, tile: Tile, wanted: list[Variant]) -> TileTask:
        diagonal = self.z is None and tile.row == tile.column
        others = self.x if self.z is None else self.z
        return TileTask(
            self.function.covering(wanted),
            tile,
            self.x[tile.rows],
            None if diagonal else others[tile.columns],
            Area(slice(0, tile.shape[0]), slice(0, tile.shape[1])),
            self.plan.block,
            self.place.pool,
        )
