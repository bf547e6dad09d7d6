"""How commands answer: exit codes, JSON, and the last verdicts that a results folder remembers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .rules import Outcome
from .verdicts import Verdict
from .writing import write

ALL_GOOD, REFUTED, WRONG_USAGE, INCONCLUSIVE, INFRASTRUCTURE = range(5)
MARK = {
    Outcome.SUPPORTED: "●",
    Outcome.REFUTED: "○",
    Outcome.INCONCLUSIVE: "◐",
    Outcome.NOT_MEASURED: "·",
}


def print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))


def print_table(table: Table) -> None:
    """Fold a table into the terminal; a file or a pipe gets it as wide as it is."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=Console(width=10_000).measure(table).maximum)
    console.print(table, highlight=False)


def as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": verdict.claim.id,
        "tier": verdict.tier,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "data": verdict.data,
        "stand_in": verdict.claim.tiers[verdict.tier].stand_in,
        "expected": verdict.expected,
        "reused": verdict.reused,
        "findings": {label: _finite(vars(f)) for label, f in verdict.findings.items()},
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity: an interval without an end is null there."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def last_verdicts(results: Path) -> dict[str, Any]:
    """By claim and tier; only a convenience of `list`, as records can always be judged anew."""
    try:
        known = json.loads((results / "verdicts.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    entries = known.items() if isinstance(known, dict) else ()
    return {key: v for key, v in entries if isinstance(v, dict) and v.get("outcome") in [*Outcome]}


def remember(verdicts: Sequence[Verdict], results: Path) -> None:
    known = last_verdicts(results)
    known |= {f"{v.claim.id} {v.tier}": as_json(v) for v in verdicts}
    write(results / "verdicts.json", json.dumps(known, indent=1))
