"""asv's files and our records, joined by commit."""

from __future__ import annotations

import json
import math
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

import claimbench.suite.protocols  # noqa: F401 (registers the protocol of the toy claim)
from claimbench.reports.history import (
    Commit,
    HistoryError,
    UsageError,
    commits,
    in_order,
    resolve,
    timings,
)

from ..suite import toys
from . import asv_files

SHA = "a" * 40


def test_a_folder_that_is_not_there_has_no_timings(tmp_path: Path) -> None:
    assert timings(tmp_path / "nowhere") == []
    asv_files.write_benchmarks(tmp_path)
    assert timings(tmp_path) == []


def test_every_field_is_read_from_where_asv_puts_it(tmp_path: Path) -> None:
    asv_files.write_benchmarks(tmp_path)
    asv_files.write_results(
        tmp_path,
        SHA,
        [0.002, 0.003],
        [1e-7, 2e-7],
        backends=("numba", "torch"),
        stats_q_25=[0.0018, 0.0028],
        stats_q_75=[0.0021, 0.0031],
        samples=[[0.0018, 0.002, 0.0021], None],
    )
    first, second = timings(tmp_path)
    assert (first.commit, first.machine, first.environment) == (SHA, "box", "py3.11-numpy")
    assert (first.kernel, first.backend, first.claim) == ("ntk_gram", "numba", "toy")
    assert (first.shape, first.version, first.status) == ("block", "1", "ok")
    assert (first.seconds, first.low, first.high) == (0.002, 0.0018, 0.0021)
    assert (first.error, first.samples) == (1e-7, (0.0018, 0.002, 0.0021))
    assert first.hardware == {"machine": "box", "cpu": "Fast", "ram": "8GB"}
    assert first.committed == datetime(2026, 1, 1, tzinfo=UTC)
    assert (second.backend, second.samples, second.error) == ("torch", (), 2e-7)


def test_null_failed_nan_was_skipped_and_infinity_is_no_time(tmp_path: Path) -> None:
    asv_files.write_benchmarks(tmp_path)
    values = [None, math.nan, math.inf]
    asv_files.write_results(tmp_path, SHA, values, [1e-7, math.nan, None], ("a", "b", "c"))
    found = timings(tmp_path)
    assert [t.status for t in found] == ["failed", "skipped", "failed"]
    assert [t.seconds for t in found] == [None, None, None]
    assert [t.error for t in found] == [1e-7, None, None]


def test_a_row_that_is_null_failed_in_every_cell(tmp_path: Path) -> None:
    asv_files.write_benchmarks(tmp_path)
    asv_files.write_results(tmp_path, SHA, None, None, ("a", "b"))
    assert [t.status for t in timings(tmp_path)] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "EOF"),
        ("[]", "not a JSON object"),
        ('{"version": 1}', "version"),
        ('{"version": 3}', "version"),
        ('{"version": 2}', "commit_hash: Field required"),
        ("\x80", "line 1 column 1"),
    ],
)
def test_a_broken_results_file_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    asv_files.write_benchmarks(tmp_path)
    path = asv_files.write_results(tmp_path, SHA, [1.0])
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(HistoryError, match=rf"{path.name}: not a results file.*{complaint}"):
        timings(tmp_path)


@pytest.mark.parametrize("value", ["fast", [1, 2], {"a": 1}])
def test_a_value_that_is_no_number_is_named(tmp_path: Path, value: object) -> None:
    asv_files.write_benchmarks(tmp_path)
    asv_files.write_results(tmp_path, SHA, [value])  # type: ignore[list-item]
    with pytest.raises(HistoryError, match=r"aaaaaaaa-py3.*result"):
        timings(tmp_path)


def test_a_row_of_the_wrong_length_is_named(tmp_path: Path) -> None:
    asv_files.write_benchmarks(tmp_path)
    asv_files.write_results(tmp_path, SHA, [1.0, 2.0])
    with pytest.raises(HistoryError, match="1 values that its parameters ask for"):
        timings(tmp_path)


@pytest.mark.parametrize("replaced", [{"version": 9}, {f"{asv_files.NAME}.time_kernel": {}}])
def test_benchmarks_of_an_unknown_form_are_named(
    tmp_path: Path, replaced: dict[str, object]
) -> None:
    asv_files.write_benchmarks(tmp_path, **replaced)
    asv_files.write_results(tmp_path, SHA, [1.0])
    with pytest.raises(HistoryError, match=r"benchmarks\.json: not a results file"):
        timings(tmp_path)


def test_results_without_benchmarks_are_an_error(tmp_path: Path) -> None:
    asv_files.write_results(tmp_path, SHA, [1.0])
    with pytest.raises(HistoryError, match=r"benchmarks\.json.*No such file"):
        timings(tmp_path)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def test_commits_stand_as_the_log_has_them_and_strangers_by_date() -> None:
    log = [
        Commit(letter * 40, letter, f"subject {letter}", day(n))
        for n, letter in ((2, "c"), (6, "a"))
    ]
    seen = {
        "a" * 40: day(9),
        "c" * 40 + "-dirty": day(8),
        "c" * 40: day(20),
        "v0.1.0": day(4),
        "e" * 40: day(25),
    }
    found = in_order(seen, log)
    names = ["c" * 40, "c" * 40 + "-dirty", "v0.1.0", "a" * 40, "e" * 40]
    assert [commit.sha for commit in found] == names
    assert [commit.short for commit in found] == ["c", "c-dirty", "v0.1.0", "a", "e" * 8]
    assert found[1].subject == "subject c"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes of three commits of a new repository, oldest first."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("NAME", "T"), ("EMAIL", "t@example.org")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    _git("init", "-q", "-b", "main")
    for number in range(3):
        _git("commit", "-q", "--allow-empty", "-m", f"change {number} \x1f | <b>")
    return _git("rev-list", "--reverse", "HEAD").split()


def _git(*arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], text=True)


def test_git_orders_commits_and_tolerates_unknown_ones(repository: list[str]) -> None:
    names = [repository[2], repository[0] + "-dirty", repository[0], "f" * 40, "v0.1.0", "--all"]
    started = "2020-01-01T00:00:00.000+00:00"
    records = [
        toys.record(cell, 0.9, provenance=toys.provenance(commit=name, started=started))
        for name in names
        for cell in toys.cells(toys.claim(), "smoke")[:1]
    ]
    found = commits(records, [])
    first = repository[0]
    assert [c.sha for c in found[3:]] == [first, f"{first}-dirty", repository[2]]
    assert {c.sha for c in found[:3]} == {"f" * 40, "v0.1.0", "--all"}
    assert found[-1].subject == "change 2 \x1f | <b>"
    assert json.dumps(found[-1].short)


def test_commits_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    asv_files.write_benchmarks(tmp_path)
    asv_files.write_results(tmp_path, SHA, [1.0])
    [only] = commits([], timings(tmp_path))
    assert (only.sha, only.short, only.date) == (SHA, "a" * 8, day(1))


def test_names_of_commits_are_resolved(repository: list[str]) -> None:
    assert resolve("HEAD~1") == repository[1]
    assert resolve("main") == repository[2]
    assert resolve(repository[0][:7]) == repository[0]
    assert resolve("HEAD-dirty") == repository[2] + "-dirty"
    assert resolve("v0.1.0", {"v0.1.0"}) == "v0.1.0"


@pytest.mark.parametrize("name", ["nothing", "--all", "", "HEAD~9", "HEAD:", "-dirty"])
def test_an_unknown_commit_is_named(repository: list[str], name: str) -> None:
    with pytest.raises(UsageError, match=f"no commit is called '{name}'"):
        resolve(name)
