"""What `claimbench kernels bench` recorded: who was timed on which shape, and who leads there.

Times of two machines, devices or thread counts do not compare, nor do those of two runs; so a
ratio is always of one shape in one record. Where several records of the same machine, device and
thread count have a shape, the newest speaks for it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from . import tables, words
from .asv_results import HistoryError
from .tables import Cell, Table

if TYPE_CHECKING:
    from claimbench.suite.kernel_bench import BenchRecord
    from claimbench.suite.timing.comparison import Row

PATTERN = "bench*.json"


def read(folder: Path) -> list[BenchRecord]:
    """Every record of a results folder whose name says that it is one, oldest first.

    Raises:
        HistoryError: for a file that is no such record, or of a newer schema; it names the file.
    """
    found = sorted(folder.glob(PATTERN))
    if not found:
        return []
    from pydantic import TypeAdapter, ValidationError

    from claimbench.suite.kernel_bench import BenchRecord

    form = TypeAdapter(BenchRecord)
    records = []
    for path in found:
        try:
            records.append(form.validate_json(path.read_bytes()))
        except ValidationError as e:
            first = e.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise _broken(path, where, first["msg"]) from None
        _hold_to_times(path, records[-1])
    return sorted(records, key=lambda record: record.started)


def _hold_to_times(path: Path, record: BenchRecord) -> None:
    """A row is there because it has a time, of at least one pair or image."""
    for place, row in enumerate(record.rows):
        if row.items < 1 or row.items_of_shape < 1:
            raise _broken(path, f"rows.{place}.items", "should be 1 or more")
        for name in ("median_s", "lower_s", "upper_s"):
            if not 0 < getattr(row, name) < math.inf:
                raise _broken(path, f"rows.{place}.{name}", "should be a time above 0")


def _broken(path: Path, where: str, what: str) -> HistoryError:
    return HistoryError(
        f"{path}: {where}: {what}; move it away, or make it anew with "
        f"`claimbench kernels bench --out {path.name}`"
    )


@dataclass(frozen=True)
class Setting:
    """What must be equal for two times to compare."""

    host: str
    processor: str
    device: str
    threads: int

    def __str__(self) -> str:
        on = self.processor if self.device == "cpu" else self.device
        return f"{on}, {words.count(self.threads, 'thread')}"


def setting(record: BenchRecord) -> Setting:
    known = record.machine
    return Setting(
        str(known.get("host", "")),
        str(known.get("processor") or "processor unknown"),
        record.device,
        record.threads,
    )


def short(record: BenchRecord) -> str:
    """The record's commit as people write it."""
    sha, dash, dirty = record.commit.partition("-dirty")
    return sha[:7] + dash + dirty


@dataclass(frozen=True)
class Compared:
    """Everyone who was timed on one shape in one run."""

    record: BenchRecord
    kernel: str
    shape: str
    rows: tuple[Row, ...]

    @cached_property
    def best(self) -> Row | None:
        """The fastest backend; the reference where no other was timed."""
        return self._fastest("backend") or self.reference

    @cached_property
    def reference(self) -> Row | None:
        return self._fastest("reference")

    @cached_property
    def peer(self) -> Row | None:
        return self._fastest("peer")

    def _fastest(self, kind: str) -> Row | None:
        own = [row for row in self.rows if row.kind == kind]
        return min(own, key=lambda row: row.item_s, default=None)

    @cached_property
    def whole(self) -> Row | None:
        """The row that ran most of what was asked for: a peer may compute less for a pair."""
        own = [row for row in self.rows if row.kind != "peer"]
        return max(own, key=lambda row: row.items, default=None)

    @cached_property
    def work(self) -> float | None:
        """Operations of the whole shape; `None` where nobody has counted them."""
        return self._of_all("flops")

    @cached_property
    def floor_s(self) -> float | None:
        """Seconds that the whole shape takes at least."""
        return self._of_all("floor_s")

    def _of_all(self, name: str) -> float | None:
        if self.whole is None:
            return None
        found: float | None = getattr(self.whole, name)
        if found is None or not 0 < found < math.inf:
            return None
        return found * self.whole.items_of_shape / self.whole.items


def newest(kernel: str, records: Sequence[BenchRecord]) -> list[Compared]:
    """Each shape of a kernel as the newest record of each setting has it, newest record first."""
    found: dict[tuple[Setting, str], Compared] = {}
    for record in reversed(records):
        own = [row for row in record.rows if row.kernel == kernel]
        for shape in dict.fromkeys(row.shape for row in own):
            rows = tuple(row for row in own if row.shape == shape)
            key = setting(record), shape
            found.setdefault(key, Compared(record, kernel, shape, rows))
    return list(found.values())


@dataclass(frozen=True)
class Lead:
    """How far the fastest backend is ahead on one shape.

    Attributes:
        over_reference, over_peer: how many times faster it is for each pair or image; `None` where
            the other was not timed.
        peer: the fastest one; empty where none was timed.
        floor_fraction: the least time that the machine allows over the time taken.
    """

    kernel: str
    shape: str
    backend: str
    item: str
    item_s: float
    over_reference: float | None
    over_peer: float | None
    peer: str
    floor_fraction: float | None
    setting: Setting
    commit: str
    date: str

    @property
    def took(self) -> str:
        each = "" if self.item == "call" else f" for each {self.item}"
        return f"{words.seconds(self.item_s)}{each} on {self.backend}"

    @property
    def where(self) -> str:
        return f"shape {self.shape}; {self.setting}, at {self.commit}"

    def __str__(self) -> str:
        parts = [f"fastest is {self.backend}: {self.took.removesuffix(f' on {self.backend}')}"]
        if self.over_reference is not None:
            parts.append(f"{words.times(self.over_reference)} as fast as the reference")
        if self.over_peer is not None:
            parts.append(f"{words.times(self.over_peer)} as fast as the best peer, {self.peer}")
        if self.floor_fraction is not None:
            parts.append(f"{self.floor_fraction:.0%} of what the roofline allows")
        return f"{', '.join(parts)} ({self.where})"


def lead(compared: Compared) -> Lead | None:
    """Who leads on a shape; `None` where no backend was timed there."""
    best, record = compared.best, compared.record
    if best is None:
        return None
    return Lead(
        kernel=compared.kernel,
        shape=compared.shape,
        backend=best.contender,
        item=best.item,
        item_s=best.item_s,
        over_reference=_ratio(compared.reference, best) if best.kind == "backend" else None,
        over_peer=_ratio(compared.peer, best),
        peer=compared.peer.contender if compared.peer else "",
        floor_fraction=best.floor_fraction,
        setting=setting(record),
        commit=short(record),
        date=record.started[:10],
    )


def _ratio(other: Row | None, row: Row) -> float | None:
    return other.item_s / row.item_s if other else None


def leading(
    kernel: str, records: Sequence[BenchRecord], shapes: Collection[str] = ()
) -> Lead | None:
    """The lead on the shape with most work; among equals where a peer was timed, then the least.

    Args:
        shapes: names of shapes that are wanted first, such as those of a claim
            (`<id of the claim>.<label>`); where none of them was timed, all are looked at.
    """
    return _foremost(newest(kernel, records), shapes)


def peer_speed(
    kernel: str, records: Sequence[BenchRecord], shapes: Collection[str] = ()
) -> Lead | None:
    """As `leading`, of the shapes alone on which a peer was timed."""
    return _foremost([c for c in newest(kernel, records) if c.peer], shapes)


def _foremost(compared: Sequence[Compared], shapes: Collection[str]) -> Lead | None:
    wanted = [c for c in compared if c.shape in shapes] or compared
    found = [(c.work or 0, found) for c in wanted if (found := lead(c))]
    if not found:
        return None
    return max(found, key=lambda each: (each[0], *_least(each[1])))[1]


def _least(lead: Lead) -> tuple[bool, float]:
    return lead.over_peer is not None, -(lead.over_peer or lead.over_reference or 0)


def comparisons(kernel: str, records: Sequence[BenchRecord]) -> Iterator[Table]:
    """Backends and peers of one kernel, newest record first."""
    for place, record in enumerate(reversed(records)):
        rows = [row for row in record.rows if row.kernel == kernel]
        if rows:
            yield _table(f"peers-{place + 1}", record, rows)


def _table(name: str, record: BenchRecord, rows: Sequence[Row]) -> Table:
    head = tables.columns(
        "shape", "contender", "for each", "time", "quartiles", "processor time",
        "against the reference", "against the best peer", "of the floor", "memory",
        "relative error", "remark",
        numeric=("time", "processor time", "against the reference", "against the best peer",
                 "of the floor", "memory", "relative error"),
    )  # fmt: skip
    ordered = sorted(rows, key=lambda row: (row.shape, row.item_s))
    machine = record.machine
    caption = (
        f"Backends and peers at {record.commit[:7]} on {record.device}, "
        f"{machine.get('processor', 'processor unknown')}, "
        f"{words.count(record.threads, 'thread')}, {record.started[:10]}"
    )
    return Table(name, caption, head, tuple(_cells(row, rows) for row in ordered))


def _cells(row: Row, rows: Sequence[Row]) -> tuple[Cell, ...]:
    each = row.items
    fraction = row.floor_fraction
    name = f"{row.contender} (peer)" if row.kind == "peer" else row.contender
    return (
        tables.text(row.shape),
        tables.text(name),
        tables.text(row.item),
        tables.amount(row.item_s, words.seconds(row.item_s)),
        tables.text(words.spread(row.lower_s / each, row.upper_s / each, "seconds")),
        tables.amount(row.cpu_s / each, words.seconds(row.cpu_s / each)),
        _times(row, rows, "reference"),
        _times(row, rows, "peer"),
        tables.amount(fraction, words.NOTHING if fraction is None else f"{fraction:.0%}"),
        _memory(row.peak_bytes),
        tables.amount(row.relative_error, words.number(row.relative_error, 2)),
        tables.text(row.note),
    )


def _times(row: Row, rows: Sequence[Row], kind: str) -> Cell:
    others = [r.item_s for r in rows if r.shape == row.shape and r.kind == kind]
    ratio = min(others) / row.item_s if others else None
    return tables.amount(ratio, words.NOTHING if ratio is None else words.times(ratio))


def _memory(peak: int | None) -> Cell:
    text = words.NOTHING if peak is None else f"{words.number(peak / 2**20, 3)} MiB"
    return tables.amount(peak, text)
