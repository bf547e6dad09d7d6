"""Heat maps: a metric over two axes of numbers, such as window and depth of a kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from claimbench.suite.definitions import Claim, Scalar
from claimbench.suite.evidence import Evidence, Row

from . import axes, scales, words
from .figures import HeatMap, HeatPanel, Tile
from .published import mean_over

FEWEST = 3
"""Values that the longer axis must have."""
APART = 4
"""Data sets up to which each has maps of its own."""
MOST = 24
"""Maps that a page has room for."""

Panel = tuple[tuple[str, Scalar], ...]
"""What is the same all over a map: data, method, protocol and the other axes."""
Cells = dict[tuple[str, str], list[Row]]


def heat_maps(evidence: Evidence) -> Iterator[HeatMap]:
    """The leading metric over the two longest axes of numbers, where every method has both."""
    found = axes.several(evidence.rows)
    numbers = axes.of_numbers(found)
    if len(numbers) < 2 or len(found[numbers[0]]) < FEWEST:
        return
    x, y = numbers[:2]
    if not all({x, y} <= axes.facts(row).keys() for row in evidence.rows):
        return
    panels = _panels(evidence, x, y)
    if len(panels) > MOST:
        return
    claim = evidence.claim
    names = _titles(list(panels))
    yield HeatMap(
        title=f"{claim.lead} over {x} and {y}",
        note=f"Each cell is a mean of {scales.label(claim, claim.lead)}; the stronger its "
        "colour, the higher it is among the maps of the same data. Pointing at a cell tells its "
        "interval, and the published value where there is one.",
        hues={},
        x=x,
        y=y,
        columns=tuple(map(words.plain, _ordered(found[x]))),
        rows=tuple(map(words.plain, _ordered(found[y]))),
        panels=tuple(
            HeatPanel(
                title=names[panel],
                scale=str(dict(panel).get("data", "")),
                tiles=tuple(_tiles(claim, dict(panel), names[panel], (x, y), cells)),
            )
            for panel, cells in panels.items()
        ),
    )


def _ordered(values: Sequence[Scalar]) -> list[Scalar]:
    """Numbers by size, then words as they were measured."""
    numbers = [value for value in values if axes.all_numbers([value])]
    return [*sorted(numbers, key=float), *(value for value in values if value not in numbers)]


def _panels(evidence: Evidence, x: str, y: str) -> dict[Panel, Cells]:
    """The rows of every cell of every map."""
    apart = len({row.record.data for row in evidence.rows}) <= APART
    found: dict[Panel, Cells] = {}
    for row in evidence.rows:
        rest = {name: value for name, value in row.facts.items() if name not in (x, y)}
        if not apart:
            del rest["data"]
        place = words.plain(row.facts[x]), words.plain(row.facts[y])
        cells = found.setdefault(tuple(sorted(rest.items(), key=_data_first)), {})
        cells.setdefault(place, []).append(row)
    return found


def _data_first(fact: tuple[str, Scalar]) -> tuple[int, str]:
    order = ("data", "method", "protocol")
    return order.index(fact[0]) if fact[0] in order else len(order), fact[0]


def _titles(panels: Sequence[Panel]) -> dict[Panel, str]:
    """Each map by what tells it from the others."""
    values: dict[str, set[Scalar]] = {}
    for panel in panels:
        for name, value in panel:
            values.setdefault(name, set()).add(value)
    told_apart = {name for name, found in values.items() if len(found) > 1}
    return {
        panel: ", ".join(
            words.plain(value) if name in ("data", "method") else words.facts({name: value})
            for name, value in panel
            if name in told_apart
        )
        for panel in panels
    }


def _tiles(
    claim: Claim, panel: Mapping[str, Scalar], title: str, names: tuple[str, str], cells: Cells
) -> Iterator[Tile]:
    unit = claim.metrics[claim.lead].unit
    for (x, y), rows in cells.items():
        found = mean_over(rows, claim.lead)
        text = words.value(found.effect, unit)
        where = f"{names[0]} = {x}, {names[1]} = {y}"
        said = [text]
        if words.finite(found.low) and words.finite(found.high):
            said.append(f"95% interval {words.spread(found.low, found.high, unit)}")
        facts = {**panel, **axes.facts(rows[0])}
        said += [f"published {words.value(value, unit)}" for value in _published(claim, facts)]
        yield Tile(
            x=x,
            y=y,
            value=found.effect,
            shown=text.removesuffix("%"),
            place=f"{title}, {where}" if title else where,
            said="; ".join(said),
        )


def _published(claim: Claim, facts: Mapping[str, Scalar]) -> list[float]:
    """What the paper has for the method of a cell at its very place."""
    return [
        found.value
        for found in claim.published
        if found.metric == claim.lead
        and found.method == facts["method"]
        and all(facts.get(name) == value for name, value in found.at.items())
    ]
