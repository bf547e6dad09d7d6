"""Records survive a killed run, and nothing that is no record passes for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from claimbench.suite import provenance, records
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


EPOCH, NOW, FAR = "1970-01-01T00:00:00.000", "2026-05-01T12:00:00.500", "2099-01-01T00:00:00.000"


def in_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, now: str, made: list[records.Record]
) -> list[records.Record]:
    """What a run writes whose clock stands still at some moment."""
    monkeypatch.setattr(provenance, "now", lambda: f"{now}+00:00")
    known = read(folder)
    path = records.new_file(folder, known)
    assert not path.exists()
    started = toys.provenance(started=provenance.now())
    written = [record.model_copy(update={"provenance": started}) for record in made]
    for record in written:
        append(record, path)
    assert read(folder) == [*known, *written]
    return written


@pytest.mark.parametrize(
    "moments", [[NOW, NOW, NOW], [NOW, EPOCH, EPOCH], [NOW, FAR, NOW, EPOCH, FAR], [EPOCH, NOW]]
)
def test_the_order_of_writing_stands_whatever_is_done_to_the_clock(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: list[records.Record],
    moments: list[str],
) -> None:
    written = [in_a_run(tmp_path, monkeypatch, now, made[:2]) for now in moments]
    assert len(list(tmp_path.iterdir())) == len(moments)
    assert read(tmp_path) == [record for run in written for record in run]
    archive = records.Archive(tmp_path)
    assert archive[made[0].provenance.commit] == read(tmp_path)


def test_a_clock_that_is_set_during_a_run_changes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[records.Record]
) -> None:
    moments = [FAR, NOW, EPOCH]
    written = [
        record.model_copy(update={"provenance": toys.provenance(started=moment)})
        for record, moment in zip(made, moments, strict=False)
    ]
    for record in written:
        append(record, tmp_path / "2026-05-01T120000-7.jsonl")
    assert read(tmp_path) == written
    later = in_a_run(tmp_path, monkeypatch, NOW, made[3:4])
    assert read(tmp_path) == [*written, *later]


@pytest.mark.parametrize("started", ["9999-12-31T23:59:59", "yesterday", "", "zzzz-99-99T99:99:99"])
def test_a_time_that_is_none_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[records.Record], started: str
) -> None:
    odd = made[0].model_copy(update={"provenance": toys.provenance(started=started)})
    append(odd, tmp_path / "a.jsonl")
    append(odd, tmp_path / "9999-99-99T999999-1.jsonl")
    monkeypatch.setattr(provenance, "now", lambda: f"{NOW}+00:00")
    path = records.new_file(tmp_path, read(tmp_path))
    assert not path.exists()
    append(made[1], path)
    assert len(read(tmp_path)) == 3


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
