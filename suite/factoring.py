"""Cholesky's factorisation of a matrix that is larger than memory, block by block into a file.

It looks left: a block row of the factor is computed from the rows before it, written once and never
touched again. So what a killed run has finished is finished, and the next one goes on behind it.
`dask.array.linalg.cholesky` was no way round this module: it keeps every block of the factor in
memory until the last is made, and all of them are lost with the process.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from jaxtyping import Float

from .matrices import (
    Columns,
    Grid,
    Read,
    block_of,
    refuse_indefinite,
    refuse_singular,
    survey,
)
from .writing import write

SCHEMA = 1
FACTOR, FINISHED = "factor.bin", "factor.json"


def solve_in_file(
    read: Read, targets: Columns, grid: Grid, ridge: float, scratch: Path | None
) -> tuple[Columns, float]:
    """W of (K + ridge I) W = `targets`, and the condition number; see `solving.solve_blocks`."""
    found = survey(read, grid, ridge, digest=True)
    with _folder(scratch) as folder:
        known = {"schema_version": SCHEMA, "matrix": found.digest, "n": grid.n, "side": grid.side}
        with Factor(folder, grid, known) as factor:
            factorise(read, factor, ridge)
            condition = found.norm * inverse_norm(factor.solve, grid.n)
            refuse_singular(condition, ridge)
            return factor.solve(targets), condition


@contextmanager
def _folder(scratch: Path | None) -> Iterator[Path]:
    if scratch is None:
        with TemporaryDirectory(prefix="claimbench-factor-") as name:
            yield Path(name)
    else:
        scratch.mkdir(parents=True, exist_ok=True)
        yield scratch


class Factor:
    """U of K + ridge I = U'U: its blocks on and above the diagonal in a file, row by row.

    Which rows are finished stands beside it, with a digest of each. A file of plain blocks, and not
    a mapped one, since the pages of a mapped file count as memory of the process.

    Attributes:
        finished: digest of each block row that is there, from the first on.
    """

    def __init__(self, folder: Path, grid: Grid, known: dict[str, Any]):
        self.grid, self.folder, self._known = grid, folder, known
        path = folder / FACTOR
        claimed = _claimed(folder / FINISHED, known) if path.exists() else []
        _require_room(folder, 8 * self._start(len(grid)), path)
        self._file: IO[bytes] = path.open("r+b" if claimed else "w+b")
        self.finished: list[str] = []
        for row, digest in enumerate(claimed):
            if self._digest(row) != digest:
                break
            self.finished.append(digest)

    def __enter__(self) -> Factor:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def finish(self, digest: str) -> None:
        """Note that one more row is written; the note is on the disk after the row is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.finished.append(digest)
        write(self.folder / FINISHED, json.dumps(self._known | {"rows": self.finished}))

    def put(self, i: int, j: int, block: np.ndarray) -> None:
        self._file.seek(8 * self._place(i, j))
        self._file.write(block.data)

    def get(self, i: int, j: int, room: Float[np.ndarray, " entries"]) -> np.ndarray:
        """A block, as a view of `room`, which has space for the largest."""
        rows, columns = self.grid.rows(i), self.grid.rows(j)
        block = room[: rows * columns].reshape(rows, columns)
        self._file.seek(8 * self._place(i, j))
        if self._file.readinto(block.data) != block.nbytes:  # type: ignore[attr-defined]
            raise OSError(f"{self.folder / FACTOR} is shorter than it was; remove it, and repeat")
        return block

    def solve(self, targets: Columns) -> Columns:
        """W of U'U W = `targets`; every block is read twice, in the order of the file and back."""
        from scipy.linalg import solve_triangular

        x, span, count = np.array(targets, np.float64), self.grid.span, len(self.grid)
        room = np.empty(self.grid.side**2)
        for i in range(count):
            diagonal = self.get(i, i, room)
            x[span(i)] = solve_triangular(diagonal, x[span(i)], trans="T", check_finite=False)
            for j in range(i + 1, count):
                x[span(j)] -= self.get(i, j, room).T @ x[span(i)]
        for i in reversed(range(count)):
            for j in reversed(range(i + 1, count)):
                x[span(i)] -= self.get(i, j, room) @ x[span(j)]
            x[span(i)] = solve_triangular(self.get(i, i, room), x[span(i)], check_finite=False)
        return x

    def _start(self, i: int) -> int:
        """Entries in the file before block row i; all rows before the last have the same height."""
        n, side = self.grid.n, self.grid.side
        whole = min(i, n // side)
        before = side * (whole * n - side * (whole * (whole - 1) // 2))
        return before + (i - whole) * (n - whole * side) ** 2

    def _place(self, i: int, j: int) -> int:
        return self._start(i) + self.grid.rows(i) * (j - i) * self.grid.side

    def _digest(self, i: int) -> str:
        """Of a row as it is in the file."""
        hashed, left = sha256(), 8 * (self._start(i + 1) - self._start(i))
        self._file.seek(8 * self._start(i))
        while left and (part := self._file.read(min(left, 2**20))):
            hashed.update(part)
            left -= len(part)
        return hashed.hexdigest()


def _claimed(path: Path, known: dict[str, Any]) -> list[str]:
    """Digests of the rows that another run says it has finished of the same factor."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return []
    rows = content.pop("rows", []) if isinstance(content, dict) else []
    return rows if content == known and isinstance(rows, list) else []


def _require_room(folder: Path, needed: int, old: Path) -> None:
    """What another run left in `old` is taken over or thrown away."""
    free = shutil.disk_usage(folder).free + (old.stat().st_size if old.exists() else 0)
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"the factor takes {needed / 1e9:.1f} GB on disk and {free / 1e9:.1f} GB are free; "
            "make room, or choose another folder",
            str(folder),
        )


def factorise(read: Read, factor: Factor, ridge: float = 0.0) -> None:
    """Write the block rows of the factor that are not there yet.

    With S what K + ridge I has in a block, less the products of the rows before it, the block on
    the diagonal is the factor of its S, and the others solve U_ii' U_ij = S.
    """
    from scipy.linalg.blas import dgemm, dtrsm
    from scipy.linalg.lapack import dpotrf

    grid = factor.grid
    room, other = np.empty(grid.side**2), np.empty(grid.side**2)
    # Fortran's routines see the transpose of a block, whose rows are contiguous; so nothing is
    # copied, and what stands below is transposed throughout.
    for i in range(len(factor.finished), len(grid)):
        hashed = sha256()
        for j in range(i, len(grid)):
            s = block_of(read, grid, i, j, ridge)
            for k in range(i):
                left = factor.get(k, i, room)
                right = left if i == j else factor.get(k, j, other)
                dgemm(-1.0, right.T, left.T, 1.0, s.T, trans_b=1, overwrite_c=1)
            if i == j:
                _, order = dpotrf(s.T, lower=1, clean=1, overwrite_a=1)
                refuse_indefinite(grid.span(i).start + order if order else 0, grid.n, ridge)
            else:
                diagonal = factor.get(i, i, room)
                dtrsm(1.0, diagonal.T, s.T, side=1, lower=1, trans_a=1, overwrite_b=1)
            factor.put(i, j, s)
            hashed.update(s.data)
        factor.finish(hashed.hexdigest())


def inverse_norm(solve: Callable[[Columns], Columns], n: int) -> float:
    r"""A lower bound of :math:`\|A^{-1}\|_1`, almost always within a factor of 3, for symmetric A.

    As LAPACK's `dlacn2`: it climbs from column to column of the inverse, with at most eleven
    solutions, and draws nothing at random.

    Source: Higham 1988, ACM Transactions on Mathematical Software 14(4), algorithm 4.1.
    """

    def column(values: np.ndarray) -> np.ndarray:
        return solve(values[:, None])[:, 0]

    x = column(np.full(n, 1 / n))
    best, signs, place = float(np.abs(x).sum()), np.copysign(1.0, x), -1
    for _ in range(4 if n > 1 else 0):
        slope = np.abs(column(signs))
        if place >= 0 and slope[place] == slope.max():
            break
        place = int(slope.argmax())
        x = column(np.eye(1, n, place)[0])
        grown, before = float(np.abs(x).sum()), signs
        signs = np.copysign(1.0, x)
        if grown <= best or np.array_equal(signs, before):
            best = max(grown, best)
            break
        best = grown
    ramp = 1 + np.arange(n) / max(n - 1, 1)
    ramp[1::2] *= -1
    return max(best, 2 * float(np.abs(column(ramp)).sum()) / (3 * n))
