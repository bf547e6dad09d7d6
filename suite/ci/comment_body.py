"""The comment on a pull request, from the event and from the artifact of the gate's run.

A workflow runs this text alone, with no token and nothing of the pull request but a ZIP file, which
the pull request's own code wrote. So the file is unpacked into memory only, one member of it up to
a size, and whatever it says stands in one block of code: there Markdown, HTML, mentions and links
are characters like any other. What stands outside the block is the event's.
"""

from __future__ import annotations

import json
import os
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

MARKER = "<!-- claimbench gate -->"
LIMIT = 60_000  # GitHub refuses a comment of more than 65,536 characters
LINE_LIMIT = 300
JSON_LIMIT = 20_000_000
KINDS = ("not measured", "refused", "worse", "better", "unchanged")


def body(archive: Path, conclusion: str, commit: str, url: str) -> str:
    """The comment: a fixed frame, and in it the gate's lines as text."""
    return "\n".join(
        [
            MARKER,
            f"## Gate: {conclusion}",
            "",
            f"{commit}: the [run]({url}) has the report, JSON, JUnit XML and SARIF.",
            "",
            *_block(_lines(archive)),
            "",
        ]
    )


def _lines(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as files, files.open("gate.json") as file:
            text = file.read(JSON_LIMIT + 1)
        if len(text) > JSON_LIMIT:
            return ["The gate's result is too long to be shown."]
        found = [(row["kind"], row["reason"]) for row in json.loads(text)["comparison"]["lines"]]
        count = Counter(KINDS[KINDS.index(kind)] for kind, _ in found)
        said = [f"{kind:<12}  {_plain(reason)}" for kind, reason in found if kind != "unchanged"]
    except Exception:  # whatever somebody may have put there
        return ["The gate left no result that can be read."]
    return [", ".join(f"{count[kind]} {kind}" for kind in KINDS if count[kind]), *said]


def _plain(text: str) -> str:
    """One line of a text, without what could turn the direction of writing or hide."""
    invisible = ("C", "Zl", "Zp")
    shown = text[:LINE_LIMIT]
    return "".join(" " if unicodedata.category(c).startswith(invisible) else c for c in shown)


def _block(lines: list[str]) -> list[str]:
    """As many lines as fit, as a block of code.

    None of them can end it: each begins with a word of ours, and none holds the end of a line.
    """
    room = LIMIT
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            lines = [*lines[:number], f"{len(lines) - number} more lines are in gate.json."]
            break
    return ["```text", *lines, "```"]


def main() -> None:
    folder = Path(os.environ["RUNNER_TEMP"])
    event = (os.environ[name] for name in ("CONCLUSION", "HEAD_SHA", "RUN_URL"))
    (folder / "body.md").write_text(body(folder / "gate.zip", *event), encoding="utf-8")


if __name__ == "__main__":
    main()
