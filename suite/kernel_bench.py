"""`claimbench kernels bench`: backends that are right, timed side by side."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from claimbench.kernels import KERNELS, Kernel, checks

from . import provenance
from .answers import ALL_GOOD, INCONCLUSIVE
from .checking import load_claims
from .definitions import Claim, Shape
from .kernel_commands import named
from .kernel_shapes import inputs
from .runner import resolve_device


@dataclass(frozen=True)
class Bench:
    """Times of one backend on one shape, in seconds."""

    kernel: str
    backend: str
    claim: str
    shape: str
    median_s: float
    fastest_s: float
    slowest_s: float
    cpu_s: float
    rounds: int
    relative_error: float | None


def bench_kernels(
    kernels: Sequence[str], tier: str, rounds: int, device: str, out: Path | None
) -> int:
    """Time every backend that runs a shape and is right, in interleaved rounds."""
    asked, chosen = named(kernels), resolve_device(device)
    rows = [
        row
        for claim in load_claims()
        if claim.kernel in asked
        for label, shape in claim.shapes.items()
        if shape.tier == tier
        for row in _bench(claim, label, shape, rounds, chosen)
    ]
    if not rows:
        print(f"no claim has a shape for tier {tier}", file=sys.stderr)
        return INCONCLUSIVE
    _print_bench(rows)
    if out is not None:
        content = {
            "schema_version": 1,
            "commit": provenance.commit(),
            "machine": provenance.machine(),
            "device": provenance.device_name(chosen),
            "threads": provenance.threads(),
            "libraries": provenance.libraries(),
            "started": provenance.now(),
            "rows": [asdict(row) for row in rows],
        }
        out.write_text(json.dumps(content, indent=1) + "\n")
    return ALL_GOOD


def _bench(claim: Claim, label: str, shape: Shape, rounds: int, device: str) -> list[Bench]:
    kernel = KERNELS[claim.kernel]
    calls: dict[str, Callable[[], Any]] = {}
    for backend, declared in kernel.backends.items():
        case = checks.Case(label, tuple(inputs(shape)))
        args = checks.given(case, declared.arrays, "float32", device)
        if kernel.refusal(backend, *args, **shape.arguments) is None and _right(
            kernel, backend, device
        ):
            calls[backend] = _timed(kernel.on(backend), args, shape.arguments, device)
    first = {backend: checks.as_numpy(call()) for backend, call in calls.items()}
    truth = first["reference"].astype(np.float64)
    times: dict[str, list[tuple[float, float]]] = {backend: [] for backend in calls}
    for _ in range(rounds):
        for backend, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            times[backend].append((time.perf_counter() - wall, time.process_time() - cpu))
    return [
        Bench(
            claim.kernel,
            backend,
            claim.id,
            label,
            median(wall for wall, _ in taken),
            min(wall for wall, _ in taken),
            max(wall for wall, _ in taken),
            median(cpu for _, cpu in taken),
            rounds,
            checks.relative_error(first[backend], truth),
        )
        for backend, taken in times.items()
    ]


def _right(kernel: Kernel[..., Any], backend: str, device: str) -> bool:
    """A backend that is wrong in any case has no time."""
    if backend == "reference":
        return True
    found = list(checks.check_all([kernel.name], backend, device, dtypes=("float32",)))
    for finding in found:
        if finding.problem:
            print(f"{kernel.name} on {backend} is wrong: {finding.case}: {finding.problem}")
    return not any(finding.problem for finding in found)


def _timed(
    function: Callable[..., Any], args: list[Any], arguments: dict[str, Any], device: str
) -> Callable[[], Any]:
    """A call that ends when the result is there."""
    if device == "cpu":
        return lambda: function(*args, **arguments)
    import torch

    def call() -> Any:
        result = function(*args, **arguments)
        torch.cuda.synchronize()
        return result

    return call


def _print_bench(rows: Sequence[Bench]) -> None:
    reference = {(r.claim, r.shape): r.median_s for r in rows if r.backend == "reference"}
    table = Table(
        "kernel", "shape", "backend", "median", "spread", "x reference", "error", box=None
    )
    for row in rows:
        ratio = reference[row.claim, row.shape] / row.median_s
        table.add_row(
            row.kernel,
            f"{row.claim}.{row.shape}",
            row.backend,
            f"{row.median_s * 1e3:.2f} ms",
            f"{row.fastest_s * 1e3:.2f} to {row.slowest_s * 1e3:.2f}",
            f"{ratio:.1f}",
            f"{row.relative_error:.1e}",
        )
    Console().print(table, highlight=False)
