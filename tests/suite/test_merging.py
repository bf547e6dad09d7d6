"""Merging results folders: a union, in whatever order and however often, or nothing at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimbench.suite import locks, records, writing
from claimbench.suite.merging import contents, merge, merge_results
from claimbench.suite.records import Record, RecordError

from . import toys


def line(record: Record) -> bytes:
    return record.model_dump_json(exclude_defaults=True).encode() + b"\n"


MADE = [
    record.model_copy(update={"provenance": toys.provenance(started=f"2026-0{month}-01")})
    for month in (3, 1, 2)
    for record in toys.records(toys.claim(), {"level": [0.9] * 3, "rival": [0.8] * 3})[:2]
]

record_files = st.builds(
    lambda lines, cut: b"".join(lines) + cut,
    st.lists(st.sampled_from([*map(line, MADE), b"\n"]), max_size=6),
    st.sampled_from([b"", line(MADE[0])[:-1], b"{"]),
)
other_files = st.builds(
    lambda facts: json.dumps(facts).encode(),
    st.dictionaries(st.sampled_from(["finished", "loss"]), st.sampled_from(["1", "2", 3])),
)
folders = st.fixed_dictionaries(
    {},
    optional={
        "a.jsonl": record_files,
        "b.jsonl": record_files,
        "bench.json": other_files,
        "rounds-1.json": other_files,
    },
)


@settings(deadline=None)
@given(folders, folders)
def test_merging_is_commutative(a: dict[str, bytes], b: dict[str, bytes]) -> None:
    assert merge(a, b) == merge(b, a)


@settings(deadline=None)
@given(folders, folders, folders)
def test_merging_is_associative(
    a: dict[str, bytes], b: dict[str, bytes], c: dict[str, bytes]
) -> None:
    assert merge(a, merge(b, c)) == merge(merge(a, b), c) == merge(a, b, c)


@settings(deadline=None)
@given(folders)
def test_merging_is_idempotent(a: dict[str, bytes]) -> None:
    assert merge(a, a) == merge(a) == merge(merge(a))


@settings(max_examples=30, deadline=None)
@given(st.lists(folders, max_size=3))
def test_what_is_read_afterwards_is_the_union_of_what_was_read_before(
    given_folders: list[dict[str, bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        paths = [written(Path(temporary, str(i)), f) for i, f in enumerate(given_folders)]
        out = Path(temporary, "out")
        status = merge_results(paths, out, as_json=False)
        assert contents(out) == merge(*given_folders)
        assert read(out) == set().union(*map(read, paths))
        assert status == (0 if any(given_folders) else 3)


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def read(folder: Path) -> set[bytes]:
    return set(map(line, records.read(folder)))


EARLIER, LATER = b'{"finished": "1"}', b'{"bytes": "less", "finished": "2"}'


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Two folders that have one record and one name in common."""
    first = {"a.jsonl": line(MADE[0]) + line(MADE[3]), "bench.json": LATER}
    second = {"a.jsonl": line(MADE[4]) + line(MADE[0]), "bench.json": EARLIER}
    return [written(tmp_path / "one", first), written(tmp_path / "two", second)]


def test_records_stand_in_order_of_time_and_the_later_of_other_files_wins(
    tmp_path: Path, two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    assert merge_results(two, out, as_json=False) == 0
    assert (out / "a.jsonl").read_bytes() == line(MADE[3]) + line(MADE[4]) + line(MADE[0])
    assert (out / "bench.json").read_bytes() == LATER
    said = f"{out}: 3 records from 1 files, 3 new here; 1 other files\n"
    assert capsys.readouterr().out == said


def test_a_folder_that_is_there_counts_as_one_of_them(
    two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (two[0] / "verdicts.json").write_text("what the last run remembers, not merged")
    for folders_given, new in ((two[1:], 1), (two, 0)):
        merge_results(folders_given, two[0], as_json=True)
        figures = json.loads(capsys.readouterr().out)
        wanted = {"records": 3, "files": 1, "new": new, "other_files": 1}
        assert figures == {"out": str(two[0]), **wanted}
    names = ["a.jsonl", "bench.json", "verdicts.json"]
    assert sorted(path.name for path in two[0].iterdir()) == names


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.jsonl", b"\n{}\n", r"two/b\.jsonl:2: not a record"),
        ("rounds-1.json", b"{", r"two/rounds-1\.json: not JSON \(.*\); remove the file"),
        ("bench.json", b"\xff", r"two/bench\.json: not JSON"),
    ],
)
def test_nothing_is_written_where_anything_is_wrong(
    tmp_path: Path, two: list[Path], name: str, content: bytes, message: str
) -> None:
    (two[1] / name).write_bytes(content)
    before = contents(two[0])
    for out in (two[0], tmp_path / "out"):
        with pytest.raises(RecordError, match=message):
            merge_results(two, out, as_json=False)
    assert contents(two[0]) == before
    assert not (tmp_path / "out").exists()


def test_a_write_that_fails_leaves_the_file_as_it_was(
    two: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError("no space left")

    before = contents(two[0])
    monkeypatch.setattr(writing.os, "fsync", no_space)
    monkeypatch.setattr(locks, "_sign", lambda handle: None)
    with pytest.raises(OSError, match=r"a\.jsonl cannot be written \(no space left\)"):
        merge_results(two, two[0], as_json=False)
    assert contents(two[0]) == before
    assert sorted(path.name for path in two[0].iterdir()) == sorted(before)
