"""Solutions of kernel regression: in memory, block by block, after a kill, and refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claimbench.suite import factoring, matrices, solving
from claimbench.suite.matrices import Grid, Read
from claimbench.suite.records import Measured
from claimbench.suite.solving import (
    UnsolvableGram,
    solve,
    solve_blocks,
    trust,
    unit_scale,
    untrusted,
)

N, CLASSES = 53, 3
EPS = np.finfo(np.float64).eps


def system(n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, n + 7))
    return features @ features.T, np.eye(CLASSES)[rng.integers(CLASSES, size=n)]


def upper_of(k: np.ndarray) -> Read:
    """Blocks of a store that has nothing below the diagonal."""
    upper = np.where(np.tri(len(k), k=-1, dtype=bool), np.nan, k)
    return lambda rows, columns: upper[rows, columns]


def bytes_for(side: int, n: int = N) -> int:
    return Grid(n, side).held(CLASSES)


@pytest.mark.parametrize("n", [1, 2, N])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_weights_solve_the_system_and_the_condition_number_is_numpys(
    n: int, ridge: float
) -> None:
    k, y = system(n)
    whole = k + ridge * np.eye(n)
    found = solve(np.where(np.tri(n, k=-1, dtype=bool), np.nan, k), y, ridge=ridge)
    exact = np.linalg.cond(whole, 1)
    assert exact / 3 <= found.condition <= exact * (1 + 1e-9)
    np.testing.assert_allclose(whole @ found.weights, y, atol=found.condition * EPS * n)
    assert found.bound == 0
    assert found.untrusted == ""


# Sides that divide n, that leave one row over, that leave more, and one block.
@pytest.mark.parametrize("side", [1, 2, 13, 20, N])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_block_by_block_the_solution_is_that_of_memory(side: int, ridge: float) -> None:
    k, y = system()
    found = solve_blocks(upper_of(k), y, ridge=ridge, held=bytes_for(side))
    wanted = solve(k.copy(), y, ridge=ridge)
    assert found.condition == pytest.approx(wanted.condition, rel=1e-9)
    np.testing.assert_allclose(found.weights, wanted.weights, rtol=wanted.condition * EPS * N)


def test_what_fits_is_put_together_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    k, y = system()
    monkeypatch.setattr(factoring, "solve_in_file", None)
    found = solve_blocks(upper_of(k), y, ridge=0.1)
    np.testing.assert_array_equal(found.weights, solve(k, y, ridge=0.1).weights)


@pytest.mark.parametrize("side", [7, N])
def test_memory_is_what_was_said(side: int) -> None:
    import tracemalloc

    n = 300
    k, y = system(n)
    single, held = k.astype(np.float32), bytes_for(side, n) if side < N else bytes_for(100, n)

    def read(rows: slice, columns: slice) -> np.ndarray:
        """With a copy for itself, as a scaled matrix needs."""
        return single[rows, columns].astype(np.float64) * 1.0

    solve_blocks(read, y, ridge=1.0, held=held)  # what is imported is not counted
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        solve_blocks(read, y, ridge=1.0, held=held)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    buffers = 300_000  # of the file, of what is decoded and of objects: of no account beside blocks
    assert peak < held + buffers


def test_too_little_memory_is_refused_with_what_would_do() -> None:
    k, y = system()
    least = bytes_for(1)
    assert len(solve_blocks(upper_of(k), y, held=least).weights) == N
    with pytest.raises(ValueError, match=f"have no room .* {least:,} are the least"):
        solve_blocks(upper_of(k), y, held=least - 1)


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    k, y = system()
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(factoring.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"the factor takes 0\.0 GB on disk"):
        solve_blocks(upper_of(k), y, held=bytes_for(13), scratch=tmp_path)
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from claimbench.suite.solving import solve_blocks

def read(rows, columns):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return k[rows, columns]

folder, left, held = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
k, y = np.load(folder / "k.npy"), np.load(folder / "y.npy")
solve_blocks(read, y, held=held, scratch=folder / "scratch")
"""


def test_after_a_kill_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    k, y = system()
    np.save(tmp_path / "k.npy", k)
    np.save(tmp_path / "y.npy", y)
    scratch, held = tmp_path / "scratch", bytes_for(13)
    undisturbed = solve_blocks(upper_of(k), y, held=held)
    count = len(list(Grid(N, 13).upper()))  # read once in the survey, and again row by row
    for reads, rows in ((count - 1, 0), (count + 3, 0), (count + 5, 1), (count + 4, 2)):
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(reads), str(held)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert rows == 0 or len(json.loads((scratch / "factor.json").read_text())["rows"]) == rows

    again: list[tuple[slice, slice]] = []

    def read(rows: slice, columns: slice) -> np.ndarray:
        again.append((rows, columns))
        return k[rows, columns]

    found = solve_blocks(read, y, held=held, scratch=scratch)
    np.testing.assert_array_equal(found.weights, undisturbed.weights)
    assert found.condition == undisturbed.condition
    assert min(rows.start for rows, _ in again[count:]) > 13  # two rows were not made again


@pytest.mark.parametrize("harm", ["block", "short", "note", "no note", "no file", "list"])
def test_a_spoilt_scratch_is_made_anew(tmp_path: Path, harm: str) -> None:
    k, y = system()
    held = bytes_for(13)
    wanted = solve_blocks(upper_of(k), y, held=held, scratch=tmp_path)
    factor, note = tmp_path / "factor.bin", tmp_path / "factor.json"
    content = bytearray(factor.read_bytes())
    if harm == "block":
        content[len(content) // 2] ^= 1
        factor.write_bytes(content)
    elif harm == "short":
        os.truncate(factor, len(content) // 2)
    elif harm == "note":
        note.write_bytes(b'{"rows": [1')
    elif harm == "list":
        note.write_text("[]")
    else:
        (note if harm == "no note" else factor).unlink()
    found = solve_blocks(upper_of(k), y, held=held, scratch=tmp_path)
    np.testing.assert_array_equal(found.weights, wanted.weights)


def test_a_scratch_of_another_system_is_not_used(tmp_path: Path) -> None:
    k, y = system()
    for matrix, ridge, side in ((k, 0.0, 13), (k, 0.3, 13), (2 * k, 0.3, 13), (2 * k, 0.3, 20)):
        found = solve_blocks(
            upper_of(matrix), y, ridge=ridge, held=bytes_for(side), scratch=tmp_path
        )
        wanted = solve(matrix.copy(), y, ridge=ridge)
        np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-9)


SOLVERS: dict[str, Any] = {
    "memory": lambda k, y, ridge=0.0: solve(k.copy(), y, ridge=ridge),
    "file": lambda k, y, ridge=0.0: solve_blocks(upper_of(k), y, ridge=ridge, held=bytes_for(13)),
}


@pytest.mark.parametrize("solver", SOLVERS)
class TestRefusals:
    def test_entries_that_are_not_finite(self, solver: str) -> None:
        k, y = system()
        for row, column in ((7, 30), (30, 7), (40, 50), (50, 40)):
            k[row, column] = np.nan
        k[20, 20] = np.inf
        with pytest.raises(UnsolvableGram, match=r"^3 entries .* first in row 7, column 30 "):
            SOLVERS[solver](k, y)

    def test_a_matrix_that_is_not_positive_definite(self, solver: str) -> None:
        k, y = system()
        k[17] = k[:, 17] = -k[17]
        k[17, 17] = -1
        with pytest.raises(UnsolvableGram, match=r"leading minor of order 18 .* larger ridge"):
            SOLVERS[solver](k, y)

    def test_a_matrix_that_is_singular_to_working_precision(self, solver: str) -> None:
        k, y = np.eye(N), system()[1]
        k[40, 40] = 1e-17
        with pytest.raises(UnsolvableGram, match=r"condition number is 1\.0e\+17"):
            SOLVERS[solver](k, y)
        assert SOLVERS[solver](k, y, 1e-3).condition == pytest.approx(1001)

    def test_huge_and_tiny_values_are_solved_or_refused(self, solver: str) -> None:
        k, y = system()
        for scale in (1e-300, 1e250):
            found = SOLVERS[solver](k * scale, y)
            np.testing.assert_allclose(found.weights * scale, solve(k.copy(), y).weights, rtol=1e-9)
        with pytest.raises(UnsolvableGram):
            SOLVERS[solver](k * (1e308 / k.max()), y)


def test_a_block_of_another_shape_is_refused() -> None:
    k, y = system()
    with pytest.raises(ValueError, match=r"block \(0, 0\) of a matrix is \(13, 12\), wanted"):
        solve_blocks(lambda r, c: k[r, c][:, 1:], y, held=bytes_for(13))


def test_the_estimate_of_the_inverses_norm_is_lapacks() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        vectors = np.linalg.qr(rng.normal(size=(30, 30)))[0]
        k = (vectors * 10 ** rng.uniform(-6, 0, size=30)) @ vectors.T
        k = (k + k.T) / 2
        found = factoring.inverse_norm(lambda x, k=k: np.linalg.solve(k, x), 30)  # type: ignore[misc]
        norm = np.abs(k).sum(axis=0).max()
        lapack = solve(k.copy(), np.zeros((30, 1))).condition / norm
        assert found == pytest.approx(lapack, rel=1e-6)
        assert found <= np.abs(np.linalg.inv(k)).sum(axis=0).max() * (1 + 1e-6)


def test_no_error_within_the_bound_moves_the_weights_by_more() -> None:
    """The worst found among random signs, on a matrix that lets errors through."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 12)
    k = np.exp(-np.abs(np.subtract.outer(x, x)))
    y = np.eye(2)[np.arange(12) % 2]
    plain = solve(k.copy(), y, entry_error=1e-3)
    assert 0 < plain.bound < 1
    moved = []
    for _ in range(200):
        signs = np.triu(rng.choice([-1, 1], size=k.shape))
        signs = np.triu(signs, 1) + signs.T
        other = solve(k * (1 + 1e-3 * signs), y)
        moved.append(np.abs(other.weights - plain.weights).sum(0) / np.abs(plain.weights).sum(0))
    assert plain.bound / 100 < np.max(moved) <= plain.bound


def test_where_errors_reach_the_smallest_directions_nothing_is_trusted() -> None:
    assert trust(1e3, 0) == 0
    assert trust(1e3, 1e-6) == pytest.approx(1.001e-3, rel=1e-4)
    assert trust(1e6, 1e-6) == trust(1e9, 1e-6) == np.inf
    k, y = system()
    assert solve(k.copy(), y, entry_error=1e-12).untrusted == ""
    lost = solve(k.copy(), y, entry_error=1e-2).untrusted
    assert "leave no digit of the weights sure." in lost


def test_a_run_tells_how_many_solutions_are_untrusted() -> None:
    def told(condition: Any, doubt: bool) -> Measured:
        details = {"condition": condition} | ({"untrusted": "why"} if doubt else {})
        return Measured(metrics={"accuracy": 0.5}, details=details)

    other = Measured(metrics={"accuracy": 0.5})
    assert untrusted([]) == untrusted([other, told(1e4, False)]) == ""
    line = untrusted([other, told(1e4, False), told(2e7, True), told(1e6, True)])
    assert line.startswith("2 of 3 solutions are untrusted")
    assert "up to 2.0e+07" in line
    assert "--backend reference" in line
    assert "up to inf" in untrusted([told("no number", True)])


def test_a_unit_diagonal_needs_a_diagonal_above_zero() -> None:
    np.testing.assert_allclose(unit_scale(np.array([4.0, 0.25], np.float32)), [0.5, 2])
    with pytest.raises(UnsolvableGram, match=r"2 of 3 samples .* sample 1 .* is 0, wanted"):
        unit_scale(np.array([1.0, 0.0, np.nan]))


def test_the_blocks_of_a_grid_lie_behind_one_another(tmp_path: Path) -> None:
    for n, side in ((1, 1), (12, 4), (13, 4), (15, 4), (3, 3)):
        grid = Grid(n, side)
        with factoring.Factor(tmp_path, grid, {}) as factor:
            place = 0
            for i, j in grid.upper():
                assert factor._place(i, j) == place
                place += grid.rows(i) * grid.rows(j)
            assert factor._start(len(grid)) == place


def test_a_way_out_is_in_every_refusal() -> None:
    assert "ridge" in matrices.WAY_OUT
    assert solving.UnsolvableGram is matrices.UnsolvableGram
