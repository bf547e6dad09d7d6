"""Drifts: what got worse over the history in steps too small for any gate, which compares two.

A series is one number at each commit that has it: the time of a backend on a claim's shape, on one
machine, or a metric of a method, as the mean over its cells. asv detects the levels of a series
twice: in the whole of it, and in its two ends, which are the best `END` commits in a row and the
last `END`. A slow drift is seen in the ends only. In the whole asv takes a ramp for noise that is
correlated; with what lies between left out, it is a step.

A level that held for fewer than `SHORTEST` commits is an outlier. A drift is a last level that is
worse than the best before it by more than the tolerance, and by more than either of them scatters.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import fmean, median
from typing import Any

from claimbench.suite import records as record_files
from claimbench.suite.answers import print_json
from claimbench.suite.cells import Cell, cells
from claimbench.suite.checking import load_claims
from claimbench.suite.definitions import Claim, tier_names
from claimbench.suite.records import Record
from claimbench.suite.registry import MissingExtra
from claimbench.suite.rules import name_of
from claimbench.suite.verdicts import matching

from . import words
from .comparison import UNMEASURED, WORSE
from .history import DIRTY, Commit, Timing, commits, timings
from .kernel_times import quartiles, seconds, state
from .thresholds import overridden

SHORTEST = 2  # as asv's own detection has it
END = 6  # in noise asv finds a step between ends of 4 up to 8 times in 100, between these 2 times
FEWEST = 2 * END
LEAST = 0.1  # times are taken months apart here, and the machine itself is not what it was
ROUNDING = 1e-9  # a loss of exactly the tolerance is none, wherever it is subtracted


@dataclass(frozen=True)
class Series:
    """One number at each commit that has it, in the order of history.

    Attributes:
        sign: 1 where lower is better, -1 where higher is.
        tolerance: a change up to this is no news; in `unit`, or a share of the level if `relative`.
    """

    subject: str
    unit: str
    sign: int
    tolerance: float
    relative: bool
    points: tuple[tuple[Commit, float], ...]


@dataclass(frozen=True)
class Drift:
    """From the last commit at the best level to the first at the level of now."""

    series: Series
    best: float
    best_until: int
    now: float
    now_since: int

    @property
    def commits(self) -> int:
        return self.now_since - self.best_until

    def __str__(self) -> str:
        before, after = (self._commit(place).short for place in (self.best_until, self.now_since))
        change = self.now - self.best
        if self.series.relative:
            best, now = seconds(self.best), seconds(self.now)
            by = f"{change / self.best:+.1%}, tolerance {self.series.tolerance:.0%}"
        else:
            best, now = f"{self.best:.4g}", f"{self.now:.4g} {self.series.unit}"
            by = f"{change:+.3g}, tolerance {self.series.tolerance:g}"
        during = f"in {words.count(self.commits, 'commit')}"
        return f"{self.series.subject}: {best} at {before} -> {now} at {after} ({by}), {during}"

    def as_json(self) -> dict[str, Any]:
        before, after = (self._commit(place).sha for place in (self.best_until, self.now_since))
        return {
            "subject": self.series.subject,
            "unit": self.series.unit,
            "tolerance": self.series.tolerance,
            "relative": self.series.relative,
            "best": {"value": self.best, "until": before},
            "now": {"value": self.now, "since": after},
            "commits": self.commits,
        }

    def _commit(self, place: int) -> Commit:
        return self.series.points[place][0]


def drift(series: Series) -> Drift | None:
    """What a series of at least `FEWEST` points has lost, if anything.

    Raises:
        MissingExtra: if asv is not installed.
    """
    values = [series.sign * value for _, value in series.points]
    return _between(series, values, range(len(values))) or _between(series, values, _ends(values))


def _ends(values: Sequence[float]) -> list[int]:
    """Places of the best `END` values in a row, the latest of them if several, and of the last."""
    starts = reversed(range(len(values) - FEWEST + 1))
    best = min(starts, key=lambda start: median(values[start : start + END]))
    return [*range(best, best + END), *range(len(values) - END, len(values))]


def _between(series: Series, values: Sequence[float], places: Sequence[int]) -> Drift | None:
    """The drift that asv sees in the values of some places."""
    asv = _step_detection()
    # asv's own threshold is a share of the level; what a level scatters by is one in its unit.
    share, margin = (series.tolerance, 0.0) if series.relative else (0.0, series.tolerance)
    levels = [
        (left, right, value, least, max(scatter, margin * (1 + ROUNDING)))
        for left, right, value, least, scatter in asv.detect_steps([values[p] for p in places])
        if right - left >= SHORTEST
    ]
    now, _, jumps = asv.detect_regressions(levels, share, SHORTEST)
    if not jumps:
        return None
    best_until, _, best, _ = jumps[0]
    now_since = levels[-1][0]
    return Drift(
        series, series.sign * best, places[best_until], series.sign * now, places[now_since]
    )


def _step_detection() -> Any:
    try:
        return import_module("asv.step_detect")
    except ImportError:
        raise MissingExtra("detecting drifts needs asv; pip install 'claimbench[asv]'") from None


def of_times(
    claims: Sequence[Claim], measured: Sequence[Timing], history: Sequence[Commit]
) -> Iterator[Series]:
    """Each backend on each shape that a claim has, by machine and environment."""
    shapes = {(c.id, label): shape for c in claims for label, shape in c.shapes.items()}
    groups: dict[tuple[str, ...], dict[str, Timing]] = defaultdict(dict)
    for t in measured:
        if (t.claim, t.shape) in shapes:
            key = (t.claim, t.shape, t.kernel, t.backend, t.machine, t.environment)
            groups[key][t.commit] = t
    several = len({(t.machine, t.environment) for t in measured}) > 1
    for (claim, shape, kernel, backend, *place), at in sorted(groups.items()):
        where = f" ({', '.join(place)})" if several else ""
        yield Series(
            f"{kernel} {backend} on {claim}.{shape}{where}",
            "s",
            1,
            max(shapes[claim, shape].tolerance, LEAST),
            True,
            tuple(_times(at, history)),
        )


def _times(at: Mapping[str, Timing], history: Sequence[Commit]) -> Iterator[tuple[Commit, float]]:
    """The lower quartiles, as the gate takes them, of a backend that was right."""
    found = [(commit, at[commit.sha]) for commit in history if commit.sha in at]
    for commit, timing in found:
        if timing.version == found[-1][1].version and state(timing) == "right":
            yield commit, quartiles(timing)[0]


def of_metrics(
    claims: Sequence[Claim], measured: Sequence[Record], history: Sequence[Commit]
) -> Iterator[Series]:
    """Each metric of each method and variant, by claim, tier and protocol; baselines left out."""
    records: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in measured:
        records[record.claim, record.provenance.commit].append(record)
    for claim in claims:
        at = {commit: records[claim.id, commit.sha] for commit in history}
        for tier in tier_names(claim):
            groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
            for cell in cells(claim, tier):
                if not cell.entry.baseline:
                    groups[cell.method, cell.protocol].append(cell)
            for group in groups.values():
                yield from _of_group(group, at)


def _of_group(group: Sequence[Cell], at: Mapping[Commit, Sequence[Record]]) -> Iterator[Series]:
    """The series of one method in one protocol, over commits with all its cells on one data."""
    found = {commit: matching(group, records) for commit, records in at.items()}
    whole = {c: list(f.values()) for c, f in found.items() if len(f) == len(group)}
    data = {c: [record.data_digest for record in of_cells] for c, of_cells in whole.items()}
    newest = next(reversed(data.values()), None)
    means = {c: _means(group, whole[c]) for c in whole if data[c] == newest}
    claim, tier, protocol = group[0].claim, group[0].tier, group[0].protocol
    for label, metric in dict.fromkeys(key for of_commit in means.values() for key in of_commit):
        definition = claim.metrics[metric]
        yield Series(
            f"{claim.id}: {label} {metric} ({protocol}, {tier})",
            definition.unit,
            1 if definition.direction == "lower" else -1,
            definition.tolerance,
            False,
            tuple((c, m[label, metric]) for c, m in means.items() if (label, metric) in m),
        )


def _means(group: Sequence[Cell], of_cells: Sequence[Record]) -> dict[tuple[str, str], float]:
    """Mean of each metric by variant, where every point of every cell has it."""
    values: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for cell, record in zip(group, of_cells, strict=True):
        scores = {frozenset((s.at | s.variant).items()): s.metrics for s in record.scores}
        for at, variant in cell.points:
            metrics = scores.get(frozenset((at | variant).items()), {})
            label = name_of({"method": cell.method, **variant})
            for metric in cell.claim.metrics:
                values[label, metric].append(metrics.get(metric))
    known = {key: [v for v in found if v is not None] for key, found in values.items()}
    return {key: fmean(found) for key, found in known.items() if len(found) == len(values[key])}


def run(results: Path, asv_results: Path, as_json: bool) -> int:
    """Print what has drifted; gives the exit status."""
    claims = overridden(load_claims(), Path()).claims
    records, times = record_files.read(results), timings(asv_results)
    history = [c for c in commits(records, times) if not c.sha.endswith(DIRTY)]
    found = [*of_times(claims, times, history), *of_metrics(claims, records, history)]
    judged = [series for series in found if _can_be_judged(series, history)]
    drifts = [lost for series in judged if (lost := drift(series))]
    if as_json:
        figures = {"series": len(found), "judged": len(judged), "fewest_commits": FEWEST}
        print_json({**figures, "drifts": [lost.as_json() for lost in drifts]})
    elif judged:
        print(
            *drifts,
            f"{words.count(len(drifts), 'drift')} in {len(judged)} of {len(found)} series",
            sep="\n",
        )
    if not judged:
        longest = max((len(series.points) for series in found), default=0)
        need = f"needed are values at {FEWEST} commits, the last of them among the last {FEWEST}"
        print(f"no series to judge: {need}; the longest has {longest}", file=sys.stderr)
        return UNMEASURED
    return WORSE if drifts else 0


def _can_be_judged(series: Series, history: Sequence[Commit]) -> bool:
    """Long enough, and not over: of a backend that is gone nothing is worse now."""
    recent = history[-FEWEST:]
    return len(series.points) >= FEWEST and series.points[-1][0] in recent
