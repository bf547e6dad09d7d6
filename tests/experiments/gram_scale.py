"""What the engine of Gram matrices costs here: beside the bare kernel, on two processes, in memory.

    python -m tests.experiments.gram_scale docs/measured/gram-scale.json [ROUNDS [SHARE]]

Wants a quiet machine with two cores and OMP_NUM_THREADS=1; on a busy one processor seconds say more
than those of the clock. SHARE makes the matrices smaller. Measured are

- one matrix of a dear kernel and one of a cheap one: by one call, by the blocks without the
  engine, and by the engine with a store on one worker and on two, in turns;
- the most memory that a fresh process holds over one tile, after one of two images, against its
  plan;
- what the client, which is one, does for each tile of a cluster: it sends images, checks the
  answer's checksum and one pair of it, and writes it; by size of the tile, and part by part;
- what choosing the next task costs, by number of workers.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import psutil

from claimbench.suite import provenance
from claimbench.suite.gram import GramFunction, Store, Workplace, gram, measured, plan, working
from claimbench.suite.gram.functions import digest
from claimbench.suite.gram.plan import Grid, block_side
from claimbench.suite.gram.tasks import Answer, Area, TileTask, computed, in_blocks
from claimbench.suite.workers import Call, Pool, open_pool, schedule

ROOT = Path(__file__).parents[2]
WAYS = ("one call", "blocks", "1 worker", "2 workers")
SIDES = (64, 128, 256, 512, 1024)
LARGE = (*SIDES, 2048, 4096)
DEPTH = 14


class Case(NamedTuple):
    """A matrix of images."""

    window: int | str
    pixels: int
    images: int

    @property
    def function(self) -> GramFunction:
        return function(self.window, DEPTH)

    def x(self, share: float = 1.0) -> np.ndarray:
        return images(max(round(share * self.images), 2), self.pixels)


CASES = (Case("gap", 16, 320), Case(0, 8, 6144))
MEMORY = ((CASES[0], 64), (CASES[1], 1024), (CASES[1], 2048), (Case(0, 32, 0), 1024))
"""Kernels and sides of the tile whose memory is looked at."""


def main(target: str, rounds: str = "5", share: str = "1") -> None:
    content = {
        "schema_version": 1,
        "experiment": "cost of the Gram engine",
        "commit": provenance.commit(),
        "started": provenance.now(),
        "machine": provenance.machine(),
        "libraries": provenance.libraries((*provenance.DISTRIBUTIONS, "dask", "joblib", "zarr")),
        "threads": provenance.threads(),
        "load": [os.getloadavg()[0]],
        "rounds": int(rounds),
        "matrices": [matrix(case, int(rounds), float(share)) for case in CASES],
        "memory": [of_fresh_process(case, side) for case, side in MEMORY],
        "client": on_cluster(SIDES),
        "parts": [parts(side) for side in LARGE],
        "audit_s": {str(window): audit(Case(window, 32, 2)) for window in ("gap", 0)},
        "choosing_s": {str(count): choosing(count) for count in (1, 10, 100, 1000)},
    }
    content["load"].append(os.getloadavg()[0])
    Path(target).write_text(json.dumps(content, indent=1) + "\n")
    print(tables(content))


def function(window: int | str, depth: int) -> GramFunction:
    axes = {"flips": (False,), "get": ("ntk",), "depths": (depth,), "windows": (window,)}
    return GramFunction("cntk_gram", axes)


def images(n: int, pixels: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 3, pixels, pixels)).astype(np.float32)


class Spent(NamedTuple):
    """Seconds of the clock, and of processors in this process and its children."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Spent:
        children = [each.cpu_times() for each in psutil.Process().children(recursive=True)]
        cpu = time.process_time() + sum(times.user + times.system for times in children)
        return cls(time.perf_counter(), cpu)

    def since(self, other: Spent) -> Spent:
        return Spent(self.wall - other.wall, self.cpu - other.cpu)


def matrix(case: Case, rounds: int, share: float = 1.0) -> dict[str, Any]:
    """Seconds of all ways to one matrix; medians of rounds, in which they take turns."""
    x, told = case.x(share), list[str]()
    block = block_side(case.function.flops(x), "cpu")
    whole = Area(slice(0, len(x)), slice(0, len(x)))
    pools = {"1 worker": Pool(), "2 workers": open_pool(2)}

    def once(way: str) -> dict[str, Spent]:
        began = Spent.now()
        if way in pools:
            return engine(case.function, x, pools[way], told.append)
        case.function(x) if way == "one call" else in_blocks(case.function, x, None, whole, block)
        return {way: Spent.now().since(began)}

    for pool in pools.values():
        engine(case.function, x[: len(x) // 3], pool)  # workers start, libraries are loaded
    told.clear()
    found: dict[str, list[Spent]] = {}
    for turn in range(rounds):
        for way in (*WAYS[turn % len(WAYS) :], *WAYS[: turn % len(WAYS)]):
            for name, spent in once(way).items():
                found.setdefault(way if name == "tiles" else name, []).append(spent)
    for pool in pools.values():
        pool.close()
    return {
        "window": case.window,
        "pixels": case.pixels,
        "depth": DEPTH,
        "images": len(x),
        "plans": told[:2],  # one of each pool
        "seconds": {name: _medians(each) for name, each in found.items()},
        "over_blocks": _ratio(found["1 worker"], found["blocks"], "cpu") - 1,
        "over_one_call": _ratio(found["1 worker"], found["one call"], "cpu") - 1,
        "speed_up": _ratio(found["1 worker"], found["2 workers"], "wall"),
        "speed_up_by_cpu": 2 * _ratio(found["1 worker"], found["2 workers"], "cpu"),
    }


def _medians(spent: Iterable[Spent]) -> dict[str, float]:
    walls, cpus = zip(*spent, strict=True)
    return {"wall_s": median(walls), "cpu_s": median(cpus)}


def _ratio(above: list[Spent], below: list[Spent], what: str) -> float:
    return median(getattr(a, what) / getattr(b, what) for a, b in zip(above, below, strict=True))


def engine(
    function: GramFunction, x: np.ndarray, pool: Pool, tell: Callable[[str], Any] = str
) -> dict[str, Spent]:
    """A matrix into a new store: until the plan is told, and from there."""
    marks = [Spent.now()]

    def heard(line: str) -> None:
        if len(marks) == 1:
            marks.append(Spent.now())
            tell(line)

    with TemporaryDirectory() as folder:
        with working(Workplace(pool, Path(folder), heard, stored_seconds=0)):
            gram(function, x)
        marks.append(Spent.now())
    return {"plan": marks[1].since(marks[0]), "tiles": marks[2].since(marks[1])}


def of_fresh_process(case: Case, side: int) -> dict[str, Any]:
    """`memory` in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--memory", str(case.window), str(case.pixels)]
    ran = subprocess.run([*command, str(side)], stdout=subprocess.PIPE, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def memory(case: Case, side: int) -> dict[str, Any]:
    """The most that this process holds over a tile, and what the plan says of it."""
    x = images(2 * side, case.pixels)
    block = block_side(case.function.flops(x), "cpu")
    found = measured.speed(case.function, x[:block], x[-block:])
    with tiles_of(side):
        planned = measured.planned(found, block, x, None, Pool())
    computed(found.function, x[:1], x[1:2], Area(slice(0, 1), slice(0, 1)), block)  # libraries
    before = _held(reset=True)
    sent = x[:side].copy(), x[side:].copy()
    answer = computed(found.function, *sent, Area(slice(0, side), slice(0, side)), block)
    wire = pickle.dumps(answer)
    return {
        "window": case.window,
        "pixels": case.pixels,
        "side": planned.grid.side,
        "sent_bytes": len(wire),
        "before_bytes": before,
        "plan_bytes": planned.worker_bytes,
        "peak_bytes": _held(),
    }


def _held(reset: bool = False) -> int:
    """The most that this process has held; that is what it holds, just after a reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return 1024 * int(kib)


@contextmanager
def tiles_of(side: int) -> Iterator[None]:
    """Plans have tiles of this size, whatever is measured."""
    with (
        patch.object(plan, "TILES_A_WORKER", 0),
        patch.object(plan, "TILE_SECONDS", float("inf")),
        patch.object(plan, "TILE_BYTES", 4 * side * side),
    ):
        yield


def on_cluster(sides: Sequence[int], pixels: int = 32) -> list[dict[str, Any]]:
    """Seconds of the client and of dask's scheduler, in this process, for each tile of a side.

    The kernel is a cheap one, so that two workers are faster than the client.
    """
    from distributed import LocalCluster

    found = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        pool = open_pool(1, cluster.scheduler_address)
        engine(function(0, 1), images(4, pixels), pool)  # workers load what they need
        for side in sides:
            with tiles_of(side), patch.object(plan, "BLOCKS", ((float("inf"), min(side, 256)),)):
                spent = _alone(function(0, 1), images(4 * side, pixels), pool)
            tiles = len(Grid(4 * side, None, side))
            found.append({"side": side, "tiles": tiles, "cpu_s": spent / tiles})
        pool.close()
    return found


def _alone(function: GramFunction, x: np.ndarray, pool: Pool) -> float:
    """Processor seconds of this process without its children, from the plan to the end."""
    marks: list[float] = []
    with TemporaryDirectory() as folder:
        tell = lambda line: marks.append(time.process_time())  # noqa: E731
        with working(Workplace(pool, Path(folder), tell, stored_seconds=0)):
            gram(function, x)
        return time.process_time() - marks[0]


def parts(side: int, rounds: int = 5) -> dict[str, Any]:
    """Processor seconds to check and to write a tile of a side; medians."""
    x = images(side, 1)
    cheap = function(0, 1).settled(x)
    area = Area(slice(0, side), slice(0, side))
    values = np.ones((1, side, side), np.float32)
    assert cheap.site
    answer = Answer(values, digest(values), cheap.site, "")
    tile = next(iter(Grid(side, side, side)))
    task = TileTask(cheap, tile, x, x, area, side, Pool())
    with TemporaryDirectory() as folder:
        store = Store.made(Path(folder), cheap, x, x, side)
        checking = _median_cpu(rounds, lambda: task.check(answer))
        writing = _median_cpu(rounds, lambda: store.write(cheap.variants[0], tile, values[0]))
    return {"side": side, "bytes": values.nbytes, "check_s": checking, "write_s": writing}


def audit(case: Case) -> float:
    """Processor seconds for one pair, as the client makes of each tile of other machines."""
    x = case.x()
    one, other = x[:1], x[1:]
    case.function(one, other)
    return _median_cpu(5, lambda: case.function(one, other))


def _median_cpu(rounds: int, call: Callable[[], Any]) -> float:
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return median(taken)


class Waiting(Pool):
    """So many workers, of which one has answered whenever it is asked for."""

    def __init__(self, workers: int):
        self._workers, self._given = workers, deque[Future[Any]]()

    @property
    def workers(self) -> int:
        return self._workers

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self._given.append(Future())
        return self._given[-1]

    def wait(self, futures: set[Future[Any]], timeout: float | None) -> set[Future[Any]]:
        self._given.popleft().set_result(None)
        return super().wait(futures, timeout)


def choosing(workers: int, tasks: int = 3000) -> float:
    """Processor seconds of the scheduler, and of the wait for so many futures, for each task."""
    began = time.process_time()
    for _ in schedule((Call(int) for _ in range(tasks)), Waiting(workers)):
        pass
    return (time.process_time() - began) / tasks


def tables(record: Mapping[str, Any]) -> str:
    """As docs/scale.md shows what was measured."""
    return "\n\n".join((engine_table(record), memory_table(record), client_table(record)))


def engine_table(record: Mapping[str, Any]) -> str:
    head = ["matrix", *WAYS, "engine over its blocks", "over one call", "two workers", "at best"]
    rows = []
    for one in record["matrices"]:
        seconds = [one["seconds"][way]["cpu_s"] for way in WAYS]
        rows.append(
            [
                f"{_kernel(one)}, {one['pixels']} pixels, {one['images']:,} images",
                *(f"{each:.2f} s" for each in seconds),
                f"{one['over_blocks']:+.1%}",
                f"{one['over_one_call']:+.1%}",
                f"{one['speed_up']:.2f}x",
                f"{one['speed_up_by_cpu']:.2f}x",
            ]
        )
    loads = " to ".join(f"{load:.1f}" for load in record["load"])
    about = f"{record['rounds']} rounds, load {loads} on {record['machine']['cores']} cores."
    return f"{table(head, rows)}\n\n{about}"


def memory_table(record: Mapping[str, Any]) -> str:
    head = ["tile", "held before", "plan adds", "peak", "peak of before and plan"]
    rows = []
    for one in record["memory"]:
        known = one["before_bytes"] + one["plan_bytes"]
        shown = [f"{one[f'{what}_bytes'] / 2**20:.1f} MiB" for what in ("before", "plan", "peak")]
        what = f"{_kernel(one)}, {one['pixels']} pixels, {one['side']:,} a side"
        rows.append([what, *shown, f"{one['peak_bytes'] / known:.0%}"])
    return table(head, rows)


def client_table(record: Mapping[str, Any]) -> str:
    head = ["images a side", "tile", "check", "write", "all that the client of a cluster does"]
    whole = {one["side"]: one["cpu_s"] for one in record["client"]}
    rows = []
    for one in record["parts"]:
        side = one["side"]
        seconds = one["check_s"], one["write_s"], whole.get(side)
        shown = ["" if each is None else f"{1e3 * each:.1f} ms" for each in seconds]
        rows.append([f"{side:,}", f"{one['bytes'] / 2**20:.3g} MiB", *shown])
    return table(head, rows)


def plans(record: Mapping[str, Any]) -> str:
    """What runs of the engine said before they began, on one worker and on two."""
    lines = [line for one in record["matrices"] for line in one["plans"]]
    return "\n".join(["```", *lines, "```"])


def _kernel(one: Mapping[str, Any]) -> str:
    return "GAP" if one["window"] == "gap" else "vanilla"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown; what is a number stands right."""
    under = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, under, *rows))


if __name__ == "__main__":
    if sys.argv[1] == "--memory":
        window, pixels, side = sys.argv[2:]
        case = Case(window if window == "gap" else int(window), int(pixels), 0)
        print(json.dumps(memory(case, int(side))))
    else:
        main(*sys.argv[1:])
