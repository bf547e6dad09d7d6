"""Which task is given to the workers next, and what happens when an answer does not come.

A task is idempotent: it may be lost with its worker and given again, or given twice because it is
late, and the first answer that passes its check serves. One that is too large for a worker's memory
is given again in parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice, takewhile
from statistics import median
from typing import Any, Generic, Protocol, Self, TypeVar

from .pools import Pool, PoolError, TooLarge, WorkerLost

T = TypeVar("T", bound="Task")


class Task(Protocol):
    """Something to be called on a worker, which answers the same wherever and whenever it runs."""

    @property
    def call(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A function and its arguments, which can all be sent to another process."""
        ...

    def check(self, answer: Any) -> None:
        """Accept an answer.

        Raises:
            WorkerLost: if it is not what a good worker would have answered.
        """
        ...

    def parts(self) -> Sequence[Self]:
        """Smaller tasks that do the same together; none where it cannot be divided."""
        ...


@dataclass(frozen=True)
class Policy:
    """What is done for tasks that do not come back.

    Attributes:
        attempts: workers that a task may be lost with before all is given up.
        fatal: workers that a task may be lost with before it is divided: what kills its workers may
            be its size.
        patience: a task is given to a second worker, where one is free, after so many times the
            median of the seconds that others took.
        shortest: seconds before which none is called late.
    """

    attempts: int = 10
    fatal: int = 2
    patience: float = 3.0
    shortest: float = 1.0


POLICY = Policy()


@dataclass(eq=False)
class _Job(Generic[T]):
    """A task, and what became of it so far.

    Attributes:
        copies: workers that have it.
        losses: workers that it was lost with.
    """

    task: T
    copies: int = 0
    losses: int = 0
    answered: bool = False


@dataclass
class _Books(Generic[T]):
    """What is known of the tasks that are on their way.

    Attributes:
        running: whatever workers have, with the time when they got it; the longest away first.
        seconds: how long the last ones took.
    """

    running: dict[Future[Any], tuple[_Job[T], float]] = field(default_factory=dict)
    waiting: deque[_Job[T]] = field(default_factory=deque)
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=101))

    def alone(self) -> Iterator[tuple[_Job[T], float]]:
        """What is not answered and has one worker only, the longest away first."""
        for job, began in self.running.values():
            if job.copies == 1 and not job.answered:
                yield job, began


@dataclass(frozen=True, eq=False)
class Call:
    """A task that is one call, with whatever it answers."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()

    @property
    def call(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments

    def check(self, answer: Any) -> None:
        """Any will do."""

    def parts(self) -> Sequence[Call]:
        return ()


def asked(pool: Pool, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a worker answers to one call, asked again where it dies.

    Raises:
        PoolError: as `schedule`.
    """
    [(_, answer)] = schedule([Call(function, arguments)], pool)
    return answer


def schedule(tasks: Iterable[T], pool: Pool, policy: Policy = POLICY) -> Iterator[tuple[T, Any]]:
    """Every task with its answer, in the order in which the answers come.

    Tasks are taken from `tasks` only as workers become free, so that a million of them need no
    memory. A task that was divided is answered by its parts.

    Raises:
        PoolError: if a task was lost too often, or is too large and cannot be divided.
    """
    books: _Books[T] = _Books()
    coming = iter(tasks)
    try:
        while True:
            patience = None
            if _all_given(books, coming, pool):  # otherwise no worker is free
                if all(job.answered for job, _ in books.running.values()):
                    return
                _help_the_late(books, pool, policy)
                patience = _patience_left(books, pool, policy)
            for future in pool.wait(set(books.running), patience):
                job, began = books.running.pop(future)
                job.copies -= 1
                if job.answered:
                    continue  # its twin was faster
                try:
                    answer = future.result()
                    job.task.check(answer)
                except (WorkerLost, TooLarge) as e:
                    _again(books, job, e, pool, policy)
                    continue
                job.answered = True
                books.seconds.append(pool.now() - began)
                yield job.task, answer
    finally:
        for future in books.running:
            future.cancel()


def _all_given(books: _Books[T], coming: Iterator[T], pool: Pool) -> bool:
    """Give out what the workers can take, and whether that was the last of it."""
    for _ in range(pool.slots - len(books.running)):
        job = books.waiting.popleft() if books.waiting else next(map(_Job, coming), None)
        if job is None:
            return True
        _give(books, job, pool)
    return False


def _give(books: _Books[T], job: _Job[T], pool: Pool) -> None:
    began = pool.now()
    function, arguments = job.task.call
    books.running[pool.submit(function, *arguments)] = job, began
    job.copies += 1


def _help_the_late(books: _Books[T], pool: Pool, policy: Policy) -> None:
    """Give late tasks to free workers too, the longest away first, nobody more than twice."""
    free = pool.workers - len(books.running)
    if free <= 0 or not books.seconds:
        return
    now, after = pool.now(), _late_after(books, policy)
    late = takewhile(lambda each: each[1] + after <= now, books.alone())
    for job, _ in list(islice(late, free)):
        _give(books, job, pool)


def _late_after(books: _Books[T], policy: Policy) -> float:
    return max(policy.patience * median(books.seconds), policy.shortest)


def _patience_left(books: _Books[T], pool: Pool, policy: Policy) -> float | None:
    """Seconds until some task is late that a free worker could take; `None` where none can be."""
    if len(books.running) >= pool.workers or not books.seconds:
        return None
    _, began = next(books.alone(), (None, None))
    if began is None:
        return None
    return max(began + _late_after(books, policy) - pool.now(), 0.0)


def _again(
    books: _Books[T], job: _Job[T], error: WorkerLost | TooLarge, pool: Pool, policy: Policy
) -> None:
    """Put a task that was lost, or its parts, in front of the others."""
    if isinstance(error, WorkerLost) and error.worker:
        pool.blame(error.worker)
    if job.copies:
        return
    job.losses += 1
    small = job.task.parts() if isinstance(error, TooLarge) or job.losses > policy.fatal else ()
    if small:
        books.waiting.extendleft(_Job(part) for part in reversed(small))
    elif isinstance(error, TooLarge):
        raise PoolError(f"{job.task} does not fit into the memory of {pool}: {error}")
    elif job.losses >= policy.attempts:
        raise PoolError(
            f"{job.task} was lost {job.losses} times on {pool}, at last: {error}. Nothing that was "
            "done is lost: the same command goes on from here"
        )
    else:
        books.waiting.appendleft(job)
