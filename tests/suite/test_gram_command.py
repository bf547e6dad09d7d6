"""`claimbench gram` as a user meets it: a plan, a matrix, and the same one after any kill."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claimbench.kernels import cntk_gram
from claimbench.suite.data import load
from claimbench.suite.evaluation import standardised

COMMAND = [sys.executable, "-m", "claimbench.suite", "gram"]
DIGITS = ["digits", "--samples", "150", "--with", "depths = [3], windows = ['gap', 0]"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True)


def answered(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    done = run(folder, *DIGITS, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_a_matrix_is_computed_once_and_written_out(tmp_path: Path) -> None:
    first = answered(tmp_path, "--out", "npy")
    x = standardised(load("digits").x[:150].astype(float), np.arange(150)).astype(np.float32)
    wanted = cntk_gram(x, depths=[3], windows=["gap", 0])
    for place, row in enumerate(first):
        window = row["variant"]["windows"]
        name = f"flips=False-get=ntk-depths=3-windows={window}.npy"
        found = np.load(tmp_path / "npy" / name)
        np.testing.assert_allclose(found, wanted[0, 0, 0, place], rtol=1e-5)
        assert row["sha256"] == hashlib.sha256(found.data).hexdigest()
    assert len(list((tmp_path / "npy").iterdir())) == len(first)
    again = run(tmp_path, *DIGITS, "--json")
    assert "1 of them on record" in again.stderr
    assert json.loads(again.stdout) == first


def test_a_plan_alone_computes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, *DIGITS, "--plan")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("150 x 150, 2 variants: 1 tile of 256, 0 of them on record; ")
    assert not list(tmp_path.rglob("*.zarr"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["digits", "--with", "depths = [3"], 2, "not TOML"),
        (["digits", "--with", "depth = [3]"], 2, "depths is None, wanted a list"),
        (["digits", "--with", "depths = [0]"], 2, "wanted a whole number >= 1"),
        (["digits", "--with", "depths = [1], colour = 1"], 2, "colour"),
        (["digits", "--kernel", "cntk_gran"], 2, "did you mean 'cntk_gram'?"),
        (["digits", "--kernel", "saliency_mask"], 2, "answers no Gram matrix"),
        (["digitz"], 2, "did you mean 'digits'?"),
        (["digits", "--samples", "10000000"], 2, "digits has 1797"),
        (["digits", "--with", "depths = [1]", "--backend", "cuda"], 4, "cannot run on cuda"),
        (["digits", "--with", "depths = [1]", "--scheduler", "slurm:x"], 4, "'x' has no value"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == code, done.stderr
    [line] = done.stderr.splitlines()
    assert message in line


def test_a_killed_computation_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    slow = ["--with", "depths = [2], windows = ['gap']", "--backend", "reference"]
    arguments = ["digits", "--samples", "70", *slow, "--json"]
    (tmp_path / "whole").mkdir()
    wanted = run(tmp_path / "whole", *arguments).stdout
    with subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stderr=subprocess.PIPE) as killed:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("results/grams/*/*/*/c/*/*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    done = run(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == wanted
