"""Figures of saliency claims: insertion and deletion curves, and maps as pictures.

Both come from the details of scores, which may hold anything: what is not what it should be is left
out and counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

from pydantic import ValidationError

from claimbench.suite.definitions import Claim, Definition, Scalar
from claimbench.suite.evidence import Evidence, Row
from claimbench.suite.saliency_details import Curve, Curves, Pictures, levels

from . import axes, figures, words
from .claim_ranks import MANY
from .figures import CurvePanels, Picture, Point
from .figures import Pictures as Grid

Details = TypeVar("Details", bound=Definition)

NOISE = "random_map"
"""The method that the curves of all others are held against."""
NORMAL = 1.96
"""Standard errors on either side of a mean that hold 95% of a normal distribution."""
MOST = 8
"""Grids of pictures that a page has room for."""


def _read(
    rows: Sequence[Row], name: str, model: type[Details]
) -> tuple[list[tuple[Row, Details]], int]:
    """What the details of scores hold under a name, and how many hold something else there."""
    found: list[tuple[Row, Details]] = []
    bad = 0
    for row in rows:
        if name not in row.score.details:
            continue
        try:
            found.append((row, model.model_validate(row.score.details[name])))
        except (ValidationError, RecursionError):
            bad += 1
    return found, bad


def _left_out(bad: int, what: str) -> str:
    if not bad:
        return ""
    return f" {words.count(bad, 'score')} with {what} that cannot be read had to be left out."


def curve_panels(evidence: Evidence) -> Iterator[CurvePanels]:
    """Insertion and deletion, for each of few data sets or else for all of them together."""
    found, bad = _read(evidence.rows, "curves", Curves)
    parts: dict[str, list[tuple[Row, Curves]]] = defaultdict(list)
    apart = len({row.record.data for row, _ in found}) < MANY
    for row, curves in found:
        parts[row.record.data if apart else ""].append((row, curves))
    if bad and not parts:
        parts[""] = []
    for data, kept in parts.items():
        yield _panels_of(evidence.claim, kept, data if len(parts) > 1 else "", bad)


def _panels_of(
    claim: Claim, found: Sequence[tuple[Row, Curves]], data: str, bad: int
) -> CurvePanels:
    grids = Counter((c.insertion.fraction, c.deletion.fraction) for _, c in found)
    grid = grids.most_common(1)[0][0] if grids else None
    by_method: dict[str, list[Curves]] = defaultdict(list)
    for row, curves in found:
        if (curves.insertion.fraction, curves.deletion.fraction) == grid:
            by_method[row.record.method].append(curves)
        else:
            bad += 1
    points = {method: _points(by_method[method]) for method in claim.methods if by_method[method]}
    noise = next((m for m in points if claim.methods[m].name == NOISE), None)
    where = f", {data}" if data else ""
    return CurvePanels(
        title=f"Insertion and deletion, by method{where}",
        note="Mean probability of the net's own label while pixels are shown, the map's highest "
        "first, and while they are removed in the same order. A good map rises early and falls "
        f"early. Bands are 95% intervals over {words.count(_images(found), 'image')}"
        + (f"; the faint lines are those of {noise}." if noise else ".")
        + _left_out(bad, "curves"),
        hues=figures.hues(claim.methods),
        x="pixels shown or removed (%)",
        y="probability (%)",
        panels=tuple(points.items()),
        compared=points.get(noise, ()) if noise else (),
    )


def _images(found: Sequence[tuple[Row, Curves]]) -> int:
    """Images behind the curves; several methods and nets look at the same."""
    draws: dict[tuple[str, int], int] = {}
    for row, curves in found:
        draw = (row.record.data, row.record.trial)
        draws[draw] = max(draws.get(draw, 0), curves.images)
    return sum(draws.values())


def _points(curves: Sequence[Curves]) -> tuple[Point, ...]:
    """Both curves of a method, means over its nets."""
    return (
        *_mean("insertion", [c.insertion for c in curves]),
        *_mean("deletion", [c.deletion for c in curves]),
    )


def _mean(series: str, curves: Sequence[Curve]) -> Iterator[Point]:
    for place, fraction in enumerate(curves[0].fraction):
        mean = 100 * fmean(curve.mean[place] for curve in curves)
        # Nets look at the same images, so that their errors are not independent: this is the most.
        error = 100 * fmean(curve.error[place] for curve in curves)
        low, high = max(0.0, mean - NORMAL * error), min(100.0, mean + NORMAL * error)
        yield Point(series, 100 * fraction, mean, low, high)


def grids(evidence: Evidence) -> Iterator[Grid]:
    """Maps of the same images by every method, for each net on each data set."""
    found, bad = _read(evidence.rows, "pictures", Pictures)
    shared = _shared([row for row, _ in found])
    groups: dict[tuple[tuple[str, Scalar], ...], list[tuple[Row, Pictures]]] = defaultdict(list)
    for row, pictures in found:
        place: dict[str, Scalar] = {"data": row.record.data, "trial": row.record.trial}
        place |= {name: value for name, value in axes.facts(row).items() if name in shared}
        groups[tuple(place.items())].append((row, pictures))
    if bad and not groups:
        groups[()] = []
    for alike, kept in list(groups.items())[:MOST]:
        yield _grid(evidence.claim, dict(alike), kept, shared, bad)


def _shared(rows: Sequence[Row]) -> set[str]:
    """Axes that every method has, such as the net: they part the grids, the rest the columns."""
    return set.intersection(*(set(axes.facts(row)) for row in rows)) if rows else set()


def _grid(
    claim: Claim,
    place: Mapping[str, Scalar],
    found: Sequence[tuple[Row, Pictures]],
    shared: set[str],
    bad: int,
) -> Grid:
    columns: dict[str, Pictures] = {}
    for row, pictures in sorted(found, key=lambda pair: _order(claim, pair[0])):
        first = next(iter(columns.values()), pictures)
        if _subjects(pictures) == _subjects(first):
            columns[_name(row, found, shared)] = pictures
        else:
            bad += 1
    seen = next(iter(columns.values())).shown if columns else ()
    data = str(place.get("data", ""))
    rest = {name: value for name, value in place.items() if name not in ("data", "trial")}
    where = ", ".join(filter(None, [data, words.facts(rest)]))
    images = [one.image for one in seen if one.image]
    note = (
        "White is what a map ranks highest, black the lowest. Each map is of the label that the "
        "net gives to the image, named here with its probability; the images are the first of the "
        "test draw, whatever their maps look like."
    )
    if seen and not images:
        note += " The images themselves are not in the records; docs/claims.md says why."
    return Grid(
        title=f"Maps as pictures, {where}" if where else "Maps as pictures",
        note=note + _left_out(bad, "pictures"),
        hues={},
        columns=(*(["image"] if images else []), *columns),
        rows=tuple(_row(columns, at, data, bool(images)) for at in range(len(seen))),
    )


def _order(claim: Claim, row: Row) -> int:
    return list(claim.methods).index(row.record.method)


def _subjects(pictures: Pictures) -> tuple[object, ...]:
    """What must be alike for maps to stand beside each other."""
    return pictures.height, pictures.width, [(one.label, one.image) for one in pictures.shown]


def _name(row: Row, found: Sequence[tuple[Row, Pictures]], shared: set[str]) -> str:
    """A method's label, with what tells its variants apart where it has several."""
    label = row.record.method
    if sum(other.record.method == label for other, _ in found) == 1:
        return label
    own = {name: value for name, value in axes.facts(row).items() if name not in shared}
    return f"{label} ({words.facts(own)})"


def _row(
    columns: Mapping[str, Pictures], at: int, data: str, images: bool
) -> tuple[str, tuple[Picture | None, ...]]:
    first = next(iter(columns.values()))
    one = first.shown[at]
    subject = f"image {at + 1} of {data}"
    label = f"label {one.label}, {words.value(one.probability, 'fraction')}"
    shape = first.width, first.height
    cells = [
        Picture(*shape, levels(pictures.shown[at].map), f"{name}: map of {subject}, {label}")
        for name, pictures in columns.items()
    ]
    if not images:
        return label, tuple(cells)
    image = Picture(*shape, levels(one.image), f"{subject}, {label}") if one.image else None
    return label, (image, *cells)
