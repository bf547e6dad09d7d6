"""What `claimbench kernels bench` recorded: backends beside peers, one table for each record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
            raise HistoryError(
                f"{path}: {where}: {first['msg']}; move it away, or make it anew with "
                f"`claimbench kernels bench --out {path.name}`"
            ) from None
    return sorted(records, key=lambda record: record.started)


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
        _ratio(row, rows, "reference"),
        _ratio(row, rows, "peer"),
        tables.amount(fraction, words.NOTHING if fraction is None else f"{fraction:.0%}"),
        _memory(row.peak_bytes),
        tables.amount(row.relative_error, words.number(row.relative_error, 2)),
        tables.text(row.note),
    )


def _ratio(row: Row, rows: Sequence[Row], kind: str) -> Cell:
    others = [r.item_s for r in rows if r.shape == row.shape and r.kind == kind]
    ratio = min(others) / row.item_s if others and row.item_s > 0 else None
    return tables.amount(ratio, words.NOTHING if ratio is None else words.times(ratio))


def _memory(peak: int | None) -> Cell:
    text = words.NOTHING if peak is None else f"{words.number(peak / 2**20, 3)} MiB"
    return tables.amount(peak, text)
