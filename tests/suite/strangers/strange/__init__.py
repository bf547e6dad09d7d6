"""Backends of a stranger who means no good, as an installed plug-in brings them.

`test_isolation.py` runs each where it is held. None of them does lasting harm where it is not.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from claimbench.kernels import Backend, kernel

if os.environ.get("CLAIMBENCH_STRANGE_IMPORT"):
    os._exit(0)

SECRET = "c2VjcmV0"  # stands in a variable of the process that starts the check
FORGED = {"kind": "done", "content": None}


def crashes(x: np.ndarray) -> np.ndarray:
    ctypes.string_at(0)
    return 2 * x


def aborts(x: np.ndarray) -> np.ndarray:
    os.write(2, b"malloc(): \x1b[31mcorrupted\n")
    os.abort()


def leaves(x: np.ndarray) -> np.ndarray:
    os._exit(0)


def loops(x: np.ndarray) -> np.ndarray:
    while True:
        pass


def beats(x: np.ndarray) -> np.ndarray:
    """An endless loop that can be seen from outside."""
    _beat()
    return 2 * x


def stays_behind(x: np.ndarray) -> np.ndarray:
    """A process that outlives the worker, in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            _beat()
        os._exit(0)
    while not Path(os.environ["CLAIMBENCH_STRANGE_FILE"]).exists():
        time.sleep(0.01)
    os._exit(0)


def _beat() -> None:
    while True:
        Path(os.environ["CLAIMBENCH_STRANGE_FILE"]).write_text(str(time.time()))
        time.sleep(0.05)


def forks(x: np.ndarray) -> np.ndarray:
    """From here on there are two that answer."""
    os.fork()
    return 2 * x


def hoards(x: np.ndarray) -> np.ndarray:
    return 2 * x + np.zeros(2**36)[0]


def prints(x: np.ndarray) -> np.ndarray:
    print(json.dumps([{"kernel": "double", "problem": ""}]), flush=True)
    os.write(1, json.dumps(FORGED).encode() + b"\n")
    return 2 * x


def writes_to_every_file(x: np.ndarray) -> np.ndarray:
    for target in range(3, 100):
        try:
            os.write(target, json.dumps(FORGED | {"token": "0" * 32}).encode() + b"\n")
        except OSError:
            continue
    os._exit(0)


def floods(x: np.ndarray) -> np.ndarray:
    for target in range(3, 100):
        try:
            while True:
                os.write(target, b"x" * 2**16)
        except OSError:
            continue
    return 2 * x


def kills_its_keeper(x: np.ndarray) -> np.ndarray:
    os.kill(os.getppid(), 9)
    return 2 * x


def finds_nothing(x: np.ndarray) -> np.ndarray:
    """Right where no secret is to be found, no network is to be had, and all is limited."""
    seen = {
        "secret": any(SECRET in value for value in os.environ.values()),
        "folder": not Path.cwd() == Path.home() == Path(os.environ["TMPDIR"]),
        "dump": resource.getrlimit(resource.RLIMIT_CORE) != (0, 0),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 512,
        "large file": resource.getrlimit(resource.RLIMIT_FSIZE)[1] > 2**30,
        "memory": resource.getrlimit(resource.RLIMIT_AS)[1] != 4 * 2**30,
        "new rights": "NoNewPrivs:\t1" not in Path("/proc/self/status").read_text(),
        "time": resource.getrlimit(resource.RLIMIT_CPU)[1] > 10**6,
    }
    if any(seen.values()):
        raise RuntimeError(str([name for name, found in seen.items() if found]))
    return 2 * x


def finds_nothing_outside(x: np.ndarray) -> np.ndarray:
    """The same of what only namespaces can keep from it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    if int(status["CapEff"], 16) or int(status["CapPrm"], 16):
        raise RuntimeError("there are capabilities")
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if SECRET.encode() in path.read_bytes():
                raise RuntimeError(f"the secret is in {path}")
    with socket.socket() as one:
        one.settimeout(1)
        try:
            one.connect(("127.0.0.1", int(os.environ["CLAIMBENCH_STRANGE_PORT"])))
        except OSError:
            return 2 * x
    raise RuntimeError("there is a network")


def wrong(x: np.ndarray) -> np.ndarray:
    return 3 * x


def right(x: np.ndarray) -> np.ndarray:
    return 2 * x


def _brought(*functions: Callable[..., Any]) -> dict[str, Backend]:
    """Backends by name, each in a module of its own, as they have to be."""
    for function in functions:
        module = sys.modules[f"strange_{function.__name__}"] = ModuleType("strange")
        module.double = module.crowd = function  # type: ignore[attr-defined]
    return {f.__name__: Backend(f"strange_{f.__name__}", "numpy") for f in functions}


def _validate(x: Any) -> None:
    """Any array will do."""


@kernel(
    _validate,
    **_brought(
        crashes,
        aborts,
        leaves,
        loops,
        beats,
        stays_behind,
        forks,
        hoards,
        prints,
        writes_to_every_file,
        floods,
        kills_its_keeper,
        finds_nothing,
        finds_nothing_outside,
        wrong,
    ),
)
def double(x: np.ndarray) -> np.ndarray:
    """Twice the array."""
    return 2 * x


@kernel(_validate, **_brought(crashes, prints, right))
def crowd(x: np.ndarray) -> np.ndarray:
    """The same, on backends of which only some are bad."""
    return 2 * x
