"""Kernels in C++: one library for each instruction set, and the best that this CPU runs is loaded.

The libraries are built with the package where there is a compiler; they are plain C functions,
called through ctypes, which lets other Python threads go on meanwhile.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from importlib.util import find_spec

LEVELS = ("avx512", "avx2", "generic")
"""Instruction sets in order of preference; `generic` is what every CPU of the platform has."""


@cache
def library(level: str | None = None) -> ctypes.CDLL | None:
    """The library of one instruction set, or of the best; `None` if it is not to be had."""
    if level is None:
        return next(filter(None, map(library, LEVELS)), None)
    spec = find_spec(f"claimbench.kernels._compiled_{level}")
    if spec is None or spec.origin is None:
        return None
    loaded = ctypes.CDLL(spec.origin)
    return loaded if loaded.runs_here() else None


def threads() -> int:
    """How many threads a call may use: OMP_NUM_THREADS, or every core that this process may use."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit():
        return max(1, int(limit))
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
