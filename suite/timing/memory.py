"""How far the memory of a process rises during a call, native code included.

Linux keeps the largest resident size of a process and lets it be reset; elsewhere there is nothing
as good, and the rise is not measured.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any


def host_rise(call: Callable[[], Any], process: int | str = "self") -> int | None:
    """Bytes that resident memory rises above its size before the call, at most.

    Args:
        call: makes the process do the work; it is called once, whatever can be seen.
        process: its number, if it is another than this one.
    """
    proc = Path("/proc") / str(process)
    if process == "self":
        _give_back()
    try:
        (proc / "clear_refs").write_text("5")  # resets the high-water mark
        before = _status(proc, "VmRSS")
    except (OSError, KeyError):
        call()
        return None
    call()
    return max(_status(proc, "VmHWM") - before, 0)


def cuda_rise(call: Callable[[], Any]) -> int:
    """Bytes that torch's allocations on the GPU rise during a call."""
    import torch

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)


def _status(proc: Path, name: str) -> int:
    lines = (proc / "status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return int(values[name].split()[0]) * 1024


def _give_back() -> None:
    """Freed memory that the allocator keeps would hide what the next call takes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
