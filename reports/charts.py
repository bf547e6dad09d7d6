"""Charts: figures drawn as SVG, by altair and vl-convert, ranks by matplotlib; pictures by Pillow.

Colours are the style sheet's variables, so that one drawing serves light and dark. All libraries
come with the first chart; without them a page has its tables and says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from . import words
from .chart_claims import curve_panels, curves, heat_map, plane, scatter
from .chart_histories import history, interval, spark
from .chart_kernels import dots, sizes
from .chart_pictures import pictures
from .chart_ranks import ranks
from .drawings import inlined
from .figures import (
    CurvePanels,
    Curves,
    Dots,
    Figure,
    HeatMap,
    History,
    Interval,
    Pictures,
    Plane,
    Ranks,
    Scatter,
    Sizes,
    Spark,
)

INSTALL = "pip install 'claimbench[report,stats]'"


def lacking() -> str:
    """What is not installed that charts need, and the line that installs it; else empty."""
    needed = {"altair": "altair", "vl_convert": "vl-convert-python"}
    needed |= {"matplotlib": "matplotlib", "scikit_posthocs": "scikit-posthocs"}
    missing = [name for module, name in needed.items() if find_spec(module) is None]
    if not missing:
        return ""
    return f"Some charts are left out, since {', '.join(missing)} is not installed: {INSTALL}"


def draw(figure: Figure, prefix: str) -> str | None:
    """A figure as inline SVG, or a table of pictures.

    `None` where its library is not installed, or where there is nothing in it.
    """
    modules = _NEEDED.get(type(figure), _GRAMMAR)
    if any(find_spec(module) is None for module in modules):
        return None
    if isinstance(figure, Pictures):
        return pictures(figure)
    drawn = _DRAWN[type(figure)](figure)
    return inlined(drawn, words.inert(figure.title), prefix) if drawn else None


_GRAMMAR = ("altair", "vl_convert")
_NEEDED = {Ranks: ("matplotlib", "scikit_posthocs"), Pictures: ("PIL",)}
_DRAWN: dict[type[Figure], Callable[[Any], str]] = {
    Curves: curves,
    CurvePanels: curve_panels,
    Scatter: scatter,
    Plane: plane,
    HeatMap: heat_map,
    History: history,
    Spark: spark,
    Interval: interval,
    Ranks: ranks,
    Sizes: sizes,
    Dots: dots,
}
