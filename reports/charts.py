"""Charts: figures drawn as SVG, by altair and vl-convert, ranks by matplotlib.

Colours are the style sheet's variables, so that one drawing serves light and dark. All libraries
come with the first chart; without them a page has its tables and says what is missing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from . import words
from .drawings import inlined
from .figures import Curves, Figure, History, Panel, Plane, Point, Ranks, Scatter, Spark

INK = "var(--ink-2)"
FAINT = "var(--line)"
WIDTH = 640
INSTALL = "pip install 'claimbench[report,stats]'"
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def lacking() -> str:
    """What is not installed that charts need, and the line that installs it; else empty."""
    needed = {"altair": "altair", "vl_convert": "vl-convert-python"}
    needed |= {"matplotlib": "matplotlib", "scikit_posthocs": "scikit-posthocs"}
    missing = [name for module, name in needed.items() if find_spec(module) is None]
    if not missing:
        return ""
    return f"Some charts are left out, since {', '.join(missing)} is not installed: {INSTALL}"


def draw(figure: Figure, prefix: str) -> str | None:
    """A figure as inline SVG; `None` where its library is not installed."""
    modules = _RANKS if isinstance(figure, Ranks) else _GRAMMAR
    if any(find_spec(module) is None for module in modules):
        return None
    return inlined(_DRAWN[type(figure)](figure), words.inert(figure.title), prefix)


_GRAMMAR = ("altair", "vl_convert")
_RANKS = ("matplotlib", "scikit_posthocs")


def _altair() -> Any:
    """altair, whose types say more than they hold."""
    import altair

    return altair


def _svg(chart: Any) -> str:
    import vl_convert

    altair = _altair()

    version = "_".join(altair.SCHEMA_VERSION.split(".")[:2])
    configured = chart.configure(
        aria=False,
        background="transparent",
        font="system-ui, sans-serif",
        view=altair.ViewConfig(stroke=None),
        axis=altair.AxisConfig(
            domainColor=FAINT, tickColor=FAINT, gridColor=FAINT, gridOpacity=0.6,
            labelColor=INK, titleColor=INK, titleFontWeight="normal", labelFontSize=11,
            titleFontSize=11, tickSize=4,
        ),
        legend=altair.LegendConfig(
            labelColor=INK, titleColor=INK, labelFontSize=11, labelLimit=260, symbolType="stroke",
            symbolSize=320, symbolStrokeWidth=2,
        ),
        header=altair.HeaderConfig(labelColor=INK, titleColor=INK, labelFontSize=11),
        title=altair.TitleConfig(
            color=INK, fontSize=11, fontWeight="normal", anchor="start", offset=6
        ),
    )  # fmt: skip
    return vl_convert.vegalite_to_svg(configured.to_dict(validate=False), vl_version=version)


def _values(points: Sequence[Point]) -> list[dict[str, Any]]:
    return [
        {
            "series": words.inert(p.series),
            "x": words.inert(p.x) if isinstance(p.x, str) else p.x,
            "y": p.y,
            "low": p.low,
            "high": p.high,
        }
        for p in points
    ]


def _hue(figure: Figure, series: str) -> int:
    """A series `cpu, shape` has the colour of `cpu`."""
    return figure.hues.get(series, figure.hues.get(series.partition(",")[0], 0))


def _by_series(figure: Figure, points: Sequence[Point], legend: bool = True) -> dict[str, Any]:
    """Colour and dash by series; a dash tells apart what a printer makes grey."""
    altair = _altair()
    names = list(dict.fromkeys(point.series for point in points))
    hues = [_hue(figure, name) for name in names]
    shown = [words.inert(name) for name in names]
    key = (
        altair.Legend(title=None, orient="bottom", columns=3, columnPadding=26, symbolOpacity=1)
        if legend
        else None
    )
    colours, dashes = [f"var(--hue-{h})" for h in hues], [_DASHES[h % 4] for h in hues]
    return {
        "color": altair.Color("series:N", legend=key).scale(domain=shown, range=colours),
        "strokeDash": altair.StrokeDash("series:N", legend=key).scale(domain=shown, range=dashes),
    }


def _curves(figure: Curves) -> str:
    altair = _altair()
    y = altair.Y("y:Q", title=figure.y).scale(zero=False)
    keyed = _by_series(figure, figure.points)
    base = altair.Chart().encode(x=_axis(figure), color=keyed["color"])
    layers = altair.layer(
        base.mark_area(opacity=0.16).encode(y=altair.Y("low:Q").title(figure.y), y2="high:Q"),
        base.mark_line(strokeWidth=1.8).encode(y=y, strokeDash=keyed["strokeDash"]),
        base.mark_point(filled=True, size=28, opacity=1).encode(y=y),
        data=altair.Data(values=_values(figure.points)),
    )
    return _svg(layers.properties(width=WIDTH, height=250))


def _axis(figure: Curves) -> Any:
    altair = _altair()
    if figure.order:
        order = [words.inert(place) for place in figure.order]
        return altair.X("x:N", title=figure.x).axis(labelAngle=0).scale(domain=order)
    kind = "log" if figure.log_x else "linear"
    x = altair.X("x:Q", title=figure.x).scale(type=kind, nice=False, zero=False)
    return x.axis(values=sorted({point.x for point in figure.points}), grid=False)


def _square(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 1.0
    return [low - room, high + room]


def _scatter(figure: Scatter) -> str:
    altair = _altair()
    ends = _square([value for _, x, y in figure.points for value in (x, y)])
    scale = altair.Scale(domain=ends, nice=False)
    values = [{"name": words.inert(name), "x": x, "y": y} for name, x, y in figure.points]
    diagonal = altair.Chart(altair.Data(values=[{"x": end, "y": end} for end in ends])).mark_line(
        strokeDash=[4, 4], strokeWidth=1, color=INK
    )
    marks = altair.Chart(altair.Data(values=values)).mark_point(
        filled=True, size=36, opacity=0.75, color="var(--hue-0)"
    )
    both = [
        layer.encode(
            altair.X("x:Q", title=words.inert(figure.x), scale=scale),
            altair.Y("y:Q", title=words.inert(figure.y), scale=scale),
        )
        for layer in (diagonal, marks)
    ]
    return _svg(altair.layer(*both).properties(width=340, height=340))


def _plane(figure: Plane) -> str:
    altair = _altair()
    values = [{"series": words.inert(name), "x": x, "y": y} for name, x, y in figure.points]
    points = [Point(name, x, y, y, y) for name, x, y in figure.points]
    base = altair.Chart(altair.Data(values=values)).encode(
        altair.X("x:Q", title=words.inert(figure.x)).scale(zero=False, padding=24),
        altair.Y("y:Q", title=words.inert(figure.y)).scale(zero=False, padding=16),
        color=_by_series(figure, points, legend=False)["color"],
    )
    names = base.mark_text(align="left", dx=8, fontSize=11, limit=200).encode(text="series:N")
    marks = base.mark_point(filled=True, size=70, opacity=1)
    return _svg(altair.layer(marks, names).properties(width=WIDTH - 160, height=300))


def _history(figure: History) -> str:
    altair = _altair()
    commits = [words.inert(commit) for commit in figure.commits]
    rows = [_panel(figure, panel, commits, n) for n, panel in enumerate(figure.panels)]
    return _svg(altair.vconcat(*rows, spacing=14).resolve_scale(color="independent"))


def _panel(figure: History, panel: Panel, commits: list[str], place: int) -> Any:
    """One panel; only the last names the commits, and each has the legend of its own series."""
    altair = _altair()
    last = place == len(figure.panels) - 1
    axis = altair.Axis(labelAngle=-40, labels=last, ticks=last, title="commit" if last else None)
    x = altair.X("x:N", axis=axis).scale(domain=commits)
    kind = altair.Scale(type="log" if panel.log else "linear", zero=False, padding=6)
    several = len({point.series for point in panel.points}) > 1
    keyed = _by_series(figure, panel.points, legend=several)
    # A logarithmic axis draws a line at every digit, however few ticks are asked for.
    grid = altair.Axis(title=None, tickCount=4, grid=not panel.log)
    y, low = (altair.Y(f"{end}:Q", axis=grid, scale=kind) for end in ("y", "low"))
    base = altair.Chart(altair.Data(values=_values(panel.points))).encode(
        x=x, y=y, color=keyed["color"]
    )
    layers = [
        base.mark_rule(strokeWidth=1.4, opacity=0.6).encode(y=low, y2="high:Q"),
        base.mark_line(strokeWidth=1.6).encode(strokeDash=keyed["strokeDash"]),
        base.mark_point(filled=True, size=34, opacity=1),
    ]
    if panel.threshold is not None:
        layers.append(_threshold(panel.threshold, y))
    title = words.inert(panel.y)
    return altair.layer(*layers).properties(width=WIDTH, height=130, title=title)


def _threshold(level: float, y: Any) -> Any:
    altair = _altair()
    line = altair.Chart(altair.Data(values=[{"y": level}]))
    return line.mark_rule(strokeDash=[4, 4], strokeWidth=1, color=INK).encode(y=y)


def _spark(figure: Spark) -> str:
    altair = _altair()
    commits = [words.inert(str(point.x)) for point in figure.points]
    x = altair.X("x:N", axis=None).scale(domain=commits)
    y, low = (altair.Y(f"{end}:Q", axis=None).scale(zero=False) for end in ("y", "low"))
    base = altair.Chart(altair.Data(values=_values(figure.points))).encode(x=x, y=y)
    hue = "var(--hue-0)"
    layers = [
        base.mark_rule(strokeWidth=1.5, opacity=0.55, color=hue).encode(y=low, y2="high:Q"),
        base.mark_line(strokeWidth=1.2, color=hue),
        base.mark_point(filled=True, size=16, opacity=1, color=hue),
    ]
    if figure.threshold is not None:
        layers.append(_threshold(figure.threshold, y))
    return _svg(altair.layer(*layers).properties(width=110, height=34))


def _ranks(figure: Ranks) -> str:
    """A critical-difference diagram, with Nemenyi's test."""
    import matplotlib
    import numpy as np
    import scikit_posthocs
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas
    from scipy import stats

    names = [words.inert(name)[:60] for name in figure.values]
    table = np.asarray(list(figure.values.values())).T
    ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    alike = scikit_posthocs.posthoc_nemenyi_friedman(table)
    alike.index = alike.columns = names
    palette = {
        name: _STAND_INS[_hue(figure, key)] for name, key in zip(names, figure.values, strict=True)
    }
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "claimbench"}):
        canvas = Canvas(figsize=(6.6, 0.9 + 0.28 * len(names)))
        FigureCanvasSVG(canvas)
        scikit_posthocs.critical_difference_diagram(
            dict(zip(names, map(float, ranks), strict=True)),
            alike,
            ax=canvas.add_subplot(),
            color_palette=palette,
            label_props={"fontsize": 8.5},
            text_h_margin=0.05,
        )
        target = io.StringIO()
        canvas.savefig(target, format="svg", transparent=True, metadata={"Date": None})
    return _themed(target.getvalue())


_STAND_INS = tuple(f"#0000{hue + 1:02x}" for hue in range(8))
"""matplotlib wants true colours; these are nobody's, and become the style sheet's."""


def _themed(svg: str) -> str:
    for hue, colour in enumerate(_STAND_INS):
        svg = svg.replace(colour, f"var(--hue-{hue})")
    return svg.replace("#000000", INK)


_DRAWN: dict[type[Figure], Callable[[Any], str]] = {
    Curves: _curves,
    Scatter: _scatter,
    Plane: _plane,
    History: _history,
    Spark: _spark,
    Ranks: _ranks,
}
