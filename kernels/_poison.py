"""Memory that nobody has written reads as NaN, so that an element left out of a result is seen.

The NaN has all bits set; arithmetic makes another one, so the mark tells what was not written from
what was computed wrong. Three ways lead to a backend's memory, since none reaches all of it:

- the C allocator of Linux fills what it gives out, from about a kilobyte: compiled code, numba and
  torch on the CPU;
- blocks of the result's size are filled and freed, for allocators that keep what was freed: small
  arrays, and torch on a GPU;
- the names `numpy.empty`, `torch.empty` and their like are bound to functions that fill.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

M_PERTURB = -6
ALL_ONES = 0x100  # glibc fills with the complement of the low byte, and takes 0 as "do not fill"
KEPT = 8  # blocks of one size: NumPy and glibc keep seven each


def unwritten(result: np.ndarray) -> int:
    """How many elements are marked as never written."""
    bits = np.ascontiguousarray(result).view(f"u{result.itemsize}")
    return int((bits == np.iinfo(bits.dtype).max).sum())


@contextmanager
def allocated_is_nan(size: int, device: str) -> Iterator[None]:
    """Fill memory as it is allocated, and free memory in blocks of `size` bytes on `device`."""
    _leave_behind(size, device)
    mallopt = _mallopt()
    mallopt(M_PERTURB, ALL_ONES)
    try:
        yield
    finally:
        mallopt(M_PERTURB, 0)


@contextmanager
def named_empty_is_nan() -> Iterator[None]:
    """Fill what `empty` and `empty_like` of NumPy and torch return.

    Not while numba compiles: it knows `numpy.empty` by identity.
    """
    with ExitStack() as undo:
        for name in ("empty", "empty_like"):
            undo.enter_context(_rebound(np, name, _fill_array))
            if (torch := sys.modules.get("torch")) is not None:
                undo.enter_context(_rebound(torch, name, _fill_tensor))
        yield


def _leave_behind(size: int, device: str) -> None:
    blocks: list[Any] = [np.full(size, 0xFF, np.uint8) for _ in range(KEPT)]
    if (torch := sys.modules.get("torch")) is not None:
        blocks += [torch.full((size,), 0xFF, dtype=torch.uint8, device=device) for _ in range(KEPT)]


def _mallopt() -> Callable[[int, int], int]:
    if sys.platform == "linux":
        found: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
        if found is not None:
            return found
    return lambda *_: 0


@contextmanager
def _rebound(owner: Any, name: str, fill: Callable[[Any], None]) -> Iterator[None]:
    real = getattr(owner, name)

    def allocate(*args: Any, **kwargs: Any) -> Any:
        array = real(*args, **kwargs)
        fill(array)
        return array

    setattr(owner, name, allocate)
    try:
        yield
    finally:
        setattr(owner, name, real)


def _fill_array(array: np.ndarray) -> None:
    if array.dtype.kind == "f":
        array[...] = np.frombuffer(b"\xff" * array.itemsize, array.dtype)[0]


def _fill_tensor(tensor: Any) -> None:
    if tensor.is_floating_point():
        tensor.untyped_storage().fill_(0xFF)
