"""Gram matrices killed at random moments and gone on with: are they the same to the last bit?

    python -m tests.experiments.gram_storm docs/measured/gram-storm.json [STORMS [SEED]]

As `kill_storm`, for what takes longest: `claimbench gram`, killed with all its processes or its
workers alone, at any moment or when a tile takes its place; and `claimbench run` of a claim whose
matrices go to the store and whose solution goes to a file, as those too large for memory do. What
is compared with an undisturbed command are the digests that it prints, the exit code, every file of
its tiles, and the records but for what is volatile.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import zarr  # noqa: F401  what is forked finds it imported

from claimbench.kernels import cntk_gram
from claimbench.suite import cli, provenance, run_command, runner, solving
from claimbench.suite.data import load as load_data
from claimbench.suite.definitions import Claim
from claimbench.suite.gram import Workplace
from claimbench.suite.gram import plan as plans
from claimbench.suite.methods import image_kernels
from claimbench.suite.timing import floors

from ..suite import toys
from .kill_storm import KILLED, die_at, equal_records, fresh, kill_workers, over, wait

PEAKS = floors.Peaks({"float32": 1e11, "float64": 5e10}, 1e10)  # to measure them takes a second
AGAIN = 0.3  # how often a command that goes on is killed, too
SAMPLES = 150
ASKED = "depths = [6], windows = ['gap', 0]"

Arm = Callable[[], object]


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


@dataclass
class Told:
    """What was seen in storms of one kind."""

    storms: int = 0
    kills: int = 0
    commands: int = 0
    identical: int = 0
    differences: list[str] = field(default_factory=list)


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
    """A command in a process group of its own; gives its process id."""
    if pid := os.fork():
        return pid
    try:
        os.setsid()
        os.chdir(folder)
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        answer = os.open(folder / "answer", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(answer, 1), os.dup2(log, 2)
        sys.argv = ["claimbench", *arguments]
        plans.TILE_SECONDS = 0.05
        floors.measured = lambda device: PEAKS
        run_command.load_claims = lambda names: [claim()]  # type: ignore[assignment]
        runner.Workplace = partial(Workplace, stored_seconds=0)  # type: ignore[misc,assignment]
        room = partial(solving.solve_blocks, held=2**18)
        image_kernels.solve_blocks = room  # type: ignore[assignment]
        if arm:
            arm()
        cli.main()
    except SystemExit as e:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(e.code if isinstance(e.code, int) else 1)
    finally:
        os._exit(99)


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
        killed = False
        if strike and not arm and not over(pid, chance.uniform(0, length)):
            with suppress(ProcessLookupError):  # it has not begun
                killed = bool(kill_workers(pid)) if kind.workers else kill(pid)
        code = wait(pid)
        kills += killed or code == KILLED
        if code != KILLED and kills:
            told.kills += kills
            return code
        if code != KILLED:  # it was over before the kill
            fresh(home)


def kill(pid: int) -> bool:
    os.killpg(pid, signal.SIGKILL)
    return True


def main(target: str, storms: str = "200", seed: str = "1") -> None:
    chance, began, load = random.Random(int(seed)), provenance.now(), os.getloadavg()[0]
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
            for _ in range(round(int(storms) * kind.share) or 1):
                home = fresh(Path(folder, "storm"))
                ended = storm(kind, home, usual[name], chance, seen)
                found = left(home, kind.arguments)
                wrong = [part for part in wanted if found[part] != wanted[part]]
                wrong += [f"exit code {ended}"] * (ended != code)
                seen.storms += 1
                seen.identical += not wrong
                seen.differences += wrong
            print(name, seen, file=sys.stderr, flush=True)
    counts = sum((Counter(numbers(each)) for each in told.values()), Counter[str]())
    content = {
        "schema_version": 1,
        "experiment": "Gram matrices killed at random moments and gone on with",
        "commit": provenance.commit(),
        "started": began,
        "finished": provenance.now(),
        "machine": provenance.machine(),
        "threads": provenance.threads(),
        "load": (load, os.getloadavg()[0]),
        "seed": int(seed),
        "undisturbed_s": {name: round(seconds, 2) for name, seconds in usual.items()},
        "all": counts,
        "kinds": {name: numbers(seen) for name, seen in told.items()},
        "differences": [f"{name}: {d}" for name, seen in told.items() for d in seen.differences],
    }
    Path(target).write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["all"], indent=1))


def numbers(told: Told) -> dict[str, int]:
    return {name: value for name, value in vars(told).items() if isinstance(value, int)}


if __name__ == "__main__":
    main(*sys.argv[1:])
