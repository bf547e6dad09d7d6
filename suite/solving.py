"""Kernel regression's linear system (K + ridge I) W = Y, in float64: solved, or refused.

A matrix that fits in memory goes to LAPACK whole, a larger one to `factoring`. The weights come
with the condition number, and with a bound on what the kernel's own rounding, often that of
float32, can have done to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .matrices import (
    Columns,
    Grid,
    Read,
    UnsolvableGram,
    refuse_indefinite,
    refuse_singular,
    survey,
)
from .records import Measured

__all__ = [
    "ENTRY_ERROR", "HELD", "Solution", "UnsolvableGram", "entry_error", "solve", "solve_blocks",
    "trust", "unit_scale", "untrusted",
]  # fmt: skip

HELD = 2**33
"""Bytes that a solution may take unless said otherwise."""
SIDE = 1024
"""Rows of the blocks in which a matrix is looked through, and put together, in memory."""
ENTRY_ERROR = {"float32": 1e-6, "float64": 1e-15}
"""Largest relative error of an entry of a kernel where no two patches are parallel: measured up to
20 layers and 32 pixels a side, in docs/measured/numerics.json."""


@dataclass(frozen=True)
class Solution:
    """Weights, and how far to trust them.

    Attributes:
        weights: W, one column for each of Y.
        condition: of K + ridge I in the 1-norm, estimated from below as LAPACK does.
        entry_error: the relative error in the entries of K that `bound` allows for.
    """

    weights: Columns
    condition: float
    entry_error: float = 0.0

    @property
    def bound(self) -> float:
        """Largest relative error of the weights by `trust`."""
        return trust(self.condition, self.entry_error)

    @property
    def untrusted(self) -> str:
        """Why no digit of the weights is sure, in one sentence; empty where some are."""
        if self.bound < 1:
            return ""
        return (
            f"A condition number of {self.condition:.1e} and relative errors of "
            f"{self.entry_error:.1e} in the kernel leave no digit of the weights sure."
        )

    @property
    def details(self) -> dict[str, Any]:
        """What a score says of the solution that it rests on."""
        doubt = {"untrusted": self.untrusted} if self.untrusted else {}
        return {"condition": self.condition, **doubt}


def untrusted(scores: Iterable[Measured]) -> str:
    """One line on the scores that rest on untrusted solutions, and what helps; empty for none."""
    solved = [score.details for score in scores if "condition" in score.details]
    doubtful = [details["condition"] for details in solved if "untrusted" in details]
    if not doubtful:
        return ""
    worst = max((c for c in doubtful if isinstance(c, float)), default=inf)
    return (
        f"{len(doubtful):,} of {len(solved):,} solutions are untrusted: rounding in the kernel may "
        f"change every digit of the weights (condition numbers up to {worst:.1e}); --backend "
        "reference computes the kernel in float64, a larger ridge lowers the condition number"
    )


def entry_error(dtype: np.dtype[Any], single: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Relative error to be reckoned with in the entries of kernels of this dtype.

    Args:
        single: errors that float32 was seen to make. Beyond its bound, cosines are so near to 1
            that an angle is lost to the root of the precision, whatever the precision is.
    """
    bound = ENTRY_ERROR[dtype.name]
    precision = np.sqrt(np.finfo(dtype).eps / np.finfo(np.float32).eps)
    return np.where(single > ENTRY_ERROR["float32"], np.maximum(single * precision, bound), bound)


def trust(condition: float, entry_error: float) -> float:
    r"""Largest relative error of the weights, in the 1-norm, that rounding in the kernel can cause.

    Where every entry of K is known up to a relative error :math:`\epsilon`, K is known up to some E
    with :math:`\|E\|_1 \le \epsilon \|K\|_1`, so that where :math:`\kappa \epsilon < 1`

    .. math:: \|\delta W\|_1 / \|W\|_1 \le \kappa \epsilon / (1 - \kappa \epsilon).

    Beyond, K + E may be singular: infinite. This is the worst that E can do; rounding that happens
    to be random does far less. The rounding of the solver itself, of the order of
    :math:`2^{-53} \kappa`, is not in it.

    Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, theorem 7.2.
    """
    lost = condition * entry_error
    return lost / (1 - lost) if lost < 1 else inf


def unit_scale(diagonal: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """What rows and columns are to be multiplied by for k(x, x) = 1, in float64.

    Raises:
        UnsolvableGram: where the kernel of a sample with itself is not a number above 0.
    """
    bad = np.flatnonzero(~((diagonal > 0) & (diagonal < inf)))
    if len(bad):
        raise UnsolvableGram(
            f"{len(bad):,} of {len(diagonal):,} samples cannot be scaled to a unit diagonal: the "
            f"kernel of sample {bad[0]} (counted from 0) with itself is {diagonal[bad[0]]:g}, "
            "wanted a number above 0; leave out blank samples, or set unit_diagonal to false"
        )
    return 1 / np.sqrt(diagonal.astype(np.float64))


def solve(
    k: Float[np.ndarray, "n n"],
    targets: Columns,
    *,
    ridge: float = 0.0,
    entry_error: float = 0.0,
) -> Solution:
    """Solve in memory, by Cholesky's factorisation.

    Beside `k` this takes some 10 MB and two copies of the targets: for 50,000 samples the 20 GB of
    `k` are all.

    Args:
        k: in float64 with contiguous rows, and is overwritten; only its upper half is looked at.
        targets: Y, one row for each of `k`.
        ridge: added to the diagonal.
        entry_error: relative error in the entries of `k`, for `Solution.bound`.

    Raises:
        UnsolvableGram: where entries are not finite, or where K + ridge I is not positive definite,
            or singular to working precision.
    """
    from scipy.linalg.lapack import dpocon, dpotrf, dpotrs

    k[np.diag_indices_from(k)] += ridge
    norm = survey(lambda rows, columns: k[rows, columns], Grid(len(k), SIDE)).norm
    # The transpose is the same matrix, in the order in which LAPACK needs no copy of it.
    factor, order = dpotrf(k.T, lower=1, clean=0, overwrite_a=1)
    refuse_indefinite(order, len(k), ridge)
    reciprocal, _ = dpocon(factor, norm, uplo="L")
    condition = 1 / reciprocal if reciprocal > 0 else inf
    refuse_singular(condition, ridge)
    weights, _ = dpotrs(factor, targets, lower=1)
    return Solution(weights, condition, entry_error)


def solve_blocks(
    read: Read,
    targets: Columns,
    *,
    ridge: float = 0.0,
    entry_error: float = 0.0,
    held: int = HELD,
    scratch: Path | None = None,
) -> Solution:
    """Solve a matrix that is read block by block, in memory where `held` bytes are enough for it.

    Else the factor goes to a file, half as large as the matrix is in float64, and memory holds five
    blocks, as large as `held` allows; `read` may take one of them for itself. So it makes what it
    gives without more than one copy of it.

    Args:
        read: gives blocks of K on and above the diagonal, each two or three times.
        targets: Y, one row for each of K.
        ridge: added to the diagonal.
        entry_error: relative error in the entries of K, for `Solution.bound`.
        held: bytes.
        scratch: folder of the factor, for one solution at a time. After a kill the same call goes
            on behind the last block row that it finished, to the same bits; where the matrix, the
            ridge or `held` is another, it starts anew. The factor stays there: whoever named the
            folder removes it. A temporary folder where left out.

    Raises:
        UnsolvableGram: as `solve`.
        ValueError: where `held` has no room for a block.
        OSError: where the disk has no room for the factor.
    """
    n, columns = targets.shape
    whole = Grid(n, SIDE)
    if 8 * n * n + whole.held(columns) <= held:
        k = np.empty((n, n))
        for i, j in whole.upper():
            k[whole.span(i), whole.span(j)] = read(whole.span(i), whole.span(j))
        return solve(k, targets, ridge=ridge, entry_error=entry_error)
    from .factoring import solve_in_file

    grid = Grid.within(held, n, columns)
    weights, condition = solve_in_file(read, targets, grid, ridge, scratch)
    return Solution(weights, condition, entry_error)
