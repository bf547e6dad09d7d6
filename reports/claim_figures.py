"""Figures of a claim: the plot that fits what was measured, and its history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from claimbench.suite import statistics
from claimbench.suite.definitions import Claim, Scalar
from claimbench.suite.evidence import Evidence, Row
from claimbench.suite.rules import name_of

from . import figures, words
from .figures import Curves, Figure, History, Panel, Plane, Point, Ranks, Scatter, Spark
from .kernel_views import of_tier, timed_points
from .standings import Moment, Standing

MANY = 5
"""From so many data sets on, each is one mark."""


def fitting(standing: Standing) -> list[Figure]:
    """The figures that fit what the verdict rests on; none where nothing was measured."""
    evidence = standing.verdict.evidence
    if evidence is None or not evidence.rows:
        return []
    found = [*_curves(evidence), *_planes(evidence)]
    if len({row.record.data for row in evidence.rows}) >= MANY:
        found += [*_scatters(evidence), *_ranks(evidence)]
    return found


def _label(claim: Claim, metric: str) -> str:
    unit = claim.metrics[metric].unit
    better = claim.metrics[metric].direction
    return f"{metric} ({'%' if unit == 'fraction' else unit}, {better} is better)"


def _percent(claim: Claim, metric: str) -> bool:
    return claim.metrics[metric].unit == "fraction"


def _shown(claim: Claim, metric: str, value: float) -> float:
    return 100 * value if _percent(claim, metric) else value


def _facts(row: Row) -> dict[str, Scalar]:
    return {**row.score.at, **row.score.variant}


def _axes(rows: Sequence[Row]) -> dict[str, list[Scalar]]:
    """Values of each axis that has several, in the order in which they were measured."""
    values: dict[str, dict[Scalar, None]] = defaultdict(dict)
    for row in rows:
        for name, value in _facts(row).items():
            values[name][value] = None
    return {name: list(found) for name, found in values.items() if len(found) > 1}


def _number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _curves(evidence: Evidence) -> Iterator[Curves]:
    """The leading metric over the longest axis of numbers; the other axes part the series."""
    claim, axes = evidence.claim, _axes(evidence.rows)
    lengths = {name: sum(map(_number, values)) for name, values in axes.items()}
    x = max(lengths, key=lambda name: lengths[name], default="")
    if not x or lengths[x] < 2:
        return
    found = _summary(evidence, x, axes)
    series = dict.fromkeys(name for name, _ in found)
    numeric = lengths[x] == len(axes[x])
    places = [float(place) for place in axes[x] if numeric]
    yield Curves(
        title=f"{claim.lead} over {x}, by method",
        note="Bands are 95% intervals of the mean. A method without the axis is level.",
        hues=_hues_of(claim, series),
        x=x,
        y=_label(claim, claim.lead),
        points=tuple(
            Point(name, float(place) if numeric else str(place), *values)
            for (name, place), values in found.items()
        ),
        order=() if numeric else tuple(map(str, axes[x])),
        log_x=numeric and min(places) > 0 and max(places) / min(places) >= 16,
    )


def _hues_of(claim: Claim, series: Iterable[str]) -> dict[str, int]:
    """Methods have their own colours, and variants of a method those that no method has."""
    variants = [name for name in series if name not in claim.methods]
    plain = [name for name in series if name in claim.methods]
    return figures.hues([*claim.methods, *variants] if plain else variants)


def _summary(
    evidence: Evidence, x: str, axes: Mapping[str, Sequence[Scalar]]
) -> dict[tuple[str, Scalar], tuple[float, float, float]]:
    """Mean and interval by series and place on the axis; a missing axis means everywhere."""
    metric = evidence.claim.lead
    groups: dict[tuple[str, Scalar], dict[tuple[str, int], list[float]]] = {}
    for row in evidence.rows:
        known = _facts(row)
        rest = {name: known[name] for name in axes if name != x and name in known}
        method = row.record.method
        series = f"{method} ({words.facts(rest)})" if rest else method
        draw = (row.record.data, row.record.trial)
        for place in [known[x]] if x in known else axes[x]:
            group = groups.setdefault((series, place), {})
            group.setdefault(draw, []).append(row.score.metrics[metric])
    scale = 100 if _percent(evidence.claim, metric) else 1
    return {
        key: _interval([scale * fmean(values) for values in group.values()])
        for key, group in groups.items()
    }


def _interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, low and high; of one value all three are the same."""
    found = statistics.student(values)
    return found.effect, *_ends(found.effect, found.low, found.high)


def _ends(middle: float, low: float, high: float) -> tuple[float, float]:
    return (low, high) if words.finite(low) and words.finite(high) else (middle, middle)


def _planes(evidence: Evidence) -> Iterator[Plane]:
    """The two metrics that a rule sets against each other, one mark a method."""
    claim = evidence.claim
    for call in claim.rules_of(evidence.tier).values():
        if not {"x", "y"} <= call.arguments.keys():
            continue
        x, y = call.arguments["x"], call.arguments["y"]
        values = {m: [evidence.values(m, name) for name in (x, y)] for m in evidence.methods()}
        points = tuple(
            (m, _shown(claim, x, fmean(a.values())), _shown(claim, y, fmean(b.values())))
            for m, (a, b) in values.items()
        )
        yield Plane(
            title=f"{y} against {x}, by method",
            note="Each mark is the mean of a method.",
            hues=figures.hues(claim.methods),
            x=_label(claim, x),
            y=_label(claim, y),
            points=points,
        )


def _scatters(evidence: Evidence) -> Iterator[Scatter]:
    """For each rule between two methods, both on every data set."""
    claim = evidence.claim
    for label, call in claim.rules_of(evidence.tier).items():
        better, worse = call.arguments.get("better"), call.arguments.get("worse")
        if call.arguments.get("over") != "data":
            continue
        if not isinstance(better, str | Mapping) or not isinstance(worse, str | Mapping):
            continue
        metric = call.arguments["metric"]
        where = call.arguments.get("where")
        ours, theirs = (_by_data(evidence, s, metric, where) for s in (better, worse))
        yield Scatter(
            title=f"Rule {label}: {name_of(better)} against {name_of(worse)}, by data set",
            note="One mark a data set; on the diagonal both are alike.",
            hues=figures.hues(claim.methods),
            x=f"{name_of(worse)}: {_label(claim, metric)}",
            y=f"{name_of(better)}: {_label(claim, metric)}",
            points=tuple(
                (data, _shown(claim, metric, theirs[data]), _shown(claim, metric, ours[data]))
                for data in ours
                if data in theirs
            ),
        )


def _by_data(
    evidence: Evidence,
    selector: str | Mapping[str, Scalar],
    metric: str,
    where: Mapping[str, Scalar] | None,
) -> dict[str, float]:
    groups: dict[str, list[float]] = defaultdict(list)
    for unit, value in evidence.values(selector, metric, where).items():
        groups[unit.data].append(value)
    return {data: fmean(values) for data, values in groups.items()}


def _ranks(evidence: Evidence) -> Iterator[Ranks]:
    """For each protocol, all methods ranked on the data sets that all of them have."""
    claim, metric = evidence.claim, evidence.claim.lead
    sign = 1 if claim.metrics[metric].direction == "higher" else -1
    methods = evidence.methods()
    for protocol in claim.protocols_of(evidence.tier):
        by = {m: _by_data(evidence, m, metric, {"protocol": protocol}) for m in methods}
        shared = sorted(set.intersection(*(set(values) for values in by.values())))
        if len(methods) < 3 or len(shared) < MANY:
            continue
        values = {m: tuple(sign * by[m][data] for data in shared) for m in methods}
        found = statistics.friedman(dict(values))
        ranks = ", ".join(f"{m} {rank:.2f}" for m, rank in found.average.items())
        yield Ranks(
            title=f"Average ranks by {metric}, protocol {protocol}",
            note=f"Over {found.n} data sets, 1 is best: {ranks}. Friedman's p "
            f"{words.p_value(found.p)}. A bar joins methods that Nemenyi's test cannot tell apart "
            "at 5%.",
            hues=figures.hues(claim.methods),
            values=values,
        )


def history(standing: Standing) -> History | None:
    """Effect, metric and runtime across commits, on one axis."""
    moments = [m for m in standing.history if m.verdict.findings or m.timings or m.records]
    if not moments:
        return None
    claim = standing.claim
    metric = Panel(_label(claim, claim.lead), tuple(_metric_points(moments)))
    panels = [*_effect_panels(standing, moments), metric, _runtime_panel(standing, moments)]
    return History(
        title=f"{claim.title}: effect, {claim.lead} and runtime across commits",
        note="Bars and bands are 95% intervals; the dashed line is what the interval must clear.",
        hues=figures.hues(claim.methods) | figures.backend_hues([]),
        commits=tuple(moment.commit.short for moment in moments),
        panels=tuple(panel for panel in panels if panel.points),
    )


def _effect_panels(standing: Standing, moments: Sequence[Moment]) -> Iterator[Panel]:
    if standing.leading is None:
        return
    label, finding = standing.leading
    unit = words.unit_of_effect(finding.unit)
    scale = 100 if finding.unit == "fraction" else 1
    yield Panel(
        f"{label} ({unit})",
        tuple(effect_points(moments, label)),
        threshold=scale * finding.threshold,
    )


def effect_points(moments: Sequence[Moment], label: str) -> Iterator[Point]:
    """A rule's effect with its interval at each commit that has it; fractions in points."""
    for moment in moments:
        finding = moment.verdict.findings.get(label)
        if finding is None or not words.finite(finding.effect):
            continue
        scale = 100 if finding.unit == "fraction" else 1
        middle = scale * finding.effect
        low, high = _ends(middle, scale * finding.interval[0], scale * finding.interval[1])
        yield Point("effect", moment.commit.short, middle, low, high)


def _metric_points(moments: Sequence[Moment]) -> Iterator[Point]:
    for moment in moments:
        evidence = moment.verdict.evidence
        for method in evidence.methods() if evidence else ():
            claim = moment.verdict.claim
            values = [_shown(claim, claim.lead, v) for v in _lead_values(evidence, method)]
            if values:
                yield Point(method, moment.commit.short, *_interval(values))


def _lead_values(evidence: Evidence | None, method: str) -> list[float]:
    if evidence is None:
        return []
    groups: dict[tuple[str, int], list[float]] = defaultdict(list)
    for unit, value in evidence.values(method, evidence.claim.lead).items():
        groups[unit.data, unit.trial].append(value)
    return [fmean(values) for values in groups.values()]


def _runtime_panel(standing: Standing, moments: Sequence[Moment]) -> Panel:
    """asv's times of the kernel on shapes of the tier; else what the methods took."""
    timed = [
        Point(t.series, moment.commit.short, t.seconds, t.low, t.high)
        for moment in moments
        for t in timed_points(of_tier(standing.claim, standing.tier, moment.timings))
    ]
    if timed:
        return Panel("kernel time (s)", tuple(timed), log=True)
    taken = [
        Point(method, moment.commit.short, total, total, total)
        for moment in moments
        for method, total in method_seconds(moment).items()
    ]
    return Panel("time of methods (s)", tuple(p for p in taken if p.y > 0), log=True)


def method_seconds(moment: Moment) -> dict[str, float]:
    """Wall time of each method over all cells behind the verdict."""
    totals: dict[str, float] = defaultdict(float)
    evidence = moment.verdict.evidence
    cells = {row.record.cell: row.record for row in evidence.rows} if evidence else {}
    for record in cells.values():
        if not record.reused_from:
            totals[record.method] += record.seconds
    return totals


def effect_spark(standing: Standing) -> Spark | None:
    if standing.leading is None:
        return None
    label, finding = standing.leading
    points = tuple(effect_points(standing.history, label))[-RECENT:]
    scale = 100 if finding.unit == "fraction" else 1
    return Spark(
        title=f"Effect of {label} with its interval, last {words.count(len(points), 'commit')}",
        note="",
        hues={},
        points=points,
        threshold=scale * finding.threshold,
    )


RECENT = 20
