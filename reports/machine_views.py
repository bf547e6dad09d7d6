"""The machine page: where everything that the report shows was measured, and how those differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from . import machine_sightings, tables, words
from .history import Commit
from .linked_tables import Linked, linked
from .machine_sightings import SORTS, Machine, Seen
from .tables import Cell, Table

FILE = "machines.html"

COLUMNS = 6
"""Machines beside each other; of more, which no screen has room for, the last used are shown."""

Values = Mapping[str, tuple[str, ...]]
Field = tuple[str, list[tuple[str, ...]]]
"""A name, and what each machine says of it."""


@dataclass(frozen=True)
class MachinesPage:
    """What the machine page shows.

    Attributes:
        table: a row for each of the machines.
        facts, libraries: machines as columns; what differs stands first.
        differences: of each two, where there are more than two.
    """

    machines: tuple[Machine, ...]
    table: Linked
    facts: Linked
    libraries: Linked
    differences: tuple[Table, ...]
    missing: str

    def at(self, commit: str) -> tuple[tuple[str, str], ...]:
        """Machines on which something was measured at a commit, with links from the root."""
        found = (machine for machine in self.machines if commit in machine.commits)
        return tuple((machine.name, f"{FILE}#{machine.id}") for machine in found)


def machines_page(seen: Seen, commits: Sequence[Commit]) -> MachinesPage:
    found = machine_sightings.machines(seen)
    beside = found[:COLUMNS]
    pairs = list(combinations(beside, 2))
    return MachinesPage(
        machines=tuple(found),
        table=_all(found, commits),
        facts=_matrix("facts", "Hardware and settings", beside, lambda m: m.facts),
        libraries=_matrix("libraries", "Versions of libraries", beside, lambda m: m.libraries),
        differences=tuple(_difference(*pair) for pair in pairs) if len(beside) > 2 else (),
        missing=_missing(len(found)),
    )


def _missing(count: int) -> str:
    if count <= COLUMNS:
        return ""
    return f"The {COLUMNS} of {count} machines that were used last; the table above has them all."


def _all(machines: Sequence[Machine], commits: Sequence[Commit]) -> Linked:
    """A row for each machine, in the order in which they were last used."""
    head = tables.columns(
        "machine", "processor", "device", *SORTS, "load", "first", "last", "commits", "which",
        numeric=(*SORTS, "commits"),
    )  # fmt: skip
    caption = "Every machine, the last used first"
    rows = ((machine.id, _machine_row(machine, commits)) for machine in machines)
    return linked("machines", caption, head, rows)


def _machine_row(machine: Machine, commits: Sequence[Commit]) -> tuple[Cell, ...]:
    return (
        tables.text(machine.name, f"{FILE}#{machine.id}"),
        tables.text(_said(machine.facts.get("processor", ()))),
        tables.text(_said(machine.facts.get("device", ()))),
        *(_count(machine.counts.get(sort, 0)) for sort in SORTS),
        tables.text(" to ".join(words.number(load, 2) for load in dict.fromkeys(machine.loads))),
        tables.text(machine.dates[0] if machine.dates else ""),
        tables.text(machine.dates[-1] if machine.dates else ""),
        _count(len(machine.commits)),
        tables.text(_which([c.short for c in commits if c.sha in machine.commits])),
    )


def _count(number: int) -> Cell:
    return tables.amount(number, f"{number:,}" if number else words.NOTHING)


def _which(shorts: Sequence[str]) -> str:
    return ", ".join(shorts) if len(shorts) <= 4 else f"{shorts[0]} to {shorts[-1]}"


def _said(values: Sequence[str]) -> str:
    return ", ".join(values)


def _matrix(
    name: str, caption: str, machines: Sequence[Machine], of: Callable[[Machine], Values]
) -> Linked:
    """Machines as columns, what differs before what does not; said in a word each."""
    fields = list(dict.fromkeys(key for machine in machines for key in of(machine)))
    found = [(field, [of(machine).get(field, ()) for machine in machines]) for field in fields]
    ordered = sorted(found, key=_rank)
    head = tables.columns("field", "compared", *(machine.name for machine in machines))
    rows = ((f"{name}-{field}", _row(field, values)) for field, values in ordered)
    return linked(name, caption, head, rows)


def _row(field: str, values: Sequence[tuple[str, ...]]) -> tuple[Cell, ...]:
    said = (tables.text(_said(value)) for value in values)
    return (tables.text(field), tables.text(_agreement(values)), *said)


_RANK = {"differs": 0, "several": 1, "not said by all": 2, "same": 3, "one": 3}


def _rank(row: Field) -> int:
    return _RANK[_agreement(row[1])]


def _agreement(found: Sequence[tuple[str, ...]]) -> str:
    """Whether machines agree in a field; one alone has nothing to agree with."""
    known = [values for values in found if values]
    if len(set(known)) > 1:
        return "differs"
    if any(len(values) > 1 for values in known):
        return "several"
    if len(found) < 2:
        return "one"
    return "same" if len(known) == len(found) else "not said by all"


def _difference(one: Machine, other: Machine) -> Table:
    """All in which two machines are not known to be the same."""
    head = tables.columns("field", "compared", one.name, other.name)
    rows = tuple(
        _row(field, values) for field, values in _fields(one, other) if _agreement(values) != "same"
    )
    name = f"differences-{one.id.removeprefix('machine-')}-{other.id.removeprefix('machine-')}"
    return Table(name, f"{one.name} and {other.name}", head, rows)


def _fields(one: Machine, other: Machine) -> Iterator[Field]:
    for mine, yours in ((one.facts, other.facts), (one.libraries, other.libraries)):
        for field in dict.fromkeys([*mine, *yours]):
            yield field, [mine.get(field, ()), yours.get(field, ())]
