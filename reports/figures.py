"""Figures: what a chart shows, decided before anything is drawn.

`hues` binds a colour to a name: its place in the claim's own order, the same in every figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

BACKENDS = ("reference", "cpu", "numba", "torch", "triton", "cuda")
HUES = 12
"""How many colours the style sheet has."""


@dataclass(frozen=True, slots=True)
class Point:
    """One mark; `low` and `high` are equal to `y` where nothing is known of its interval."""

    series: str
    x: float | str
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Figure:
    """What every chart has: the text that stands for it, and where its numbers are.

    Attributes:
        title: what the chart shows, also to those who cannot see it.
        note: how to read it.
        wide: it wants the whole width of a page.
    """

    title: str
    note: str
    hues: Mapping[str, int]
    wide: ClassVar[bool] = False


@dataclass(frozen=True)
class Curves(Figure):
    """A metric over an axis, with a band of its interval.

    Attributes:
        order: places on the axis, where not all of them are numbers.
    """

    x: str
    y: str
    points: tuple[Point, ...]
    order: tuple[str, ...] = ()
    log_x: bool = False


@dataclass(frozen=True)
class Scatter(Figure):
    """One mark a data set: the better method's value over the worse one's."""

    x: str
    y: str
    points: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Span:
    """A value with its interval; all three are equal where nothing is known of it."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Plane(Figure):
    """One named mark a method, in the plane of two metrics, with the interval of each."""

    x: str
    y: str
    points: tuple[tuple[str, Span, Span], ...]


@dataclass(frozen=True)
class Tile:
    """One cell of a heat map.

    Attributes:
        shown: the value as the cell prints it.
        place, said: the two lines that a reader is told who points at it.
    """

    x: str
    y: str
    value: float
    shown: str
    place: str
    said: str


@dataclass(frozen=True)
class HeatPanel:
    """One map of several.

    Attributes:
        scale: panels of one scale are shaded from the least to the greatest value of all of them.
    """

    title: str
    scale: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class HeatMap(Figure):
    """A metric over two axes, one map for each variant of the rest.

    Attributes:
        columns: places on the axis `x`, from the left.
        rows: places on the axis `y`, from the top.
    """

    x: str
    y: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    panels: tuple[HeatPanel, ...]
    wide = True


@dataclass(frozen=True)
class CurvePanels(Figure):
    """Several curves of each method, one panel a method, all on the same axes.

    Attributes:
        panels: what each is called, and its points; a series has one dash in all of them.
        compared: points that stand faintly in every panel.
    """

    x: str
    y: str
    panels: tuple[tuple[str, tuple[Point, ...]], ...]
    compared: tuple[Point, ...] = ()
    wide = True


@dataclass(frozen=True)
class Picture:
    """Grey pixels of 8 bits, row by row.

    Attributes:
        told: what it shows, to those who cannot see it.
    """

    width: int
    height: int
    pixels: bytes
    told: str


@dataclass(frozen=True)
class Pictures(Figure):
    """Pictures in a grid; `None` where there is none.

    Attributes:
        rows: what each row is called, and its pictures in the order of `columns`.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Picture | None, ...]], ...]
    wide = True


@dataclass(frozen=True)
class Mark(Point):
    """A point that says what it is.

    Attributes:
        place, said: the two lines that a reader is told who points at it.
        peer: somebody else's code; drawn as a diamond.
        part: measured on a part of what was asked for; drawn hollow.
    """

    place: str
    said: str
    peer: bool = False
    part: bool = False


@dataclass(frozen=True)
class Quantity:
    """What was measured of several contenders, on a logarithmic axis.

    Attributes:
        unit: "s", "bytes", or "" for a number without one.
        line: what is possible or allowed, as points that a dashed line joins; may be empty.
        line_name: what the line is called.
    """

    title: str
    unit: str
    marks: tuple[Mark, ...]
    line: tuple[tuple[float, float], ...] = ()
    line_name: str = ""


@dataclass(frozen=True)
class Sizes(Figure):
    """Quantities against work, a line for each contender that has several sizes."""

    x: str
    quantities: tuple[Quantity, ...]
    wide = True


@dataclass(frozen=True)
class Dots(Figure):
    """Contenders below each other on one shape, and a panel for each quantity.

    Attributes:
        order: the contenders from the top.
    """

    order: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    wide = True


@dataclass(frozen=True)
class Ranks(Figure):
    """Average ranks over data sets, for a critical-difference diagram.

    Attributes:
        values: of each method, higher is better, over the same data sets in the same order.
    """

    values: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Panel:
    """One row of a history: what its axis is called, and its points by commit."""

    y: str
    points: tuple[Point, ...]
    log: bool = False
    threshold: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class History(Figure):
    """Panels one above the other that share the commits as their axis.

    Attributes:
        heads: what each commit is called at length: hash, date and subject.
    """

    commits: tuple[str, ...]
    panels: tuple[Panel, ...]
    heads: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spark(Figure):
    """A word-sized history of one number.

    Attributes:
        what: the number, in a word or two.
        unit: `seconds`, whose axis begins at 0 so that a drawing is not steeper than the change;
            else what the number is read in.
    """

    what: str
    unit: str
    points: tuple[Point, ...]
    threshold: float | None = None
    heads: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval(Figure):
    """A word-sized interval: an effect, what it must clear, and what was published."""

    effect: float
    low: float
    high: float
    threshold: float
    published: tuple[float, ...]
    unit: str


def hues(names: Iterable[str]) -> dict[str, int]:
    """A colour for each name, by its place in the order given."""
    return {name: place % HUES for place, name in enumerate(dict.fromkeys(names))}


def backend_hues(names: Iterable[str]) -> dict[str, int]:
    """A backend keeps its colour on every page, whichever others were measured."""
    return hues([*BACKENDS, *sorted(names)])


def contender_hues(backends: Iterable[str], peers: Iterable[str]) -> dict[str, int]:
    """As `backend_hues`; peers have the colours after those of the backends."""
    return hues([*BACKENDS, *sorted(backends), *sorted(peers)])
