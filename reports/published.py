"""Published values: what the paper reports, beside what we measured at the same point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from claimbench.suite import statistics
from claimbench.suite.definitions import Call, Claim, Published, Scalar
from claimbench.suite.evidence import Evidence, Row, Selector
from claimbench.suite.statistics import Estimate
from claimbench.suite.verdicts import Verdict

from . import tables, words
from .tables import Cell, Table


def beside(claim: Claim, call: Call) -> list[str]:
    """What the paper says of the effect that a rule asks for, and how sure that is."""
    gaps = published_gaps(claim, call)
    if not gaps:
        return ["none published"]
    unit = claim.metrics[call.arguments["metric"]].unit
    return [_gap_text(gaps, unit), words.BASIS[_least({basis for _, basis in gaps})]]


def value_of(claim: Claim, published: Published) -> str:
    unit = claim.metrics[published.metric].unit if published.metric in claim.metrics else ""
    text = words.value(published.value, unit)
    spread = f" \N{PLUS-MINUS SIGN} {words.value(published.spread, unit)}"
    return text + (spread if published.spread is not None else "")


def _least(bases: set[str]) -> str:
    """The least certain of several; they stand in the order of `words.BASIS`."""
    return max(bases, key=list(words.BASIS).index)


def _gap_text(gaps: Sequence[tuple[float, str]], unit: str) -> str:
    values = [gap for gap, _ in gaps]
    mean = words.effect(sum(values) / len(values), unit)
    if len(values) == 1:
        return f"{mean} published"
    ends = f"{words.signed(min(values), unit)} to {words.signed(max(values), unit)}"
    return f"{mean} published, mean of {len(values)} settings ({ends})"


def published_gaps(claim: Claim, call: Call) -> list[tuple[float, str]]:
    """`better` minus `worse` wherever the paper has both, positive where `better` is ahead.

    Each with the basis of the less certain of the two.
    """
    arguments = call.arguments
    if not {"metric", "better", "worse"} <= arguments.keys():
        return []
    if not isinstance(arguments["worse"], str | Mapping):
        return []
    metric = arguments["metric"]
    sign = 1 if claim.metrics[metric].direction == "higher" else -1
    where = arguments.get("where") or {}
    ours, theirs = (_points(claim, metric, arguments[end], where) for end in ("better", "worse"))
    pairs = [(ours[at], theirs[at]) for at in ours if at in theirs]
    return [(sign * (a.value - b.value), _least({a.basis, b.basis})) for a, b in pairs]


def _points(
    claim: Claim, metric: str, selector: Selector, where: Mapping[str, Scalar]
) -> dict[tuple[tuple[str, Any], ...], Published]:
    """Published values that a selector means, by what it leaves open of where they stand."""
    named: Mapping[str, Scalar] = {"method": selector} if isinstance(selector, str) else selector
    wanted = {**named, **where}
    label = wanted.pop("method")
    found = {}
    for published in claim.published:
        its = published.method == label and published.metric == metric
        if its and all(published.at.get(k, v) == v for k, v in wanted.items()):
            rest = {k: v for k, v in published.at.items() if k not in wanted}
            found[tuple(sorted(rest.items()))] = published
    return found


def published_table(claim: Claim, verdict: Verdict) -> Table:
    """The paper's values, and ours where we measured the same method at the same point."""
    head = tables.columns(
        "method", "at", "metric", "published", "basis", "measured", "95% interval", "n",
        "difference", numeric=("published", "measured", "n", "difference"),
    )  # fmt: skip
    rows = tuple(_published_row(claim, verdict, published) for published in claim.published)
    caption = "Published values beside measured ones"
    if claim.tiers[verdict.tier].stand_in:
        caption += ", which are of a stand-in and do not compare"
    return Table("published", caption, head, rows)


def _published_row(claim: Claim, verdict: Verdict, published: Published) -> tuple[Cell, ...]:
    unit = claim.metrics[published.metric].unit if published.metric in claim.metrics else ""
    found = measured_at(verdict.evidence, published)
    start = (
        tables.text(published.method),
        tables.text(words.facts(published.at)),
        tables.text(published.metric),
        tables.amount(published.value, value_of(claim, published)),
        tables.text(words.BASIS[published.basis]),
    )
    if found is None:
        return (*start, *(tables.text("") for _ in range(4)))
    gap = found.effect - published.value
    compares = not claim.tiers[verdict.tier].stand_in
    return (
        *start,
        tables.amount(found.effect, words.value(found.effect, unit)),
        interval_cell(found, unit),
        tables.amount(found.n, str(found.n)),
        tables.amount(gap, words.effect(gap, unit)) if compares else tables.text(""),
    )


def measured_at(evidence: Evidence | None, published: Published) -> Estimate | None:
    """What we have at a published value's place; `None` where we have not all of it."""
    if evidence is None or published.method not in evidence.claim.methods:
        return None
    at = dict(published.at)
    sets = at.pop("data_sets", None)
    found = mean_of(evidence, {"method": published.method, **at}, published.metric)
    return found if found and sets in (None, found.n) else None


def mean_of(evidence: Evidence, selector: Selector, metric: str) -> Estimate | None:
    """Mean of the rows that a selector means; `None` where there are none."""
    rows = [row for row in evidence.rows_of(selector) if metric in row.score.metrics]
    return mean_over(rows, metric) if rows else None


def mean_over(rows: Sequence[Row], metric: str) -> Estimate:
    """Mean with Student's interval over data sets where there are several, else over trials."""
    several = len({row.record.data for row in rows}) > 1
    groups: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        key = (row.record.data, 0 if several else row.record.trial)
        groups.setdefault(key, []).append(row.score.metrics[metric])
    return statistics.student([fmean(values) for values in groups.values()])


def interval_cell(estimate: Estimate, unit: str) -> Cell:
    """An estimate's interval, of values rather than differences."""
    _, low, high, n = estimate
    known = words.finite(low) and words.finite(high)
    shown = words.spread(low, high, unit) if known else words.interval(low, high, n, unit)
    return tables.interval(low, high, shown)
