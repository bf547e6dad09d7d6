"""Charts of kernels: what contenders take against the work, or below each other on one shape.

All axes are logarithmic. A contender is a colour, a peer a diamond, and what was measured on a part
is hollow; the dashed line of ink is what the machine allows at best, or what the error may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import words
from .chart_grammar import INK, altair, by_series, marks, rows, svg, told
from .figures import Dots, Figure, Mark, Quantity, Sizes

PAPER = "var(--paper)"
MOST_TICKS = 5

WIDTHS = (330, 220)
"""Of the first panel, which is the time, and of those beside it."""

_LABELS = {
    "s": (
        "datum.value >= 1 ? format(datum.value, '~g') + ' s'"
        " : datum.value >= 1e-3 ? format(datum.value * 1e3, '~g') + ' ms'"
        " : datum.value >= 1e-6 ? format(datum.value * 1e6, '~g') + ' \N{MICRO SIGN}s'"
        " : format(datum.value * 1e9, '~g') + ' ns'"
    ),
    "bytes": "format(datum.value / 1048576, '~g') + ' MiB'",
    "flop": "format(datum.value, '~s')",
    "": "format(datum.value, '~e')",
}
_UNITS = {"bytes": 2.0**20}


def sizes(figure: Sizes) -> str:
    alt = altair()
    panels = [_against_work(figure, q, n) for n, q in enumerate(figure.quantities)]
    return svg(alt.hconcat(*panels, spacing=22))


def _against_work(figure: Sizes, quantity: Quantity, place: int) -> Any:
    """One quantity; all panels have the same axis of work, and one legend."""
    alt = altair()
    every = [mark for q in figure.quantities for mark in q.marks]
    across = [mark.x for mark in every if not isinstance(mark.x, str)]
    x = _axis(alt.X("x:Q", title=figure.x), across, "flop")
    levels = [*_ends(quantity.marks), *(value for _, value in quantity.line)]
    y, low = (_axis(alt.Y(f"{end}:Q", title=None), levels, quantity.unit) for end in ("y", "low"))
    keyed = by_series(figure, every)
    base = alt.Chart(_data(figure, quantity.marks)).encode(x=x, color=keyed["color"])
    layers = [
        base.mark_rule(strokeWidth=1.4, opacity=0.6).encode(y=low, y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=1.6).encode(y=y, strokeDash=keyed["strokeDash"]),
        _dressed(base).encode(y=y),
    ]
    if quantity.line:
        layers += _joined(quantity, x, y)
    title = words.inert(quantity.title)
    return alt.layer(*layers).properties(width=WIDTHS[place > 0], height=250, title=title)


def _joined(quantity: Quantity, x: Any, y: Any) -> list[Any]:
    """The dashed line, and its name beside its end."""
    alt = altair()
    points = [{"x": x, "y": y} for x, y in sorted(quantity.line)]
    line = alt.Chart(alt.Data(values=points)).mark_line(
        strokeDash=[5, 4], strokeWidth=1.4, color=INK
    )
    name = alt.Chart(alt.Data(values=[points[-1] | {"name": words.inert(quantity.line_name)}]))
    text = name.mark_text(align="left", dx=5, fontSize=11, color=INK)
    return [line.encode(x=x, y=y), text.encode(x=x, y=y, text="name:N")]


def dots(figure: Dots) -> str:
    alt = altair()
    order = [words.inert(name) for name in figure.order]
    panels = [_panel(figure, quantity, order, n) for n, quantity in enumerate(figure.quantities)]
    return svg(alt.hconcat(*panels, spacing=16))


def _panel(figure: Dots, quantity: Quantity, order: Sequence[str], place: int) -> Any:
    """One quantity; only the first panel names the contenders."""
    alt = altair()
    axis = alt.Axis(
        labels=place == 0, ticks=False, domain=False, grid=True, labelLimit=200,
        minExtent=_room(order) if place == 0 else 0,
    )  # fmt: skip
    y = alt.Y("series:N", title=None, axis=axis).scale(domain=list(order))
    levels = [*_ends(quantity.marks), *(value for _, value in quantity.line)]
    x, low = (_axis(alt.X(f"{end}:Q", title=None), levels, quantity.unit) for end in ("y", "low"))
    base = alt.Chart(_data(figure, quantity.marks)).encode(y=y)
    bar = alt.Stroke("hue:N", scale=None)
    layers = [
        base.mark_rule(strokeWidth=1.6, opacity=0.6).encode(x=low, x2=alt.X2("high:Q"), stroke=bar),
        _dressed(base).encode(x=x),
    ]
    if quantity.line:
        level = alt.Chart(alt.Data(values=[{"y": value} for _, value in quantity.line[:1]]))
        layers.append(level.mark_rule(strokeDash=[5, 4], strokeWidth=1.4, color=INK).encode(x=x))
    named = f", dashed: {quantity.line_name}" if quantity.line else ""
    title = words.inert(quantity.title + named)
    return alt.layer(*layers).properties(
        width=WIDTHS[place > 0], height=24 * len(order), title=title
    )


def _room(names: Sequence[str]) -> float:
    """Pixels for names: a reader's font may be wider than the one that the chart was made with."""
    return min(200, 7.2 * max(map(len, names)))


def _dressed(base: Any) -> Any:
    """Marks in the colour of their contender, hollow where they speak for a part."""
    alt = altair()
    return marks(base, size=46, strokeWidth=1.8).encode(
        fill=alt.Fill("paint:N", scale=None),
        stroke=alt.Stroke("hue:N", scale=None),
        shape=alt.Shape("shape:N", scale=None),
    )


def _data(figure: Figure, found: Sequence[Mark]) -> Any:
    return rows(_value(figure, mark) for mark in found)


def _value(figure: Figure, mark: Mark) -> dict[str, Any]:
    hue = f"var(--hue-{figure.hues.get(mark.series, 0)})"
    return {
        "series": words.inert(mark.series),
        "x": mark.x,
        "y": mark.y,
        "low": mark.low,
        "high": mark.high,
        "hue": hue,
        "paint": PAPER if mark.part else hue,
        "shape": "diamond" if mark.peer else "circle",
        "told": told(mark.place, mark.said, mark.y),
    }


def _ends(found: Sequence[Mark]) -> list[float]:
    return [end for mark in found for end in (mark.low, mark.high)]


def _axis(channel: Any, values: Sequence[float], unit: str) -> Any:
    """A logarithmic axis with few ticks: vega's own has one at every digit."""
    factor = _UNITS.get(unit, 1.0)
    low, high, places = ticks(min(values) / factor, max(values) / factor)
    scale = {"type": "log", "domain": [low * factor, high * factor], "nice": False, "padding": 8}
    axis = altair().Axis(values=[place * factor for place in places], labelExpr=_LABELS[unit])
    return channel.scale(**scale).axis(axis)


def ticks(low: float, high: float) -> tuple[float, float, list[float]]:
    """Both ends of a logarithmic axis and its ticks: powers of ten, or some of what is between.

    Where even those are less than two the axis is made longer, to the next powers of ten.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1,), (1, 2, 5), range(1, 10)):
        found = [_power(k, d) for k in range(first, last + 1) for d in digits]
        inside = [place for place in found if low <= place <= high]
        if len(inside) > 1:
            return low, high, inside[:: 1 + len(inside) // MOST_TICKS]
    last = max(last, first + 1)
    return _power(first), _power(last), [_power(first), _power(last)]


def _power(exponent: int, digit: int = 1) -> float:
    """As it is written: ten to the power of -6 is not quite 1e-6."""
    return float(f"{digit}e{exponent}")
