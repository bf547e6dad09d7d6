"""What a call must leave as it found it: settings of the process, and the names that judge it.

A backend that changes how NumPy rounds, draws or warns changes what runs after it; one that rebinds
the clock, or a function that results are compared with, makes its own mark. Whatever was changed
is put back, so that one backend's fault is not found in the next.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import BuiltinFunctionType
from typing import Any

import numpy as np

CLOCKS = ("perf_counter", "process_time", "time", "monotonic", "thread_time")
JUDGES = ("time", "numpy", "numpy.linalg")  # and the modules of this package beside it
THREADS = "torch's number of threads"


@dataclass(frozen=True)
class Setting:
    """One setting of the process: `get` gives what `put` takes, comparable by `==`."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]


def _subnormals_are_numbers() -> bool:
    return bool((np.full(1, 1e-45, np.float32) * np.float32(1))[0] > 0)


def _let_subnormals_be_numbers(yes: bool) -> None:
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(not yes)


def _numpy_state() -> dict[str, Any]:
    """With lists in place of arrays, which compare as a whole."""
    state: Any = np.random.get_state(legacy=False)
    inner = state["state"].items()
    return state | {"state": {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in inner}}


SETTINGS = (
    Setting("numpy.geterr", np.geterr, lambda value: np.seterr(**value)),
    Setting("numpy.random's state", _numpy_state, np.random.set_state),
    Setting("random's state", random.getstate, random.setstate),
    Setting("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    Setting("subnormal numbers", _subnormals_are_numbers, _let_subnormals_be_numbers),
)


def _torch_settings(torch: Any) -> list[Setting]:
    return [
        Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        Setting(THREADS, torch.get_num_threads, torch.set_num_threads),
        Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
        Setting(
            "torch's precision of float32 products",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
        Setting(
            "torch's deterministic algorithms",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
        Setting(
            "torch's random state",
            lambda: torch.get_rng_state().numpy().tobytes(),
            lambda value: torch.set_rng_state(torch.tensor(list(value), dtype=torch.uint8)),
        ),
    ]


def _settings() -> list[Setting]:
    """Those of the libraries that are imported by now."""
    torch, numba = sys.modules.get("torch"), sys.modules.get("numba")
    found = list(SETTINGS)
    if torch is not None:
        found += _torch_settings(torch)
    if numba is not None:
        name = "numba's number of threads"
        found.append(Setting(name, numba.get_num_threads, numba.set_num_threads))
    return found


def _start_numba() -> None:
    """Its first parallel run sets OpenMP's number of threads, which torch shares.

    That is no backend's doing, so it happens here, and torch's number is put back.
    """
    torch, numba = sys.modules.get("torch"), sys.modules.get("numba")
    if numba is not None:
        before = torch.get_num_threads() if torch is not None else None
        numba.get_num_threads()
        if torch is not None:
            torch.set_num_threads(before)


@contextmanager
def surroundings(*owners: Any) -> Iterator[list[str]]:
    """Collect what the block changes, in words, and undo it: settings, and names in `owners`.

    The names of the modules that measure and judge are looked after too, whatever the owners.
    """
    changes: list[str] = []
    _start_numba()
    had_numba = "numba" in sys.modules
    settings = [(setting, setting.get()) for setting in _settings()]
    package = __name__.rpartition(".")[0]
    judges = {name for name in sys.modules if name.rpartition(".")[0] == package} | {*JUDGES}
    spaces = [(name, vars(sys.modules[name])) for name in judges if name in sys.modules]
    spaces += [(type(owner).__name__, vars(owner)) for owner in owners]
    names = [(name, space, dict(space)) for name, space in spaces]
    try:
        yield changes
    finally:
        for setting, before in settings:
            if setting.get() == before:
                continue
            setting.put(before)
            if had_numba or "numba" not in sys.modules or setting.name != THREADS:
                changes.append(f"changed {setting.name}")
        for name, space, old in names:
            for key in [key for key, value in old.items() if space.get(key) is not value]:
                space[key] = old[key]
                changes.append(f"rebound {name}.{key}")
        changes += [f"found time.{name} rebound" for name in CLOCKS if not _is_the_clock(name)]


def _is_the_clock(name: str) -> bool:
    """Whoever was imported before us may have rebound it already."""
    clock = getattr(time, name)
    return isinstance(clock, BuiltinFunctionType) and clock.__name__ == name
