"""The README's two commands are the ones that CI runs, and its figures are those of the records."""

from __future__ import annotations

import re
from pathlib import Path

from claimbench.reports.verdict_table import table
from claimbench.suite import records
from claimbench.suite.checking import load_claims

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_ci_runs_the_two_commands() -> None:
    [block] = re.findall(r"## Two commands\n.*?```\n(.*?)```", README, flags=re.DOTALL)
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = block.strip().splitlines()
    assert len(commands) == 2
    assert all(command in script for command in commands)


def test_the_table_of_verdicts_is_remade_from_the_committed_records() -> None:
    """To renew it: python -m claimbench.reports.verdict_table docs/measured."""
    measured = [*records.baselines(), *records.read(ROOT / "docs" / "measured")]
    assert table(load_claims(), None, measured) in README


def test_every_file_that_is_linked_is_here() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
