"""Figures of a claim: the plots that fit what was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from claimbench.suite import statistics
from claimbench.suite.definitions import Claim, Scalar
from claimbench.suite.evidence import Evidence, Row
from claimbench.suite.rules import name_of

from . import axes, figures, scales, words
from .claim_heat_maps import heat_maps
from .claim_ranks import MANY, by_data, shared
from .claim_saliency import curve_panels, grids
from .figures import Curves, Figure, Plane, Point, Ranks, Scatter, Span
from .standings import Standing

LEGIBLE = 8
"""Curves in one chart that can still be told apart."""


def fitting(standing: Standing) -> list[Figure]:
    """The figures that fit what the verdict rests on; none where nothing was measured."""
    evidence = standing.verdict.evidence
    if evidence is None or not evidence.rows:
        return []
    maps, curves = list(heat_maps(evidence)), list(_curves(evidence))
    if maps:
        # What a map shows needs no curves beside it where they are too many to be told apart.
        curves = [c for c in curves if len({point.series for point in c.points}) <= LEGIBLE]
    found: list[Figure] = [*maps, *curves, *_planes(evidence)]
    found += [*curve_panels(evidence), *grids(evidence)]
    if len({row.record.data for row in evidence.rows}) >= MANY:
        found += [*_scatters(evidence), *_ranks(evidence)]
    return found


def _curves(evidence: Evidence) -> Iterator[Curves]:
    """A chart for each of few data sets, since a mean over two says little of either."""
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in evidence.rows:
        parts[row.record.data].append(row)
    if not 1 < len(parts) < MANY:
        yield from _curves_of(evidence.claim, evidence.rows, "")
        return
    for data, rows in parts.items():
        yield from _curves_of(evidence.claim, rows, f", {data}")


def _curves_of(claim: Claim, rows: Sequence[Row], where: str) -> Iterator[Curves]:
    """The leading metric over the longest axis of numbers; the other axes part the series."""
    several = axes.several(rows)
    if not (numbers := axes.of_numbers(several)):
        return
    x = numbers[0]
    found = _summary(claim, rows, x, several)
    series = dict.fromkeys(name for name, _ in found)
    numeric = axes.all_numbers(several[x])
    places = [float(place) for place in several[x] if numeric]
    yield Curves(
        title=f"{claim.lead} over {x}, by method{where}",
        note="Bands are 95% intervals of the mean. A method without the axis is level.",
        hues=_hues_of(claim, series),
        x=x,
        y=scales.label(claim, claim.lead),
        points=tuple(
            Point(name, float(place) if numeric else str(place), *values)
            for (name, place), values in found.items()
        ),
        order=() if numeric else tuple(map(str, several[x])),
        log_x=numeric and min(places) > 0 and max(places) / min(places) >= 16,
    )


def _hues_of(claim: Claim, series: Iterable[str]) -> dict[str, int]:
    """Methods have their own colours, and variants of a method those that no method has."""
    variants = [name for name in series if name not in claim.methods]
    plain = [name for name in series if name in claim.methods]
    return figures.hues([*claim.methods, *variants] if plain else variants)


def _summary(
    claim: Claim, rows: Sequence[Row], x: str, several: Mapping[str, Sequence[Scalar]]
) -> dict[tuple[str, Scalar], tuple[float, float, float]]:
    """Mean and interval by series and place on the axis; a missing axis means everywhere."""
    metric = claim.lead
    groups: dict[tuple[str, Scalar], dict[tuple[str, int], list[float]]] = {}
    for row in rows:
        known = axes.facts(row)
        rest = {name: known[name] for name in several if name != x and name in known}
        method = row.record.method
        series = f"{method} ({words.facts(rest)})" if rest else method
        draw = (row.record.data, row.record.trial)
        for place in [known[x]] if x in known else several[x]:
            group = groups.setdefault((series, place), {})
            group.setdefault(draw, []).append(row.score.metrics[metric])
    scale = 100 if scales.percent(claim, metric) else 1
    return {
        key: scales.interval([scale * fmean(values) for values in group.values()])
        for key, group in groups.items()
    }


def _planes(evidence: Evidence) -> Iterator[Plane]:
    """The two metrics that a rule sets against each other, one mark a method."""
    claim = evidence.claim
    for call in claim.rules_of(evidence.tier).values():
        if not {"x", "y"} <= call.arguments.keys():
            continue
        x, y = call.arguments["x"], call.arguments["y"]
        yield Plane(
            title=f"{y} against {x}, by method",
            note="Each mark is the mean of a method, with 95% intervals over images.",
            hues=figures.hues(claim.methods),
            x=scales.label(claim, x),
            y=scales.label(claim, y),
            points=tuple(
                (method, _span(evidence, method, x), _span(evidence, method, y))
                for method in evidence.methods()
            ),
        )


def _span(evidence: Evidence, method: str, metric: str) -> Span:
    """A method's mean with its interval over items, such as images, where there are any."""
    rows = evidence.rows_of(method)
    if all(row.score.items.get(metric) for row in rows):
        groups = evidence.items(method, metric).values()
        values = [value for group in groups for value in group]
    else:
        values = [fmean(evidence.values(method, metric).values())]
    return Span(*(scales.shown(evidence.claim, metric, end) for end in scales.interval(values)))


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
        ours, theirs = (by_data(evidence, s, metric, where) for s in (better, worse))
        yield Scatter(
            title=f"Rule {label}: {name_of(better)} against {name_of(worse)}, by data set",
            note="One mark a data set; on the diagonal both are alike.",
            hues=figures.hues(claim.methods),
            x=f"{name_of(worse)}: {scales.label(claim, metric)}",
            y=f"{name_of(better)}: {scales.label(claim, metric)}",
            points=tuple(
                (
                    data,
                    scales.shown(claim, metric, theirs[data]),
                    scales.shown(claim, metric, ours[data]),
                )
                for data in ours
                if data in theirs
            ),
        )


def _ranks(evidence: Evidence) -> Iterator[Ranks]:
    """For each protocol, all methods ranked on the data sets that all of them have."""
    claim, metric = evidence.claim, evidence.claim.lead
    sign = 1 if claim.metrics[metric].direction == "higher" else -1
    for protocol in claim.protocols_of(evidence.tier):
        plain = shared(evidence, protocol)
        if len(plain) < 3:
            continue
        values = {m: tuple(sign * value for value in found) for m, found in plain.items()}
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
