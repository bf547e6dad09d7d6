"""The paper's table found again: its rows and columns, each value beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from claimbench.suite.definitions import Claim, Published, Scalar
from claimbench.suite.verdicts import Verdict

from . import tables, words
from .published import measured_at, value_of
from .tables import Cell, Table

FEWEST = 3
"""Rows under which a list of the values is no harder to read."""

Column = tuple[tuple[str, Scalar], ...]


def grid(claim: Claim, verdict: Verdict) -> Table | None:
    """Rows are the longest axis of numbers in the paper's table, columns all else that varies.

    `None` where the published values have no such axis.
    """
    facts = [{"method": p.method, "metric": p.metric, **p.at} for p in claim.published]
    rows = _axis(facts)
    if not rows:
        return None
    varying = {key for found in facts for key in found if len({f.get(key) for f in facts}) > 1}
    columns = [
        tuple((key, found[key]) for key in found if key in varying and key != rows)
        for found in facts
    ]
    cells = {
        (found.get(rows), column): published
        for found, column, published in zip(facts, columns, claim.published, strict=True)
        if rows in found
    }
    places = sorted({row for row, _ in cells}, key=_order)
    heads = list(dict.fromkeys(columns))
    if len(places) < FEWEST or len(heads) < 2:
        return None
    body = tuple(
        (
            tables.text(words.plain(row)),
            *(_cell(claim, verdict, cells.get((row, c))) for c in heads),
        )
        for row in places
    )
    caption = f"The paper's table by {rows}: published, then measured here"
    if claim.tiers[verdict.tier].stand_in:
        caption += ", which is of a stand-in and does not compare"
    return Table("grid", caption, tables.columns(rows, *map(_head, heads)), body)


def _axis(facts: Sequence[Mapping[str, Scalar]]) -> str:
    """The name with the most different numbers."""
    values: dict[str, set[Scalar]] = {}
    for found in facts:
        for key, value in found.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(key, set()).add(value)
    return max(values, key=lambda key: len(values[key]), default="")


def _order(place: Scalar | None) -> tuple[bool, float, str]:
    """Numbers first, then words such as `gap`."""
    number = isinstance(place, int | float)
    return not number, float(place) if isinstance(place, int | float) else 0.0, str(place)


def _head(column: Column) -> str:
    named = dict(column)
    method = str(named.pop("method", ""))
    return ", ".join(filter(None, (method, words.facts(named))))


def _cell(claim: Claim, verdict: Verdict, published: Published | None) -> Cell:
    if published is None:
        return tables.text("")
    shown = value_of(claim, published)
    found = measured_at(verdict.evidence, published)
    if found is None:
        return tables.text(f"{shown}; not measured here")
    unit = claim.metrics[published.metric].unit
    return tables.text(f"{shown}; here {words.value(found.effect, unit)}")
