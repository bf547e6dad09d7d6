"""The roofline: what the machine could do at best, measured in the same run.

A call cannot be faster than its operations over the rate of a matrix product, nor than its bytes
over the rate of a copy. The floor is optimistic: few kernels are all multiply-adds, and a kernel
that is neither never reaches it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

TRIES = 7


@dataclass(frozen=True)
class Peaks:
    """Highest rates seen on the device with the threads of this run.

    Attributes:
        flops_per_s: of a square matrix product, by dtype.
        bytes_per_s: of a copy of a large array, read and written bytes together.
    """

    flops_per_s: dict[str, float]
    bytes_per_s: float

    def __or__(self, other: Peaks) -> Peaks:
        """The higher of both: a rate that was once reached is one that can be."""
        flops = {
            dtype: max(rate, other.flops_per_s[dtype]) for dtype, rate in self.flops_per_s.items()
        }
        return Peaks(flops, max(self.bytes_per_s, other.bytes_per_s))


@dataclass(frozen=True)
class Floor:
    """The least time of a call, and what sets it."""

    seconds: float
    bound: Literal["compute", "memory"]


def floor(flops: float, moved_bytes: float, dtype: str, peaks: Peaks) -> Floor:
    computing, moving = flops / peaks.flops_per_s[dtype], moved_bytes / peaks.bytes_per_s
    return Floor(computing, "compute") if computing > moving else Floor(moving, "memory")


def measured(device: str) -> Peaks:
    return _of_gpu() if device == "cuda" else _of_processor()


def _fastest(call: Callable[[], Any]) -> float:
    call()
    taken = []
    for _ in range(TRIES):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _of_processor() -> Peaks:
    side = 1024
    flops = {}
    for dtype in ("float32", "float64"):
        a, out = np.ones((side, side), dtype), np.empty((side, side), dtype)
        flops[dtype] = 2 * side**3 / _fastest(partial(np.matmul, a, a, out=out))
    source = np.ones(2**25, "float32")  # 128 MiB: more than any cache
    target = np.empty_like(source)
    return Peaks(flops, 2 * source.nbytes / _fastest(partial(np.copyto, target, source)))


def _of_gpu() -> Peaks:
    import torch

    def fastest(call: Callable[[], Any]) -> float:
        def synchronised() -> None:
            call()
            torch.cuda.synchronize()

        return _fastest(synchronised)

    side = 8192
    flops = {}
    for dtype in ("float32", "float64"):
        a = torch.randn(side, side, dtype=getattr(torch, dtype), device="cuda")
        out = torch.empty_like(a)
        flops[dtype] = 2 * side**3 / fastest(partial(torch.matmul, a, a, out=out))
    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    copied = 2 * source.element_size() * source.numel()
    return Peaks(flops, copied / fastest(partial(target.copy_, source)))
