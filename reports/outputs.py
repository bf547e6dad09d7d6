"""A comparison for people and for machines: terminal, Markdown, JSON, JUnit, SARIF, annotations.

Reasons may hold text of unknown origin (an error message, a host name), so every format escapes
what it is given, and no control character leaves this module.
"""

from __future__ import annotations

import html
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from claimbench.suite import provenance, writing
from claimbench.suite.definitions import Definition

from .comparison import KINDS, WORSE, Comparison, Kind, Line, one_line, status

LineOf = Callable[[str, Sequence[str]], int]
"""Line of a claim's file that holds some keys, from the top."""

MARKDOWN_LIMIT = 60_000  # GitHub refuses a comment of more than 65,536 characters
SARIF_LIMIT = 5_000  # GitHub shows no more results of one run
MARKS: dict[Kind, str] = {
    "not measured": "?",
    "refused": "≠",
    "worse": "✗",
    "better": "✓",
    "unchanged": "=",
}
UNMEASURED: tuple[Kind, ...] = ("not measured", "refused")


def first_line(claim: str, keys: Sequence[str]) -> int:
    """Where positions are not known."""
    return 1


def plain(text: str) -> str:
    """Text without what could move a cursor, end a line or turn the direction of writing."""
    return "".join(" " if unicodedata.category(c) in _INVISIBLE else c for c in text)


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def headline(comparison: Comparison) -> str:
    """How many of each kind, worst to miss first."""
    count = Counter(line.kind for line in comparison.lines)
    said = ", ".join(f"{count[kind]} {kind}" for kind in KINDS if count[kind])
    return said or "nothing was compared"


def conclusion(comparison: Comparison) -> str:
    meaning = {WORSE: "worse", 0: "nothing is worse"}
    code = status(comparison)
    return f"{meaning.get(code, 'not everything was measured')} (exit status {code})"


def show(comparison: Comparison, line_of: LineOf = first_line) -> None:
    """Print for a person; under GitHub Actions also as annotations."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    commits = f"{comparison.base[:12]} -> {comparison.head[:12]}"
    first = f"gate {commits}, tier {comparison.tier}: {headline(comparison)}"
    console.print(Text(plain(first)), soft_wrap=True)
    for line in comparison.lines:
        if line.kind != "unchanged":
            mark = f"{MARKS[line.kind]} {line.kind:<14}"
            row = Text.assemble((mark, _STYLES[line.kind]), plain(line.reason))
            # Not wrapped: a log keeps every reason on one line, and can be searched.
            console.print(row, soft_wrap=True)
    for note in comparison.notes:
        console.print(Text(plain(note)), soft_wrap=True)
    console.print(Text(f"gate: {conclusion(comparison)}", style="bold"))
    if os.environ.get("GITHUB_ACTIONS"):
        for annotation in github_annotations(comparison, line_of):
            print(annotation)


_STYLES: dict[Kind, str] = {
    "not measured": "yellow",
    "refused": "yellow",
    "worse": "red",
    "better": "green",
    "unchanged": "dim",
}


def write(comparison: Comparison, folder: Path, line_of: LineOf = first_line) -> None:
    """Every file format, into one folder."""
    texts = {
        "gate.md": markdown(comparison),
        "gate.json": as_json(comparison),
        "gate.sarif": json.dumps(sarif(comparison, line_of), indent=1) + "\n",
        "gate.xml": junit(comparison),
    }
    for name, text in texts.items():
        writing.write(folder / name, text)


def markdown(comparison: Comparison, limit: int = MARKDOWN_LIMIT) -> str:
    """A comment for a pull request; what does not fit is cut from the bottom, and counted."""
    commits = f"`{_cell(comparison.base[:12])}` → `{_cell(comparison.head[:12])}`"
    parts = [
        f"## Gate: {conclusion(comparison)}\n\n{commits}, tier {comparison.tier}: "
        f"{headline(comparison)}\n\n",
        *(f"- {_cell(one_line(note))}\n" for note in comparison.notes[:10]),
        "\n| | subject | what happened |\n|---|---|---|\n",
    ]
    room = limit - sum(map(len, parts)) - 100
    rows = [_row(line) for line in comparison.lines]
    for number, row in enumerate(rows):
        room -= len(row)
        if room < 0:
            parts.append(f"\n{len(rows) - number} more lines are in gate.json.\n")
            break
        parts.append(row)
    return "".join(parts)


def _row(line: Line) -> str:
    return f"| {MARKS[line.kind]} {line.kind} | {_cell(line.subject)} | {_cell(line.reason)} |\n"


def _cell(text: str) -> str:
    """Text that Markdown takes as text: no HTML, no table border, no mention, no link."""
    escaped = html.escape(plain(text), quote=False)
    return re.sub(r"[\\`*_\[\]~|@#!]|(?<=:)//|(?<=www)\.", _entity, escaped)


def _entity(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(character)};" for character in match.group())


class Document(Definition):
    """What `gate.json` holds."""

    schema_version: Literal[1] = 1
    exit_status: int
    """1 where something is worse, 3 where something was not measured, else 0."""
    comparison: Comparison


def as_json(comparison: Comparison) -> str:
    document = Document(exit_status=status(comparison), comparison=comparison)
    return document.model_dump_json(indent=1) + "\n"


def json_schema() -> dict[str, Any]:
    """JSON Schema of what `as_json` writes."""
    return Document.model_json_schema(mode="serialization")


def junit(comparison: Comparison) -> str:
    """One test case for each line: worse is a failure, not measured an error."""
    from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

    suite = TestSuite("claimbench gate")
    for line in comparison.lines:
        case = TestCase(plain(line.name), classname=plain(line.subject))
        if line.kind == "worse":
            case.result = [Failure(plain(line.reason), line.what)]
        elif line.kind in UNMEASURED:
            case.result = [Error(plain(line.reason), line.kind)]
        suite.add_testcase(case)
    xml: Any = JUnitXml()
    xml.add_testsuite(suite)
    xml.update_statistics()
    return str(xml.tostring().decode())


LEVELS: dict[Kind, str] = {
    "not measured": "warning",
    "refused": "warning",
    "worse": "error",
}


def sarif(comparison: Comparison, line_of: LineOf = first_line) -> dict[str, Any]:
    """SARIF 2.1.0; a result lies where the claim's file declares what got worse."""
    found = [line for line in comparison.lines if line.kind in LEVELS]
    rules = sorted({_rule(line) for line in found})
    driver = {
        "name": "claimbench",
        "rules": [{"id": rule, "shortDescription": {"text": rule}} for rule in rules],
    }
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(line, rules, line_of) for line in found[:SARIF_LIMIT]],
            }
        ],
    }


def _rule(line: Line) -> str:
    return f"{line.what}/{line.kind.replace(' ', '-')}"


def _result(line: Line, rules: list[str], line_of: LineOf) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": _file(line)},
        "region": {"startLine": line_of(line.claim, line.keys)},
    }
    return {
        "ruleId": _rule(line),
        "ruleIndex": rules.index(_rule(line)),
        "level": LEVELS[line.kind],
        "message": {"text": plain(line.reason)},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"claimbench/v1": plain(f"{line.subject}/{line.name}")},
    }


def _file(line: Line) -> str:
    ours = f"suite/claims/{line.claim}.toml" if line.claim else "suite/claims"
    return _claim_files(Path.cwd()).get(line.claim, ours)


@cache
def _claim_files(folder: Path) -> dict[str, str]:
    """Paths of claim files in the repository that a folder is of, by id."""
    tracked = ("ls-files", "--full-name", "--", "*claims/*.toml")
    listed = provenance.git("-C", str(folder), *tracked) or ""
    return {PurePosixPath(path).stem: path for path in listed.splitlines()}


def github_annotations(comparison: Comparison, line_of: LineOf = first_line) -> Iterator[str]:
    """GitHub workflow commands, one a line."""
    for line in comparison.lines:
        if level := LEVELS.get(line.kind):
            where = f"file={_property(_file(line))},line={line_of(line.claim, line.keys)}"
            title = _property(f"claimbench: {line.kind}")
            yield f"::{level} {where},title={title}::{_data(line.reason)}"


def _data(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
