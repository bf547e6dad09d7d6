"""How one contender is called and timed: here, on a GPU, or wherever a runner of its own does it.

Inputs are made and moved outside the clock. A turn calls the function on several sets of inputs in
turn, so that no call sees what the last one saw.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from claimbench.kernels import checks

from .memory import cuda_rise, host_rise
from .workloads import Workload

Arrays = Sequence[np.ndarray]
Call = Callable[[], Any]


@dataclass(frozen=True)
class Sample:
    """Seconds of one call, as the mean of a turn.

    Attributes:
        wall_s: elapsed; on a GPU between two of its own events.
        cpu_s: processor time of the whole process that computes, all of its threads.
    """

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Clock:
    """Where times come from; tests have their own."""

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


class Timer(Protocol):
    def sample(self, calls: Sequence[Call]) -> Sample:
        """Make the calls and give the mean."""
        ...

    def trial(self, call: Call) -> tuple[float, int | None]:
        """Elapsed seconds of one call, and by how many bytes memory rises, if that can be seen."""
        ...


class Runner(Protocol):
    """A contender that can be called; arrays go in and come out as NumPy's."""

    def result(self, arrays: Arrays) -> np.ndarray: ...

    def sample(self, sets: Sequence[Arrays], calls: int) -> Sample:
        """One turn of so many calls, the sets of inputs in rotation."""
        ...

    def trial(self, arrays: Arrays) -> tuple[float, int | None]:
        """About how many seconds a call takes, and by how many bytes memory rises."""
        ...

    def close(self) -> None: ...


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage of the whole process is not to be collected at the cost of one call."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class HostTimer:
    """Times what runs on the processor and in this process."""

    clock: Clock = field(default_factory=Clock)

    def sample(self, calls: Sequence[Call]) -> Sample:
        with _no_collection():
            wall, cpu = self.clock.wall(), self.clock.cpu()
            for call in calls:
                call()
            wall, cpu = self.clock.wall() - wall, self.clock.cpu() - cpu
        return Sample(wall / len(calls), cpu / len(calls))

    def trial(self, call: Call) -> tuple[float, int | None]:
        samples: list[Sample] = []
        rise = host_rise(lambda: samples.append(self.sample([call])))
        return samples[0].wall_s, rise


class CudaTimer:
    """Times what runs on a GPU, by its own events, each call with an empty level-2 cache."""

    def __init__(self) -> None:
        import torch

        size = 4 * torch.cuda.get_device_properties(0).L2_cache_size
        self.flush = torch.empty(size, dtype=torch.uint8, device="cuda")

    def sample(self, calls: Sequence[Call]) -> Sample:
        import torch

        new: Any = torch.cuda.Event  # which has no types
        events = [[new(enable_timing=True) for _ in range(2)] for _ in calls]
        torch.cuda.synchronize()
        with _no_collection():
            cpu = time.process_time()
            for (start, end), call in zip(events, calls, strict=True):
                self.flush.zero_()
                start.record()
                call()
                end.record()
            torch.cuda.synchronize()
            cpu = time.process_time() - cpu
        elapsed = sum(start.elapsed_time(end) for start, end in events) / 1000
        return Sample(elapsed / len(calls), cpu / len(calls))

    def trial(self, call: Call) -> tuple[float, int | None]:
        samples: list[Sample] = []
        rise = cuda_rise(lambda: samples.append(self.sample([call])))
        return samples[0].wall_s, rise


class InProcess:
    """A function of NumPy arrays or tensors, called in this process."""

    def __init__(
        self,
        function: Callable[..., Any],
        workload: Workload,
        arrays: str,
        device: str,
        timer: Timer | None = None,
    ):
        """`arrays` is what the function takes, as a backend declares it: numpy or torch."""
        self.function, self.arrays, self.dtype, self.device = (
            function, arrays, workload.dtype, device if arrays == "torch" else "cpu",
        )  # fmt: skip
        self.keywords = checks.keywords(workload.case(()), self.dtype, self.device)
        self.timer = timer or (CudaTimer() if self.device == "cuda" else HostTimer())

    def _call(self, arrays: Arrays) -> Call:
        case = checks.Case("", tuple(arrays))
        args = checks.given(case, self.arrays, self.dtype, self.device)
        return partial(self.function, *args, **self.keywords)

    def result(self, arrays: Arrays) -> np.ndarray:
        return checks.as_numpy(self._call(arrays)())

    def sample(self, sets: Sequence[Arrays], calls: int) -> Sample:
        prepared = [self._call(arrays) for arrays in sets]
        return self.timer.sample([prepared[i % len(prepared)] for i in range(calls)])

    def trial(self, arrays: Arrays) -> tuple[float, int | None]:
        return self.timer.trial(self._call(arrays))

    def close(self) -> None:
        """Nothing of it is kept."""
