"""Methods compared over many data sets: ranks, shares of the best, pairs, and what was selected.

The measures are those of the UCI study (Fernandez-Delgado et al. 2014) among the methods that were
run: a method's rank on a data set (1 is best, ties averaged), P90 and P95, the share of data sets
on which it exceeds 90% and 95% of the best of all methods there, and PMA, the mean share of that
best. Tests and intervals are scipy's and statsmodels'.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from claimbench.suite import statistics
from claimbench.suite.definitions import Claim, Published, Scalar
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
    made = (
        _beside(evidence, several),
        _ranking(evidence, several),
        _pairs(evidence, several),
        _selected(evidence),
    )
    return tuple(table for table in made if table.rows)


@dataclass(frozen=True)
class Measures:
    """How a method does over data sets; shares are of the best method's value on each of them."""

    rank: float
    mean: float
    std: float
    p90: float
    p95: float
    pma: float
    pma_std: float


def _measures(
    evidence: Evidence, values: Mapping[str, Sequence[float]]
) -> tuple[dict[str, Measures], int]:
    """The measures of each method, and the number of data sets."""
    higher = evidence.claim.metrics[evidence.claim.lead].direction == "higher"
    table = np.asarray(list(values.values()))
    ranks = statistics.friedman(dict(zip(values, table if higher else -table, strict=True)))
    best = table.max(axis=0) if higher else np.full(table.shape[1], np.nan)
    of_best = np.divide(table, best, out=np.ones_like(table), where=best != 0)
    return {
        method: Measures(
            rank=ranks.average[method],
            mean=float(row.mean()),
            std=float(row.std(ddof=1)),
            p90=_share(shares, 0.90),
            p95=_share(shares, 0.95),
            pma=float(shares.mean()),
            pma_std=float(shares.std(ddof=1)),
        )
        for method, row, shares in zip(values, table, of_best, strict=True)
    }, ranks.n


def _share(shares: np.ndarray, limit: float) -> float:
    """How many exceed a limit; not a number where the best is the lowest value."""
    return float(np.where(np.isnan(shares), np.nan, shares > limit).mean())


def _ranking(evidence: Evidence, found: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    head = tables.columns("method", "protocol", *_names(evidence.claim), "data sets",
                          numeric=(*_names(evidence.claim), "data sets"))  # fmt: skip
    rows = tuple(
        (
            tables.text(method),
            tables.text(protocol),
            *_measured_cells(evidence.claim, measures),
            tables.amount(n, str(n)),
        )
        for protocol, values in found.items()
        for of_method, n in [_measures(evidence, values)]
        for method, measures in of_method.items()
    )
    caption = (
        "Methods over data sets: mean rank, mean and standard deviation, and shares of the best "
        "method's value on each data set (P90 and P95 exceed 90% and 95% of it, PMA is the mean)"
    )
    return Table("ranking", caption, head, rows)


def _names(claim: Claim) -> tuple[str, ...]:
    return ("Friedman rank", f"mean {claim.lead}", "std", "P90", "P95", "PMA", "std of PMA")


def _measured_cells(claim: Claim, of: Measures) -> tuple[Cell, ...]:
    unit = claim.metrics[claim.lead].unit
    shares = (of.p90, of.p95, of.pma, of.pma_std)
    return (
        tables.amount(of.rank, words.number(of.rank, 4)),
        _in_unit(of.mean, unit),
        _in_unit(of.std, unit),
        *(_in_unit(s, "fraction") if math.isfinite(s) else tables.text("") for s in shares),
    )


def _beside(evidence: Evidence, found: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    """The paper's table row by row, ours under each of its rows."""
    claim = evidence.claim
    head = tables.columns(
        "method", "from", *_names(claim), "data sets", "basis",
        numeric=(*_names(claim), "data sets"),
    )  # fmt: skip
    ours = {protocol: _measures(evidence, values) for protocol, values in found.items()}
    rows = tuple(row for p in claim.published if p.over_data for row in _pair(claim, p, ours))
    caption = (
        "The paper's table, ours under each row; its ranks and shares are among all of its "
        "classifiers, ours among the methods run here"
    )
    return Table("paper-row", caption, head, rows)


def _pair(
    claim: Claim, published: Published, ours: Mapping[str, tuple[Mapping[str, Measures], int]]
) -> Iterator[tuple[Cell, ...]]:
    over = published.over_data
    assert over is not None
    theirs = Measures(
        over.friedman_rank, published.value, published.spread or math.nan,
        over.p90, over.p95, over.pma, over.pma_std,
    )  # fmt: skip
    sets = published.at.get("data_sets")
    yield (
        tables.text(published.method),
        tables.text("paper"),
        *_measured_cells(claim, theirs),
        tables.amount(sets, str(sets)) if isinstance(sets, int) else tables.text(""),
        tables.text(
            f"mean {words.BASIS[published.basis]}; the rest {words.BASIS[over.basis]}"
            if published.basis != over.basis
            else words.BASIS[over.basis]
        ),
    )
    of_method, n = ours.get(str(published.at.get("protocol", "")), ({}, 0))
    if measures := of_method.get(published.method):
        here = _measured_cells(claim, measures)
        name = tables.text(published.method)
        yield (name, tables.text("here"), *here, tables.amount(n, str(n)), tables.text(""))


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
        rival: [sign * (a - b) for a, b in zip(values[first], values[rival], strict=True)]
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
