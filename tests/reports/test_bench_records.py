"""Records of `kernels bench` on the kernel pages."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from claimbench.reports import bench_records
from claimbench.reports.history import HistoryError
from claimbench.suite import kernel_bench
from claimbench.suite.timing.comparison import Row
from claimbench.suite.timing.contenders import Absent
from claimbench.suite.timing.floors import Peaks


def row(contender: str, kind: Any, median: float, items: int = 4) -> Row:
    return Row(
        kernel="ntk_gram", shape="standard.small", contender=contender, kind=kind, dtype="float32",
        inputs={"x1": (4, 2)}, item="pair", items=items, items_of_shape=4, rounds=3, calls=1,
        median_s=median, lower_s=median, upper_s=median, fastest_s=median, cpu_s=median,
        peak_bytes=None, relative_error=1e-7, flops=1e6, bytes=1e3, note="",
        floor_s=median / 4, floor_bound="compute",
    )  # fmt: skip


def record(rows: list[Row]) -> kernel_bench.BenchRecord:
    return kernel_bench.BenchRecord(
        schema_version=1, commit="a" * 40, machine={"processor": "Vax"}, device="cpu", threads=1,
        libraries={}, started="2026-01-02T12:00:00+00:00", finished="2026-01-02T12:01:00+00:00",
        load=(0.0, 1.0), method=kernel_bench.Method("standard", 3, 2, 0.02, 10.0),
        peaks=Peaks({"float32": 1e9}, 1e9), clocks=[], rows=rows,
        absent=[Absent("ntk_gram", "standard.small", "triton", "backend", "no GPU", False)],
    )  # fmt: skip


def test_a_record_is_read_back_and_stands_beside_its_peers(tmp_path: Path) -> None:
    made = record([row("reference", "reference", 8.0), row("cpu", "backend", 1.0),
                   row("released", "peer", 1.0, items=1)])  # fmt: skip
    (tmp_path / "bench-cpu.json").write_text(json.dumps(asdict(made)))
    [read] = bench_records.read(tmp_path)
    assert read == made
    [table] = bench_records.comparisons("ntk_gram", [read])
    assert "aaaaaaa on cpu, Vax, 1 thread, 2026-01-02" in table.caption
    shown = {cells[1].text: cells for cells in table.rows}
    assert list(shown) == ["cpu", "released (peer)", "reference"]
    assert shown["cpu"][6].value == pytest.approx(8)
    assert shown["cpu"][7].value == pytest.approx(4)
    assert shown["cpu"][8].text == "25%"


def test_a_kernel_that_was_not_compared_has_no_table() -> None:
    assert not list(bench_records.comparisons("cntk_gram", [record([row("cpu", "backend", 1.0)])]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version: .*1"),
        ({"rows": [{"kernel": "ntk_gram"}]}, "rows.0.shape: .*required"),
    ],
)
def test_a_file_that_is_no_record_is_named(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    content = asdict(record([row("cpu", "backend", 1.0)])) | change
    (tmp_path / "bench-x.json").write_text(json.dumps(content))
    with pytest.raises(HistoryError, match=rf"bench-x.json: {message}"):
        bench_records.read(tmp_path)
