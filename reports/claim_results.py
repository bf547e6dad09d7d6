"""Records of two commits, cell by cell and metric by metric. The gate's docstring has the rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from statistics import fmean
from typing import Any, Literal

from claimbench.suite import statistics
from claimbench.suite.cells import Cell, cells
from claimbench.suite.definitions import Claim, Metric, Scalar, TierName
from claimbench.suite.records import Record
from claimbench.suite.rules import Outcome, name_of
from claimbench.suite.verdicts import Verdict, judge, matching

from .comparison import Kind, Line, differing, one_line

ALPHA = 0.05
FEWEST = 6  # the fewest pairs of which a two-sided signed-rank test can reach 5%
FROM_BEST = (Outcome.SUPPORTED, Outcome.INCONCLUSIVE, Outcome.REFUTED)

Point = tuple[tuple[tuple[str, Scalar], ...], tuple[tuple[str, Scalar], ...]]
"""Where a score belongs: (at, variant)."""


@dataclass(frozen=True)
class Twin:
    """One expected cell, and its records at base and at head."""

    cell: Cell
    base: Record | None
    head: Record | None

    @property
    def both(self) -> list[tuple[Record, Record]]:
        """The two records; empty where one is missing or failed."""
        if not self.base or not self.head or self.base.error or self.head.error:
            return []
        return [(self.base, self.head)]

    @property
    def same_data(self) -> bool:
        return all(base.data_digest == head.data_digest for base, head in self.both)

    @property
    def repeatable(self) -> bool:
        """Whether a seeded trial gives the same again: on a CPU, with the same of everything."""
        return all(
            one.device == other.device == "cpu"
            and (one.machine, one.threads, one.libraries)
            == (other.machine, other.threads, other.libraries)
            for one, other in ((base.provenance, head.provenance) for base, head in self.both)
        )


def twins(
    claim: Claim, tier: TierName, records: Sequence[Record], base: str, head: str
) -> list[Twin]:
    """Every cell that a claim expects at a tier, measured or not."""
    expected = cells(claim, tier)
    before, after = (
        matching(expected, [r for r in records if r.provenance.commit == commit])
        for commit in (base, head)
    )
    return [Twin(cell, before.get(cell.digest), after.get(cell.digest)) for cell in expected]


Judged = Callable[[Claim, TierName, Sequence[Record]], Verdict]
"""Gives the verdict on a claim from records of one commit."""


def lines(
    claim: Claim, tier: TierName, found: Sequence[Twin], judged: Judged = judge
) -> Iterator[Line]:
    """What can be said of a claim's cells and verdict, without its metrics."""
    yield from _of_cells(claim, found)
    yield from _other_data(claim, found)
    yield from _other_machine(claim, found)
    lacking = list(_missing_points(claim, found))
    yield from lacking
    if not lacking and all(twin.both and twin.same_data for twin in found):
        yield _verdict(claim, tier, found, judged)


def _line(
    claim: Claim,
    kind: Kind,
    what: Literal["record", "data", "machine", "metric", "verdict"],
    name: str,
    reason: str,
    keys: tuple[str, ...] = (),
    **values: Any,
) -> Line:
    return Line(
        kind=kind,
        subject=claim.id,
        what=what,
        name=name,
        reason=f"{claim.id}: {reason}",
        claim=claim.id,
        keys=keys,
        **values,
    )


def _of_cells(claim: Claim, found: Sequence[Twin]) -> Iterator[Line]:
    """One line for each method and way in which its cells cannot be compared."""
    groups: dict[tuple[str, Kind, str], list[Twin]] = {}
    for twin in found:
        if not twin.both:
            groups.setdefault((twin.cell.method, *_state(twin)), []).append(twin)
    for (method, kind, state), group in groups.items():
        cell, head, base = group[0].cell, group[0].head, group[0].base
        error = (head and head.error) or (base and base.error) or ""
        first = f"{cell.protocol} on {cell.data}, trial {cell.trial}"
        total = sum(twin.cell.method == method for twin in found)
        said = f" ({one_line(error)})" if error else ""
        reason = f"{method}: {state} in {len(group)} of {total} cells; first: {first}{said}"
        keys = ("methods", method)
        yield _line(claim, kind, "record", f"{method}: {state}", reason, keys)


def _state(twin: Twin) -> tuple[Kind, str]:
    missing = [s for s, record in (("base", twin.base), ("head", twin.head)) if record is None]
    if missing:
        return "not measured", f"no record at {' and '.join(missing)}"
    if twin.head and not twin.head.error:
        return "better", "failed at base, runs at head"
    if twin.base and not twin.base.error:
        return "worse", "broken: failed at head, ran at base"
    return "not measured", "failed at base and at head"


def _other_data(claim: Claim, found: Sequence[Twin]) -> Iterator[Line]:
    for name in dict.fromkeys(twin.cell.data for twin in found if not twin.same_data):
        base, head = next(
            pair for t in found if t.cell.data == name and not t.same_data for pair in t.both
        )
        digests = f"{base.data_digest[:12] or 'none'} -> {head.data_digest[:12] or 'none'}"
        reason = f"data set {name!r} is not the same at base and head (digest {digests})"
        yield _line(claim, "refused", "data", f"data set {name}", reason)


def _other_machine(claim: Claim, found: Sequence[Twin]) -> Iterator[Line]:
    """Differences between the machines of base and head, each named once."""
    fields = dict.fromkeys(
        differing(_place(base), _place(head))
        for twin in found
        for base, head in twin.both
        if not (base.baseline or head.baseline)
    )
    if named := "; ".join(filter(None, fields)):
        reason = f"base and head were measured on different machines: {named}"
        yield _line(claim, "refused", "machine", "machine", reason)


def _place(record: Record) -> dict[str, Any]:
    made = record.provenance
    return {**made.machine, "device": made.device, "numeric threads": made.threads}


def _points(record: Record) -> dict[Point, dict[str, float]]:
    return {_point(score.at, score.variant): score.metrics for score in record.scores}


def _point(at: dict[str, Scalar], variant: dict[str, Scalar]) -> Point:
    return tuple(sorted(at.items())), tuple(sorted(variant.items()))


def _missing_points(claim: Claim, found: Sequence[Twin]) -> Iterator[Line]:
    """Scores that a record should hold and does not, at either commit."""
    for twin in found:
        for side, record in (("base", twin.base), ("head", twin.head)):
            if record and not record.error and (missing := _absent(twin, record)):
                reason = f"{twin.cell.method}: record at {side} lacks {missing}; {twin.cell}"
                name = f"{twin.cell} at {side}"
                yield _line(claim, "not measured", "record", name, reason)


def _absent(twin: Twin, record: Record) -> str:
    """What a record lacks: an expected point, or a metric that its twin has there."""
    values = _points(record)
    other = [r for pair in twin.both for r in pair if r is not record]
    for at, variant in twin.cell.points:
        point = _point(at, variant)
        where = ", ".join(f"{k} = {v}" for k, v in (*point[0], *point[1])) or "its only point"
        if not values.get(point):
            return f"a score at {where}"
        for twin_values in map(_points, other):
            if gone := sorted(twin_values.get(point, {}).keys() - values[point].keys()):
                return f"{gone[0]} at {where}"
    return ""


@dataclass(frozen=True)
class Series:
    """One metric of one method and variant, paired between base and head.

    Attributes:
        repeatable: nothing but the commits can have made a difference.
    """

    claim: Claim
    metric: str
    method: str
    label: str
    pairs: tuple[tuple[float, float], ...]
    repeatable: bool

    @property
    def definition(self) -> Metric:
        return self.claim.metrics[self.metric]

    @property
    def changes(self) -> list[float]:
        # Rounded, so that a loss of one sample is the same number wherever it is subtracted.
        return [round(head - base, 12) for base, head in self.pairs]

    @property
    def gain(self) -> float:
        """Mean change, positive where head is better."""
        return fmean(self.changes) * (1 if self.definition.direction == "higher" else -1)

    @property
    def varied(self) -> bool:
        """Whether there is anything that a test could judge."""
        return not self.repeatable and len(self.pairs) >= FEWEST and len(set(self.changes)) > 1

    def p(self) -> float:
        return statistics.paired_tests(self.changes)["wilcoxon_p"]

    def least_p(self) -> float:
        """What the test would say had every pair that moved moved the same way."""
        return statistics.paired_tests([abs(change) for change in self.changes])["wilcoxon_p"]


def series(claim: Claim, found: Iterable[Twin]) -> list[Series]:
    """Every metric of every method and variant, over the cells that both commits have."""
    found_pairs: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    by_chance = {twin.cell.method for twin in found if not twin.repeatable}
    for twin in found:
        for base, head in twin.both if twin.same_data else []:
            before, after = _points(base), _points(head)
            for at, variant in twin.cell.points:
                point = _point(at, variant)
                label = name_of({"method": twin.cell.method, **variant})
                old, new = before.get(point, {}), after.get(point, {})
                for metric in claim.metrics.keys() & old.keys() & new.keys():
                    key = (metric, twin.cell.method, label)
                    found_pairs.setdefault(key, []).append((old[metric], new[metric]))
    return [
        Series(claim, metric, method, label, tuple(pairs), method not in by_chance)
        for (metric, method, label), pairs in sorted(found_pairs.items())
    ]


def metric_lines(family: Sequence[Series]) -> tuple[list[Line], list[str]]:
    """One line for each series, tested together; and what must be said of the tests."""
    tested = [one for one in family if one.varied]
    corrected, notes = holm([one.p() for one in tested])
    p_of = {
        id(one): p
        for one, p in zip(tested, corrected, strict=True)
        if one.least_p() * len(tested) <= ALPHA
    }
    return [_of_series(one, p_of.get(id(one))) for one in family], notes


def holm(p: list[float]) -> tuple[list[float], list[str]]:
    """p-values corrected for their number by Holm's method; a note where that cannot be done."""
    if len(p) < 2:
        return p, []
    try:
        multitest = import_module("statsmodels.stats.multitest")
    except ImportError:
        note = (
            f"{len(p)} p-values are not corrected for their number, which makes false alarms "
            "likelier: pip install 'claimbench[stats]'"
        )
        return p, [note]
    return [float(value) for value in multitest.multipletests(p, method="holm")[1]], []


def _of_series(one: Series, p: float | None) -> Line:
    """What a series says; `p` is `None` where the tolerance alone decides."""
    before, after = (fmean(values) for values in zip(*one.pairs, strict=True))
    metric, n = one.definition, len(one.pairs)
    kind: Kind = "unchanged"
    if abs(one.gain) > metric.tolerance and (p is None or p <= ALPHA):
        kind = "better" if one.gain > 0 else "worse"
    estimate = statistics.student(one.changes) if n > 1 else None
    return _line(
        one.claim,
        kind,
        "metric",
        f"{one.metric} of {one.label}",
        f"{one.label} {one.metric}: {before:.4g} -> {after:.4g} {metric.unit} "
        f"({after - before:+.3g}), tolerance {metric.tolerance:g}, {n} pairs"
        + (f", p {p:.2g}" if p is not None else ""),
        ("metrics", one.metric),
        base=before,
        head=after,
        change=after - before,
        unit=metric.unit,
        tolerance=metric.tolerance,
        interval=(estimate.low, estimate.high) if estimate else None,
        p=p,
        n=n,
    )


def _verdict(claim: Claim, tier: TierName, found: Sequence[Twin], judged: Judged) -> Line:
    pairs = [pair for twin in found for pair in twin.both]
    before, after = (judged(claim, tier, list(side)) for side in zip(*pairs, strict=True))
    step = FROM_BEST.index(after.outcome) - FROM_BEST.index(before.outcome)
    kind: Kind = "worse" if step > 0 else "better" if step < 0 else "unchanged"
    reason = f"verdict {before.outcome} -> {after.outcome}{_why(before, after)}"
    moved = [label for label, _, _ in _moved(before, after)]
    keys = ("rules", *moved[:1])
    values = {"base": str(before.outcome), "head": str(after.outcome), "n": len(pairs)}
    return _line(claim, kind, "verdict", "verdict", reason, keys, **values)


def _moved(before: Verdict, after: Verdict) -> list[tuple[str, Any, Any]]:
    """The rules whose outcome is not what it was."""
    pairs = [(label, before.findings[label], new) for label, new in after.findings.items()]
    return [(label, old, new) for label, old, new in pairs if old.outcome != new.outcome]


def _why(before: Verdict, after: Verdict) -> str:
    parts = [
        f"rule {label}: effect {old.effect:.3g} -> {new.effect:.3g} {new.unit} "
        f"[{new.interval[0]:.3g}, {new.interval[1]:.3g}], must clear {new.threshold:g}"
        for label, old, new in _moved(before, after)
    ]
    return f" ({'; '.join(parts)})" if parts else ""
