"""What the engine's scheduler would make of a thousand GPUs: a simulation, no GPU has run it.

    python -m tests.experiments.gram_simulated docs/measured/gram-simulated.json

The scheduler and the planner are the engine's own. The client's seconds for each tile are those of
docs/measured/gram-scale.json, which is made first; at the end the tables of docs/scale.md are made
from both records. What a GPU needs for a pair is derived, not measured: the low case is
the floor that an H100's rate of instructions sets for CIFAR-10 at depth 14, at 1.755 GHz; the high
case is 3.6 times that, what a first good kernel should reach.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from claimbench.suite import provenance
from claimbench.suite.gram.plan import BLOCK_ON_GPU, Grid, Tile, tile_side
from claimbench.suite.workers import Call, schedule
from claimbench.suite.workers.simulated import SOUND, Cost, Faults, Simulated

from . import gram_scale
from .gram_scale import ROOT, table

MEASURED = ROOT / "docs" / "measured" / "gram-scale.json"
PAGE = ROOT / "docs" / "scale.md"

PAIR_SECONDS = {
    "gap": {"low": 16.5e-6, "high": 60e-6},
    "vanilla": {"low": 16e-9, "high": 58e-9},
}
SPREAD = 0.05
"""Of the seconds of a tile, beside those that its size gives."""
FAULTY = Faults(lifetime=86_400.0, absence=300.0, slow=0.02, slowness=3.0)
"""A worker dies once a day on average and is back after five minutes; 2% of them are three times as
slow as the others."""
PRICE = 3.0
"""Dollars for an hour of a GPU."""
MEMORY = 80 * 10**9
WORKERS = (1, 10, 100, 1000)
CIFAR, MILLION = 60_000, 1_000_000
LARGE = 2048
"""Side of the tiles in which a million images are taken."""
SWEEP = (1024, 2048, 4096)
SOLVER_FLOPS_PER_S = 30e12
"""Of a GPU in float64, about half of what an H100's matrix units could do."""
PUBLISHED_SPEED_UP = 150
"""Of a sketch over the exact CNTK on CIFAR-10 (Zandieh et al. 2021), over their exact code."""
PUBLISHED_PAIR_SECONDS = {"low": 150e-6, "high": 250e-6}
"""Of the exact code that was released, on an H100: derived from the bytes that it moves."""


def main(target: str) -> None:
    measured = json.loads(MEASURED.read_text())
    client = fitted(measured)
    content = {
        "schema_version": 1,
        "experiment": "the Gram engine on simulated GPUs",
        "commit": provenance.commit(),
        "started": provenance.now(),
        "assumed": {
            "pair_seconds": PAIR_SECONDS,
            "spread": SPREAD,
            "faults": vars(FAULTY),
            "dollars_per_gpu_hour": PRICE,
            "solver_flops_per_s": SOLVER_FLOPS_PER_S,
            "published_pair_seconds": PUBLISHED_PAIR_SECONDS,
        },
        "client": client._asdict(),
        "cifar": list(cifar(client)),
        "million": list(million(client, WORKERS)),
        "sides": list(sides(client, SWEEP)),
        "routes": routes(),
    }
    Path(target).write_text(json.dumps(content, indent=1) + "\n")
    PAGE.write_text(page(PAGE.read_text(), measured, content))


class Client(NamedTuple):
    """Seconds of the client for a tile.

    Attributes:
        tile: for each.
        image: for each that it sends.
        value: for each that it checks and writes.
        audit: for the one pair that it computes, by kernel.
        choosing: of the scheduler, by number of workers.
    """

    tile: float
    image: float
    value: float
    audit: dict[str, float]
    choosing: dict[str, float]

    def cost(self, kernel: str, tile: Tile, workers: int) -> tuple[float, float]:
        """To hand a tile out, and to take it in.

        Workers keep the images of a row of tiles, whose columns are sent with each.
        """
        rows, columns = tile.shape
        sent = 0 if tile.row == tile.column else columns
        fixed = self.tile + self.audit[kernel] + self.choosing[str(workers)]
        return sent * self.image, fixed + rows * columns * self.value


def fitted(measured: Mapping[str, Any]) -> Client:
    """Least squares of the relative errors, with parts that are not negative."""
    side = np.array([one["side"] for one in measured["client"]], float)
    seconds = np.array([one["cpu_s"] for one in measured["client"]])
    sent = np.array([mean_sent(one["side"]) for one in measured["client"]])
    parts, _ = nnls(np.stack([side**0, sent, side**2], 1) / seconds[:, None], np.ones(len(side)))
    audit = {"gap": measured["audit_s"]["gap"], "vanilla": measured["audit_s"]["0"]}
    return Client(*map(float, parts), audit, measured["choosing_s"])


def mean_sent(side: int) -> float:
    """Images sent for a tile of the matrix that was measured, four tiles a side: each once."""
    return 4 * side / len(Grid(4 * side, None, side))


def cifar(client: Client) -> Iterator[dict[str, Any]]:
    """All images fit into what workers keep, and are sent once for thousands of tiles."""
    client = client._replace(image=0.0)
    for kernel, cases in PAIR_SECONDS.items():
        for case, pair_seconds in cases.items():
            for workers in WORKERS:
                side = tile_side(CIFAR, None, BLOCK_ON_GPU, 4, pair_seconds, MEMORY, workers)
                for faults in (SOUND, FAULTY):
                    yield run(client, kernel, case, CIFAR, workers, side, faults)


def million(client: Client, workers: Sequence[int]) -> Iterator[dict[str, Any]]:
    for case in PAIR_SECONDS["gap"]:
        for count in workers:
            for faults in (SOUND, FAULTY):
                yield run(client, "gap", case, MILLION, count, LARGE, faults)


def sides(client: Client, sweep: Sequence[int]) -> Iterator[dict[str, Any]]:
    """What the size of the tiles does where the workers are many, and if they kept all images."""
    for case in PAIR_SECONDS["gap"]:
        for kept in (False, True):
            sends = client._replace(image=0.0) if kept else client
            for side in sweep:
                found = run(sends, "gap", case, MILLION, WORKERS[-1], side, SOUND)
                yield {"kept": kept} | found


def run(
    client: Client, kernel: str, case: str, n: int, workers: int, side: int, faults: Faults
) -> dict[str, Any]:
    """One simulation: what came of it."""
    pair_seconds, grid = PAIR_SECONDS[kernel][case], Grid(n, None, side)
    pool = Simulated(workers, costs(client, kernel, pair_seconds, workers), faults)
    tasks = (Call(int, (tile,)) for tile in grid)
    counted = sum(seconds for _, seconds in schedule(tasks, pool))
    off_diagonal = Tile(0, 1, slice(0, side), slice(0, side))
    hours = workers * pool.now() / 3600
    return {
        "kernel": kernel,
        "case": case,
        "images": n,
        "workers": workers,
        "faults": faults is not SOUND,
        "side": side,
        "tiles": len(grid),
        "tile_s": side * side * pair_seconds,
        "client_tile_s": sum(client.cost(kernel, off_diagonal, workers)),
        "client_busy": pool.client / pool.now(),
        "makespan_s": pool.now(),
        "efficiency": counted / (workers * pool.now()),
        "lost": pool.lost,
        "twice": pool.started - pool.lost - len(grid),
        "gpu_hours": hours,
        "dollars": PRICE * hours,
    }


def costs(client: Client, kernel: str, pair_seconds: float, workers: int) -> Callable[[Tile], Cost]:
    """Of tiles; those of one shape, on the diagonal or off it, cost the same."""

    @cache
    def cost(rows: int, columns: int, diagonal: bool) -> Cost:
        tile = Tile(0, int(not diagonal), slice(0, rows), slice(0, columns))
        pairs = rows * (rows + 1) // 2 if diagonal else rows * columns
        return Cost(pairs * pair_seconds, SPREAD, *client.cost(kernel, tile, workers))

    return lambda tile: cost(*tile.shape, tile.row == tile.column)


def routes(n: int = MILLION) -> list[dict[str, Any]]:
    """What kernel regression on so many images could cost, exactly and by approximations."""
    exact = {case: n * n / 2 * pair for case, pair in PAIR_SECONDS["gap"].items()}
    found = [_route("exact matrix, GAP", n * n / 2, exact, 4 * n * n / 2, n**3 / 3)]
    for m in (10_000, 60_000):
        pairs = n * m
        spent = {case: pairs * pair for case, pair in PAIR_SECONDS["gap"].items()}
        flops = 2 * n * m**2 + m**3 / 3
        found.append(_route(f"Nyström, {m:,} landmarks", pairs, spent, 4.0 * pairs, flops))
    m = 16_384
    sketched = {
        case: n * CIFAR / 2 * pair / PUBLISHED_SPEED_UP
        for case, pair in PUBLISHED_PAIR_SECONDS.items()
    }
    flops = 2 * n * m**2 + m**3 / 3
    found.append(_route(f"CNTKSketch, {m:,} features", 0, sketched, 4.0 * n * m, flops))
    return found


def _route(
    name: str, pairs: float, seconds: Mapping[str, float], stored: float, flops: float
) -> dict[str, Any]:
    return {
        "route": name,
        "pairs": pairs,
        "gpu_hours": {case: each / 3600 for case, each in seconds.items()},
        "stored_bytes": stored,
        "solver_flops": flops,
        "solver_gpu_hours": flops / SOLVER_FLOPS_PER_S / 3600,
    }


def page(text: str, measured: Mapping[str, Any], simulated: Mapping[str, Any]) -> str:
    """The page with its tables made anew; each stands between two comments."""
    made = {
        "plans": gram_scale.plans(measured),
        "engine": gram_scale.engine_table(measured),
        "memory": gram_scale.memory_table(measured),
        "client": gram_scale.client_table(measured),
        "CIFAR-10": runs_table(simulated, "cifar"),
        "a million images": runs_table(simulated, "million"),
        "tiles": sides_table(simulated),
        "routes": routes_table(simulated),
    }
    for name, part in made.items():
        before, start, rest = text.partition(f"<!-- made from a record: {name} -->\n")
        assert start, f"the page has no place for {name}"
        _, end, after = rest.partition("<!-- the end -->")
        text = f"{before}{start}{part}\n{end}{after}"
    return text


def runs_table(record: Mapping[str, Any], what: str) -> str:
    """A row for each number of workers; without faults, and with them."""
    head = ["kernel, case", "GPUs", "tiles", "served", "time", "efficiency", "with faults"]
    head += ["efficiency", "died over a tile", "done twice", "GPU hours", "dollars"]
    rows = []
    runs = record[what]
    good_runs = [one for one in runs if not one["faults"]]
    bad_runs = [one for one in runs if one["faults"]]
    for good, bad in zip(good_runs, bad_runs, strict=True):
        rows.append(
            [
                f"{good['kernel']}, {good['case']}",
                f"{good['workers']:,}",
                f"{good['tiles']:,} of {good['side']:,}",
                figure(served(good)),
                lasted(good["makespan_s"]),
                f"{good['efficiency']:.1%}",
                lasted(bad["makespan_s"]),
                f"{bad['efficiency']:.1%}",
                f"{bad['lost']:,}",
                f"{bad['twice']:,}",
                figure(bad["gpu_hours"]),
                figure(bad["dollars"]),
            ]
        )
    return table(head, rows)


def sides_table(record: Mapping[str, Any]) -> str:
    head = [
        "tile",
        "case",
        "images",
        "tiles",
        "a GPU's seconds",
        "the client's",
        "served",
    ]
    head += ["client busy", "efficiency", "time"]
    rows = []
    for one in record["sides"]:
        rows.append(
            [
                f"{one['side']:,} a side, {4 * one['side'] ** 2 / 2**20:.0f} MiB",
                one["case"],
                "kept" if one["kept"] else "sent",
                f"{one['tiles']:,}",
                f"{one['tile_s']:.0f} s",
                f"{1e3 * one['client_tile_s']:.0f} ms",
                figure(served(one)),
                f"{one['client_busy']:.0%}",
                f"{one['efficiency']:.1%}",
                lasted(one["makespan_s"]),
            ]
        )
    return table(head, rows)


def routes_table(record: Mapping[str, Any]) -> str:
    head = ["route", "pairs", "GPU hours, low", "high", "stored", "solver, operations", "GPU hours"]
    rows = []
    for one in record["routes"]:
        hours = one["gpu_hours"]
        rows.append(
            [
                one["route"],
                f"{one['pairs']:.1e}" if one["pairs"] else "none",
                figure(hours["low"]),
                figure(hours["high"]),
                f"{figure(one['stored_bytes'] / 1e12)} TB",
                f"{one['solver_flops']:.1e}",
                figure(one["solver_gpu_hours"]),
            ]
        )
    return table(head, rows)


def served(one: Mapping[str, Any]) -> float:
    """GPUs that the client keeps busy at most."""
    return one["tile_s"] / one["client_tile_s"]


def figure(value: float) -> str:
    """Three digits, and no power of ten."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value else 0
    return f"{value:,.{digits}f}"


def lasted(seconds: float) -> str:
    """In the unit that people would say it in."""
    units = (("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
    name, size = next((each for each in units if seconds >= 2 * each[1]), units[-1])
    return f"{figure(seconds / size)} {name}"


if __name__ == "__main__":
    main(*sys.argv[1:])
