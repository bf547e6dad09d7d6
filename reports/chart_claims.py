"""Charts of what a claim's records say: curves over an axis, methods on data sets, two metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import words
from .chart_grammar import FAINT, INK, WIDTH, altair, by_series, data, marks, svg, told
from .figures import Curves, HeatMap, HeatPanel, Plane, Point, Scatter, Span

WIDE = 1100
"""Pixels across, of a figure that has a page's whole width."""


def curves(figure: Curves) -> str:
    alt = altair()
    y = alt.Y("y:Q", title=figure.y).scale(zero=False)
    keyed = by_series(figure, figure.points)
    base = alt.Chart().encode(x=_axis(figure), color=keyed["color"])
    layers = alt.layer(
        base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q").title(figure.y), y2="high:Q"),
        base.mark_line(strokeWidth=1.8).encode(y=y, strokeDash=keyed["strokeDash"]),
        marks(base, size=28).encode(y=y),
        data=data(figure.points),
    )
    return svg(layers.properties(width=WIDTH, height=250))


def _axis(figure: Curves) -> Any:
    alt = altair()
    if figure.order:
        order = [words.inert(place) for place in figure.order]
        return alt.X("x:N", title=figure.x).axis(labelAngle=0).scale(domain=order)
    kind = "log" if figure.log_x else "linear"
    x = alt.X("x:Q", title=figure.x).scale(type=kind, nice=False, zero=False)
    return x.axis(values=sorted({point.x for point in figure.points}), grid=False)


def _square(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 1.0
    return [low - room, high + room]


def scatter(figure: Scatter) -> str:
    alt = altair()
    ends = _square([value for _, x, y in figure.points for value in (x, y)])
    scale = alt.Scale(domain=ends, nice=False)
    values = [_named(name, x, y) for name, x, y in figure.points]
    diagonal = alt.Chart(alt.Data(values=[{"x": end, "y": end} for end in ends])).mark_line(
        strokeDash=[4, 4], strokeWidth=1, color=INK
    )
    dots = marks(alt.Chart(alt.Data(values=values)), size=36, color="var(--hue-0)")
    both = [
        layer.encode(
            alt.X("x:Q", title=words.inert(figure.x), scale=scale),
            alt.Y("y:Q", title=words.inert(figure.y), scale=scale),
        )
        for layer in (diagonal, dots)
    ]
    return svg(alt.layer(*both).properties(width=340, height=340))


def _named(name: str, x: float, y: float) -> dict[str, Any]:
    place = f"{words.number(x)} across, {words.number(y)} up"
    return {"series": words.inert(name), "x": x, "y": y, "told": told(name, place)}


def plane(figure: Plane) -> str:
    alt = altair()
    values = [_spanned(*point) for point in figure.points]
    points = [Point(name, x.middle, *vars(y).values()) for name, x, y in figure.points]
    base = alt.Chart(alt.Data(values=values)).encode(
        alt.X("x:Q", title=words.inert(figure.x)).scale(zero=False, padding=24),
        alt.Y("y:Q", title=words.inert(figure.y)).scale(zero=False, padding=16),
        color=by_series(figure, points, legend=False)["color"],
    )
    across = base.mark_rule(opacity=0.55).encode(alt.X("left:Q"), x2="right:Q")
    up = base.mark_rule(opacity=0.55).encode(y=alt.Y("low:Q"), y2="high:Q")
    names = base.mark_text(align="left", dx=8, dy=-6, fontSize=11, limit=200)
    layers = alt.layer(across, up, marks(base, size=70), names.encode(text="series:N"))
    return svg(layers.properties(width=WIDTH - 160, height=300))


def _spanned(name: str, x: Span, y: Span) -> dict[str, Any]:
    place = f"{_said(x)} across, {_said(y)} up"
    ends = {"left": x.low, "right": x.high, "low": y.low, "high": y.high}
    found = {"series": words.inert(name), "x": x.middle, "y": y.middle}
    return {**found, **ends, "told": told(name, place)}


def _said(span: Span) -> str:
    known = span.low < span.high
    interval = f" [{words.number(span.low)}, {words.number(span.high)}]" if known else ""
    return words.number(span.middle) + interval


STRONGEST = 0.5
"""Opacity of a map's highest cell: the print on it still has a contrast of 4.5 in both themes."""


def heat_map(figure: HeatMap) -> str:
    alt = altair()
    tiles = [tile for panel in figure.panels for tile in _shaded(figure, panel)]
    base = alt.Chart().encode(
        alt.X("x:N", title=words.inert(figure.x))
        .axis(labelAngle=0, domain=False, ticks=False)
        .scale(domain=[words.inert(place) for place in figure.columns]),
        alt.Y("y:N", title=words.inert(figure.y))
        .axis(domain=False, ticks=False)
        .scale(domain=[words.inert(place) for place in figure.rows]),
    )
    shade = alt.Opacity("shade:Q", scale=None, legend=None)
    cells = base.mark_rect(color="var(--hue-0)", stroke=FAINT, strokeWidth=0.5, aria=True)
    values = base.mark_text(color="var(--ink)", fontSize=10.5).encode(text="shown:N")
    layers = alt.layer(cells.encode(opacity=shade, description="told:N"), values)
    sized = layers.properties(width=38 * len(figure.columns), height=22 * len(figure.rows))
    titles = [words.inert(panel.title) for panel in figure.panels]
    columns = max(1, min(3, WIDE // (38 * len(figure.columns) + 60)))
    return svg(
        sized.facet(
            alt.Facet("panel:N", title=None, sort=titles).header(labelFontWeight="bold"),
            columns=columns,
            data=alt.Data(values=tiles),
        )
    )


def _shaded(figure: HeatMap, panel: HeatPanel) -> list[dict[str, Any]]:
    alike = [p for p in figure.panels if p.scale == panel.scale]
    values = [tile.value for p in alike for tile in p.tiles]
    least, room = min(values), (max(values) - min(values)) or 1.0
    return [
        {
            "panel": words.inert(panel.title),
            "x": words.inert(tile.x),
            "y": words.inert(tile.y),
            "shade": 0.03 + (STRONGEST - 0.03) * (tile.value - least) / room,
            "shown": tile.shown,
            "told": told(tile.place, tile.said),
        }
        for tile in panel.tiles
    ]
