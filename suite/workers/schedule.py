"""Which task is given to the workers next, and what happens when an answer does not come.

A task is idempotent: it may be lost with its worker and given again, or given twice because it is
late, and the first answer that passes its check serves. One that is too large for a worker's memory
is given again in parts.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
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


@dataclass
class _Given(Generic[T]):
    """A task that some worker has."""

    task: T
    began: float


@dataclass
class _Books(Generic[T]):
    """What is known of the tasks: by identity, since two equal ones are two."""

    running: dict[Future[Any], _Given[T]] = field(default_factory=dict)
    waiting: deque[T] = field(default_factory=deque)
    losses: Counter[int] = field(default_factory=Counter)
    answered: set[int] = field(default_factory=set)
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=101))

    def copies(self, task: T) -> int:
        """How many workers have it."""
        return sum(given.task is task for given in self.running.values())


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
            _hand_out(books, coming, pool)
            _help_the_late(books, pool, policy)
            if not books.running:
                return
            for future in pool.wait(set(books.running), _patience_left(books, pool, policy)):
                given = books.running.pop(future)
                if id(given.task) in books.answered:
                    continue  # its twin was faster
                try:
                    answer = future.result()
                    given.task.check(answer)
                except (WorkerLost, TooLarge) as e:
                    _again(books, given.task, e, pool, policy)
                    continue
                books.answered.add(id(given.task))
                books.seconds.append(pool.now() - given.began)
                yield given.task, answer
                if not books.copies(given.task):
                    books.answered.discard(id(given.task))
    finally:
        for future in books.running:
            future.cancel()


def _hand_out(books: _Books[T], coming: Iterator[T], pool: Pool) -> None:
    while len(books.running) < pool.slots:
        task = books.waiting.popleft() if books.waiting else next(coming, None)
        if task is None:
            return
        _give(books, task, pool)


def _give(books: _Books[T], task: T, pool: Pool) -> None:
    began = pool.now()
    function, arguments = task.call
    books.running[pool.submit(function, *arguments)] = _Given(task, began)


def _help_the_late(books: _Books[T], pool: Pool, policy: Policy) -> None:
    """Give late tasks to free workers too, the longest away first, nobody more than twice."""
    free = pool.workers - len(books.running)
    if free <= 0 or not books.seconds:
        return
    given = sorted(books.running.values(), key=lambda each: each.began)
    deadline = pool.now() - _late_after(books, policy)
    late = [each.task for each in given if each.began <= deadline]
    for task in [task for task in late if books.copies(task) == 1][:free]:
        _give(books, task, pool)


def _late_after(books: _Books[T], policy: Policy) -> float:
    return max(policy.patience * median(books.seconds), policy.shortest)


def _patience_left(books: _Books[T], pool: Pool, policy: Policy) -> float | None:
    """Seconds until some task is late that a free worker could take; `None` where none can be."""
    if len(books.running) >= pool.workers or not books.seconds:
        return None
    alone = [given.began for given in books.running.values() if books.copies(given.task) == 1]
    if not alone:
        return None
    return max(min(alone) + _late_after(books, policy) - pool.now(), 0.0)


def _again(
    books: _Books[T], task: T, error: WorkerLost | TooLarge, pool: Pool, policy: Policy
) -> None:
    """Put a task that was lost, or its parts, in front of the others."""
    if isinstance(error, WorkerLost) and error.worker:
        pool.blame(error.worker)
    if books.copies(task):
        return
    books.losses[id(task)] += 1
    count = books.losses[id(task)]
    small = task.parts() if isinstance(error, TooLarge) or count > policy.fatal else ()
    if small:
        books.waiting.extendleft(reversed(small))
    elif isinstance(error, TooLarge):
        raise PoolError(f"{task} does not fit into the memory of {pool}: {error}")
    elif count >= policy.attempts:
        raise PoolError(
            f"{task} was lost {count} times on {pool}, at last: {error}. Nothing that was done is "
            "lost: the same command goes on from here"
        )
    else:
        books.waiting.appendleft(task)
