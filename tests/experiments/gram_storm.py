"""Gram matrices killed at random moments and gone on with: are they the same to the last bit?

    python -m tests.experiments.gram_storm docs/measured/gram-storm.json [COUNT [SEED]]

As `kill_storm`, for what takes longest: `claimbench gram`, killed with all its processes or its
workers alone, at any moment or when a tile takes its place; and `claimbench run` of a claim whose
matrices go to the store and whose solution goes to a file, as those too large for memory do. What
is compared with an undisturbed command are the digests that it prints, the exit code, every file of
its tiles, and the records but for what is volatile.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import zarr  # noqa: F401  what is forked finds it imported

from claimbench.kernels import cntk_gram
from claimbench.suite import run_command, runner, solving
from claimbench.suite.data import load as load_data
from claimbench.suite.definitions import Claim
from claimbench.suite.gram import Workplace
from claimbench.suite.gram import plan as plans
from claimbench.suite.methods import image_kernels
from claimbench.suite.timing import floors

from ..suite import toys
from . import storms
from .kill_storm import equal_records
from .storms import KILLED, Arm, Told, die_at, fresh, kill_workers, over, wait

PEAKS = floors.Peaks({"float32": 1e11, "float64": 5e10}, 1e10)  # to measure them takes a second
AGAIN = 0.3  # how often a command that goes on is killed, too
SAMPLES = 150
ASKED = "depths = [6], windows = ['gap', 0]"


@dataclass(frozen=True)
class Kind:
    """A command, and how it dies.

    Attributes:
        share: of all storms.
        aims: prepare a process to kill itself; none where its moment is uniform.
        workers: they alone are killed.
    """

    arguments: Sequence[str]
    share: float
    aims: Sequence[Arm] = ()
    workers: bool = False


def kinds() -> dict[str, Kind]:
    gram = ["gram", "digits", "--samples", str(SAMPLES), "--with", ASKED, "--json"]
    places = [partial(die_at, os, "replace", number) for number in range(1, 30)]
    run = ["run", claim().id, "--device", "cpu"]
    return {
        "gram, in one process": Kind(gram, 0.25),
        "gram, in two processes": Kind([*gram, "--jobs", "2"], 0.2),
        "gram, workers alone": Kind([*gram, "--jobs", "2"], 0.1, workers=True),
        "gram, before a tile is in place": Kind(gram, 0.15, places),
        "run, of a matrix in the store": Kind(run, 0.2),
        "run, while its solution goes to a file": Kind(run, 0.1, _within_the_solver()),
    }


def _within_the_solver() -> list[Arm]:
    from claimbench.suite import factoring

    return [partial(die_at, factoring, "write", number) for number in range(1, 6)]


def claim() -> Claim:
    """Regression with one kernel at two ridges, on a few digits."""
    asked = {"get": ["ntk"], "depth": [4], "window": ["gap"], "flip": [False]}
    methods = {
        name: {"cntk_regression": {**asked, "unit_diagonal": True, "ridge": ridge}}
        for name, ridge in (("level", 1e-3), ("rival", 1e-1))
    }
    protocols = {"split": {"few_samples": {"n": [SAMPLES], "test": 60}}}
    smoke = {"data": ["digits"], "protocols": ["split"], "trials": 2, "seconds": 1.0}
    tables = toys.tables(methods=methods, protocols=protocols, tiers={"smoke": smoke})
    return Claim.model_validate(tables | {"id": "stored_matrices"})


def start(folder: Path, arguments: Sequence[str], arm: Arm | None) -> int:
    def prepare() -> None:
        plans.TILE_SECONDS = 0.05
        floors.measured = lambda device: PEAKS
        run_command.load_claims = lambda names: [claim()]  # type: ignore[assignment]
        runner.Workplace = partial(Workplace, stored_seconds=0)  # type: ignore[misc,assignment]
        room = partial(solving.solve_blocks, held=2**18)
        image_kernels.solve_blocks = room  # type: ignore[assignment]
        if arm:
            arm()

    return storms.start(folder, arguments, prepare)


def left(home: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """What a command leaves that must not depend on kills."""
    tiles = {
        str(path.relative_to(home)): sha256(path.read_bytes()).hexdigest()
        for path in sorted((home / "results" / "grams").rglob("*"))
        if path.is_file()
    }
    answer = (home / "answer").read_text() if arguments[0] == "gram" else ""
    records = equal_records(home) if arguments[0] == "run" else []
    return {"tiles": tiles, "answer": answer, "records": records}


def storm(kind: Kind, home: Path, length: float, chance: random.Random, told: Told) -> float:
    """Kill and repeat until the command ends by itself; gives its exit code."""
    kills = 0
    while True:
        strike = not kills or chance.random() < AGAIN
        arm = chance.choice(kind.aims) if strike and kind.aims else None
        pid = start(home, kind.arguments, arm)
        told.commands += 1
        killed = 0
        if strike and not arm and not over(pid, chance.uniform(0, length)):
            killed = kill_workers(pid) if kind.workers else storms.kill(pid)
        code = wait(pid)
        kills += bool(killed or code == KILLED)
        if code != KILLED and kills:
            told.kills += kills
            return code
        if code != KILLED:  # it was over before the kill
            fresh(home)


def main(target: str, count: str = "200", seed: str = "1") -> None:
    record = storms.begun("Gram matrices killed at random moments and gone on with", seed)
    chance = random.Random(int(seed))
    cntk_gram(np.ones((1, 1, 8, 8), np.float32), depths=[1])
    load_data("digits")
    told: dict[str, Told] = {}
    usual: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        for name, kind in kinds().items():
            home = fresh(Path(folder, "undisturbed"))
            before = time.monotonic()
            code = wait(start(home, kind.arguments, None))
            usual[name] = time.monotonic() - before
            wanted = left(home, kind.arguments)
            assert code in (0, 1, 3), (home / "log").read_text()
            seen = told[name] = Told()
            for _ in range(round(int(count) * kind.share) or 1):
                home = fresh(Path(folder, "storm"))
                ended = storm(kind, home, usual[name], chance, seen)
                found = left(home, kind.arguments)
                wrong = [part for part in wanted if found[part] != wanted[part]]
                wrong += [f"exit code {ended}"] * (ended != code)
                seen.storms += 1
                seen.identical += not wrong
                seen.differences += wrong
            print(name, seen, file=sys.stderr, flush=True)
    record["undisturbed_s"] = {name: round(seconds, 2) for name, seconds in usual.items()}
    storms.ended(target, record, told)


if __name__ == "__main__":
    main(*sys.argv[1:])
