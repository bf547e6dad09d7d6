"""Charts across commits: panels that share the commits as their axis, and word-sized ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import words
from .chart_grammar import INK, altair, by_series, data, marks, svg, told
from .figures import History, Interval, Panel, Spark

HISTORY_WIDTH = 900
NAMED = 24
"""Commits that an axis has room to name; of more, every second, third, ... from the newest."""


def history(figure: History) -> str:
    alt = altair()
    commits = tuple(words.inert(commit) for commit in figure.commits)
    rows = [_panel(figure, panel, commits, n) for n, panel in enumerate(figure.panels)]
    apart = {"color": "independent", "strokeDash": "independent"}
    return svg(alt.vconcat(*rows, spacing=14).resolve_scale(**apart))


def _panel(figure: History, panel: Panel, commits: Sequence[str], place: int) -> Any:
    """One panel; only the last names the commits, and each has the legend of its own series."""
    alt = altair()
    last = place == len(figure.panels) - 1
    title = "commit" if last else None
    axis = alt.Axis(labelAngle=-40, labels=last, ticks=last, title=title, values=_named(commits))
    x = alt.X("x:N", axis=axis).scale(domain=commits)
    kind = alt.Scale(type="log" if panel.log else "linear", zero=False, padding=6)
    several = len({point.series for point in panel.points}) > 1
    keyed = by_series(figure, panel.points, legend=several)
    # A logarithmic axis draws a line at every digit, however few ticks are asked for.
    grid = alt.Axis(title=None, tickCount=4, grid=not panel.log)
    y, low = (alt.Y(f"{end}:Q", axis=grid, scale=kind) for end in ("y", "low"))
    base = alt.Chart(data(panel.points, figure.heads, panel.unit)).encode(
        x=x, y=y, color=keyed["color"]
    )
    layers = [
        base.mark_rule(strokeWidth=1.4, opacity=0.6).encode(y=low, y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=1.6).encode(strokeDash=keyed["strokeDash"]),
        marks(base, size=34 if len(commits) <= 2 * NAMED else 14),
    ]
    if panel.threshold is not None:
        layers.append(_threshold(panel.threshold, y))
    title = words.inert(panel.y)
    return alt.layer(*layers).properties(width=HISTORY_WIDTH, height=130, title=title)


def _named(commits: Sequence[str]) -> list[str]:
    return list(commits[:: -math.ceil(len(commits) / NAMED)])


def _threshold(level: float, y: Any) -> Any:
    alt = altair()
    line = alt.Chart(alt.Data(values=[{"y": level}]))
    return line.mark_rule(strokeDash=[4, 4], strokeWidth=1, color=INK).encode(y=y)


def spark(figure: Spark) -> str:
    alt = altair()
    commits = tuple(words.inert(str(point.x)) for point in figure.points)
    x = alt.X("x:N", axis=None).scale(domain=commits)
    whole = figure.unit == "seconds"
    y, low = (alt.Y(f"{end}:Q", axis=None).scale(zero=whole) for end in ("y", "low"))
    base = alt.Chart(data(figure.points, figure.heads, figure.unit)).encode(x=x, y=y)
    hue = "var(--hue-0)"
    layers = [
        base.mark_rule(strokeWidth=1.5, opacity=0.55, color=hue).encode(y=low, y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=1.2, color=hue),
        marks(base, size=16, color=hue),
    ]
    if figure.threshold is not None:
        layers.append(_threshold(figure.threshold, y))
    name = alt.Title(figure.what, fontSize=10, offset=2)
    return svg(alt.layer(*layers).properties(width=110, height=30, title=name))


def interval(figure: Interval) -> str:
    """The interval on a line of its own scale, which always has the threshold and zero on it."""
    alt = altair()
    all_of = (figure.low, figure.high, figure.threshold, 0.0, *figure.published)
    room = 0.06 * (max(all_of) - min(all_of)) or 1.0
    scale = alt.Scale(domain=[min(all_of) - room, max(all_of) + room], nice=False)
    x = alt.X("x:Q", axis=None, scale=scale)
    value, low, high = map(words.number, (figure.effect, figure.low, figure.high))
    ours = {
        "x": figure.effect,
        "low": figure.low,
        "high": figure.high,
        "told": told("measured", f"{value} [{low}, {high}] {figure.unit}"),
    }
    theirs = [
        {"x": gap, "told": told("published", f"{words.number(gap)} {figure.unit}")}
        for gap in figure.published
    ]
    middle = alt.value(11)
    base = alt.Chart(alt.Data(values=[ours])).encode(y=middle)
    start = alt.X("low:Q", axis=None, scale=scale)
    hue = "var(--hue-0)"
    limit = alt.Chart(alt.Data(values=[{"x": figure.threshold}]))
    layers = [
        limit.mark_rule(strokeDash=[3, 3], strokeWidth=1, color=INK).encode(x=x),
        base.mark_rule(strokeWidth=3, opacity=0.45, color=hue).encode(x=start, x2=alt.X2("high:Q")),
        marks(base, size=46, color=hue).encode(x=x),
    ]
    if theirs:
        paper = alt.Chart(alt.Data(values=theirs)).encode(x=x, y=middle)
        layers.append(marks(paper, size=40, shape="diamond", color="var(--hue-1)"))
    return svg(alt.layer(*layers).properties(width=130, height=22))
