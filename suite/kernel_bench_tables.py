"""What `claimbench kernels bench` prints: a table for each shape, the fastest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from .answers import print_table
from .timing.comparison import Row
from .timing.contenders import Absent
from .timing.floors import Peaks

HEAD = (
    "contender", "time", "quartiles", "CPU", "in one call", "x reference", "x best peer",
    "of floor", "memory", "error", "rounds", "",
)  # fmt: skip


def print_tables(rows: Sequence[Row], absent: Sequence[Absent]) -> None:
    named = [(row.kernel, row.shape) for row in rows] + [(a.kernel, a.shape) for a in absent]
    for kernel, shape in dict.fromkeys(named):
        own = [row for row in rows if (row.kernel, row.shape) == (kernel, shape)]
        missing = [a for a in absent if (a.kernel, a.shape) == (kernel, shape)]
        if own:
            print_table(_table(own))
        else:
            print(f"{kernel} {shape}")
        for entry in missing:
            said = "WRONG, so it has no time" if entry.wrong else "not measured"
            print(f"  {entry.contender}: {said}: {entry.reason}")
        print()


def print_peaks(peaks: Peaks, threads: int) -> None:
    rates = ", ".join(
        f"{rate / 1e9:.0f} GFLOP/s in {dtype}" for dtype, rate in peaks.flops_per_s.items()
    )
    print(
        f"floors from a matrix product, {rates}, and a copy, {peaks.bytes_per_s / 1e9:.0f} GB/s; "
        f"threads: {threads}"
    )


def _table(rows: Sequence[Row]) -> Table:
    head = rows[0]
    title = f"{head.kernel} {head.shape}: time for each {head.item}, {head.items_of_shape} in all"
    table = Table(*HEAD, title=title, title_justify="left", box=None, pad_edge=False)
    reference = _fastest(row for row in rows if row.kind == "reference")
    peer = _fastest(row for row in rows if row.kind == "peer")
    for row in sorted(rows, key=lambda row: row.item_s):
        table.add_row(*_cells(row, reference, peer))
    return table


def _fastest(rows: Iterable[Row]) -> float | None:
    return min((row.item_s for row in rows), default=None)


def _cells(row: Row, reference: float | None, peer: float | None) -> list[str]:
    kind = " (peer)" if row.kind == "peer" else ""
    return [
        row.contender + kind,
        seconds(row.item_s),
        f"{seconds(row.lower_s / row.items)} to {seconds(row.upper_s / row.items)}",
        seconds(row.cpu_s / row.items),
        f"{row.items} {row.item}s" if row.items > 1 else f"1 {row.item}",
        _ratio(reference, row),
        _ratio(peer, row),
        "" if row.floor_fraction is None else f"{row.floor_fraction:.0%}",
        "" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:.3g} MiB",
        f"{row.relative_error:.1e}",
        str(row.rounds),
        ", ".join(part for part in (_bound(row), row.note) if part),
    ]


def _bound(row: Row) -> str:
    return f"{row.floor_bound}-bound" if row.kind == "backend" and row.floor_bound else ""


def _ratio(other: float | None, row: Row) -> str:
    return "" if other is None else f"{other / row.item_s:.3g}"


UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))


def seconds(value: float) -> str:
    """Three figures in the unit that suits the value."""
    unit, size = next((u for u in UNITS if value >= u[1]), UNITS[-1])
    return f"{value / size:.3g} {unit}"
