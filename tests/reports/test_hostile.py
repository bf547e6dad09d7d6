"""Hostile files and names: a report is inert, or there is one clear error and no report.

An error names file and line, what was wanted and the way out; nothing of a page is written then.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claimbench.reports import asv_results, bench_records, history, pages
from claimbench.reports.asv_results import HistoryError
from claimbench.suite import cli, records
from claimbench.suite.cells import cells
from claimbench.suite.definitions import Claim
from claimbench.suite.records import RecordError

from . import asv_files, synthetic
from .synthetic import COMMITS
from .test_pages import Page, all_pages, assert_whole, undrawn

SHA = "a" * 40
CLAIM = synthetic.claim(
    id="toy",
    tiers={"smoke": {"data": ["d1"], "protocols": ["draw"], "trials": 2, "seconds": 1,
                     "stand_in": "a toy"}},
    rules={"beats": {"superiority": {"metric": "accuracy", "better": "kernel", "worse": "forest"}}},
)  # fmt: skip
NAMES = [
    "</script><script>alert(1)</script>",
    "<!-- --><![CDATA[",
    "\u202egnp.exe\u2066\u200b\u200d\ufeff",
    "x" * 10_000,
    "e" + "\u0301" * 2_000,
    "a\x00b\x1b[31m\x7f\x85",
    "../../../etc/passwd",
    "{{ 7 * 7 }}{% raw %}",
    "=cmd|' /C calc'!A0",
    "--upload-pack=touch x",
    "\U0010ffff\ufffe\u2028\u2029",
    "",
]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of no repository, and no time spent on drawing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pages.charts, "draw", undrawn)


def contents(commit: str = SHA, **changed: Any) -> list[dict[str, Any]]:
    """The records of the claim at one commit, as a file has them."""
    known = COMMITS[0].__class__(commit, commit[:7], "", COMMITS[0].date)
    found = [synthetic.record(cell, known) for cell in cells(CLAIM, "smoke")]
    return [json.loads(record.model_dump_json(exclude_defaults=True)) | changed for record in found]


def write(folder: Path, lines: list[dict[str, Any]], name: str = "run.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def build(folder: Path, claims: tuple[Claim, ...] = (CLAIM,)) -> Path:
    """The report of `folder/results` and `folder/asv`."""
    return pages.build(folder / "results", folder / "html", folder / "asv", claims).parent


def assert_inert(out: Path) -> None:
    assert_whole(out)
    for page in all_pages(out):
        assert page.tags.count("script") == 1
        assert not {"img", "iframe", "object", "plaintext"} & set(page.tags)
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b\ufeff\x00\x1b]", text_of(page))


def text_of(page: Page) -> str:
    return page.path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_inert_wherever_it_stands(tmp_path: Path, name: str) -> None:
    lines = contents(commit=name or SHA, data_name=name, error="", backends={name: name})
    for line in lines:
        line["provenance"] |= {"device": name, "libraries": {name: name}}
        line["provenance"]["machine"] = {"host": name, "processor": name, name or "x": name}
        line["scores"][0]["details"] = {"chosen": [name], name: {name: [name]}}
    write(tmp_path / "results", [*lines, *lines, *contents("b" * 40)])
    asv_files.write_benchmarks(tmp_path / "asv")
    path = asv_files.write_results(
        tmp_path / "asv", SHA, [0.1, 0.2], [1e-7, None], ("numba", name), (f"toy.{name}",)
    )
    changed = {
        "commit_hash": name or SHA,
        "env_name": name,
        "params": {"machine": name, "os": name},
    }
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    out = build(tmp_path)
    assert_inert(out)
    assert set(tmp_path.iterdir()) == {out, tmp_path / "asv", tmp_path / "results"}


def test_records_of_unknown_claims_and_changed_ones_are_no_verdict(tmp_path: Path) -> None:
    stale = contents(cell="0" * 64)
    write(tmp_path / "results", [*contents(claim="who_knows"), *stale])
    out = build(tmp_path)
    assert_inert(out)
    assert "cells have no record" in (out / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "\n", "  \n\n", '{"claim": "toy", "ti'])
def test_nothing_whole_is_nothing_measured(tmp_path: Path, text: str) -> None:
    write(tmp_path / "results", []).write_text(text)
    out = build(tmp_path)
    assert_inert(out)
    assert "nothing measured yet" in (out / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "started",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "NaN", "", "0000-00-00", "1" * 99],
)
def test_a_date_out_of_range_sorts_somewhere(tmp_path: Path, started: str) -> None:
    lines = contents()
    for line in lines:
        line["provenance"]["started"] = started
    write(tmp_path / "results", [*lines, *contents("b" * 40)])
    assert_inert(build(tmp_path))


@pytest.mark.parametrize("value", [1e308, -1e308, -0.0, 5e-324, 10**300])
def test_a_huge_value_is_a_value(tmp_path: Path, value: float) -> None:
    lines = contents()
    lines[0]["scores"][0]["metrics"]["accuracy"] = value
    lines[1]["seconds"] = value
    write(tmp_path / "results", lines)
    assert_inert(build(tmp_path))


def broken(**changed: Any) -> str:
    return json.dumps(contents()[0] | changed)


LINES = {
    "nan": (broken(seconds=float("nan")), "seconds: Input should be a finite number"),
    "infinite": (broken().replace('"seconds": 0.25', '"seconds": 1e999'), "finite number"),
    "digits": (broken().replace('"seconds": 0.25', f'"seconds": {"1" * 5000}'), "out of range"),
    "deep": ("[" * 100_000, "recursion limit"),
    "surrogate": (broken(method="\ud800"), "hex escape"),
    "a list": ("[]", "Input should be a valid"),
    "a number": ("7", "Input should be a valid"),
    "null": ("null", "Input should be a valid"),
    "missing": (broken(provenance={}), "provenance.commit: Field required"),
    "unknown tier": (broken(tier="colossal"), "tier: Input should be 'smoke', 'quick' or 'full'"),
    "unknown key": (broken(surprise=1), "surprise: Extra inputs are not permitted"),
    "steering": (broken(**{"\x1b[2J\u202e\n" * 900: 1}), r"\x1b[2J\u202e"),
    "future": (broken(schema_version=2, surprise=1), "record schema 2, this reads up to 1"),
    "far future": (broken(schema_version=1e99), "written by a newer claimbench"),
    "no schema": (broken(schema_version="x"), "schema_version: 'x' where 1 is known"),
    "half": (broken()[:-40], "EOF while parsing"),
    "two": (broken() * 2, "trailing characters"),
}


@pytest.mark.parametrize("kind", LINES)
def test_a_broken_line_is_one_error_and_no_report(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line, complaint = LINES[kind]
    path = write(tmp_path / "results", contents())
    count = len(path.read_text().splitlines())
    path.write_text(f"{path.read_text()}{line}\n{broken()}\n")
    said = refused(tmp_path, capsys)
    assert f"{path}:{count + 1}: " in said
    assert complaint in said
    assert "remove the line" in said or "upgrade claimbench" in said


def test_bytes_that_are_no_text_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "results", [])
    path.write_bytes(b'{"claim": "\xff\xfe"}\n')
    assert f"{path}:1: not a record" in refused(tmp_path, capsys)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LONGEST", 2**20)
    path = write(tmp_path / "results", contents())
    with path.open("ab") as file:
        file.write(b'"' + b"x" * 2**21 + b'"\n')
    assert "longer than 1 MiB" in refused(tmp_path, capsys)


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says where it gives no report, and that it leaves the last as it was."""
    out = folder / "html"
    out.mkdir(exist_ok=True)
    (out / "index.html").write_text("of yesterday")
    code = command(folder)
    said = capsys.readouterr()
    assert code == 4
    assert said.out == ""
    assert said.err.startswith("claimbench: ")
    assert said.err.count("\n") == 1
    assert len(said.err) < 1500
    assert [path.name for path in out.rglob("*")] == ["index.html"]
    assert (out / "index.html").read_text() == "of yesterday"
    return said.err


def command(folder: Path) -> Any:
    """`claimbench report`, its claims ours; gives its exit code."""
    arguments = ["claimbench", "report"]
    for name in ("results", "asv-results", "out"):
        place = {"asv-results": "asv", "out": "html"}.get(name, name)
        arguments += [f"--{name}", str(folder / place)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.argv", arguments)
        patched.setattr("claimbench.reports.command.followed_claims", lambda: [CLAIM])
        with pytest.raises(SystemExit) as left:
            cli.main()
    return left.value.code


def directory(path: Path) -> None:
    path.mkdir(parents=True)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [directory, loop, dangling])
@pytest.mark.parametrize(
    "name",
    ["results/a.jsonl", "results/bench-a.json", "asv/box/aaaaaaaa-env.json", "asv/benchmarks.json"],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, make: Callable[[Path], None]
) -> None:
    write(tmp_path / "results", contents(), "b.jsonl")
    asv_files.write_benchmarks(tmp_path / "asv")
    asv_files.write_results(tmp_path / "asv", "b" * 40, [0.1])
    path = tmp_path / name
    path.unlink(missing_ok=True)
    make(path)
    assert str(path) in refused(tmp_path, capsys)


JSON = [
    "",
    "{",
    "[]",
    "7",
    '{"version": 99}',
    "[" * 100_000,
    '{"version": ' + "9" * 5000 + "}",
    "\ud800",
]


@pytest.mark.parametrize("text", JSON)
@pytest.mark.parametrize(
    "name", ["results/bench-a.json", "asv/box/aaaaaaaa-env.json", "asv/benchmarks.json"]
)
def test_a_broken_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    asv_files.write_benchmarks(tmp_path / "asv")
    asv_files.write_results(tmp_path / "asv", "b" * 40, [0.1])
    write(tmp_path / "results", contents())
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    said = refused(tmp_path, capsys)
    assert str(tmp_path / name) in said


def test_a_file_beyond_all_measure_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asv_files.write_benchmarks(tmp_path / "asv")
    path = asv_files.write_results(tmp_path / "asv", SHA, [0.1])
    monkeypatch.setattr(asv_results, "LARGEST", 100)
    path.write_text(path.read_text() + " " * 2**20)
    assert "larger than 0 MiB" in refused(tmp_path, capsys)


@pytest.mark.parametrize("date", [float("nan"), 1e999, -1e18, 1e18])
def test_a_date_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], date: float
) -> None:
    asv_files.write_benchmarks(tmp_path / "asv")
    path = asv_files.write_results(tmp_path / "asv", SHA, [0.1])
    path.write_text(json.dumps(json.loads(path.read_text()) | {"date": date}))
    assert f"{path}: not a results file of asv (date" in refused(tmp_path, capsys)


def test_rounds_of_the_future_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "results", [*contents(), *contents("b" * 40)])
    path = tmp_path / "results" / f"rounds-{'a' * 12}-{'b' * 12}.json"
    for text in ('{"schema_version": 9}', "[" * 100_000, ""):
        path.write_text(text)
        assert str(path) in refused(tmp_path, capsys)


def test_subjects_of_commits_are_inert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository may say anything in a subject, and have names that look like options."""

    def git(*arguments: str, given: str = "") -> str:
        done = subprocess.run(
            ["git", *arguments], input=given.encode("utf-8", "surrogateescape"),
            capture_output=True, check=True,
        )  # fmt: skip
        return done.stdout.decode().strip()

    git("init", "-q", "-b", "main")
    subjects = ["--all", "a\x1f\x1e", "\u202e<b>", "</title><script>", "\x1b[2J\rb", "\udcff"]
    for place, subject in enumerate(subjects):
        size = len(subject.encode("utf-8", "surrogateescape"))
        who = f"committer T <t@example.org> {10**9 + place} +0000"
        git("fast-import", "--quiet", "--force", given=(
            f"commit refs/heads/b{place}\n{who}\ndata {size}\n{subject}\n\n"
        ))  # fmt: skip
    shas = [git("rev-parse", f"b{place}") for place in range(len(subjects))]
    lines = [line for sha in shas for line in contents(sha)]
    write(tmp_path / "results", [*lines, *contents("--output=stolen"), *contents("-")])
    out = build(tmp_path)
    assert_inert(out)
    assert not (tmp_path / "stolen").exists()
    assert "--all" in (out / "index.html").read_text(encoding="utf-8")


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=8, max_size=8)
)
def test_any_text_is_inert(tmp_path: Path, texts: list[str]) -> None:
    """Through the whole pipeline, in every place at once."""
    commit, host, device, library, data, backend, error, axis = texts
    lines = contents(commit=commit, data_name=data, backends={backend: backend})
    for line in lines:
        line["provenance"] |= {"device": device, "libraries": {library: library}}
        line["provenance"]["machine"] = {"host": host, axis: axis}
    lines[-1] |= {"scores": [], "error": error or "failed"}
    shutil.rmtree(tmp_path / "html", ignore_errors=True)
    write(tmp_path / "results", [*lines, *contents("c" * 40)])
    assert_inert(build(tmp_path))


@settings(max_examples=60, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: json.dumps(t).encode()))
def test_any_bytes_are_records_or_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    folders = tmp_path / "results", tmp_path / "asv"
    for place in (folders[0] / "a.jsonl", folders[0] / "bench.json", folders[1] / "box" / "a.json"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content + b"\n")
    asv_files.write_benchmarks(folders[1])
    for read, folder in (
        (records.read, folders[0]),
        (records.Archive, folders[0]),
        (bench_records.read, folders[0]),
        (history.timings, folders[1]),
    ):
        assert complaint(read, folder).startswith(str(folder))


def complaint(read: Callable[[Path], object], folder: Path) -> str:
    """What a reader says of a folder; nothing but the folder where it is content."""
    try:
        read(folder)
    except (RecordError, HistoryError) as e:
        return str(e)
    return str(folder)
