"""Charts of what a claim's records say: curves over an axis, methods on data sets, two metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import words
from .chart_grammar import FAINT, INK, WIDTH, altair, by_series, data, marks, rows, svg, told
from .figures import CurvePanels, Curves, HeatMap, HeatPanel, Plane, Point, Scatter, Span

WIDE = 1100
"""Pixels across, of a figure that has a page's whole width."""


def curves(figure: Curves) -> str:
    alt = altair()
    y = alt.Y("y:Q", title=figure.y).scale(zero=False)
    keyed = by_series(figure, figure.points)
    base = alt.Chart().encode(x=_axis(figure), color=keyed["color"])
    layers = alt.layer(
        base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q").title(figure.y), y2=alt.Y2("high:Q")),
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
    dots = marks(alt.Chart(rows(values)), size=36, color="var(--hue-0)")
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


PLANE = (WIDTH - 160, 300)
"""Pixels across and up, of a plane."""


def plane(figure: Plane) -> str:
    alt = altair()
    points = [Point(name, x.middle, *vars(y).values()) for name, x, y in figure.points]
    _, *spans = zip(*figure.points, strict=True)
    ends = [_ends(axis) for axis in spans]
    places = _label_places(figure, ends)
    values = [
        {**_spanned(*point), "label_x": x, "label_y": y}
        for point, (x, y) in zip(figure.points, places, strict=True)
    ]
    across, up = (alt.Scale(domain=domain, nice=False, zero=False) for domain in ends)
    base = alt.Chart(rows(values)).encode(
        alt.X("x:Q", title=words.inert(figure.x), scale=across),
        alt.Y("y:Q", title=words.inert(figure.y), scale=up),
        color=by_series(figure, points, legend=False)["color"],
    )
    wide = base.mark_rule(opacity=0.55).encode(alt.X("left:Q"), x2=alt.X2("right:Q"))
    high = base.mark_rule(opacity=0.55).encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
    names = base.mark_text(align="left", baseline="top", fontSize=11).encode(
        alt.X("label_x:Q"), alt.Y("label_y:Q"), text="series:N"
    )
    layers = alt.layer(wide, high, marks(base, size=70), names)
    return svg(layers.properties(width=PLANE[0], height=PLANE[1]))


def _ends(spans: Sequence[Span]) -> list[float]:
    """An axis that holds every interval, with room for names."""
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    room = 0.08 * (high - low) or 1.0
    return [low - room, high + room]


def _label_places(figure: Plane, ends: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Upper left corner of each name: the first place beside its mark that hides least."""
    (left, right), (low, high) = ends
    step_x, step_y = (right - left) / PLANE[0], (high - low) / PLANE[1]
    spots = [((x.middle - left) / step_x, (high - y.middle) / step_y) for _, x, y in figure.points]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    found = []
    for (name, *_), (x, y) in zip(figure.points, spots, strict=True):
        width = 6.2 * len(words.inert(name))
        boxes = [(x + dx - width * share, y + dy) for dx, share, dy in _BESIDE]
        best = min(boxes, key=lambda corner: _hidden((*corner, corner[0] + width), taken))
        taken.append((*best, best[0] + width, best[1] + 12))
        found.append((left + best[0] * step_x, high - best[1] * step_y))
    return found


_BESIDE = tuple(
    (dx, share, dy) for dy in (-16, 4, -28, 16, -40, 28) for dx, share in ((7, 0), (-7, 1))
)
"""Pixels from a mark to its name: across, less a share of the name's width, and down."""


def _hidden(box: tuple[float, float, float], taken: Sequence[tuple[float, ...]]) -> float:
    """Area of what a name of 12 pixels covers, and of what of it lies outside the plane."""
    left, top, right = box
    covered = sum(
        max(0.0, min(right, r) - max(left, other)) * max(0.0, min(top + 12, b) - max(top, t))
        for other, t, r, b in taken
    )
    outside = max(0.0, -left) + max(0.0, right - PLANE[0])
    return covered + 12 * outside + 12 * (max(0.0, -top) + max(0.0, top + 12 - PLANE[1]))


def _spanned(name: str, x: Span, y: Span) -> dict[str, Any]:
    place = f"{_said(x)} across, {_said(y)} up"
    ends = {"left": x.low, "right": x.high, "low": y.low, "high": y.high}
    found = {"series": words.inert(name), "x": x.middle, "y": y.middle}
    return {**found, **ends, "told": told(name, place)}


def _said(span: Span) -> str:
    known = span.low < span.high
    interval = f" [{words.number(span.low)}, {words.number(span.high)}]" if known else ""
    return words.number(span.middle) + interval


PANELS = 5
"""Panels side by side."""
_STROKES = ([1, 0], [4, 2], [1, 2])


def curve_panels(figure: CurvePanels) -> str:
    if not figure.panels:
        return ""
    alt = altair()
    values = [
        {**_value(point), "panel": words.inert(name), "faint": faint}
        for name, own in figure.panels
        for points, faint in ((figure.compared, True), (own, False))
        for point in points
        if not (faint and own == figure.compared)
    ]
    names = [words.inert(name) for name, _ in figure.panels]
    series = list(dict.fromkeys(value["series"] for value in values))
    strokes = [_STROKES[place % len(_STROKES)] for place in range(len(series))]
    key = alt.Legend(title=None, orient="bottom", symbolOpacity=1, symbolStrokeColor=INK)
    colours = [f"var(--hue-{figure.hues.get(name, 0)})" for name, _ in figure.panels]
    base = alt.Chart().encode(
        alt.X("x:Q", title=words.inert(figure.x)).axis(values=[0, 50, 100], grid=False),
        alt.Y("y:Q", title=words.inert(figure.y)).axis(values=[0, 50, 100]),
        detail="series:N",
    )
    own = base.transform_filter("!datum.faint").encode(
        color=alt.Color("panel:N", legend=None).scale(domain=names, range=colours)
    )
    dash = alt.StrokeDash("series:N", legend=key).scale(domain=series, range=strokes)
    layers = alt.layer(
        base.transform_filter("datum.faint").mark_line(color=INK, strokeWidth=1, opacity=0.4)
        .encode(strokeDash=dash),
        own.mark_area(opacity=0.2).encode(alt.Y("low:Q"), y2=alt.Y2("high:Q")),
        own.mark_line(strokeWidth=1.6).encode(strokeDash=dash),
        marks(own, size=12).encode(),
    ).properties(width=170, height=110)  # fmt: skip
    return svg(
        layers.facet(
            alt.Facet("panel:N", title=None, sort=names).header(
                labelFontWeight="bold", labelFontSize=10, labelLimit=190
            ),
            columns=PANELS,
            data=rows(values),
        )
    )


def _value(point: Point) -> dict[str, Any]:
    found: dict[str, Any] = data([point]).to_dict()["values"][0]
    return found


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
            data=rows(tiles),
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
