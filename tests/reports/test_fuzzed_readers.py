"""Right files spoilt at random: every reader takes them, or raises the error that is its own.

The changes are those of the fuzzer of claim files. What was found has a test of its own below.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claimbench.reports import asv_results, bench_records, recorded, rounds
from claimbench.reports.asv_results import HistoryError
from claimbench.suite import answers, claim_commands, records
from claimbench.suite.definitions import DefinitionError
from claimbench.suite.project import followed, kept
from claimbench.suite.records import RecordError

from ..experiments.hostile_definitions import SPOILS, TEXT_CHANGES, inline
from ..suite import toys
from . import asv_files

FILES = 120
MEASURED = Path(__file__).parents[2] / "docs" / "measured"
CLAIM = toys.claim()
SHA = "a" * 40


def bench() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((MEASURED / "bench-cpu.json").read_text())
    return content | {key: content[key][:2] for key in ("rows", "absent", "clocks")}


def record() -> dict[str, Any]:
    [made, *_] = toys.records(CLAIM, {"level": [0.9] * 3, "rival": [0.8] * 3})
    content: dict[str, Any] = json.loads(made.model_dump_json(exclude_defaults=True))
    return content


def written(folder: Path, name: str) -> dict[str, Any]:
    """What asv writes to one of its files, beside the other."""
    asv_files.write_benchmarks(folder)
    path = asv_files.write_results(folder, SHA, [0.1], [0.2], samples=[[0.1, 0.2]])
    content: dict[str, Any] = json.loads((folder / name or path).read_text())
    return content


def tabled(folder: Path) -> None:
    """Bench records, as far as a page takes them."""
    found = bench_records.read(folder)
    for kernel in {row.kernel for each in found for row in each.rows}:
        bench_records.table(kernel, bench_records.newest(kernel, found))
        str(bench_records.leading(kernel, found))


def summed_up(folder: Path) -> None:
    claim_commands.show_list([CLAIM], answers.last_verdicts(folder))


def archived(folder: Path) -> None:
    archive = records.Archive(folder)
    assert sum(len(archive[commit]) for commit in archive) == 1


TURNS = {"claim": "toy", "shape": "block", "kernel": "ntk_gram", "backend": "cpu",
         "inputs": {"x1": [2, 3]}, "times": [[0.1, 0.2, 0.3]], "memory": [1, None, 2]}  # fmt: skip
ROUNDS = {"base": SHA, "head": "b" * 40, "started": "2026", "finished": "2026", "device": "cpu",
          "machine": {"host": "here"}, "threads": 1, "load": [0.0, 1.0], "libraries": {},
          "first": [TURNS]}  # fmt: skip
RESULTS = f"box/{SHA[:8]}-py3.11-numpy.json"
READERS: dict[str, tuple[str, Callable[[Path], Any], Callable[[Path], object]]] = {
    "records": ("a.jsonl", lambda _: record(), records.read),
    "archive": ("a.jsonl", lambda _: record(), archived),
    "bench": ("bench.json", lambda _: bench(), tabled),
    "results": (RESULTS, lambda folder: written(folder, RESULTS), asv_results.timings),
    "benchmarks": (
        "benchmarks.json", lambda folder: written(folder, "benchmarks.json"), asv_results.timings,
    ),
    "rounds": (
        rounds.path(Path(), SHA, "b" * 40).name, lambda _: ROUNDS,
        lambda folder: rounds.read(folder, SHA, "b" * 40),
    ),
    "verdicts": (
        "verdicts.json", lambda _: {"toy smoke": {"outcome": "supported"}, "b": {}}, summed_up,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", READERS)
def test_spoilt_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    name, right, read = READERS[kind]
    content = right(tmp_path)
    put(tmp_path / name, json.dumps(content).encode())
    read(tmp_path)
    rng = random.Random(kind)
    for _ in range(FILES):
        put(tmp_path / name, spoilt(rng, content))
        assert len(complaint(read, tmp_path)) < 2000


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content + b"\n")


def spoilt(rng: random.Random, content: Any) -> bytes:
    changed = json.loads(json.dumps(content))
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(SPOILS)(rng, changed)
    text = json.dumps(changed).encode()
    return rng.choice(TEXT_CHANGES)(rng, text) if rng.random() < 0.2 else text


def complaint(read: Callable[[Path], object], folder: Path) -> str:
    try:
        read(folder)
    except (RecordError, HistoryError, DefinitionError) as e:
        return str(e)
    return ""


def test_any_pyproject_is_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(1)
    (tmp_path / "kept").mkdir()
    right = {"tool": {"claimbench": {"claims": ["a"], "records": ["kept"]}}, "project": {}}
    for _ in range(FILES):
        changed = json.loads(json.dumps(right))
        for _ in range(rng.choice((1, 2))):
            rng.choice(SPOILS)(rng, changed)
        text = "\n".join(f"{json.dumps(key)} = {inline(value)}" for key, value in changed.items())
        put(tmp_path / "pyproject.toml", text.encode("utf-8", "surrogatepass"))
        complaint(followed, tmp_path)
        complaint(kept, tmp_path)


# What was found, one by one.


@pytest.mark.parametrize(
    "text", ["-" * 5000 + "1", "-" * 10**6 + "1", "{" * 90 + "}" * 90, "(" * 10**5, "9" * 5000]
)
def test_a_parameter_that_no_parser_takes_is_text(text: str) -> None:
    assert asv_results._literal(text) in (text, f"-{text}")


def test_a_benchmark_without_its_parameters_is_named(tmp_path: Path) -> None:
    entry = {"kernel": "ntk_gram", "param_names": ["backend", "size"]}
    asv_files.write_benchmarks(tmp_path, **{f"{asv_files.NAME}.time_kernel": entry})
    asv_files.write_results(tmp_path, SHA, [0.1])
    with pytest.raises(HistoryError, match="shape is no parameter of"):
        asv_results.timings(tmp_path)


def test_a_count_beyond_64_bits_is_named(tmp_path: Path) -> None:
    content = bench()
    content["rows"][0]["items_of_shape"] = 10**400
    put(tmp_path / "bench.json", json.dumps(content).encode())
    with pytest.raises(HistoryError, match=r"rows.0.items: should be 1 or more, in 64 bits"):
        bench_records.read(tmp_path)


def test_a_bench_record_beyond_all_measure_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "LARGEST", 2**20)
    put(tmp_path / "bench.json", b" " * 2**20)
    with pytest.raises(HistoryError, match="larger than 1 MiB"):
        bench_records.read(tmp_path)


@pytest.mark.parametrize(
    "text", ["[]", "7", "[" * 10**5, '{"toy smoke": 7}', '{"toy smoke": {"outcome": []}}', "\ud800"]
)
def test_last_verdicts_that_are_none_are_passed_over(tmp_path: Path, text: str) -> None:
    """The records can always be judged anew."""
    put(tmp_path / "verdicts.json", text.encode("utf-8", "surrogatepass"))
    assert answers.last_verdicts(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("tool = 7", None),
        ("tool.claimbench = 7", None),
        ("tool.claimbench.claims = 7", "claims is int, wanted a list of ids"),
        ("tool.claimbench.claims = ['" + "x" * 9000 + "', 7]", r"x\.\.\., wanted a list of ids"),
        ("a = " + "[" * 20_000, "not TOML"),
        ("a = " + "9" * 5000, "not TOML"),
        ("a." * 9000 + "a = 1", "not TOML"),
    ],
)
def test_a_table_that_asks_for_nothing_we_know(
    tmp_path: Path, text: str, wanted: str | None
) -> None:
    put(tmp_path / "pyproject.toml", text.encode())
    if wanted is None:
        assert followed(tmp_path) == []
    else:
        with pytest.raises(DefinitionError, match=wanted):
            followed(tmp_path)


@pytest.mark.parametrize("name", ["..", "/", "a/../..", "link", "\\u0000"])
def test_records_are_kept_in_the_repository(tmp_path: Path, name: str) -> None:
    (tmp_path / "repository" / "a").mkdir(parents=True)
    (tmp_path / "repository" / "link").symlink_to("/")
    text = f'[tool.claimbench]\nrecords = ["{name}"]\n'
    put(tmp_path / "repository" / "pyproject.toml", text.encode())
    with pytest.raises(DefinitionError, match="which is no folder of the repository"):
        kept(tmp_path / "repository")
