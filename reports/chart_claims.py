"""Charts of what a claim's records say: curves over an axis, methods on data sets, two metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import words
from .chart_grammar import INK, WIDTH, altair, by_series, data, marks, svg, told
from .figures import Curves, Plane, Point, Scatter


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
    values = [_named(name, x, y) for name, x, y in figure.points]
    points = [Point(name, x, y, y, y) for name, x, y in figure.points]
    base = alt.Chart(alt.Data(values=values)).encode(
        alt.X("x:Q", title=words.inert(figure.x)).scale(zero=False, padding=24),
        alt.Y("y:Q", title=words.inert(figure.y)).scale(zero=False, padding=16),
        color=by_series(figure, points, legend=False)["color"],
    )
    names = base.mark_text(align="left", dx=8, fontSize=11, limit=200).encode(text="series:N")
    return svg(alt.layer(marks(base, size=70), names).properties(width=WIDTH - 160, height=300))
