"""Methods compared over many data sets: ranks, shares of the best, pairs, and what was selected.

The measures are those of the UCI study (Fernandez-Delgado et al. 2014) among the methods that were
run: a method's rank on a data set (1 is best, ties averaged), P90 and P95, the share of data sets
on which it exceeds 90% and 95% of the best of all methods there, and PMA, the mean share of that
best. Tests and intervals are scipy's and statsmodels'.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from claimbench.suite import statistics
from claimbench.suite.definitions import Scalar
from claimbench.suite.evidence import Evidence, Selector
from claimbench.suite.verdicts import Verdict

from . import tables, words
from .claim_results import holm
from .tables import Cell, Table

MANY = 5
"""From so many data sets on, methods are compared over them."""


def by_data(
    evidence: Evidence,
    selector: Selector,
    metric: str,
    where: Mapping[str, Scalar] | None,
) -> dict[str, float]:
    """Mean value on each data set, in the claim's order."""
    groups: dict[str, list[float]] = defaultdict(list)
    for unit, value in evidence.values(selector, metric, where).items():
        groups[unit.data].append(value)
    return {data: fmean(values) for data, values in groups.items()}


def shared(evidence: Evidence, protocol: str) -> dict[str, tuple[float, ...]]:
    """The leading metric of each method on the data sets that all methods of a protocol have.

    Empty where these are few. Values are rounded, so that equal accuracies tie whatever the order
    in which their folds were summed.
    """
    metric = evidence.claim.lead
    found = {m: by_data(evidence, m, metric, {"protocol": protocol}) for m in evidence.methods()}
    found = {method: values for method, values in found.items() if values}
    if not found:
        return {}
    everywhere = sorted(set.intersection(*(set(values) for values in found.values())))
    if len(everywhere) < MANY:
        return {}
    return {m: tuple(round(values[d], 12) for d in everywhere) for m, values in found.items()}


def comparisons(verdict: Verdict) -> tuple[Table, ...]:
    """The tables that fit what was measured; none for a claim of few data sets."""
    evidence = verdict.evidence
    if evidence is None:
        return ()
    found = {p: shared(evidence, p) for p in verdict.claim.protocols_of(verdict.tier)}
    several = {protocol: values for protocol, values in found.items() if len(values) > 1}
    if not several:
        return ()
    made = _ranking(evidence, several), _pairs(evidence, several), _selected(evidence)
    return tuple(table for table in made if table.rows)


def _ranking(evidence: Evidence, found: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    head = tables.columns(
        "method", "protocol", "Friedman rank", f"mean {evidence.claim.lead}", "std", "P90", "P95",
        "PMA", "std of PMA", "data sets",
        numeric=("Friedman rank", f"mean {evidence.claim.lead}", "std", "P90", "P95", "PMA",
                 "std of PMA", "data sets"),
    )  # fmt: skip
    rows = tuple(row for p, values in found.items() for row in _ranking_rows(evidence, p, values))
    caption = (
        "Methods over data sets: mean rank, mean and standard deviation, and shares of the best "
        "method's value on each data set (P90 and P95 exceed 90% and 95% of it, PMA is the mean)"
    )
    return Table("ranking", caption, head, rows)


def _ranking_rows(
    evidence: Evidence, protocol: str, values: Mapping[str, Sequence[float]]
) -> Iterator[tuple[Cell, ...]]:
    claim, metric = evidence.claim, evidence.claim.lead
    unit, higher = claim.metrics[metric].unit, claim.metrics[metric].direction == "higher"
    table = np.asarray(list(values.values()))
    ranks = statistics.friedman(dict(zip(values, table if higher else -table, strict=True)))
    best = table.max(axis=0)
    of_best = np.divide(table, best, out=np.ones_like(table), where=best > 0)
    for place, method in enumerate(values):
        spread = float(table[place].std(ddof=1))
        shares = of_best[place]
        measures = (
            float((shares > 0.90).mean()),
            float((shares > 0.95).mean()),
            float(shares.mean()),
            float(shares.std(ddof=1)),
        )
        yield (
            tables.text(method),
            tables.text(protocol),
            tables.amount(ranks.average[method], words.number(ranks.average[method], 3)),
            _in_unit(float(table[place].mean()), unit),
            _in_unit(spread, unit),
            *(_in_unit(m, "fraction") if higher else tables.text("") for m in measures),
            tables.amount(ranks.n, str(ranks.n)),
        )


def _in_unit(value: float, unit: str) -> Cell:
    return tables.amount(value, words.value(value, unit))


def _pairs(evidence: Evidence, found: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    """The claim's first method against each of the others."""
    head = tables.columns(
        "method", "against", "protocol", "mean gap", "95% interval", "wins", "ties", "losses",
        "Wilcoxon p", "p after Holm", "data sets",
        numeric=("mean gap", "wins", "ties", "losses", "Wilcoxon p", "p after Holm", "data sets"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    remarks: dict[str, None] = {}
    for protocol, values in found.items():
        more, notes = _pair_rows(evidence, protocol, values)
        rows += more
        remarks |= dict.fromkeys(notes)
    caption = (
        "The first method against each of the others: bootstrap interval of the mean gap, and "
        "two-sided signed-rank tests, corrected by Holm's method within a protocol"
    )
    return Table("pairs", "; ".join([caption, *remarks]), head, tuple(rows))


def _pair_rows(
    evidence: Evidence, protocol: str, values: Mapping[str, Sequence[float]]
) -> tuple[list[tuple[Cell, ...]], list[str]]:
    metric = evidence.claim.metrics[evidence.claim.lead]
    sign = 1 if metric.direction == "higher" else -1
    first, *others = values
    gaps = {
        rival: [
            round(sign * (a - b), 12) for a, b in zip(values[first], values[rival], strict=True)
        ]
        for rival in others
    }
    tests = {rival: statistics.paired_tests(gap) for rival, gap in gaps.items()}
    p = [found.get("wilcoxon_p", 1.0) for found in tests.values()]
    corrected, notes = holm(p)
    rows = []
    for rival, one, after in zip(others, p, corrected, strict=True):
        e = statistics.bootstrap(gaps[rival])
        rows.append(
            (
                tables.text(first),
                tables.text(rival),
                tables.text(protocol),
                tables.amount(e.effect, words.effect(e.effect, metric.unit)),
                tables.interval(e.low, e.high, words.interval(e.low, e.high, e.n, metric.unit)),
                *(_count(tests[rival][name]) for name in ("wins", "ties", "losses")),
                tables.amount(one, words.p_value(one)),
                tables.amount(after, words.p_value(after)),
                tables.amount(e.n, str(e.n)),
            )
        )
    return rows, notes


def _count(number: float) -> Cell:
    return tables.amount(number, words.number(number))


def _selected(evidence: Evidence) -> Table:
    """How often each method's first hyper-parameter was selected, in folds of data sets."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in evidence.rows:
        for candidate in row.score.details.get("chosen", ()):
            counts[row.record.method, row.record.protocol][_first(candidate)] += 1
    rows = tuple(
        (
            tables.text(method),
            tables.text(protocol),
            tables.text(value),
            tables.amount(n, f"{n:,}"),
            _in_unit(n / found.total(), "fraction"),
        )
        for (method, protocol), found in counts.items()
        for value, n in found.most_common()
    )
    head = tables.columns(
        "method", "protocol", "selected", "folds", "share", numeric=("folds", "share")
    )
    caption = "The first hyper-parameter of each method, as selected in the folds of all data sets"
    return Table("selected", caption, head, rows, limit=60)


def _first(candidate: Any) -> str:
    return words.plain(candidate[0] if isinstance(candidate, list | tuple) else candidate)
