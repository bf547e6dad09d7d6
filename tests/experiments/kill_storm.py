"""Commands killed at random moments and repeated: is what comes out what would have come out?

    python -m tests.experiments.kill_storm docs/measured/kill-storm.json [COUNT [SEED [short]]]

A storm starts `claimbench run` in an empty folder, or `claimbench report` over an older report, in
a process group of its own, kills it (SIGKILL) once or more, and repeats the command until it ends
by itself. Moments are uniform over the length of an undisturbed command, or aimed at a write. What
is there then is compared with what an undisturbed command leaves:

- the records: as many, and equal but for `VOLATILE`, which no two runs have in common;
- the remembered verdicts, effects and intervals to the last bit, and the exit code;
- the pages: byte by byte, for records in which what is volatile was made equal;
- nothing else lies in the folder, and every line that was whole at a kill is still there.

One storm in `PUBLISHED` takes published claims at their smoke tier, the others
small ones of many short cells; `short` takes very small ones, without worker processes.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from claimbench.reports import charts
from claimbench.reports import command as report_command
from claimbench.suite import provenance, records, run_command, runner, writing
from claimbench.suite.cells import cells
from claimbench.suite.checking import load_claims
from claimbench.suite.definitions import Claim

from ..suite import toys
from . import storms
from .storms import HUNG_S, KILLED, Arm, die_at, fresh, kill_workers, over, wait

CLAIMS = ("arora2020_cntk_beats_resnet", "arora2020_ntk_beats_forests")
PUBLISHED = 16
VOLATILE = {"seconds": 0.0, "cpu_seconds": 0.0}
VOLATILE_PROVENANCE = {"started": "2026-01-01T00:00:00.000+00:00", "load": 0.0}
LATE = ("joblib", "scipy.stats", "sklearn.datasets", "sklearn.model_selection", "sklearn.svm")
AGAIN = 0.25  # how often a command that goes on is killed, too


@dataclass
class Killed(storms.Told):
    """Further, what kills left."""

    half_lines_at_kills: int = 0
    unfinished_at_kills: int = 0
    left_at_the_end: int = 0
    lines_lost: int = 0
    hung: int = 0


@dataclass
class Undisturbed:
    """What commands leave that nobody kills, and how long they take."""

    run_s: dict[int, float]
    report_s: float
    code: int
    records: list[str]
    verdicts: Any
    pages: dict[str, str]
    old_pages: Path


class Field:
    """Where storms take place: claims, a folder for all that is written, and chance."""

    def __init__(
        self, claims: Sequence[Claim], folder: Path, chance: random.Random, jobs: Sequence[int]
    ):
        self.claims, self.folder, self.chance = claims, fresh(folder), chance
        self._import()
        self.usual = self._undisturbed(jobs)

    # Commands

    def _import(self) -> None:
        """What a run imports when it first needs it, all processes are to find imported."""
        for name in LATE:
            import_module(name)
        for cell in {c.method: c for claim in self.claims for c in cells(claim, "smoke")}.values():
            if not cell.entry.baseline:
                runner.measure(cell, runner.Settings())

    def start(self, folder: Path, arguments: Sequence[str], arm: Arm | None = None) -> int:
        def prepare() -> None:
            run_command.load_claims = lambda names: list(self.claims)  # type: ignore[assignment]
            report_command.followed_claims = lambda: list(self.claims)  # type: ignore[assignment]
            # Pages without figures: to draw them takes most of a report's time.
            charts.draw = lambda figure, prefix: None  # type: ignore[assignment]
            if arm:
                arm()

        return storms.start(folder, arguments, prepare)

    def run(self, folder: Path, jobs: int) -> list[str]:
        return ["run", *(claim.id for claim in self.claims), "--jobs", str(jobs), "--device", "cpu"]

    def _undisturbed(self, all_jobs: Sequence[int]) -> Undisturbed:
        took, code = {}, 0
        for jobs in all_jobs:
            home = fresh(self.folder / f"undisturbed-{jobs}")
            began = time.monotonic()
            code = wait(self.start(home, self.run(home, jobs)))
            took[jobs] = time.monotonic() - began
            assert code in (0, 1, 3), (home / "log").read_text()
        home = self.folder / "undisturbed-1"
        old = fresh(self.folder / "old")
        half = records.read(home / "results")[::2]
        write_equal(half, old / "results")
        assert wait(self.start(old, ["report"])) == 0, (old / "log").read_text()
        began = time.monotonic()
        made = self.pages(home)
        return Undisturbed(
            run_s=took,
            report_s=time.monotonic() - began,
            code=code,
            records=equal_records(home),
            verdicts=json.loads((home / "results" / "verdicts.json").read_bytes()),
            pages=made,
            old_pages=old / "html",
        )

    def pages(self, home: Path) -> dict[str, str]:
        """Digests of the pages of a folder's records, with what is volatile in them made equal."""
        shown = fresh(self.folder / "shown")
        write_equal(records.read(home / "results"), shown / "results")
        assert wait(self.start(shown, ["report"])) == 0, (shown / "log").read_text()
        return digests(shown / "html")

    def described(self) -> dict[str, Any]:
        return {
            "claims": [claim.id for claim in self.claims],
            "cells": len(self.usual.records),
            "run_s_by_jobs": {jobs: round(s, 2) for jobs, s in self.usual.run_s.items()},
            "report_s": round(self.usual.report_s, 2),
        }

    # Storms

    def storm(self, kind: str, told: Killed, show: bool) -> None:
        """Kill, repeat, compare; counts what it sees."""
        home = fresh(self.folder / "storm")
        arguments, arms, length = self._kind(kind, home)
        kills, before = 0, self._workers_killed
        whole: dict[Path, bytes] = {}
        while True:
            strike = not kills or self.chance.random() < AGAIN
            arm = self.chance.choice(arms) if strike and arms else None
            pid = self.start(home, arguments, arm)
            told.commands += 1
            code = self._watch(pid, kind, length if strike and not arm else None)
            told.lines_lost += sum(not path.read_bytes().startswith(w) for path, w in whole.items())
            if code == HUNG_S:
                told.hung += 1
                break
            if code == KILLED or before != (before := self._workers_killed):
                kills += 1
                told.half_lines_at_kills += sum(map(has_half_line, home.glob("results/*.jsonl")))
                told.unfinished_at_kills += len(unfinished(home))
                self._check_pages(kind, home, told)
            if code != KILLED and kills:
                break
            if code != KILLED:  # it was over before the kill
                home = fresh(home)
                self._kind(kind, home)
            whole = {path: whole_lines(path) for path in home.glob("results/*.jsonl")}
        told.storms += 1
        told.kills += kills
        told.left_at_the_end += len(unfinished(home))
        wrong = self._differences(kind, home, code, show)
        told.identical += not wrong
        told.differences += wrong

    def _kind(self, kind: str, home: Path) -> tuple[list[str], list[Arm], float]:
        """Command, ways to die in it, and its undisturbed length; prepares the folder."""
        if "report" in kind:
            shutil.copytree(self.usual.old_pages, home / "html")
            write_equal(records.read(self.folder / "undisturbed-1/results"), home / "results")
            files = len(self.usual.pages)
            aims = [partial(die_at, Path, "replace", n) for n in range(1, files + 1)]
            return ["report"], aims if "place" in kind else [], self.usual.report_s
        count = len(self.usual.records)
        aims = {
            "in a line": [partial(die_at, writing, "_write_all", n, half) for n in span(count)],
            "before a line is kept": [partial(die_at, os, "fsync", n) for n in span(count + 2)],
            "before verdicts are in place": [partial(die_at, Path, "replace", 1)],
        }.get(kind.removeprefix("run, "), [])
        jobs = 1 if "one process" in kind or aims else 2
        return self.run(home, jobs), aims, self.usual.run_s[jobs]

    _workers_killed = 0

    def _watch(self, pid: int, kind: str, length: float | None) -> float:
        """The exit code of a command, which is killed within its usual length if that is given."""
        if length is not None:
            over(pid, self.chance.uniform(0, length))
            if "workers" in kind:
                self._workers_killed += kill_workers(pid)
            else:
                storms.kill(pid)
        return wait(pid)

    def _check_pages(self, kind: str, home: Path, told: Killed) -> None:
        """Each page is the old one or the new one, whatever was going on."""
        if "report" in kind:
            old, new, now = digests(self.usual.old_pages), self.usual.pages, digests(home / "html")
            mixed = [n for n, digest in now.items() if digest not in (old.get(n), new.get(n))]
            told.differences += [f"{name} is neither old nor new" for name in mixed]

    def _differences(self, kind: str, home: Path, code: float, show: bool) -> list[str]:
        usual = self.usual
        if "report" in kind:
            made = digests(home / "html")
            wrong = [n for n, digest in usual.pages.items() if made.get(n) != digest]
            return [*wrong, *(f"exit code {code}" for _ in range(code != 0))]
        found = {
            "exit code": (code, usual.code),
            "records": (equal_records(home), usual.records),
            "verdicts": (json.loads((home / "results/verdicts.json").read_bytes()), usual.verdicts),
            "pages": (self.pages(home) if show else usual.pages, usual.pages),
        }
        return [what for what, (one, other) in found.items() if one != other]


def half(file: Any, content: bytes) -> None:
    """A part of what was to be written."""
    file.write(content[: random.randrange(1, len(content))])


def span(count: int) -> range:
    return range(1, count + 1)


# What is compared


def made_equal(record: records.Record) -> records.Record:
    where = record.provenance.model_copy(update=VOLATILE_PROVENANCE)
    return record.model_copy(update={**VOLATILE, "provenance": where})


def equal_records(home: Path) -> list[str]:
    found = map(made_equal, records.read(home / "results"))
    return sorted(record.model_dump_json() for record in found)


def write_equal(found: Sequence[records.Record], folder: Path) -> None:
    folder.mkdir()
    lines = sorted(made_equal(record).model_dump_json(exclude_defaults=True) for record in found)
    (folder / "all.jsonl").write_text("".join(f"{line}\n" for line in lines))


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in files
        if writing.PREFIX not in str(path)
    }


def whole_lines(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1]


def has_half_line(path: Path) -> bool:
    return path.read_bytes() != whole_lines(path)


def unfinished(home: Path) -> list[Path]:
    """Locks and what was not finished, whether or not the next command removes it."""
    return [path for path in home.rglob(".*") if path.name != ".asv"]


SHARES = {
    "run, in one process": 0.55,
    "run, in two processes": 0.06,
    "run, workers alone": 0.04,
    "run, in a line": 0.1,
    "run, before a line is kept": 0.05,
    "run, before verdicts are in place": 0.05,
    "report": 0.1,
    "report, while files take their place": 0.05,
}
"""Kinds of storms, and how many of all are of each."""


def main(target: str, count: str = "200", seed: str = "1", short: str = "") -> None:
    shares = {kind: s for kind, s in SHARES.items() if not short or not needs_workers(kind)}
    kinds = [kind for kind, share in shares.items() for _ in range(round(int(count) * share) or 1)]
    record = storms.begun("commands killed at random moments and repeated", seed)
    told = {kind: Killed() for kind in shares}
    chance = random.Random(int(seed))
    chance.shuffle(kinds)
    with TemporaryDirectory() as folder:
        os.chdir(folder)  # no repository: what all processes there take for the commit is the same
        provenance.commit.cache_clear()
        jobs = (1,) if short else (1, 2)
        fields = [Field(small(trials=2 if short else 8), Path(folder, "small"), chance, jobs)]
        if not short:
            fields.append(Field(load_claims(CLAIMS), Path(folder, "published"), chance, jobs))
        for place, kind in enumerate(kinds):
            where = fields[-1 if place % PUBLISHED == 0 else 0]
            where.storm(kind, told[kind], show=place % 10 == 0)
            print(f"[{place + 1}/{len(kinds)}] {kind}", file=sys.stderr, flush=True)
    spent = os.times()
    record["undisturbed"] = [where.described() for where in fields]
    record["cpu_s"] = round(sum(spent[:4]))
    record["not_compared"] = [*VOLATILE, *(f"provenance.{name}" for name in VOLATILE_PROVENANCE)]
    storms.ended(target, record, told)


def small(trials: int) -> list[Claim]:
    """Two claims of many cells, each of which takes a hundredth of a second."""
    methods = {"level": {"linear_svm": {"c": [1.0]}}, "rival": {"linear_svm": {"c": [0.01]}}}
    smoke = {"protocols": ["split"], "trials": trials, "seconds": 1.0}
    return [
        Claim.model_validate(
            toys.tables(methods=methods, tiers={"smoke": {"data": [data], **smoke}})
            | {"id": f"small_{data}"}
        )
        for data in ("iris", "wine")
    ]


def needs_workers(kind: str) -> bool:
    return kind in ("run, in two processes", "run, workers alone")


if __name__ == "__main__":
    main(*sys.argv[1:])
