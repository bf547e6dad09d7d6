"""Tables: what stands on a page in rows, and beside it as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from claimbench.suite.definitions import Scalar
from claimbench.suite.rules import Outcome

from . import words


@dataclass(frozen=True)
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
        files: whether it has files; the rows of a further page stand in those of the first.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    limit: int = 400
    files: bool = True

    @property
    def shown(self) -> tuple[tuple[Cell, ...], ...]:
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
