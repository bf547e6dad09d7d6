"""Tasks come back once each, whatever becomes of the workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from claimbench.suite.devices import device_of
from claimbench.suite.workers import Policy, Pool, PoolError, open_pool, schedule
from claimbench.suite.workers.pools import Processes, own_gpu
from claimbench.suite.workers.schedule import POLICY

from .workloads import Squares


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # workers import what they are sent
    pool = open_pool(2)
    yield pool
    pool.close()


def answered(tasks: list[Squares], pool: Pool, policy: Policy = POLICY) -> list[int]:
    return sorted(number for _, answer in schedule(tasks, pool, policy) for number in answer)


def test_each_task_is_answered_once_here_and_in_processes(processes: Pool) -> None:
    tasks = [Squares((k,)) for k in range(20)]
    wanted = [k * k for k in range(20)]
    assert answered(tasks, Pool()) == wanted
    assert answered(tasks, processes) == wanted


def test_tasks_are_taken_only_as_workers_become_free() -> None:
    taken = []

    def endless() -> Iterator[Squares]:
        for k in range(10**9):
            taken.append(k)
            yield Squares((k,))

    answers = schedule(endless(), Pool())
    next(answers), next(answers)
    assert len(taken) <= 3


def test_a_killed_worker_costs_its_task_a_second_try_and_nothing_else(
    processes: Pool, tmp_path: Path
) -> None:
    tasks = [Squares((k,), tmp_path / "died" if k == 3 else None) for k in range(8)]
    assert answered(tasks, processes) == [k * k for k in range(8)]
    assert (tmp_path / "died").exists()


def test_a_task_that_is_too_large_is_given_again_in_parts() -> None:
    assert answered([Squares(tuple(range(9)), room=2)], Pool()) == [k * k for k in range(9)]


def test_a_task_that_cannot_be_divided_ends_all_with_its_name() -> None:
    with pytest.raises(PoolError, match=r"Squares.*does not fit into the memory of this process"):
        answered([Squares((1,), room=0)], Pool())


def test_wrong_answers_are_asked_for_again_and_their_worker_is_named() -> None:
    blamed: list[str] = []
    pool = Pool()
    pool.blame = blamed.append  # type: ignore[method-assign]
    assert answered([Squares((4,), wrong=[1, 2])], pool) == [16]
    assert blamed == ["somebody", "somebody"]


def test_what_is_always_wrong_ends_with_what_can_be_done() -> None:
    with pytest.raises(PoolError, match=r"lost 10 times.*the same command goes on"):
        answered([Squares((4,), wrong=list(range(99)))], Pool())


def test_a_task_that_keeps_killing_workers_is_divided(tmp_path: Path) -> None:
    task = Squares((1, 2), wrong=[1, 2, 3])
    assert answered([task], Pool()) == [1, 4]
    assert task.wrong == []


def test_an_error_of_a_task_itself_is_the_callers() -> None:
    class Broken(Squares):
        @property
        def call(self) -> tuple[Any, tuple[Any, ...]]:
            return divmod, (1, 0)

    with pytest.raises(ZeroDivisionError):
        answered([Broken((1,))], Pool())


def test_each_process_gets_a_gpu_of_its_own_and_further_ones_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("claimbench.suite.workers.pools._held", [])
    assert [own_gpu(["5", "7"]) for _ in range(2)] == ["5", "7"]
    assert own_gpu(["5", "7"]) in {"5", "7"}


def test_no_process_is_started_to_be_asked_for_this_machines_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Processes, "submit", Mock(side_effect=AssertionError("one was started")))
    assert device_of(Processes(2), "cpu") == "cpu"


def test_processes_say_how_many_they_are() -> None:
    assert str(Processes(3)) == "3 processes of this machine"
    assert time.monotonic() <= Pool().now()
