"""Tables: what stands on a page in rows, and beside it as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

from claimbench.suite.definitions import Scalar
from claimbench.suite.rules import Outcome

from . import words


@dataclass(frozen=True, slots=True)
class Cell:
    """What one cell shows, and the value that it sorts by and exports."""

    text: str
    value: Scalar | None
    href: str = ""
    outcome: Outcome | None = None

    @property
    def sort(self) -> str:
        """What a script compares; empty stands last."""
        return "" if self.value is None else str(self.value)


@dataclass(frozen=True)
class Column:
    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under named columns; the first column names its row.

    Attributes:
        name: part of the page's anchors and of the file names.
        limit: how many rows the page shows; the files have them all.
        further: what a link to the rows that it has no room for is called; empty where they stand
            in the files alone.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    limit: int = 400
    further: str = ""

    @property
    def shown(self) -> Sequence[tuple[Cell, ...]]:
        """What the page has room for; a column that says nothing in any row is left out."""
        kept = self._kept
        return tuple(tuple(row[place] for place in kept) for row in self.rows[: self.limit])

    @property
    def heads(self) -> tuple[Column, ...]:
        return tuple(self.columns[place] for place in self._kept)

    @property
    def _kept(self) -> list[int]:
        rows = self.rows[: self.limit]
        says = (
            place == 0 or not rows or any(row[place].text != words.NOTHING for row in rows)
            for place in range(len(self.columns))
        )
        return [place for place, kept in enumerate(says) if kept]

    @property
    def cut(self) -> str:
        """What the page leaves to the files; empty where it has all."""
        if len(self.rows) <= self.limit:
            return ""
        return f"The first {self.limit:,} of {len(self.rows):,} rows; the files have them all."


class Made(Sequence[tuple[Cell, ...]]):
    """Rows made when they are asked for: of every time of a long history there are very many."""

    def __init__(self, make: Callable[[Any], tuple[Cell, ...]], items: Sequence[Any]):
        self._make, self._items = make, items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> tuple[Cell, ...]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[tuple[Cell, ...]]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return tuple(map(self._make, self._items[place]))
        return self._make(self._items[place])


@dataclass(frozen=True)
class Part:
    """Rows of a table for which its own page has no room, on a page of their own.

    Attributes:
        number: 2 for the first that is not the table's own page.
        first, last: the rows that it has, counted from 1.
    """

    table: Table
    number: int
    first: int
    last: int

    @property
    def rows(self) -> Sequence[tuple[Cell, ...]]:
        return self.table.rows[self.first - 1 : self.last]

    @property
    def title(self) -> str:
        count = len(self.table.rows)
        return f"{self.table.caption}: rows {self.first:,} to {self.last:,} of {count:,}"


def parts(table: Table) -> list[Part]:
    """The rows beyond the limit, where they are to have pages."""
    if not table.further:
        return []
    starts = range(table.limit, len(table.rows), table.limit)
    return [
        Part(table, number, start + 1, min(start + table.limit, len(table.rows)))
        for number, start in enumerate(starts, start=2)
    ]


def text(content: str, href: str = "") -> Cell:
    return Cell(content or words.NOTHING, content or None, href)


def amount(value: float | None, shown: str) -> Cell:
    """A number; JSON and CSV have no word for one that is not finite."""
    return Cell(shown, value if value is not None and math.isfinite(value) else None)


def interval(low: float, high: float, shown: str) -> Cell:
    """An interval; the files have both ends as numbers."""
    known = math.isfinite(low) and math.isfinite(high)
    return Cell(shown, f"{low:.6g} to {high:.6g}" if known else None)


def verdict(outcome: Outcome) -> Cell:
    return Cell(str(outcome), str(outcome), outcome=outcome)


def columns(*names: str, numeric: Sequence[str] = ()) -> tuple[Column, ...]:
    return tuple(Column(name, name in numeric) for name in names)


def as_csv(table: Table) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([_guarded(column.name) for column in table.columns])
    writer.writerows([_guarded(cell.value) for cell in row] for row in table.rows)
    return target.getvalue()


def _guarded(value: Scalar | None) -> Scalar | None:
    """A spreadsheet would run a text that begins like a formula."""
    if isinstance(value, str):
        value = words.inert(value)
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t")) else value
    return value


def as_json(table: Table) -> str:
    content = {
        "caption": table.caption,
        "columns": [column.name for column in table.columns],
        "rows": [[cell.value for cell in row] for row in table.rows],
    }
    return dump(content)


def dump(content: Any) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":")) + "\n"
