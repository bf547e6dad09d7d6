"""Rules: when evidence supports a claim, by the name that a claim uses.

Every rule answers with an effect, a 95% interval and an outcome that follows from the two: the
claim's statement is a region of effects, and it is supported where the whole interval lies in it,
refuted where the whole interval lies outside, and inconclusive in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import log, nan
from statistics import fmean
from typing import Any, Literal

import numpy as np

from . import statistics
from .definitions import Scalar
from .evidence import Evidence, Selector, Unit
from .registry import Registry
from .statistics import Estimate

Over = Literal["data", "trials", "items"]
"""What is resampled: data sets, trials (draws, paired), or the items behind each value."""


class Outcome(StrEnum):
    SUPPORTED = "supported"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        outcome: supported, refuted or inconclusive.
        effect: what was measured, positive where it speaks for the claim.
        interval: 95% interval of the effect.
        n: how many independent observations are behind it.
        over: what those are: data sets, trials or items.
        unit: of the effect.
        threshold: what the whole interval must clear.
        room: distance from the effect to the threshold, positive on the claim's side.
        against: the rival that the effect is measured against, where there are several.
        breakdown: the same effect for each part: (what, effect, interval, n).
        tests: named numbers beside the verdict, such as a p-value or wins and losses.
    """

    outcome: Outcome
    effect: float
    interval: tuple[float, float]
    n: int
    over: str
    unit: str
    threshold: float
    room: float
    against: str = ""
    breakdown: tuple[tuple[str, float, tuple[float, float], int], ...] = ()
    tests: dict[str, float] = field(default_factory=dict)


rule: Registry[Finding] = Registry("rule")


def decide(estimate: Estimate, threshold: float) -> Outcome:
    """Supported above the threshold, refuted below it, each with the whole interval."""
    if estimate.low > threshold:
        return Outcome.SUPPORTED
    if estimate.high < threshold:
        return Outcome.REFUTED
    return Outcome.INCONCLUSIVE


@rule()
def superiority(
    evidence: Evidence,
    *,
    metric: str,
    better: Selector,
    worse: Selector | Sequence[Selector],
    margin: float = 0.0,
    over: Over = "trials",
    where: Mapping[str, Scalar] | None = None,
) -> Finding:
    """`better` beats each of `worse` by more than `margin`, paired on the same draws.

    A negative margin asks only that `better` is not worse by more than that (non-inferiority).
    Against several rivals the effect is the gap to the one that comes closest.
    """
    rivals = [worse] if isinstance(worse, str | Mapping) else list(worse)
    findings = [_gap(evidence, metric, better, rival, margin, over, where) for rival in rivals]
    closest = min(findings, key=lambda finding: finding.effect)
    worst = min(findings, key=lambda finding: _FROM_WORST.index(finding.outcome))
    if len(rivals) == 1:
        return closest
    breakdown = tuple((f"against {f.against}", f.effect, f.interval, f.n) for f in findings)
    return replace(closest, outcome=worst.outcome, breakdown=breakdown)


_FROM_WORST = [Outcome.REFUTED, Outcome.INCONCLUSIVE, Outcome.SUPPORTED]


def _gap(
    evidence: Evidence,
    metric: str,
    better: Selector,
    rival: Selector,
    margin: float,
    over: Over,
    where: Mapping[str, Scalar] | None,
) -> Finding:
    gaps = paired_gaps(evidence, metric, better, rival, over, where)
    grouped = _grouped(gaps, over)
    estimate = _estimate(grouped, over)
    return Finding(
        outcome=decide(estimate, margin),
        effect=estimate.effect,
        interval=(estimate.low, estimate.high),
        n=estimate.n,
        over={"data": "data sets"}.get(over, over),
        unit=evidence.claim.metrics[metric].unit,
        threshold=margin,
        room=estimate.effect - margin,
        against=name_of(rival),
        breakdown=() if evidence.brief else _by_part(gaps, over),
        tests={} if evidence.brief else statistics.paired_tests(grouped),
    )


def paired_gaps(
    evidence: Evidence,
    metric: str,
    better: Selector,
    worse: Selector,
    over: Over,
    where: Mapping[str, Scalar] | None = None,
) -> dict[Unit, list[float]]:
    """`better` minus `worse` on each unit that both have, positive where `better` is ahead.

    Raises:
        ValueError: if there is no such unit.
    """
    sign = 1 if evidence.claim.metrics[metric].direction == "higher" else -1
    if over == "items":
        ours, theirs = (evidence.items(s, metric, where) for s in (better, worse))
    else:
        ours, theirs = (
            {unit: [value] for unit, value in evidence.values(s, metric, where).items()}
            for s in (better, worse)
        )
    shared = ours.keys() & theirs.keys()
    if not shared:
        names = f"{name_of(better)} and {name_of(worse)}"
        raise ValueError(f"{names} were measured on nothing that they have in common")
    return {
        unit: [sign * (a - b) for a, b in zip(ours[unit], theirs[unit], strict=True)]
        for unit in shared
    }


def _grouped(gaps: Mapping[Unit, Sequence[float]], over: Over) -> list[float]:
    """One gap for each independent observation."""
    groups: dict[Any, list[float]] = {}
    for unit in sorted(gaps):
        key: Any = {"data": unit.data, "trials": (unit.data, unit.trial)}.get(over, unit)
        groups.setdefault(key, []).extend(gaps[unit])
    if over == "items":
        return [gap for values in groups.values() for gap in values]
    return [sum(values) / len(values) for values in groups.values()]


def _estimate(gaps: list[float], over: Over) -> Estimate:
    """Trials are few and alike: Student's interval. Data sets and items are many and are not."""
    return statistics.student(gaps) if over == "trials" else statistics.bootstrap(gaps)


def _by_part(
    gaps: Mapping[Unit, Sequence[float]], over: Over
) -> tuple[tuple[str, float, tuple[float, float], int], ...]:
    """The effect on each part of the evidence, where there are several and they repeat."""
    parts: dict[str, dict[Unit, Sequence[float]]] = {}
    for unit in sorted(gaps):
        parts.setdefault(_part_name(unit, over), {})[unit] = gaps[unit]
    if len(parts) < 2:
        return ()
    found = {name: _estimate(_grouped(part, over), over) for name, part in parts.items()}
    return tuple((name, e.effect, (e.low, e.high), e.n) for name, e in found.items())


def _part_name(unit: Unit, over: Over) -> str:
    at = [f"{key} = {value}" for key, value in unit.at]
    names = [unit.protocol] if over == "data" else [unit.data, *at]
    return ", ".join(names)


def name_of(selector: Selector) -> str:
    """A selector in words: `cntk (window = 4)`."""
    if isinstance(selector, str):
        return selector
    rest = ", ".join(
        f"{key} = {_said(value)}" for key, value in selector.items() if key != "method"
    )
    return f"{selector['method']} ({rest})" if rest else str(selector["method"])


def _said(value: Scalar) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


@rule()
def correlation(
    evidence: Evidence,
    *,
    x: str,
    y: str,
    below: float,
    where: Mapping[str, Scalar] | None = None,
) -> Finding:
    """Methods that are ahead by metric `x` are not those that are ahead by `y`.

    Spearman's rank correlation over methods between their means of the two metrics stays below
    `below`; the interval is a bootstrap over items, drawn for all methods alike.
    """
    labels = evidence.methods()
    columns = [[_items_of(evidence, label, metric, where) for label in labels] for metric in (x, y)]
    estimate = statistics.rank_correlation(*columns)
    room = _from(estimate, below, -1)
    return Finding(
        outcome=decide(room, 0.0),
        effect=estimate.effect,
        interval=(estimate.low, estimate.high),
        n=estimate.n,
        over="items",
        unit="rank correlation",
        threshold=below,
        room=room.effect,
        tests={"methods": float(len(labels))},
    )


def _items_of(
    evidence: Evidence, label: str, metric: str, where: Mapping[str, Scalar] | None
) -> list[float]:
    found = evidence.items(label, metric, where)
    return [value for unit in sorted(found) for value in found[unit]]


@rule()
def exponent(
    evidence: Evidence,
    *,
    metric: str,
    of: Selector,
    axis: str,
    above: float | None = None,
    below: float | None = None,
    over: Literal["data", "trials"] = "trials",
    where: Mapping[str, Scalar] | None = None,
) -> Finding:
    """`metric` goes as a power of `axis` whose exponent is above or below a bound, or between two.

    The exponent is the slope of a straight line through the logarithms of both, by least squares,
    on each draw by itself; where a value is 0 there is none, and nothing is decided.
    """
    slopes = _slopes(evidence, metric, of, axis, where)
    estimate = _estimate(_grouped(slopes, over), over)
    bounds = [(bound, side) for bound, side in ((above, 1), (below, -1)) if bound is not None]
    if not bounds:
        raise ValueError("exponent: wants `above` or `below`, or both")
    decided = [(_from(estimate, bound, side), bound) for bound, side in bounds]
    nearest, threshold = min(decided, key=lambda pair: pair[0].effect)
    worst = min((decide(room, 0.0) for room, _ in decided), key=_FROM_WORST.index)
    return Finding(
        outcome=worst,
        effect=estimate.effect,
        interval=(estimate.low, estimate.high),
        n=estimate.n,
        over={"data": "data sets"}.get(over, over),
        unit="exponent",
        threshold=threshold,
        room=nearest.effect,
        breakdown=_by_part(slopes, over),
    )


def _from(estimate: Estimate, bound: float, side: int) -> Estimate:
    """How far an estimate is above a bound (side 1), or below it (side -1)."""
    low, high = sorted((side * (estimate.low - bound), side * (estimate.high - bound)))
    return Estimate(side * (estimate.effect - bound), low, high, estimate.n)


def _slopes(
    evidence: Evidence,
    metric: str,
    of: Selector,
    axis: str,
    where: Mapping[str, Scalar] | None,
) -> dict[Unit, list[float]]:
    """Slope of log metric over log axis on each draw, as a list of one."""
    found: dict[Unit, dict[float, list[float]]] = {}
    for row in evidence.rows_of(of, where):
        at = tuple((key, value) for key, value in row.unit.at if key != axis)
        place = float(row.facts[axis])
        places = found.setdefault(row.unit._replace(at=at), {})
        places.setdefault(place, []).append(row.score.metrics[metric])
    return {
        unit: [statistics.slope(_logs(places), _logs(map(fmean, places.values())))]
        for unit, places in found.items()
    }


def _logs(values: Iterable[float]) -> list[float]:
    return [log(value) if value > 0 else nan for value in values]


@rule()
def crossing(
    evidence: Evidence,
    *,
    metric: str,
    leader: Selector,
    follower: Selector,
    axis: str,
    above: float,
    where: Mapping[str, Scalar] | None = None,
) -> Finding:
    """The lead of `leader` over `follower` is lost, going up `axis`, only beyond `above`.

    Where the order turns is `statistics.turning_point` of the gaps on paired draws; the `axis` is
    one of the protocol.
    """
    gaps = paired_gaps(evidence, metric, leader, follower, "trials", where)
    draws: dict[tuple[str, str, int], dict[float, float]] = {}
    for unit, [gap] in gaps.items():
        place = float(dict(unit.at)[axis])
        draws.setdefault((unit.protocol, unit.data, unit.trial), {})[place] = gap
    places = sorted(next(iter(draws.values())))
    table = [[draws[draw][place] for place in places] for draw in sorted(draws)]
    estimate = statistics.turning_point(places, table)
    return Finding(
        outcome=decide(estimate, above),
        effect=estimate.effect,
        interval=(estimate.low, estimate.high),
        n=estimate.n,
        over="trials",
        unit=axis,
        threshold=above,
        room=estimate.effect - above,
        against=name_of(follower),
    )


@rule()
def steadiness(
    evidence: Evidence,
    *,
    metric: str,
    steadier: Selector,
    than: Selector,
    where: Mapping[str, Scalar] | None = None,
) -> Finding:
    """Over draws the `metric` of `steadier` spreads less `than` that of another, paired.

    The effect is the logarithm of the ratio of their standard deviations, averaged over data sets
    and axes of the protocol: ln 2 where the other spreads twice as far. Its interval is Student's,
    over the pseudo-values of the jackknife (Miller 1968, Annals of Mathematical Statistics 39).
    """
    ours, theirs = (evidence.values(selector, metric, where) for selector in (steadier, than))
    ratios: dict[Unit, list[float]] = {}
    for units in _repeated(ours.keys() & theirs.keys()):
        pairs = np.array([[theirs[unit], ours[unit]] for unit in units])
        for unit, value in zip(units, statistics.log_ratio_of_spreads(*pairs.T), strict=True):
            ratios[unit] = [value]
    estimate = _estimate(_grouped(ratios, "trials"), "trials")
    return Finding(
        outcome=decide(estimate, 0.0),
        effect=estimate.effect,
        interval=(estimate.low, estimate.high),
        n=estimate.n,
        over="trials",
        unit="log ratio of spreads",
        threshold=0.0,
        room=estimate.effect,
        against=name_of(than),
        breakdown=_by_part(ratios, "trials"),
    )


def _repeated(units: Iterable[Unit]) -> list[list[Unit]]:
    """Units that differ in their trial alone, in its order."""
    groups: dict[Unit, list[Unit]] = {}
    for unit in sorted(units):
        groups.setdefault(unit._replace(trial=0), []).append(unit)
    return list(groups.values())
