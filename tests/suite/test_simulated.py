"""The scheduler on a clock that is moved by hand: who is helped, and what a death costs."""

from __future__ import annotations

import math

import pytest

from claimbench.suite.workers import Call, Policy, PoolError, schedule
from claimbench.suite.workers.simulated import Cost, Faults, Simulated


def tasks(*seconds: float) -> list[Call]:
    return [Call(int, (each,)) for each in seconds]


def lasting(seconds: float) -> Cost:
    return Cost(seconds)


def run(pool: Simulated, given: list[Call], policy: Policy | None = None) -> list[float]:
    """The seconds of each task that counted, after which the clock stands at the end."""
    found = list(schedule(given, pool, policy or Policy()))
    assert sorted(task.arguments[0] for task, _ in found) == sorted(t.arguments[0] for t in given)
    return [seconds for _, seconds in found]


def test_time_passes_as_workers_and_tasks_say() -> None:
    pool = Simulated(4, lasting)
    assert run(pool, tasks(*[1.0] * 10)) == [1.0] * 10
    assert pool.now() == 3.0
    assert (pool.started, pool.lost, pool.busy) == (10, 0, 10.0)
    assert str(pool) == "4 simulated workers"


def test_a_worker_finds_its_next_task_waiting_as_on_a_cluster() -> None:
    cluster = pytest.importorskip("claimbench.suite.workers.cluster")
    for workers in (1, 7, 1000):
        pool = Simulated(workers, lasting)
        assert pool.slots == cluster.Cluster.slots.fget(pool)


def test_a_single_client_is_busy_with_each_task() -> None:
    pool = Simulated(100, lambda _: Cost(1.0, out=0.25, back=0.75))
    run(pool, tasks(*[1.0] * 50))
    assert pool.client == 50.0
    assert 50.0 <= pool.now() <= 52.0


def test_a_client_that_is_fast_enough_is_waited_for_by_nobody() -> None:
    pool = Simulated(10, lambda _: Cost(1.0, out=0.02, back=0.02))
    busy = sum(run(pool, tasks(*[1.0] * 1000)))
    assert busy / (10 * pool.now()) > 0.99


def test_a_late_task_is_given_to_a_free_worker_and_the_first_answer_serves() -> None:
    pool = Simulated(4, lasting, Faults(slow=0.25, slowness=100.0))
    took = run(pool, tasks(*[1.0] * 12))
    # Three workers make the other 11 in 4 s. One is free at 3 s, when the slow one's task is late.
    assert took == [1.0] * 12
    assert pool.now() == 4.0
    assert pool.started == 13


def test_a_task_is_late_only_after_so_many_times_what_others_took() -> None:
    # In the end others took 2 s in the middle, of which one waiting for a worker.
    for patience, end in ((3.0, 4.0), (8.0, 2 * 8.0 + 1.0)):
        pool = Simulated(4, lasting, Faults(slow=0.25, slowness=100.0))
        run(pool, tasks(*[1.0] * 12), Policy(patience=patience))
        assert pool.now() == end


def test_nobody_is_helped_more_than_once_at_a_time() -> None:
    pool = Simulated(10, lasting)
    run(pool, tasks(*[1.0] * 20, 100.0))
    assert pool.started == 22
    assert pool.now() == 102.0


def test_whoever_is_late_longest_is_helped_first() -> None:
    pool = Simulated(3, lambda s: Cost(s), Faults())
    found = [task.arguments[0] for task, _ in schedule(tasks(1.0, 1.0, 1.0, 50.0, 51.0), pool)]
    assert found[-2:] == [50.0, 51.0]
    assert pool.started == 5 + 2


def test_a_death_costs_what_was_done_of_its_task_and_the_worker_comes_back() -> None:
    pool = Simulated(2, lasting, Faults(lifetime=40.0, absence=5.0), seed=3)
    assert run(pool, tasks(*[1.0] * 400)) == pytest.approx([1.0] * 400)
    assert pool.lost > 2
    assert pool.started == 400 + pool.lost
    assert pool.busy < 400 + pool.lost
    # A lost task costs 1 s at most, and each death, also of a worker without one, an absence.
    assert 400 / 2 < pool.now() < 400 / 2 + pool.lost * (5.0 + 1.0) + 6.0


def test_the_share_of_time_that_deaths_take_is_what_it_should_be() -> None:
    seconds, lifetime, absence = 1.0, 50.0, 10.0
    pool = Simulated(20, lasting, Faults(lifetime, absence), seed=1)
    done = run(pool, tasks(*[seconds] * 20_000))
    there = lifetime / (lifetime + absence)
    kept = seconds / (lifetime * math.expm1(seconds / lifetime))  # of a time that may end in a task
    assert sum(done) / (20 * pool.now()) == pytest.approx(there * kept, rel=0.02)


def test_losses_of_one_task_are_not_counted_for_the_next() -> None:
    pool = Simulated(1, lasting, Faults(lifetime=1.0), seed=0)
    given = (Call(int, (1.0,)) for _ in range(2000))  # of which each may have the id of another
    assert sum(1 for _ in schedule(given, pool, Policy(attempts=30))) == 2000
    assert pool.lost > 1000


def test_what_always_kills_its_worker_ends_the_run() -> None:
    pool = Simulated(5, lasting, Faults(lifetime=1e-6))
    with pytest.raises(PoolError, match=r"lost 10 times on . simulated workers"):
        run(pool, tasks(1e6))


@pytest.mark.parametrize("workers", [1, 10, 100])
def test_eight_tasks_a_worker_keep_nearly_all_busy(workers: int) -> None:
    pool = Simulated(workers, lambda s: Cost(s, spread=0.1), seed=workers)
    busy = sum(run(pool, tasks(*[10.0] * (8 * workers))))
    assert busy / (workers * pool.now()) > 0.85
    assert busy == pytest.approx(10.0 * 8 * workers, rel=0.05)


def test_a_thousand_workers_that_die_and_dawdle_are_used_well() -> None:
    faults = Faults(lifetime=5_000.0, absence=120.0, slow=0.02, slowness=20.0)
    ends = []
    for policy in (Policy(), Policy(patience=1e9)):
        pool = Simulated(1000, lambda s: Cost(s, 0.1, out=1e-4, back=1e-4), faults)
        busy = sum(run(pool, tasks(*[10.0] * 20_000), policy))
        ends.append(pool.now())
        assert pool.lost > 20
    helped, alone = ends
    # The last tasks of slow workers take 200 s. With help it is the time until they are late (30 s,
    # and what the others waited for a worker) and another 10 s.
    assert helped < 1.1 * 20_000 * 10.0 / 1000 + 50.0
    assert alone > helped + 100.0
    assert busy / (1000 * alone) < 0.6


def test_the_same_seed_is_the_same_run() -> None:
    def once(seed: int) -> tuple[float, int, float]:
        pool = Simulated(20, lambda s: Cost(s, 0.3), Faults(100.0, 10.0, 0.1, 3.0), seed)
        run(pool, tasks(*[1.0] * 500))
        return pool.now(), pool.lost, pool.busy

    assert once(5) == once(5) != once(6)


def test_a_run_that_is_left_leaves_nothing_behind() -> None:
    pool = Simulated(2, lasting)
    answers = schedule(tasks(*[1.0] * 50), pool)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert run(pool, tasks(2.0)) == [2.0]
    assert pool.now() <= 4.0


def test_the_clock_never_stands_still() -> None:
    for seed in range(300):
        pool = Simulated(5, lambda s: Cost(s, 0.3), Faults(slow=0.2, slowness=30.0), seed)
        run(pool, tasks(*[0.7] * 15), Policy(shortest=0.1))
