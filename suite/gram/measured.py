"""What a worker says of itself before a plan is made: its speed, its memory, its peak rate."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..timing import floors
from ..workers import Pool, asked
from .functions import GramFunction, Samples, Site
from .plan import Grid, Plan, tile_side

ENOUGH = 0.05
"""Seconds of a call from which the speed of longer ones is told."""


@dataclass(frozen=True)
class Speed:
    """How a function runs on a worker.

    Attributes:
        function: with its site.
        pair_seconds: wall time of one pair among many.
        scratch: bytes held beside inputs and outputs, for each sample a side of a call.
    """

    function: GramFunction
    pair_seconds: float
    scratch: int

    @property
    def site(self) -> Site:
        assert self.function.site, "a function is settled before it is timed"
        return self.function.site


def speed(function: GramFunction, x: Samples, z: Samples) -> Speed:
    """Time calls of growing size until one takes long enough; `x` and `z` are one block at most."""
    settled = function.settled(x)
    side, found = 1, None
    while True:
        before, began = _held(reset=True), time.perf_counter()
        try:
            settled(x[:side], z[:side])
        except MemoryError:
            if found is None:
                raise
            return found
        taken, grown = time.perf_counter() - began, _held() - before
        pairs = min(side, len(x)) * min(side, len(z))
        found = Speed(settled, taken / pairs, max(grown, 0) // side)
        if taken >= ENOUGH or side >= max(len(x), len(z)):
            return found
        side *= 2


@dataclass(frozen=True)
class Means:
    """What a worker has.

    Attributes:
        host: name of its machine.
        memory: bytes that are free there, for all workers of the machine together.
        flops_per_s: of a matrix product, by dtype.
    """

    host: str
    memory: int
    flops_per_s: dict[str, float]


def means(device: str) -> Means:
    return Means(platform.node(), free_memory(device), floors.measured(device).flops_per_s)


def free_memory(device: str) -> int:
    """Bytes that may still be had: measured on the device, whatever a scheduler was told."""
    if device == "cuda":
        import torch

        free: int = torch.cuda.mem_get_info()[0]
        return free
    import psutil

    found: list[int] = [psutil.virtual_memory().available]
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        found.append(int(text) - used)
    if os.name == "posix":
        import resource

        allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
        if allowed != resource.RLIM_INFINITY:
            found.append(allowed - psutil.Process().memory_info().vms)
    return max(min(found), 0)


def _held(reset: bool = False) -> int:
    """The most bytes that this process has held, since the last reset where the system can."""
    status, refs = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not status.exists():
        return 0
    if reset and os.access(refs, os.W_OK):
        refs.write_text("5")
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


def planned(speed: Speed, block: int, x: Samples, z: Samples | None, pool: Pool) -> Plan:
    """A plan from what the workers are found to have."""
    function, m = speed.function, None if z is None else len(z)
    survey = partial(means, function.device)
    found: list[Means] = pool.everywhere(survey) or [asked(pool, survey)] * pool.workers
    a_host = Counter(each.host for each in found)
    memory = min(each.memory // a_host[each.host] for each in found)
    pair_bytes = len(function.variants) * x.itemsize
    side = tile_side(len(x), m, block, pair_bytes, speed.pair_seconds, memory, pool.workers)
    flops, rate = function.flops(x), max(each.flops_per_s[str(x.dtype)] for each in found)
    return Plan(
        Grid(len(x), m, side),
        block,
        len(function.variants),
        x.itemsize,
        pool.workers,
        speed.pair_seconds,
        None if flops is None else flops / rate,
        speed.scratch * block + 2 * side * x[0].nbytes,
    )
