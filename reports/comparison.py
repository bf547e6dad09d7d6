"""What a comparison of two commits says, line by line. The gate makes it, outputs print it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from claimbench.suite.definitions import Definition, TierName

Kind = Literal["not measured", "refused", "worse", "better", "unchanged"]
KINDS: tuple[Kind, ...] = ("not measured", "refused", "worse", "better", "unchanged")
"""In the order in which a reader must meet them."""

Allowed = Literal["inconclusive"]

WORSE, UNMEASURED = 1, 3
"""Exit statuses; 0 is all good."""


class Line(Definition):
    """One thing that was compared, or that should have been."""

    kind: Kind
    subject: str
    """The claim, or the kernel, that this is about."""
    what: Literal["record", "data", "machine", "metric", "verdict", "correctness", "time", "memory"]
    name: str
    """What exactly, unique within the subject, such as `accuracy of cntk (window = 4)`."""
    reason: str
    """All of it in one line: what changed, from what to what, with unit and tolerance."""
    claim: str
    """Id of the claim whose file declares this."""
    keys: tuple[str, ...] = ()
    """Where in that file, from the top."""
    base: float | str | None = None
    head: float | str | None = None
    change: float | None = None
    """Head minus base, in `unit`."""
    unit: str = ""
    tolerance: float | None = None
    """A change up to this is no news; in `unit`."""
    interval: tuple[float, float] | None = None
    """Interval of the change, from the pairs: 95% of a metric, 90% of a time."""
    p: float | None = None
    """Wilcoxon's p-value, corrected for the number of comparisons."""
    n: int | None = None
    """How many pairs are behind it."""


class Comparison(Definition):
    """Two commits, compared: what was not measured first, then what is worse, then the rest."""

    base: str
    head: str
    tier: TierName
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    """What a reader must know besides, such as the command that measures what is missing."""
    allowed: tuple[Allowed, ...] = ()
    """What was explicitly said to be no reason to fail."""

    def of(self, *kinds: Kind) -> list[Line]:
        return [line for line in self.lines if line.kind in kinds]


def in_order(lines: Sequence[Line]) -> tuple[Line, ...]:
    return tuple(sorted(lines, key=lambda line: KINDS.index(line.kind)))


def status(comparison: Comparison) -> int:
    """1 where something is worse, 3 where something or everything was not measured, else 0."""
    if comparison.of("worse"):
        return WORSE
    if not comparison.of("better", "unchanged"):
        return UNMEASURED  # whatever is allowed: nothing at all was compared
    missing = comparison.of("not measured", "refused")
    return UNMEASURED if missing and "inconclusive" not in comparison.allowed else 0


def one_line(value: Any) -> str:
    """Text of unknown origin as part of a reason: on one line, and not without end."""
    text = " ".join(str(value).split())
    return text if len(text) <= 300 else text[:299] + "…"


def differing(base: dict[str, Any], head: dict[str, Any]) -> str:
    """The fields in which two descriptions differ, with both values; empty where they agree."""
    fields = [key for key in base.keys() | head.keys() if base.get(key) != head.get(key)]
    return ", ".join(f"{key} {base.get(key)!r} -> {head.get(key)!r}" for key in sorted(fields))
