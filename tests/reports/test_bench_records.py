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


def row(
    contender: str,
    kind: Any,
    median: float,
    items: int = 4,
    shape: str = "standard.small",
    flops: float | None = 1e6,
) -> Row:
    return Row(
        kernel="ntk_gram", shape=shape, contender=contender, kind=kind, dtype="float32",
        inputs={"x1": (4, 2)}, item="pair", items=items, items_of_shape=4, rounds=3, calls=1,
        median_s=median, lower_s=median, upper_s=median, fastest_s=median, cpu_s=median,
        peak_bytes=None, relative_error=1e-7, flops=flops, bytes=1e3, note="",
        floor_s=median / 4, floor_bound="compute",
    )  # fmt: skip


def record(
    rows: list[Row], commit: str = "a" * 40, device: str = "cpu", day: int = 2
) -> kernel_bench.BenchRecord:
    return kernel_bench.BenchRecord(
        schema_version=1, commit=commit, machine={"processor": "Vax"}, device=device, threads=1,
        libraries={}, started=f"2026-01-{day:02}T12:00:00+00:00",
        finished="2026-02-02T12:01:00+00:00",
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
    table = bench_records.table("peers-1", bench_records.newest("ntk_gram", [read]))
    assert table.caption == "Time for each pair, memory and error"
    names = [column.name for column in table.columns]
    shown = {cells[1].text: dict(zip(names, cells, strict=True)) for cells in table.rows}
    assert list(shown) == ["cpu", "released (peer)", "reference"]
    assert shown["cpu"]["time for each"].value == 0.25
    assert shown["cpu"]["over the reference"].value == pytest.approx(8)
    assert shown["cpu"]["over the best peer"].value == pytest.approx(4)
    assert shown["cpu"]["of the roofline"].text == "25%"
    assert shown["released (peer)"]["run on"].text.split() == ["1", "of", "4", "pairs"]


def test_a_kernel_that_was_not_compared_has_nothing_to_compare() -> None:
    assert not bench_records.newest("cntk_gram", [record([row("cpu", "backend", 1.0)])])


def speeds(reference: float, cpu: float, peer: float | None, **rest: Any) -> list[Row]:
    found = [row("reference", "reference", reference, **rest), row("cpu", "backend", cpu, **rest)]
    return found if peer is None else [*found, row("rival", "peer", peer, **rest)]


def test_the_lead_is_of_the_shape_with_most_work_in_the_newest_record() -> None:
    large = {"shape": "standard.large", "flops": 1e9}
    old = record([*speeds(8, 1, 4), *speeds(90, 9, 27, **large)])
    new = record([*speeds(80, 10, 20, **large)], commit="b" * 40 + "-dirty", day=3)
    found = bench_records.peer_speed("ntk_gram", [old, new])
    assert found is not None
    assert (found.shape, found.backend, found.commit) == ("standard.large", "cpu", "bbbbbbb-dirty")
    assert (found.over_reference, found.over_peer, found.peer) == (8, 2, "rival")
    assert found.floor_fraction == 0.25
    assert "2\N{MULTIPLICATION SIGN} as fast as the best peer, rival" in str(found)
    assert bench_records.peer_speed("cntk_gram", [old, new]) is None


def test_the_lead_over_a_peer_is_that_on_the_shape_with_most_work() -> None:
    claim = {"shape": "smith.block"}
    made = record([*speeds(90, 9, 27, flops=1e9), *speeds(8, 1, 4, **claim)])
    found = bench_records.peer_speed("ntk_gram", [made])
    assert found is not None
    assert (found.shape, found.over_peer) == ("standard.small", 3)


def test_without_a_peer_there_is_a_lead_but_no_speed_over_peers() -> None:
    made = record(speeds(8, 1, None))
    assert bench_records.peer_speed("ntk_gram", [made]) is None
    found = bench_records.leading("ntk_gram", [made])
    assert found is not None
    assert (found.over_reference, found.over_peer, found.peer) == (8, None, "")
    assert "peer" not in str(found)


def test_a_lead_over_peers_is_told_before_one_on_a_larger_shape() -> None:
    made = record([*speeds(90, 9, None, shape="standard.large", flops=1e9), *speeds(8, 1, 4)])
    found = bench_records.leading("ntk_gram", [made])
    assert found is not None
    assert (found.shape, found.over_peer) == ("standard.small", 4)


def test_a_part_is_scaled_by_its_items_and_devices_do_not_mix() -> None:
    whole, part = row("cpu", "backend", 1.0), row("reference", "reference", 1.0, items=1)
    gpu = record([row("cuda", "backend", 0.5)], device="H100", day=1)
    on_cpu, on_gpu = bench_records.newest("ntk_gram", [gpu, record([whole, part])])
    assert (on_cpu.work, on_cpu.floor_s) == (1e6, 0.25)
    assert bench_records.lead(on_cpu).over_reference == 4  # type: ignore[union-attr]
    assert (on_gpu.record.device, on_gpu.reference) == ("H100", None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version: .*1"),
        ({"rows": [{"kernel": "ntk_gram"}]}, "rows.0.shape: .*required"),
        ({"rows": [asdict(row("cpu", "backend", 0.0))]}, "rows.0.median_s: .*above 0"),
        ({"rows": [asdict(row("cpu", "backend", 1.0, items=0))]}, "rows.0.items: .*1 or more"),
    ],
)
def test_a_file_that_is_no_record_is_named(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    content = asdict(record([row("cpu", "backend", 1.0)])) | change
    (tmp_path / "bench-x.json").write_text(json.dumps(content))
    with pytest.raises(HistoryError, match=rf"bench-x.json: {message}"):
        bench_records.read(tmp_path)
