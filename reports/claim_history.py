"""A claim across commits: effect, metric and runtime on one axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from . import figures, kernel_views, scales, words
from .figures import History, Panel, Point, Spark
from .kernel_views import heads, of_tier, speed, timed_points
from .standings import Moment, Standing

RECENT = 20
"""Commits that a spark has room for."""


def history(standing: Standing) -> History | None:
    """Effect, metric and runtime across the newest commits, on one axis."""
    told = [m for m in standing.history if m.verdict.findings or m.timings or m.begun]
    moments = told[-kernel_views.PAGE :]
    if not moments:
        return None
    claim = standing.claim
    metric = Panel(scales.label(claim, claim.lead), tuple(_metric_points(moments)))
    panels = [*_effect_panels(standing, moments), metric, _runtime_panel(standing, moments)]
    return History(
        title=f"{claim.title}: effect, {claim.lead} and runtime across commits",
        note="Bars and bands are 95% intervals; the dashed line is what the interval must clear.",
        hues=figures.hues(claim.methods) | figures.backend_hues([]),
        commits=tuple(moment.commit.short for moment in moments),
        panels=tuple(panel for panel in panels if panel.points),
        heads=heads(moment.commit for moment in moments),
    )


def _effect_panels(standing: Standing, moments: Sequence[Moment]) -> Iterator[Panel]:
    if standing.leading is None:
        return
    label, finding = standing.leading
    unit = words.unit_of_effect(finding.unit)
    scale = scales.of_effect(finding.unit)
    yield Panel(
        f"{label} ({unit})",
        tuple(effect_points(moments, label)),
        threshold=scale * finding.threshold,
        unit=unit,
    )


def effect_points(moments: Sequence[Moment], label: str) -> Iterator[Point]:
    """A rule's effect with its interval at each commit that has it; fractions in points."""
    for moment in moments:
        finding = moment.verdict.findings.get(label)
        if finding is None or not words.finite(finding.effect):
            continue
        scale = scales.of_effect(finding.unit)
        middle = scale * finding.effect
        low, high = scales.ends(middle, scale * finding.interval[0], scale * finding.interval[1])
        yield Point("effect", moment.commit.short, middle, low, high)


def _metric_points(moments: Sequence[Moment]) -> Iterator[Point]:
    for moment in moments:
        claim = moment.verdict.claim
        for method, (mean, *interval, _) in moment.values.items():
            low, high = scales.ends(mean, *interval)
            shown = (scales.shown(claim, claim.lead, value) for value in (mean, low, high))
            yield Point(method, moment.commit.short, *shown)


def _runtime_panel(standing: Standing, moments: Sequence[Moment]) -> Panel:
    """asv's times of the kernel on shapes of the tier; else what the methods took."""
    timed = [
        Point(t.series, moment.commit.short, t.seconds, t.low, t.high)
        for moment in moments
        for t in timed_points(of_tier(standing.claim, standing.tier, moment.timings))
    ]
    if timed:
        return Panel("kernel time (s)", tuple(timed), log=True, unit="seconds")
    taken = [
        Point(method, moment.commit.short, total, total, total)
        for moment in moments
        for method, total in moment.seconds.items()
    ]
    taken = [point for point in taken if point.y > 0]
    return Panel("time of methods (s)", tuple(taken), log=True, unit="seconds")


def sparks(standing: Standing) -> Iterator[Spark]:
    """Effect and runtime across the last commits, each where there is something to see."""
    told = [spark for spark in (_effect_spark(standing), _time_spark(standing)) if spark]
    yield from (spark for spark in told if len(spark.points) > 1)


def _effect_spark(standing: Standing) -> Spark | None:
    if standing.leading is None:
        return None
    label, finding = standing.leading
    return _spark(
        f"Effect of {label} with its interval",
        "effect",
        words.unit_of_effect(finding.unit),
        effect_points(standing.history, label),
        standing.history,
        scales.of_effect(finding.unit) * finding.threshold,
    )


def _time_spark(standing: Standing) -> Spark | None:
    """The fastest backend's time on one shape, on the machine of the newest times."""
    timed = [moment for moment in standing.history if moment.timings]
    if not timed:
        return None
    machine = timed[-1].timings[-1].machine
    speeds = {
        moment.commit.short: speed(standing.claim, standing.tier, here)
        for moment in timed
        for here in [[t for t in moment.timings if t.machine == machine]]
    }
    newest = speeds[timed[-1].commit.short]
    points = (
        Point(found.backend, commit, found.seconds, found.seconds, found.seconds)
        for commit, found in speeds.items()
        if found and newest and found.shape == newest.shape
    )
    title = f"Fastest time of {standing.claim.kernel}"
    return _spark(title, "kernel time", "seconds", points, timed)


def _spark(
    title: str,
    what: str,
    unit: str,
    points: Iterable[Point],
    moments: Iterable[Moment],
    threshold: float | None = None,
) -> Spark:
    """The last of the points, and at length the commits that they stand for."""
    shown = tuple(points)[-RECENT:]
    places = {point.x for point in shown}
    return Spark(
        title=f"{title}, last {words.count(len(shown), 'commit')}",
        note="",
        hues={},
        what=what,
        unit=unit,
        points=shown,
        threshold=threshold,
        heads=heads(m.commit for m in moments if m.commit.short in places),
    )
