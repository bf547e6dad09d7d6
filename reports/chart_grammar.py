"""What charts by altair share: their colours, their axes' dress, and how they become SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import drawings, words
from .figures import Figure, Point

INK = "var(--ink-2)"
FAINT = "var(--line)"
WIDTH = 640
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def altair() -> Any:
    """altair, whose types say more than they hold, and which need not check each of our parts."""
    import altair
    from altair.utils import schemapi

    schemapi.disable_debug_mode()
    return altair


def svg(chart: Any) -> str:
    import vl_convert

    alt = altair()

    version = "_".join(alt.SCHEMA_VERSION.split(".")[:2])
    configured = chart.configure(
        aria=False,
        background="transparent",
        font="system-ui, sans-serif",
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            domainColor=FAINT, tickColor=FAINT, gridColor=FAINT, gridOpacity=0.6,
            labelColor=INK, titleColor=INK, titleFontWeight="normal", labelFontSize=11,
            titleFontSize=11, tickSize=4,
        ),
        legend=alt.LegendConfig(
            labelColor=INK, titleColor=INK, labelFontSize=11, labelLimit=260, symbolType="stroke",
            symbolSize=320, symbolStrokeWidth=2,
        ),
        header=alt.HeaderConfig(labelColor=INK, titleColor=INK, labelFontSize=11),
        title=alt.TitleConfig(
            color=INK, fontSize=11, fontWeight="normal", anchor="start", offset=6
        ),
    )  # fmt: skip
    return vl_convert.vegalite_to_svg(configured.to_dict(validate=False), vl_version=version)


def data(points: Sequence[Point], heads: Mapping[str, str] | None = None, unit: str = "") -> Any:
    """Points as a chart's data; `told` is what a reader is told of each who points at it.

    Args:
        heads: what places on the axis are called at length, such as a commit and its subject.
    """
    return rows(_value(point, heads or {}, unit) for point in points)


def rows(values: Iterable[dict[str, Any]]) -> Any:
    """Values as a chart's data: as a tuple, for altair copies a list again for each layer."""
    return altair().Data(values=tuple(values))


def _value(point: Point, heads: Mapping[str, str], unit: str) -> dict[str, Any]:
    def read(amount: float) -> str:
        return words.seconds(amount) if unit == "seconds" else words.number(amount)

    interval = f" [{read(point.low)}, {read(point.high)}]" if point.low < point.high else ""
    said = f"{point.series}: {read(point.y)}{interval} {unit if unit != 'seconds' else ''}".strip()
    place = words.inert(point.x) if isinstance(point.x, str) else point.x
    name = heads.get(point.x) if isinstance(point.x, str) else words.number(point.x)
    return {
        "series": words.inert(point.series),
        "x": place,
        "y": point.y,
        "low": point.low,
        "high": point.high,
        "told": told(name or str(point.x), said, point.y),
    }


def told(head: str, text: str, value: float | None = None) -> str:
    """What stands over a mark when it is pointed at: where it is, and what it says.

    Args:
        value: the number in the text, which a script may hold against that of another place.
    """
    number = "" if value is None else f"{value!r}"
    parts = (part.replace(drawings.SEPARATOR, " ") for part in (head, text))
    return words.inert(drawings.SEPARATOR.join((*parts, number)))


def marks(base: Any, **style: Any) -> Any:
    """Points that tell what they are; all other marks are silent."""
    return base.mark_point(filled=True, opacity=1, aria=True, **style).encode(
        description=altair().Description("told:N")
    )


def hue(figure: Figure, series: str) -> int:
    """A series `cpu, shape` has the colour of `cpu`."""
    return figure.hues.get(series, figure.hues.get(series.partition(",")[0], 0))


def by_series(figure: Figure, points: Sequence[Point], legend: bool = True) -> dict[str, Any]:
    """Colour and dash by series; a dash tells apart what a printer makes grey."""
    alt = altair()
    names = list(dict.fromkeys(point.series for point in points))
    hues = [hue(figure, name) for name in names]
    shown = [words.inert(name) for name in names]
    key = (
        alt.Legend(title=None, orient="bottom", columns=3, columnPadding=26, symbolOpacity=1)
        if legend
        else None
    )
    colours, dashes = [f"var(--hue-{h})" for h in hues], [_DASHES[h % 4] for h in hues]
    return {
        "color": alt.Color("series:N", legend=key).scale(domain=shown, range=colours),
        "strokeDash": alt.StrokeDash("series:N", legend=key).scale(domain=shown, range=dashes),
    }
