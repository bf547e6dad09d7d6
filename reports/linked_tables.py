"""Tables whose rows can be linked: each row has an id, and what a script is to know of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from . import words
from .tables import Cell, Column, Table

Facts = tuple[tuple[str, str], ...]
"""Names and values; a row has them as data attributes."""


@dataclass(frozen=True)
class Linked(Table):
    ids: tuple[str, ...] = ()
    facts: tuple[Facts, ...] = ()


def linked(
    name: str,
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[tuple[str, tuple[Cell, ...]]],
    facts: Iterable[Facts] = (),
) -> Linked:
    """A table from rows with a key each, such as `commit-6005d8b`, from which their ids come."""
    keyed = list(rows)
    return Linked(
        name=name,
        caption=caption,
        columns=tuple(columns),
        rows=tuple(cells for _, cells in keyed),
        ids=tuple(ids(key for key, _ in keyed)),
        facts=tuple(facts),
    )


def ids(keys: Iterable[str]) -> Iterator[str]:
    """The same for the same key on every page; a number behind it only where two are one."""
    taken: dict[str, int] = {}
    for key in keys:
        name = words.slug(key)
        taken[name] = number = taken.get(name, 0) + 1
        yield name if number == 1 else f"{name}-{number}"
