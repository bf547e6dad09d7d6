"""`claimbench kernels bench`: backends and peers side by side, right before they are timed.

A backend that is wrong in any case, or on the very shape, has no time. The answer is a table for
each shape, and a record in JSON that stands by itself.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from . import provenance
from .answers import ALL_GOOD, INCONCLUSIVE, REFUTED, print_json
from .devices import resolve_device
from .kernel_bench_tables import print_peaks, print_tables
from .kernel_commands import named
from .timing import floors, gpu
from .timing.comparison import SETS, Row, Settings, Tell, compare, with_floor
from .timing.contenders import Absent
from .timing.floors import Peaks
from .timing.rounds import SHORTEST
from .timing.workloads import Workload, workloads
from .writing import write


@dataclass(frozen=True)
class Clocks:
    """What the GPU said right after the rounds of a shape; see `timing.gpu`."""

    shape: str
    kernel: str
    said: dict[str, float] | None


@dataclass(frozen=True)
class Method:
    """How the times were taken."""

    tier: str
    rounds: int
    sets: int
    shortest_turn_s: float
    budget_s: float


@dataclass(frozen=True)
class BenchRecord:
    """One run of the command.

    Attributes:
        load: of the machine in the minute before, at the start and at the end: processes that ran
            or waited for a processor.
        clocks: on a GPU, one for each shape.
        rows: of those that have a time, and `absent` those that have none, with the reason.
    """

    schema_version: Literal[1]
    commit: str
    machine: dict[str, Any]
    device: str
    threads: int
    libraries: dict[str, str]
    started: str
    finished: str
    load: tuple[float, float]
    method: Method
    peaks: Peaks
    clocks: list[Clocks]
    rows: list[Row]
    absent: list[Absent]


def bench_kernels(
    kernels: Sequence[str],
    tier: str,
    rounds: int,
    device: str,
    out: Path | None = None,
    peers: bool = True,
    budget_s: float = 480,
    as_json: bool = False,
) -> int:
    """Time all who can take part on every shape of the tier; gives the exit code."""
    chosen = resolve_device(device)
    found = workloads(named(kernels), tier, chosen)
    if not found:
        print(f"no kernel asked for has a shape of tier {tier}", file=sys.stderr)
        return INCONCLUSIVE
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    method = Method(tier, rounds, SETS, SHORTEST, budget_s)
    record = _measured(found, chosen, peers, method)
    content = asdict(record)
    if out is not None:
        write(out, json.dumps(content, indent=1) + "\n")
    if as_json:
        print_json(content)
    else:
        print_tables(record.rows, record.absent)
        print_peaks(record.peaks, record.threads)
    if any(absent.wrong for absent in record.absent):
        return REFUTED
    return ALL_GOOD if record.rows else INCONCLUSIVE


def _measured(found: Sequence[Workload], device: str, peers: bool, method: Method) -> BenchRecord:
    started, load = provenance.now(), os.getloadavg()[0]
    began = time.perf_counter()
    settings = Settings(device, method.rounds, peers)
    peaks = floors.measured(device)
    rows: list[Row] = []
    absent: list[Absent] = []
    clocks: list[Clocks] = []
    for place, workload in enumerate(found, start=1):
        left = max(method.budget_s - (time.perf_counter() - began), 0)
        tell = _teller(f"[{place}/{len(found)}] {workload.kernel} {workload.name}", left)
        share = left / (len(found) - place + 1)
        peaks |= floors.measured(device)
        its_rows, its_absent = compare(workload, settings, share, tell)
        rows += its_rows
        absent += its_absent
        if device == "cuda":
            clocks.append(Clocks(workload.name, workload.kernel, gpu.clocks()))
    return BenchRecord(
        schema_version=1,
        commit=provenance.commit(),
        machine=provenance.machine(),
        device=provenance.device_name(device),
        threads=provenance.threads(),
        libraries=provenance.libraries(),
        started=started,
        finished=provenance.now(),
        load=(load, os.getloadavg()[0]),
        method=method,
        peaks=peaks,
        clocks=clocks,
        rows=[with_floor(row, peaks) for row in rows],
        absent=absent,
    )


def _teller(where: str, left: float) -> Tell:
    """Progress goes to stderr: what is being done, and how long the whole may still take."""
    return lambda text: print(f"{where}: {text}; {left:.0f} s left at most", file=sys.stderr)
