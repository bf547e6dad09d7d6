"""Effects as pictures: what a rule found, what it must clear, and what the paper reports."""

from __future__ import annotations

from claimbench.suite.definitions import Call, Claim
from claimbench.suite.rules import Finding

from . import scales, words
from .figures import Interval
from .published import published_gaps


def interval(claim: Claim, label: str, call: Call, finding: Finding | None) -> Interval | None:
    """Effect and interval of a rule on a line; `None` where there is no number to draw.

    Args:
        call: the rule as the claim itself has it, since a tier may replace its arguments by what
            its data allow, and the paper's values are of the claim.
    """
    if finding is None or not words.finite(finding.effect):
        return None
    unit = words.unit_of_effect(finding.unit)
    scale = scales.of_effect(finding.unit)
    low, high = (end if words.finite(end) else finding.effect for end in finding.interval)
    gaps = [gap for gap, _ in published_gaps(claim, call)]
    return Interval(
        title=f"Effect of {label} with its interval in {unit}"
        + ("; diamonds are published" if gaps else ""),
        note="",
        hues={},
        effect=scale * finding.effect,
        low=scale * low,
        high=scale * high,
        threshold=scale * finding.threshold,
        published=tuple(scale * gap for gap in gaps),
        unit=unit,
    )
