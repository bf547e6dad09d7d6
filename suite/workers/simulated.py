"""Workers on a clock that is moved by hand: what the scheduler would do with a thousand of them.

The scheduler is the real one; only the pool is made up. Its workers take as long as a task is said
to take, by chance more or less, some of them are slow, and they die and come back. The client is
one: it pays for each task that it hands out and each answer that it takes in, and does nothing else
meanwhile. The same seed gives the same run.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from .pools import Pool, WorkerLost


class Cost(NamedTuple):
    """What a task costs.

    Attributes:
        seconds: of a worker, on average.
        spread: standard deviation of these, as a share of them; they are log-normal.
        out: seconds of the client to hand it out.
        back: seconds of the client to take in its answer.
    """

    seconds: float
    spread: float = 0.0
    out: float = 0.0
    back: float = 0.0


@dataclass(frozen=True)
class Faults:
    """What is wrong with the workers.

    Attributes:
        lifetime: mean seconds of a worker until it dies, whenever that is.
        absence: seconds until it is back.
        slow: share of the workers that are slow.
        slowness: times as long as others they need.
    """

    lifetime: float = math.inf
    absence: float = 0.0
    slow: float = 0.0
    slowness: float = 1.0


SOUND = Faults()


@dataclass
class _Given:
    """What was given to the pool, and what it will cost."""

    future: Future[float]
    cost: Cost


@dataclass(eq=False)
class _Worker:
    """One of them, with what it is at; `life` counts its deaths."""

    pace: float
    life: int = 0
    given: _Given | None = None
    began: float = 0.0


class Simulated(Pool):
    """Workers of a cluster that is not there; an answer is the seconds that its worker took.

    Attributes:
        started: how often a worker has begun a task.
        lost: how often one died over a task.
        busy: seconds that workers were at it, whatever came of it.
        client: seconds that the client was at it.
    """

    def __init__(
        self,
        workers: int,
        cost: Callable[..., Cost],
        faults: Faults = SOUND,
        seed: int = 0,
    ):
        """`cost` is asked with the arguments of each task."""
        self._cost, self._faults, self._random = cost, faults, random.Random(seed)
        self._now, self._order = 0.0, count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._queue: deque[_Given] = deque()
        self._done: dict[Future[float], float] = {}
        self.started = self.lost = 0
        self.busy = self.client = 0.0
        slow = round(faults.slow * workers)
        everybody = [_Worker(faults.slowness if k < slow else 1.0) for k in range(workers)]
        self._random.shuffle(everybody)
        self._free, self._alive = deque[_Worker](), 0
        for worker in everybody:
            self._arrive(worker)

    @property
    def workers(self) -> int:
        return max(self._alive, 1)

    @property
    def slots(self) -> int:
        """As many as a cluster has, so that a worker finds its next task waiting."""
        return self.workers + max(2, self.workers // 4)

    def now(self) -> float:
        return self._now

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """The function is not called."""
        given = _Given(Future(), self._cost(*arguments))
        self._spend(given.cost.out)
        self._queue.append(given)
        self._begin_what_waits()
        return given.future

    def wait(self, futures: set[Future[Any]], timeout: float | None) -> set[Future[Any]]:
        """The clock goes to the next answer, or as far as the timeout."""
        end = math.inf if timeout is None else self._now + timeout
        while not self._done:
            if not self._events or self._events[0][0] > end:
                assert end < math.inf, "nothing will ever happen"
                self._advance(end)
                return set()
            self._advance(self._events[0][0])
        found, self._done = self._done, {}
        self._spend(sum(found.values()))
        return found.keys() & futures

    def _spend(self, seconds: float) -> None:
        """Of the client's time, while the workers go on."""
        self.client += seconds
        self._advance(self._now + seconds)

    def _advance(self, to: float) -> None:
        while self._events and self._events[0][0] <= to:
            self._now, _, happen = heappop(self._events)
            happen()
        self._now = to

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        heappush(self._events, (self._now + seconds, next(self._order), happen))

    def _begin_what_waits(self) -> None:
        while self._queue and self._free:
            given = self._queue.popleft()
            if not given.future.cancelled():
                self._begin(self._free.popleft(), given)

    def _begin(self, worker: _Worker, given: _Given) -> None:
        worker.given, worker.began = given, self._now
        self.started += 1
        life, seconds = worker.life, worker.pace * self._drawn(given.cost)
        self._after(seconds, lambda: self._finish(worker, life))

    def _drawn(self, cost: Cost) -> float:
        if not cost.spread:
            return cost.seconds
        variance = math.log1p(cost.spread**2)
        return cost.seconds * self._random.lognormvariate(-variance / 2, math.sqrt(variance))

    def _finish(self, worker: _Worker, life: int) -> None:
        if worker.life != life:
            return  # it died over it
        given, seconds = self._stop(worker)
        if given.future.set_running_or_notify_cancel():
            given.future.set_result(seconds)
            self._done[given.future] = given.cost.back
        self._free.append(worker)
        self._begin_what_waits()

    def _stop(self, worker: _Worker) -> tuple[_Given, float]:
        assert worker.given, "a worker that stops has something to do"
        given, seconds, worker.given = worker.given, self._now - worker.began, None
        self.busy += seconds
        return given, seconds

    def _arrive(self, worker: _Worker) -> None:
        self._alive += 1
        self._free.append(worker)
        if self._faults.lifetime < math.inf:
            self._after(
                self._random.expovariate(1 / self._faults.lifetime), lambda: self._die(worker)
            )
        self._begin_what_waits()

    def _die(self, worker: _Worker) -> None:
        self._alive -= 1
        worker.life += 1
        if worker.given:
            given, _ = self._stop(worker)
            self.lost += 1
            if given.future.set_running_or_notify_cancel():
                given.future.set_exception(WorkerLost("a simulated worker died"))
                self._done[given.future] = 0.0
        else:
            self._free.remove(worker)
        self._after(self._faults.absence, lambda: self._arrive(worker))

    def __str__(self) -> str:
        return f"{self.workers} simulated workers"
