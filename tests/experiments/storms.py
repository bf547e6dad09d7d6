"""Commands of ours in processes that are killed, and what is told of it: what all storms share.

Processes are forked from one that has imported everything, so that a storm costs little more than
what it measures.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from claimbench.suite import cli, provenance

HUNG_S = 300.0
KILLED = -signal.SIGKILL

Arm = Callable[[], object]
"""Prepares a process to kill itself."""


@dataclass
class Told:
    """What was seen in storms of one kind."""

    storms: int = 0
    kills: int = 0
    commands: int = 0
    identical: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


def begun(experiment: str, seed: str) -> dict[str, Any]:
    """What a record says of where and when, before the first storm."""
    return {
        "schema_version": 1,
        "experiment": experiment,
        "commit": provenance.commit(),
        "started": provenance.now(),
        "machine": provenance.machine(),
        "threads": provenance.threads(),
        "load": [os.getloadavg()[0]],
        "seed": int(seed),
    }


def ended(target: str, record: dict[str, Any], told: Mapping[str, Told]) -> None:
    """Write what was begun, with what was seen by kind and of all together."""
    counts = sum((Counter(seen.numbers) for seen in told.values()), Counter[str]())
    record["finished"] = provenance.now()
    record["load"].append(os.getloadavg()[0])
    record["all"] = {name: counts[name] for seen in told.values() for name in seen.numbers}
    record["kinds"] = {kind: seen.numbers for kind, seen in told.items()}
    record["differences"] = [
        f"{kind}: {what}" for kind, seen in told.items() for what in seen.differences
    ]
    Path(target).write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["all"], indent=1))


def start(folder: Path, arguments: Sequence[str], prepare: Arm) -> int:
    """A command in a process group of its own; gives its process id.

    What it prints goes to the file `answer`, what it complains of to `log`.
    """
    if pid := os.fork():
        return pid
    try:
        os.setsid()
        os.chdir(folder)
        answer = os.open(folder / "answer", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(answer, 1), os.dup2(log, 2)
        sys.argv = ["claimbench", *arguments]
        prepare()
        cli.main()
    except SystemExit as e:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(e.code if isinstance(e.code, int) else 1)
    finally:
        os._exit(99)


def die_at(owner: Any, name: str, number: int, first: Callable[..., object] | None = None) -> None:
    """Let a function end its process group instead of doing what it does, when called so often."""
    function = getattr(owner, name)
    calls = 0

    def called(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            if first:
                first(*args)
            os.killpg(0, signal.SIGKILL)
        return function(*args)

    setattr(owner, name, called)


def over(pid: int, seconds: float) -> bool:
    """Whether a process has ended within some time."""
    handle = os.pidfd_open(pid)
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def wait(pid: int) -> float:
    """The exit code of a process; `HUNG_S`, as a float, where it does not end."""
    if over(pid, HUNG_S):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return HUNG_S


def kill(pid: int) -> int:
    """Kill a command with all its processes; 0 if it has not begun, or is over."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
        return 1
    return 0


def kill_workers(pid: int) -> int:
    """Kill the processes that a command computes in, and not the command; 1 if there are any."""
    found = psutil.Process(pid).children(recursive=True)
    workers = []
    for process in found:
        with suppress(psutil.Error):
            if "tracker" not in " ".join(process.cmdline()):
                workers.append(process)
                process.kill()
    return int(bool(workers))


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
