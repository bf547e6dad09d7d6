"""A symmetric matrix that is read block by block, of which the upper half is enough.

What a solver must know before it starts is found in one look at every entry: that all are finite,
the norm, and a digest by which a later run knows the matrix again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import isqrt
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

Columns = Float[np.ndarray, "n columns"]
Read = Callable[[slice, slice], np.ndarray]
"""The entries of some rows and some columns. No entry below the diagonal is looked at, so a store
of the upper half alone will do: `lambda rows, columns: store[rows, columns]`."""

EPS = float(np.finfo(np.float64).eps)
WAY_OUT = "add a larger ridge, or compute the kernel in float64"


class UnsolvableGram(ValueError):
    """No solution would mean anything; the message says what is wrong and the way out."""


@dataclass(frozen=True)
class Grid:
    """A square matrix of n rows in square blocks; those at its end are smaller."""

    n: int
    side: int

    BLOCKS: ClassVar = 5
    """Blocks held at once: three to compute with, what is being read, and one more for `Read`."""
    VECTORS: ClassVar = 6
    """Copies of the right-hand sides that are held, each with a column for the condition number."""

    @classmethod
    def within(cls, held: int, n: int, columns: int) -> Grid:
        """The largest blocks for which so many bytes are enough, beside the right-hand sides."""
        vectors = cls._vectors(n, columns)
        side = isqrt(max(held - vectors, 0) // (8 * cls.BLOCKS))
        if side < 1:
            raise ValueError(
                f"{held:,} bytes have no room to solve for {n:,} samples of {columns} classes; "
                f"{vectors + 8 * cls.BLOCKS:,} are the least, and some GB make it fast"
            )
        return cls(n, min(side, n))

    @classmethod
    def _vectors(cls, n: int, columns: int) -> int:
        return 8 * cls.VECTORS * n * (columns + 1)

    def held(self, columns: int) -> int:
        """Bytes of all that a solver holds at once if the whole matrix is not among it."""
        block = min(self.side, self.n) ** 2
        return 8 * self.BLOCKS * block + self._vectors(self.n, columns)

    def __len__(self) -> int:
        return -(-self.n // self.side)

    def span(self, i: int) -> slice:
        return slice(i * self.side, min((i + 1) * self.side, self.n))

    def rows(self, i: int) -> int:
        return min(self.side, self.n - i * self.side)

    def upper(self) -> Iterator[tuple[int, int]]:
        """Blocks on and above the diagonal."""
        return ((i, j) for i in range(len(self)) for j in range(i, len(self)))


def block_of(read: Read, grid: Grid, i: int, j: int, ridge: float = 0.0) -> np.ndarray:
    """A block of K + ridge I of one's own, in float64; 0 below the diagonal of K."""
    wanted = grid.rows(i), grid.rows(j)
    block = np.array(read(grid.span(i), grid.span(j)), np.float64, order="C")
    if block.shape != wanted:
        raise ValueError(f"block ({i}, {j}) of a matrix is {block.shape}, wanted {wanted}")
    if i == j:
        block[np.diag_indices_from(block)] += ridge
        for row in range(1, len(block)):
            block[row, :row] = 0
    return block


class Survey(NamedTuple):
    """What one look at every entry tells.

    Attributes:
        norm: largest sum of the absolute values of a column.
        digest: SHA-256 over the blocks on and above the diagonal; empty where not asked for.
    """

    norm: float
    digest: str


def survey(read: Read, grid: Grid, ridge: float = 0.0, *, digest: bool = False) -> Survey:
    """Look through K + ridge I.

    Raises:
        UnsolvableGram: where entries are not finite.
    """
    sums, hashed, bad = np.zeros(grid.n), sha256(), []
    with np.errstate(over="ignore", invalid="ignore"):
        for i, j in grid.upper():
            block = block_of(read, grid, i, j, ridge)
            if digest:
                hashed.update(block.data)
            if found := _not_finite(block, grid.span(i).start, grid.span(j).start):
                bad.append(found)
            np.abs(block, out=block)
            if i == j:  # the other half
                sums[grid.span(i)] -= block.diagonal()
            sums[grid.span(i)] += block.sum(axis=1)
            sums[grid.span(j)] += block.sum(axis=0)
    if bad:
        row, column = min(place for place, _ in bad)
        raise UnsolvableGram(
            f"{sum(count for _, count in bad):,} entries on and above the diagonal of the Gram "
            f"matrix are not finite, the first in row {row}, column {column} (counted from 0); "
            "look for samples that are not finite, or so large that their kernel overflows"
        )
    return Survey(float(sums.max()), hashed.hexdigest() if digest else "")


def _not_finite(block: np.ndarray, top: int, left: int) -> tuple[tuple[int, int], int] | None:
    """Where the first such entry is, by rows, and how many there are."""
    bad = ~np.isfinite(block)
    if not (count := int(bad.sum())):
        return None
    row, column = divmod(int(bad.argmax()), block.shape[1])
    return (top + row, left + column), count


def refuse_indefinite(order: int, n: int, ridge: float) -> None:
    """Where LAPACK stopped at a leading minor of this order; it did not where that is 0."""
    if order:
        raise UnsolvableGram(
            f"the Gram matrix of {n:,} samples is not positive definite with a ridge of {ridge:g}: "
            f"its leading minor of order {order:,} is not positive, so up to rounding sample "
            f"{order - 1:,} is given by those before it; {WAY_OUT}"
        )


def refuse_singular(condition: float, ridge: float) -> None:
    """Where float64 has too few digits for any of them to be left."""
    if not condition < 1 / EPS:
        raise UnsolvableGram(
            f"the Gram matrix is singular to working precision with a ridge of {ridge:g}: its "
            f"condition number is {condition:.1e}, where float64 ends at {1 / EPS:.1e}; {WAY_OUT}"
        )
