"""Tiles on a real dask cluster of processes, of which some die, lie or break what they send."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claimbench.suite.gram import GramFunction, Workplace, gram, working
from claimbench.suite.gram import plan as plans
from claimbench.suite.workers import Pool, PoolError, open_pool, schedule

from .workloads import Squares, Tampering

distributed = pytest.importorskip("distributed")
FUNCTION = GramFunction(
    "cntk_gram", {"flips": (False,), "get": ("ntk",), "depths": (2,), "windows": ("gap",)}
)


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2, 4, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "BLOCKS", ((float("inf"), 4),))
    monkeypatch.setattr(plans, "TILE_BYTES", 8 * 8 * 4)
    monkeypatch.setattr(plans, "TILES_A_WORKER", 1)
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # workers import what they are sent


@pytest.fixture
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit="4TB", dashboard_address=":0"
    ) as running:
        yield running


@pytest.fixture
def pool(cluster: Any) -> Iterator[Pool]:
    opened = open_pool(1, cluster.scheduler_address)
    yield opened
    opened.close()


def test_a_cluster_makes_the_matrix_that_one_process_makes(tmp_path: Path, pool: Pool) -> None:
    told: list[str] = []
    assert pool.workers == 2
    with working(Workplace(pool, tmp_path / "far", told.append, stored_seconds=0)):
        found = gram(FUNCTION, images(40))[0][:, :]
    with working(Workplace(Pool(), tmp_path / "near", stored_seconds=0)):
        np.testing.assert_array_equal(found, gram(FUNCTION, images(40))[0][:, :])
    assert "on 2 workers" in told[0]


def test_an_array_is_sent_once_for_many_tasks(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(8)
    assert pool.share(x[:4]) is pool.share(x[:4])
    assert pool.share(x[:4]) is not pool.share(x[4:])
    first = pool.share(x[:4])
    monkeypatch.setattr("claimbench.suite.workers.cluster.SHARED", x[:4].nbytes)
    pool.share(x[4:])
    assert pool.share(x[:4]) is not first
    np.testing.assert_array_equal(pool.submit(np.negative, pool.share(x[:4])).result(), -x[:4])


def test_a_worker_that_is_killed_costs_its_task_a_second_try(pool: Pool, tmp_path: Path) -> None:
    tasks = [Squares((k,), tmp_path / "died" if k == 3 else None) for k in range(8)]
    answers = [number for _, answer in schedule(tasks, pool) for number in answer]
    assert sorted(answers) == [k * k for k in range(8)]


def test_workers_killed_again_and_again_change_nothing(
    tmp_path: Path, pool: Pool, cluster: Any
) -> None:
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.7):
            for worker in list(cluster.workers.values())[:1]:
                if worker.process and worker.process.pid:
                    os.kill(worker.process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with working(Workplace(pool, tmp_path / "far", stored_seconds=0)):
            found = gram(FUNCTION, images(48))[0][:, :]
    finally:
        stop.set()
        killer.join()
    with working(Workplace(Pool(), tmp_path / "near", stored_seconds=0)):
        np.testing.assert_array_equal(found, gram(FUNCTION, images(48))[0][:, :])


@pytest.mark.parametrize("how", ["after", "before"])
def test_a_worker_that_corrupts_its_tiles_is_caught_and_given_no_more(
    tmp_path: Path, pool: Pool, cluster: Any, how: str
) -> None:
    bad = next(iter(cluster.scheduler_info["workers"]))
    with distributed.Client(cluster) as client:
        client.register_plugin(Tampering(bad, how))
    with working(Workplace(pool, tmp_path / "far", stored_seconds=0)):
        found = gram(FUNCTION, images(40))[0][:, :]
    with working(Workplace(Pool(), tmp_path / "near", stored_seconds=0)):
        np.testing.assert_array_equal(found, gram(FUNCTION, images(40))[0][:, :])
    assert pool.workers == 1


def test_a_worker_that_lies_about_its_memory_gets_smaller_tiles(
    tmp_path: Path, pool: Pool, cluster: Any
) -> None:
    told: list[str] = []
    with distributed.Client(cluster) as client:
        for worker in cluster.scheduler_info["workers"]:
            client.register_plugin(Tampering(worker, "memory"), name=worker)
    with working(Workplace(pool, tmp_path / "far", told.append, stored_seconds=0)):
        found = gram(FUNCTION, images(40))[0][:, :]
    with working(Workplace(Pool(), tmp_path / "near", stored_seconds=0)):
        np.testing.assert_array_equal(found, gram(FUNCTION, images(40))[0][:, :])
    assert "tiles of 8" in told[0]


def test_where_no_scheduler_answers_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claimbench.suite.workers.cluster.WAIT", 0.5)
    with pytest.raises(PoolError, match=r"no dask cluster .* start `dask scheduler`"):
        open_pool(1, "tcp://127.0.0.1:9")
    with pytest.raises(PoolError, match="no dask cluster"):
        open_pool(1, "nonsense")
    with pytest.raises(PoolError, match="'workers' has no value"):
        open_pool(1, "slurm:workers")


def test_jobs_of_submitit_are_workers_of_a_cluster_of_their_own() -> None:
    pool = open_pool(1, "slurm:cluster=local,workers=2,timeout_min=2")
    try:
        deadline = time.monotonic() + 30
        while pool.workers < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert pool.workers == 2
        answers = [n for _, each in schedule([Squares((k,)) for k in range(6)], pool) for n in each]
        assert sorted(answers) == [k * k for k in range(6)]
    finally:
        pool.close()
