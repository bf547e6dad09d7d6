"""Scales: a claim's values as a chart's axis has them, fractions in percent."""

from __future__ import annotations

from collections.abc import Sequence

from claimbench.suite import statistics
from claimbench.suite.definitions import Claim

from . import words


def label(claim: Claim, metric: str) -> str:
    unit = claim.metrics[metric].unit
    better = claim.metrics[metric].direction
    return f"{metric} ({'%' if unit == 'fraction' else unit}, {better} is better)"


def percent(claim: Claim, metric: str) -> bool:
    return claim.metrics[metric].unit == "fraction"


def of_effect(unit: str) -> int:
    """What an effect is multiplied by: fractions differ by points."""
    return 100 if unit == "fraction" else 1


def shown(claim: Claim, metric: str, value: float) -> float:
    return 100 * value if percent(claim, metric) else value


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, low and high; of one value all three are the same."""
    found = statistics.student(values)
    return found.effect, *ends(found.effect, found.low, found.high)


def ends(middle: float, low: float, high: float) -> tuple[float, float]:
    return (low, high) if words.finite(low) and words.finite(high) else (middle, middle)
