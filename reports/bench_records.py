"""What `claimbench kernels bench` recorded: who was timed on which shape, and who leads there.

Times of two machines, devices or thread counts do not compare, nor do those of two runs; so a
ratio is always of one shape in one record. Where several records of the same machine, device and
thread count have a shape, the newest speaks for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from . import tables, words
from .recorded import broken, parsed
from .tables import Cell, Table

if TYPE_CHECKING:
    from claimbench.suite.kernel_bench import BenchRecord
    from claimbench.suite.timing.comparison import Row

PATTERN = "bench*.json"
REDO = "claimbench kernels bench --out"


def read(*folders: Path) -> list[BenchRecord]:
    """Every record of some folders whose name says that it is one, oldest first.

    Raises:
        HistoryError: for a file that is no such record, or of a newer schema; it names the file.
    """
    paths = [path for folder in folders for path in sorted(folder.glob(PATTERN))]
    if not paths:
        return []
    from pydantic import TypeAdapter

    from claimbench.suite.kernel_bench import BenchRecord

    form = TypeAdapter(BenchRecord)
    records = [parsed(path, form, REDO) for path in paths]
    for path, record in zip(paths, records, strict=True):
        _hold_to_times(path, record)
    return sorted(records, key=lambda record: record.started)


def _hold_to_times(path: Path, record: BenchRecord) -> None:
    """A row is there because it has a time, of at least one pair or image."""
    for place, row in enumerate(record.rows):
        if not all(1 <= count < 2**63 for count in (row.items, row.items_of_shape)):
            raise broken(path, f"rows.{place}.items", "should be 1 or more, in 64 bits", REDO)
        for name in ("median_s", "lower_s", "upper_s"):
            if not 0 < getattr(row, name) < math.inf:
                raise broken(path, f"rows.{place}.{name}", "should be a time above 0", REDO)


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

    @property
    def took(self) -> str:
        each = "" if self.item == "call" else f" for each {self.item}"
        return f"{words.seconds(self.item_s)}{each}"

    @property
    def where(self) -> str:
        return f"shape {self.shape}; {self.setting}, at {self.commit}"

    def __str__(self) -> str:
        parts = [f"{self.backend} is the fastest: {self.took}"]
        if self.over_reference is not None:
            parts.append(f"{words.times(self.over_reference)} as fast as the reference")
        if self.over_peer is not None:
            parts.append(f"{words.times(self.over_peer)} as fast as the best peer, {self.peer}")
        if self.floor_fraction is not None:
            parts.append(f"{percent(self.floor_fraction)} of what the roofline allows")
        return f"{', '.join(parts)} ({self.where})"


def lead(compared: Compared) -> Lead | None:
    """Who leads on a shape; `None` where no backend was timed there."""
    best, record = compared.best, compared.record
    if best is None:
        return None
    return Lead(
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
    )


def _ratio(other: Row | None, row: Row) -> float | None:
    return other.item_s / row.item_s if other else None


def leading(kernel: str, records: Sequence[BenchRecord]) -> Lead | None:
    """The lead on the shape with most work of those where a peer was timed, else of all.

    Among shapes of equal work it is the least.
    """
    return peer_speed(kernel, records) or _foremost(newest(kernel, records))


def peer_speed(kernel: str, records: Sequence[BenchRecord]) -> Lead | None:
    """As `leading`, but `None` where no peer was timed."""
    return _foremost([c for c in newest(kernel, records) if c.peer])


def _foremost(compared: Sequence[Compared]) -> Lead | None:
    found = [(c.work or 0, found) for c in compared if (found := lead(c))]
    return max(found, key=lambda each: (each[0], -_ahead(each[1])))[1] if found else None


def _ahead(lead: Lead) -> float:
    return lead.over_peer or lead.over_reference or 0


def table(name: str, compared: Sequence[Compared]) -> Table:
    """Everyone on the shapes of one setting, the fastest first."""
    head = tables.columns(
        "shape", "contender", "time for each", "over the reference", "over the best peer",
        "of the roofline", "memory", "relative error", "run on", "quartiles", "processor time",
        "work", "remark",
        numeric=("time for each", "over the reference", "over the best peer", "of the roofline",
                 "memory", "relative error", "processor time", "work"),
    )  # fmt: skip
    rows = tuple(
        _cells(each, row)
        for each in sorted(compared, key=_by_size)
        for row in sorted(each.rows, key=lambda row: row.item_s)
    )
    items = " or ".join(dict.fromkeys(row.item for each in compared for row in each.rows))
    return Table(name, f"Time for each {items}, memory and error", head, rows)


def _by_size(compared: Compared) -> tuple[str, float, str]:
    return compared.shape.partition(".")[0], compared.work or 0, compared.shape


def _cells(compared: Compared, row: Row) -> tuple[Cell, ...]:
    each, fraction, work = row.items, row.floor_fraction, compared.work
    name = f"{row.contender} (peer)" if row.kind == "peer" else row.contender
    ran = "" if row.items < row.items_of_shape else "all "
    of = f" of {row.items_of_shape:,}" if row.items < row.items_of_shape else ""
    return (
        tables.text(row.shape),
        tables.text(name),
        tables.amount(row.item_s, words.seconds(row.item_s)),
        _times(compared.reference, row),
        _times(compared.peer, row),
        tables.amount(fraction, words.NOTHING if fraction is None else percent(fraction)),
        _memory(row.peak_bytes),
        tables.amount(row.relative_error, words.number(row.relative_error, 2)),
        tables.text(f"{ran}{row.items:,}{of} {row.item}s".replace(" ", "\N{NO-BREAK SPACE}")),
        tables.text(_between(row.lower_s / each, row.upper_s / each)),
        tables.amount(row.cpu_s / each, words.seconds(row.cpu_s / each)),
        tables.amount(work, words.NOTHING if work is None else flops(work)),
        tables.text(row.note),
    )


def percent(fraction: float) -> str:
    return f"{words.number(100 * fraction, 2 if fraction < 1 else 3)}%"


def _between(low: float, high: float) -> str:
    """Two times, with one unit where they have the same."""
    (first, unit), last = words.seconds(low).split(" "), words.seconds(high)
    shown = first if last.endswith(f" {unit}") else f"{first} {unit}"
    return f"{shown} to {last}".replace(" ", "\N{NO-BREAK SPACE}")


def _times(other: Row | None, row: Row) -> Cell:
    ratio = _ratio(other, row)
    return tables.amount(ratio, words.NOTHING if ratio is None else words.times(ratio))


def _memory(peak: int | None) -> Cell:
    return tables.amount(peak, words.NOTHING if peak is None else memory(peak))


def memory(peak: int) -> str:
    """Bytes, in words."""
    if peak >= 2**30:
        return f"{words.number(peak / 2**30, 3)} GiB"
    return f"{words.number(peak / 2**20, 3)} MiB"


def flops(work: float) -> str:
    """Operations, in words."""
    for limit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if work >= limit:
            return f"{words.number(work / limit, 3)} {name}FLOP"
    return f"{words.number(work, 3)} FLOP"
