"""How a Gram matrix is cut into tiles, and what it will cost.

A tile is what is computed, sent, checked and stored at once; it is cut to the memory and the speed
of the workers. Inside it the kernel is called on blocks that depend on the kernel and its shapes
alone. So no value depends on the machine's speed, nor on how often a run was stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from claimbench.kernels.shapes import Device

TILE_SECONDS = 10.0
"""What a kill may cost at most, roughly."""

TILE_BYTES = 2**26
"""Of all variants of a tile: what is sent over a wire and held a few times over."""

TILES_A_WORKER = 8
"""At least so many, if they can be had, so that the last ones do not wait for one."""

BLOCKS = ((1e4, 1024), (1e7, 256), (3e8, 64), (float("inf"), 32))
"""Operations of a pair, up to which a block has so many samples a side: what a kernel prepares for
each sample must be little beside what it does for each pair."""

BLOCK_ON_GPU = 512


def block_side(flops: float | None, device: Device) -> int:
    """Samples a side of a kernel's call, from the operations of one pair."""
    if device == "cuda":
        return BLOCK_ON_GPU
    return 64 if flops is None else next(side for limit, side in BLOCKS if flops <= limit)


@dataclass(frozen=True)
class Tile:
    """A rectangle of the matrix: `row`-th and `column`-th of its kind, over these samples."""

    row: int
    column: int
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


@dataclass(frozen=True)
class Grid:
    """The tiles of a matrix of `n` rows and `m` columns; `m` is `None` where it is symmetric."""

    n: int
    m: int | None
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.n, self.n if self.m is None else self.m

    def __iter__(self) -> Iterator[Tile]:
        """All that are to be computed: of a symmetric matrix those on and above the diagonal."""
        down, across = self._counts
        for i in range(down):
            for j in range(i if self.m is None else 0, across):
                yield self.tile(i, j)

    def tile(self, i: int, j: int) -> Tile:
        """The `i`-th from above and `j`-th from the left; those at an end are smaller."""
        rows, columns = (
            slice(k * self.side, min((k + 1) * self.side, size))
            for k, size in zip((i, j), self.shape, strict=True)
        )
        return Tile(i, j, rows, columns)

    def __len__(self) -> int:
        down, across = self._counts
        return down * across if self.m is not None else down * (down + 1) // 2

    @property
    def _counts(self) -> tuple[int, int]:
        """Of tiles, down and across."""
        n, m = self.shape
        return ceil(n / self.side), ceil(m / self.side)

    @property
    def pairs(self) -> int:
        """Pairs of samples, each once."""
        return self.n * self.m if self.m is not None else self.n * (self.n + 1) // 2


@dataclass(frozen=True)
class Plan:
    """What it takes to compute a Gram matrix.

    Attributes:
        grid: its tiles.
        block: samples a side of one call of the kernel.
        variants: how many matrices one pass answers.
        itemsize: bytes of a value.
        workers: how many work at a time.
        pair_seconds: of one worker, measured.
        floor_seconds: of one pair, on one worker, by its peak rate; `None` where the kernel does
            not count its operations.
        scratch: bytes that a worker needs beside the tile itself, measured.
        known: tiles that are on record.
    """

    grid: Grid
    block: int
    variants: int
    itemsize: int
    workers: int
    pair_seconds: float
    floor_seconds: float | None
    scratch: int
    known: int = 0

    @property
    def stored_bytes(self) -> int:
        """On disk, of all tiles."""
        return sum(self._bytes(*tile.shape) for tile in self.grid)

    @property
    def bytes_to_store(self) -> float:
        """On disk, of the tiles that are not on record."""
        return self._left * self.stored_bytes

    @property
    def worker_bytes(self) -> int:
        """That a worker holds for a tile, at most: itself, its way to the wire, and scratch."""
        return 3 * self._bytes(self.grid.side, self.grid.side) + self.scratch

    def _bytes(self, rows: int, columns: int) -> int:
        return rows * columns * self.variants * self.itemsize

    @property
    def seconds(self) -> float:
        return self._left * self.grid.pairs * self.pair_seconds / self.workers

    @property
    def floor(self) -> float | None:
        """The least that this machine could need, by the rate of a matrix product."""
        if self.floor_seconds is None:
            return None
        return self._left * self.grid.pairs * self.floor_seconds / self.workers

    @property
    def _left(self) -> float:
        return 1 - self.known / len(self.grid)

    def __str__(self) -> str:
        n, m = self.grid.shape
        floor = "" if self.floor is None else f" (floor {self.floor:.0f} s)"
        return (
            f"{n} x {m}, {_counted(self.variants, 'variant')}: "
            f"{_counted(len(self.grid), 'tile')} of {self.grid.side}, "
            f"{self.known} of them on record; {_bytes(self.stored_bytes)} on disk, "
            f"{_bytes(self.worker_bytes)} a worker; about {self.seconds:.0f} s{floor} on "
            f"{_counted(self.workers, 'worker')}"
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _bytes(count: int) -> str:
    if count < 2**30:
        return f"{count / 2**20:.1f} MiB"
    return f"{count / 2**30:.1f} GiB"


def tile_side(
    n: int,
    m: int | None,
    block: int,
    pair_bytes: int,
    pair_seconds: float,
    memory: int,
    workers: int,
) -> int:
    """Samples a side of a tile: the most that is neither too slow, too large, nor too few tiles.

    A whole number of blocks, doubled from one: the smallest where even that is too large, since a
    tile is divided when a worker has not the memory.

    Args:
        pair_bytes: of all variants of one pair.
        memory: bytes that a worker can spare.
    """

    def fits(side: int) -> bool:
        tiles = len(Grid(n, m, side))
        return (
            side * side * pair_seconds <= TILE_SECONDS
            and side * side * pair_bytes <= min(TILE_BYTES, memory // 4)
            and tiles >= TILES_A_WORKER * workers
        )

    side = block
    while side < max(n, m or 0) and fits(2 * side):
        side *= 2
    return side
