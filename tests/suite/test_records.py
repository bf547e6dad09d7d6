"""Records survive a killed run, and nothing that is no record passes for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from claimbench.suite import records
from claimbench.suite.cells import cells
from claimbench.suite.records import RecordError, append, read

from . import toys


@pytest.fixture
def made() -> list[records.Record]:
    return toys.records(toys.claim(), {"level": [0.9] * 3, "rival": [0.8] * 3})


def test_what_is_written_is_read(tmp_path: Path, made: list[records.Record]) -> None:
    for record in made:
        append(record, tmp_path / "results" / "a.jsonl")
    assert read(tmp_path / "results") == made


def test_half_a_line_of_a_killed_run_is_passed_over(
    tmp_path: Path, made: list[records.Record]
) -> None:
    path = tmp_path / "a.jsonl"
    append(made[0], path)
    append(made[1], path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read(tmp_path) == made[: whole[:length].count(b"\n")]


def test_folders_merge_in_any_order(tmp_path: Path, made: list[records.Record]) -> None:
    late = made[0].model_copy(
        update={"provenance": toys.provenance(started="2026-02-01T00:00:00.000+00:00")}
    )
    append(late, tmp_path / "a.jsonl")
    append(made[1], tmp_path / "b.jsonl")
    assert read(tmp_path) == [made[1], late]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", r"a\.jsonl:1: not a record \(claim: Field required\)"),
        ("[1]", r"a\.jsonl:1: not a record"),
        ("not json", r"a\.jsonl:1: not a record"),
        ('{"schema_version": 99}', r"newer claimbench \(record schema 99, this reads up to 1\)"),
    ],
)
def test_what_is_no_record_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(RecordError, match=message):
        read(tmp_path)


def test_no_folder_is_no_records(tmp_path: Path) -> None:
    assert read(tmp_path / "absent") == []


def test_nan_is_no_value(tmp_path: Path, made: list[records.Record]) -> None:
    """A method that answers NaN must fail at the time, not in a page months later."""
    content = json.loads(made[0].model_dump_json())
    content["scores"][0]["metrics"]["accuracy"] = float("nan")
    (tmp_path / "a.jsonl").write_text(json.dumps(content) + "\n")
    with pytest.raises(RecordError, match="finite number"):
        read(tmp_path)


def test_every_committed_baseline_is_a_record_of_a_claim() -> None:
    """A baseline that answers no cell any more is dead weight: run it again or drop it."""
    from claimbench.suite.checking import load_claims

    wanted = {
        cell.digest
        for claim in load_claims()
        for tier in claim.tiers
        for cell in cells(claim, tier)
        if cell.entry.baseline
    }
    for record in records.baselines():
        assert record.baseline
        assert record.cell in wanted, f"{record.claim} {record.method} {record.data}"
