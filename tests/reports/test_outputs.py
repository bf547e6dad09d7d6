"""Six formats of one comparison, each read back by something that knows the format."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest

from claimbench.reports import outputs
from claimbench.reports.comparison import KINDS, Comparison, Kind, Line, in_order, status

HOSTILE = (
    "</script><img src=x onerror=y>|`a`|[l](http://e)@me\n::error::\x1b[2J\x00\u202e%,:\ufffe{0}]]>"
)


def line(kind: Kind = "worse", **replaced: Any) -> Line:
    facts: dict[str, Any] = {
        "subject": "toy",
        "what": "metric",
        "name": "accuracy of level",
        "reason": "toy: level accuracy: 0.95 -> 0.8 fraction (-0.15), tolerance 0.01, 3 pairs",
        "claim": "toy",
        "keys": ("metrics", "accuracy"),
        "base": 0.95,
        "head": 0.8,
        "change": -0.15,
        "unit": "fraction",
        "tolerance": 0.01,
        "n": 3,
    }
    return Line(kind=kind, **facts | replaced)


def comparison(*lines: Line, **replaced: Any) -> Comparison:
    facts: dict[str, Any] = {"base": "a" * 40, "head": "b" * 40, "tier": "smoke"} | replaced
    return Comparison(lines=in_order(lines), **facts)


ALL = comparison(
    *(line(kind, name=f"thing {kind}", reason=f"reason of {kind}") for kind in reversed(KINDS)),
    notes=("measure it",),
)
BAD = comparison(
    *(line(kind, subject=HOSTILE, name=HOSTILE, reason=HOSTILE, base=HOSTILE) for kind in KINDS),
    base=HOSTILE,
    head=HOSTILE,
    notes=(HOSTILE,),
)


def the_line_of(claim: str, keys: Sequence[str]) -> int:
    assert (claim, tuple(keys)) == ("toy", ("metrics", "accuracy"))
    return 42


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        ([], 3),
        (["unchanged"], 0),
        (["better", "unchanged"], 0),
        (["not measured"], 3),
        (["refused", "better"], 3),
        (["not measured", "worse"], 1),
        (["worse"], 1),
    ],
)
def test_the_status_follows_from_the_lines(kinds: list[Kind], code: int) -> None:
    assert status(comparison(*map(line, kinds))) == code


# Terminal.


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("quiet")
def test_the_terminal_shows_what_was_not_measured_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs.show(ALL)
    said = [text.rstrip() for text in capsys.readouterr().out.splitlines()]
    assert said == [
        "gate aaaaaaaaaaaa -> bbbbbbbbbbbb, tier smoke: "
        "1 not measured, 1 refused, 1 worse, 1 better, 1 unchanged",
        "? not measured  reason of not measured",
        "≠ refused       reason of refused",
        "✗ worse         reason of worse",
        "✓ better        reason of better",
        "measure it",
        "gate: worse (exit status 1)",
    ]


@pytest.mark.usefixtures("quiet")
def test_the_terminal_gets_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    outputs.show(BAD)
    said = capsys.readouterr().out
    assert not set(said) & set("\x1b\x00\u202e")
    assert "[l](http://e)@me" in said  # and rich took no part of it for markup
    assert not re.search(r"^::", said, re.MULTILINE)


# Annotations.


def test_annotations_point_at_the_claims_line() -> None:
    found = list(outputs.github_annotations(ALL, the_line_of))
    where = "file=suite/claims/toy.toml,line=42"
    assert found == [
        f"::warning {where},title=claimbench%3A not measured::reason of not measured",
        f"::warning {where},title=claimbench%3A refused::reason of refused",
        f"::error {where},title=claimbench%3A worse::reason of worse",
    ]


def test_annotations_are_printed_only_under_github_actions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    outputs.show(ALL)
    assert "::error" not in capsys.readouterr().out
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    outputs.show(ALL)
    assert capsys.readouterr().out.count("\n::error ") == 1


def test_annotations_cannot_be_broken_out_of() -> None:
    hostile = line(claim="a,line=1::x%\r\nb", reason="50%\n::error::gone")
    [found] = outputs.github_annotations(comparison(hostile))
    assert found == (
        "::error file=suite/claims/a%2Cline=1%3A%3Ax%25  b.toml,line=1,"
        "title=claimbench%3A worse::50%25 ::error::gone"
    )


# Markdown.


def test_markdown_lists_worse_right_after_not_measured() -> None:
    text = outputs.markdown(ALL)
    assert text.startswith("## Gate: worse (exit status 1)\n")
    kinds = re.findall(r"^\| \S (.+?) \| toy \| reason of", text, re.MULTILINE)
    assert kinds == list(KINDS)
    assert "- measure it\n" in text


def test_markdown_is_cut_from_the_bottom_and_says_so() -> None:
    many = comparison(line("not measured"), *(line() for _ in range(2_000)))
    text = outputs.markdown(many)
    assert 59_000 < len(text) <= 60_000
    shown = text.count("\n| ✗")
    assert f"{2_000 - shown} more lines are in gate.json." in text
    assert "? not measured" in text


def test_markdown_of_long_notes_stays_within_its_limit() -> None:
    long = comparison(line(), notes=tuple("@" * 1_000 for _ in range(100)))
    assert len(outputs.markdown(long)) <= 60_000


def test_markdown_takes_names_as_text() -> None:
    text = outputs.markdown(BAD)
    rows = [row for row in text.splitlines() if row.startswith("| ")]
    assert {row.count("|") for row in rows} == {4}
    assert len(rows) == 1 + len(KINDS)
    assert not re.search(r"<|@me|\]\(|http://|\x1b|\x00|\u202e", text)


# JSON.


@pytest.mark.parametrize("given", [ALL, BAD, comparison()])
def test_json_fits_its_published_schema(given: Comparison) -> None:
    document = json.loads(outputs.as_json(given))
    jsonschema.Draft202012Validator.check_schema(outputs.json_schema())
    jsonschema.validate(document, outputs.json_schema())
    assert document["schema_version"] == 1
    assert document["exit_status"] == status(given)
    assert Comparison.model_validate(document["comparison"]) == given


# JUnit.


def test_junit_has_a_case_a_line() -> None:
    parsed = junitparser.JUnitXml.fromstring(outputs.junit(ALL).encode())
    assert (parsed.tests, parsed.failures, parsed.errors) == (5, 1, 2)
    [suite] = parsed
    results = {case.name: [type(result) for result in case.result] for case in suite}
    assert results == {
        "thing not measured": [junitparser.Error],
        "thing refused": [junitparser.Error],
        "thing worse": [junitparser.Failure],
        "thing better": [],
        "thing unchanged": [],
    }


def test_junit_of_hostile_names_is_still_xml() -> None:
    root = ElementTree.fromstring(outputs.junit(BAD).encode())
    cases = root.findall(".//testcase")
    assert len(cases) == len(KINDS)
    assert "</script><img" in cases[0].attrib["name"]
    assert not root.findall(".//img")


# SARIF.


def test_sarif_points_at_the_claims_line() -> None:
    log = outputs.sarif(ALL, the_line_of)
    [run] = log["runs"]
    assert log["version"] == "2.1.0"
    assert [result["level"] for result in run["results"]] == ["warning", "warning", "error"]
    worse = run["results"][-1]
    assert worse["message"] == {"text": "reason of worse"}
    assert worse["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "suite/claims/toy.toml"},
                "region": {"startLine": 42},
            }
        }
    ]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])


def test_sarif_stays_within_what_github_shows() -> None:
    many = comparison(*(line() for _ in range(6_000)))
    assert len(outputs.sarif(many)["runs"][0]["results"]) == 5_000


@pytest.mark.parametrize("given", [ALL, BAD, comparison()])
def test_sarif_is_read_by_another_implementation(given: Comparison) -> None:
    sarif = pytest.importorskip("sarif_pydantic")
    log = sarif.Sarif.model_validate_json(json.dumps(outputs.sarif(given)))
    assert len(log.runs[0].results) == len(given.of("not measured", "refused", "worse"))


def test_a_line_of_no_claim_points_at_the_folder() -> None:
    log = outputs.sarif(comparison(line("not measured", claim="", keys=())))
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "suite/claims"


# Files.


def test_every_file_is_written(tmp_path: Path) -> None:
    outputs.write(BAD, tmp_path / "new" / "folder")
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "new/folder").iterdir()}
    assert written.keys() == {"gate.md", "gate.json", "gate.sarif", "gate.xml"}
    assert json.loads(written["gate.sarif"]) == outputs.sarif(BAD)


def test_importing_does_no_work() -> None:
    program = "import sys, claimbench.reports.gate; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert not {"scipy", "rich", "junitparser", "statsmodels", "jinja2"} & set(loaded)
