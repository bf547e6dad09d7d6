"""Calls kernels on request and says how long they took; the gate keeps one such process a commit.

It takes kernels from whatever commit is installed before the working tree's, so it uses nothing but
what every commit has: `KERNELS`, `refusal`, `on`, `checks.Case`, `checks.given`. The first line on
standard input is the plan, each further one a request; each is answered by one line of JSON, to the
file descriptor that the command line names: what a kernel prints is no answer.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from types import SimpleNamespace
from typing import Any

from claimbench.kernels import KERNELS, checks

from .kernel_shapes import inputs
from .registry import load_plugins
from .timing.memory import cuda_rise, host_rise

SAMPLE_S = 2e-3
"""Seconds of one sample at least: what is faster is called several times for it."""

SETS = 3
"""Sets of inputs."""

Answer = dict[str, Any]
Call = Callable[[], Any]
Reading = tuple[float, float, float]


def rotating(calls: Sequence[Call]) -> Call:
    """Makes the calls in turn, so that none sees what the last one saw."""
    turn = cycle(calls)
    return lambda: next(turn)()


class Clock:
    """Elapsed time less what the thread spent waiting for a processor that others had.

    On a busy machine that is most of the noise, and no code is to blame for it. Sleep, locks and
    input or output still count. Where the system does not tell, elapsed time is all there is.
    """

    def __init__(self) -> None:
        try:
            self.file: int | None = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self.file = None

    def read(self) -> Reading:
        return time.perf_counter(), time.thread_time(), self._waited()

    def since(self, start: Reading) -> float:
        """Seconds. What was waited is booked late at times; processor time bounds the error."""
        wall, own, waited = (now - then for now, then in zip(self.read(), start, strict=True))
        return max(wall - waited, own)

    def _waited(self) -> float:
        return 0.0 if self.file is None else int(os.pread(self.file, 99, 0).split()[1]) / 1e9


class Worker:
    """Holds the cases of a plan ready to be called."""

    def __init__(self, plan: dict[str, Any]):
        self.device, self.cases = plan["device"], plan["cases"]
        self.calls: dict[int, tuple[Call, int]] = {}
        self.clock = Clock()

    def answer(self, request: dict[str, Any]) -> Answer:
        """An error is an answer too; the next request may well succeed."""
        try:
            done: Answer = getattr(self, request.pop("do"))(**request)
        except Exception as e:
            return {"error": f"{type(e).__name__}: {e}"}
        return done

    def ready(self, case: int) -> Answer:
        """Compile, warm up, and say how long a call takes, or why there can be none."""
        asked = self.cases[case]
        name, backend = asked["kernel"], asked["backend"]
        kernel = KERNELS.get(name)
        if kernel is None or backend not in kernel.backends:
            return {"absent": f"there is no {name} on {backend}"}
        shape = SimpleNamespace(inputs=asked["inputs"])
        function, calls = kernel.on(backend), []
        for seed in range(SETS):
            given = checks.Case("shape", tuple(inputs(shape, seed)), asked["arguments"])
            args = checks.given(given, kernel.backends[backend].arrays, "float32", self.device)
            if reason := kernel.refusal(backend, *args, **given.kwargs):
                return {"absent": reason}
            calls.append(partial(function, *args, **given.kwargs))
        call = rotating(calls)
        call()
        seconds = min(self._sample(call, 1) for _ in range(3))
        self.calls[case] = call, max(1, math.ceil(SAMPLE_S / seconds))
        gc.collect()
        gc.freeze()  # or every collection would go through all that libraries have imported
        return {"seconds": seconds}

    def turn(self, case: int, seconds: float) -> Answer:
        """Samples of about so many seconds together, at least one; each for one call."""
        call, number = self.calls[case]
        gc.collect()
        samples: list[float] = []
        end = time.perf_counter() + seconds
        while not samples or time.perf_counter() < end:
            samples.append(self._sample(call, number))
        return {"samples": samples}

    def memory(self, case: int) -> Answer:
        """How far memory rises in one call; `None` where that cannot be seen."""
        rise = cuda_rise if self.device == "cuda" else host_rise
        return {"bytes": rise(self.calls[case][0])}

    def _sample(self, call: Call, number: int) -> float:
        start = self.clock.read()
        for _ in range(number):
            call()
        self._wait()
        return self.clock.since(start) / number

    def _wait(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()


def main() -> None:
    answers = os.fdopen(int(sys.argv[1]), "w")
    load_plugins()  # which may add backends
    worker = Worker(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
