"""A claim file may hold anything: the answer is a claim or complaints, soon, and inert.

`tests/experiments/fuzz_definitions.py` asks the same of a million files. Whatever it found has a
test of its own here.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from claimbench.suite import claim_commands, cli, plain
from claimbench.suite.arguments import misfits
from claimbench.suite.cells import cells
from claimbench.suite.checking import Complaint, all_claim_files, check
from claimbench.suite.definitions import Claim, schema
from claimbench.suite.registry import unknown
from claimbench.suite.rules import Outcome
from claimbench.suite.verdicts import judge

from ..experiments import fuzz_definitions, hostile_definitions
from ..experiments.fuzz_definitions import Held, answered
from . import toys

SEED, FILES = 2026, 400
TEMPLATE = hostile_definitions.SEEDS[0].decode()


def test_files_drawn_at_random_are_answered() -> None:
    found = fuzz_definitions.tally(SEED, FILES)
    assert (dict(found.raised), found.slow, found.files) == ({}, 0, FILES)
    assert 0 < found.accepted < FILES


def test_a_seed_says_which_files_were_tried() -> None:
    first, again = (
        [hostile_definitions.draw(rng) for _ in range(50)] for rng in map(random.Random, (7, 7))
    )
    assert first == again


def test_what_goes_wrong_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter itself is not blind."""

    def broken(name: str, content: bytes) -> bool:
        raise KeyError("a fault")

    monkeypatch.setattr(fuzz_definitions, "answered", broken)
    found = fuzz_definitions.tally(SEED, 3)
    assert found.raised.total() == 3
    assert found.examples


def test_the_measured_file_has_its_provenance(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    content = fuzz_definitions.run(40, 1, told.append)
    assert told[-1] == content
    assert (content["files"], content["raised"], content["seeds"]) == (40, 0, [0, 0])
    assert {"commit", "machine", "started", "load", "libraries"} <= content.keys()


# Properties.

TOML = st.recursive(
    st.none().map(lambda _: hostile_definitions.Raw("1979-05-27"))
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
PLACES = [
    (section, key)
    for section, table in hostile_definitions.TABLES[0].items()
    for key in (table if isinstance(table, dict) else [None])
]


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_bytes_are_answered(content: bytes) -> None:
    assert not answered("toy", content)


@given(st.dictionaries(st.text(max_size=12), TOML, max_size=5))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_tables_are_answered(tables: dict[str, Any]) -> None:
    assert not answered("toy", hostile_definitions.written(tables).encode())


@given(st.sampled_from(PLACES), TOML)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_value_in_any_place_is_answered(place: tuple[str, str | None], value: Any) -> None:
    tables = json.loads(hostile_definitions.PACKED[0])
    section, key = place
    inside, last = (tables, section) if key is None else (tables[section], key)
    inside[last] = value
    answered("toy", hostile_definitions.written(tables).encode())


@given(st.text(min_size=1, max_size=12))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_title_is_refused_or_shown_as_it_is(title: str) -> None:
    tables = json.loads(hostile_definitions.PACKED[0]) | {"title": title}
    found = check(held(hostile_definitions.written(tables)))
    if isinstance(found, Claim):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            claim_commands.show(found, Path("/nonexistent"))
        assert said.getvalue().startswith(title)
        fuzz_definitions.use(found)
    else:
        assert "invisible character" in found[0].message


# What the fuzzer found, one by one.


def held(text: str | bytes, name: str = "toy") -> Any:
    return Held(f"{name}.toml", text.encode() if isinstance(text, str) else text)


def complaints(text: str | bytes, name: str = "toy") -> list[Complaint]:
    found = check(held(text, name))
    assert isinstance(found, list)
    return found


def spoilt(old: str, new: str) -> str:
    assert old in TEMPLATE
    return TEMPLATE.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (spoilt('["iris"]', "[{ a = 1 }]"), "valid string"),
        (spoilt('"wine"', "[1]"), "wanted the name of a data set"),
        (spoilt('metric = "accuracy"', "metric = [1]"), "wanted the name of a metric"),
        (spoilt('kernel = "ntk_gram"', "kernel = []"), "valid string"),
        (spoilt('better = "ntk_svm"', "better = { method = {} }"), "better"),
        (spoilt("depth = 2", f"depth = {'9' * 5000}"), "not valid TOML: Exceeds the limit"),
        (spoilt("depth = 2", f"depth = 0x{'f' * 6000}"), "a whole number of more than 64 bits"),
        (spoilt("depth = 2", "depth = 1979-05-27"), "a date or time"),
        (spoilt("depth = 2", "depth = nan"), "not a finite number"),
        (spoilt("depth = 2", 'depth = "2"'), "'depth' should be a valid integer"),
        (spoilt("depth = 2", "depth = true"), "'depth' should be a valid integer"),
        (spoilt('"data"', '"dates"'), "should be 'data', 'trials' or 'items'"),
        (spoilt("margin = 0.0", "margin = []"), "'margin' should be a valid number"),
        (spoilt("trials = 1", "trials = 1000000000000"), "at most 50000 can be run"),
        (spoilt("trials = 1", "trials = 1\nonly = { ntk_svm = [], random_forest = [] }"),
         "leaves no method a protocol"),
        (spoilt("trials = 1", 'trials = 1\nmethods = ["ntk_svm"]'),
         "leave out random_forest, which the rule beats_forests asks for"),
        (spoilt("margin = 0.0", "where = { depht = 3 }"), "no axis is called 'depht'"),
        (spoilt('better = "ntk_svm"', 'better = { method = "ntk_svm", dept = 1 }'),
         "no axis is called 'dept'"),
        (spoilt('"wine"', '"iris"'), "names 'iris' a second time"),
        (spoilt("title = ", 'id = "other"\ntitle = '), "a claim is called as its file is"),
        (spoilt('title = "', 'title = "\\u202e'), "holds the invisible character U+202E"),
        (spoilt('title = "', 'title = "\\u001b[2J'), "holds the invisible character U+001B"),
        (spoilt("trials = 1", 'trials = 1\n"a\\u202e" = 1'), "its name holds the invisible"),
        (spoilt("[metrics.accuracy]", f"[metrics.{'a' * 101}]"), "at most 100 characters"),
        (spoilt('kernel = "ntk_gram"', f'kernel = "{"x" * 50_000}"'), "x..."),
        ("a = " + "[" * 20_000 + "]" * 20_000, "16 deep"),
        ("a = " + "[" * 40 + "]" * 40, "16 deep"),
        ("a = " + "{ a = " * 2000 + "1" + "}" * 2000, "16 deep"),
        (".".join("a" * 30_000) + " = 1", "a key of more than 16 parts"),
        ("a = { " + ".".join(["'b c'"] * 9000) + " = 1 }", "a key of more than 16 parts"),
        ("[" + " . ".join(["a"] * 9000) + "]", "a key of more than 16 parts"),
        ("# " + "x" * plain.LARGEST, "larger than 256 KiB"),
        (b"\xff\xfe", "not valid TOML"),
        (b"a = 1\x00", "not valid TOML"),
        ("", "missing"),
    ],
)  # fmt: skip
def test_what_the_fuzzer_found_is_told(text: str | bytes, wanted: str) -> None:
    found = complaints(text)
    assert any(wanted in complaint.message for complaint in found), found
    assert all(len(str(complaint)) < 1000 for complaint in found)


def test_a_rule_may_ask_for_the_axes_of_the_files_calls() -> None:
    found = check(held(hostile_definitions.written(toys.tables(
        rules={"r": {"crossing": {"metric": "accuracy", "leader": {"method": "level", "level": 0.9},
                                  "follower": "rival", "axis": "level", "above": 1.0,
                                  "where": {"protocol": "split", "data": "iris"}}}},
    ))))  # fmt: skip
    assert isinstance(found, Claim)


def test_prose_may_have_as_many_dots_as_it_likes() -> None:
    text = spoilt('notes = "', 'notes = "1.2.3. a . b . c ......................... e.g. i.e. ')
    assert isinstance(check(held(text)), Claim)


def test_a_file_full_of_mistakes_is_told_of_the_first_hundred() -> None:
    found = complaints(spoilt('"wine"', ", ".join(f'"{n}"' for n in range(20_000))))
    assert len(found) == 101
    assert found[-1].message == "and more; these come first"


def test_a_cell_has_no_more_scores_than_can_be_kept() -> None:
    values = list(range(1, 200))
    claim = toys.claim(methods={"level": {"toy_level": {"level": values}}})
    assert len(cells(claim, "smoke")) == 3
    text = hostile_definitions.written(
        toys.tables(
            methods={"level": {"toy_level": {"level": values * 60}}},
            rules={"r": {"correlation": {"x": "accuracy", "y": "accuracy", "below": 0.5}}},
        )
    )
    [complaint] = complaints(text)
    assert "11940 scores of each cell, at most 10000" in complaint.message


def test_brackets_in_a_title_are_no_mark_up(capsys: pytest.CaptureFixture[str]) -> None:
    claim = toys.claim(title="[/red] of [bold]k[/bold]", source=toys.tables()["source"])
    claim_commands.show_list([claim], {})
    assert "[/red] of [bold]k[/bold]" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["__class__", "..", "A", "a b", "\u202e", "x" * 101, ""])
def test_a_file_that_is_called_as_no_claim_may_be(name: str) -> None:
    found = complaints(TEMPLATE, name)
    assert [complaint.where for complaint in found] == ["id"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_has_no_end_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "toy.toml")
    [complaint] = check(tmp_path / "toy.toml")  # type: ignore[misc]
    assert "cannot be read: No such file, or no plain file" in str(complaint)


def test_the_command_says_it_inertly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a\x1b[2J\n.toml"
    path.write_text(spoilt('direction = "higher"', '"\\u001b[2J" = 1'))
    monkeypatch.setattr(sys, "argv", ["claimbench", "check", str(path)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "\x1b" not in said
    assert r"\x1b[2J" in said


@pytest.mark.parametrize("name", ["\u00e9tude", "a\n", "A", "x" * 101, "a.b", "../a"])
def test_a_new_claim_is_called_as_a_claim_may_be(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["claimbench", "new", "claim", name, "--folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert "is no id" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_name_of_any_length_and_kind_gets_a_short_answer() -> None:
    for name in ("x" * 10**6, [1] * 10**5, {"a": 2**70}, 10**5000, None):
        assert len(unknown("rule", name, ["superiority"])) < 200


@pytest.mark.parametrize(
    "rule",
    [
        {"superiority": {"metric": "loss", "better": "level", "worse": "rival"}},
        {"exponent": {"metric": "accuracy", "of": "rival", "axis": "level", "above": 1.0}},
        {"crossing": {"metric": "accuracy", "leader": "level", "follower": "rival",
                      "axis": "level", "above": 1.0, "where": {"data": "other"}}},
    ],
)  # fmt: skip
def test_a_rule_that_asks_for_what_no_score_has_decides_nothing(rule: dict[str, Any]) -> None:
    """Hours were spent on the records; they must not end in a traceback."""
    metrics = toys.tables()["metrics"]
    claim = toys.claim(metrics=metrics | {"loss": metrics["accuracy"]}, rules={"odd": rule})
    verdict = judge(claim, "smoke", toys.records(claim, {"level": [0.9] * 3, "rival": [0.8] * 3}))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason.startswith("the rule odd fails on what was measured (")


# Arguments and their types.


def declared(
    trial: object,
    *,
    n: int = 1,
    rate: float = 1.0,
    several: tuple[float, ...] = (),
    kind: Literal["a", "b"] = "a",
    many: Annotated[int, Field(ge=1)] = 1,
    free=None,  # type: ignore[no-untyped-def]
) -> None:
    """As a method might be."""


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"n": 3, "rate": 2, "several": [1, 2.5], "kind": "b", "many": 7, "free": {"x": []}}, []),
        ({"n": 2.0, "rate": "1", "several": 1.0, "kind": "c", "many": 0}, None),
        ({"n": True}, ["n"]),
        ({"n": 10**5000}, ["n"]),
    ],
)
def test_arguments_are_held_to_their_annotations(
    arguments: dict[str, Any], wrong: list[str] | None
) -> None:
    found = dict(misfits(declared, arguments))
    assert sorted(found) == sorted(arguments if wrong is None else wrong)


def test_annotations_that_cannot_be_asked_hold_nothing() -> None:
    def odd(trial: object, *, n: Absent) -> None:  # type: ignore[name-defined]  # noqa: F821
        """As a plug-in might have it."""

    assert list(misfits(odd, {"n": "anything"})) == []


@pytest.mark.parametrize("path", all_claim_files(), ids=lambda path: path.name)
def test_the_json_schema_knows_the_longest_label(path: Path) -> None:
    """What is accepted is within the schema that editors are given."""
    import tomllib

    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    tables = tomllib.loads(path.read_text())
    jsonschema.validate(tables, schema())
    tables["metrics"] |= {"x" * 101: next(iter(tables["metrics"].values()))}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tables, schema())
