"""A dask cluster as a pool, and one that is started as jobs of SLURM."""

from __future__ import annotations

import asyncio
import atexit
import tempfile
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError
from math import inf
from typing import Any

import numpy as np

from .pools import PoolError, WorkerLost, _Translated

WAIT = 60.0
"""Seconds to wait for a scheduler and for its first worker."""

PARTING = 10.0
"""Seconds that a job may take to end."""

SHARED = 2**30
"""Bytes of arrays that workers keep for tasks to come."""

FRESH = 1.0
"""Seconds for which it is believed which workers there are."""

LIES = 2
"""Wrong answers after which a worker is given nothing more."""


def connect(address: str) -> Cluster:
    """The cluster at an address, or a new one of SLURM's jobs."""
    if address.startswith("slurm:"):
        return Slurm(_words(address))
    return Cluster(address)


class Cluster(_Translated):
    """Workers of a dask scheduler. They run what they are sent: it must be one's own cluster."""

    remote = True

    def __init__(self, address: str):
        from distributed import Client

        self._address = address
        self._wrong: Counter[str] = Counter()
        self._known: list[str] = []
        self._shared: OrderedDict[tuple[Any, ...], tuple[np.ndarray, Any]] = OrderedDict()
        self._heard = -inf
        try:
            self._client = Client(address, timeout=WAIT, set_as_default=False)
            self._client.wait_for_workers(1, timeout=WAIT)
        except (OSError, TimeoutError, ValueError) as e:
            raise PoolError(
                f"no dask cluster with a worker answers at {address} within {WAIT:.0f} s ({e}); "
                "start `dask scheduler` and `dask worker`, or name another --scheduler"
            ) from None

    @property
    def workers(self) -> int:
        return max(len(self._trusted()), 1)

    @property
    def slots(self) -> int:
        return self.workers + max(2, self.workers // 4)

    def _trusted(self) -> list[str]:
        """Workers that are there; of a thousand it takes long to hear, so not at every task."""
        if time.monotonic() - self._heard > FRESH:
            self._known = list(self._client.scheduler_info(n_workers=-1)["workers"])
            self._heard = time.monotonic()
        return [worker for worker in self._known if self._wrong[worker] < LIES]

    def _started(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        among = self._trusted() if any(count >= LIES for count in self._wrong.values()) else None
        if among == []:
            raise PoolError(f"every worker of {self} answered wrongly; see what they run")
        return self._client.submit(function, *arguments, pure=False, workers=among)

    def _translated(self, error: BaseException) -> BaseException:
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        lost = KilledWorker, CommClosedError, CancelledError, FutureCancelledError
        if isinstance(error, lost):
            return WorkerLost(f"{type(error).__name__}: {error}")
        return super()._translated(error)

    def blame(self, worker: str) -> None:
        self._wrong[worker] += 1

    def everywhere(self, function: Callable[[], Any]) -> list[Any]:
        return list(self._client.run(function, on_error="ignore").values())

    def share(self, value: np.ndarray) -> Any:
        """A task of its own that answers the value: where its worker dies, dask repeats it.

        What is asked for again soon, such as samples of a row of tiles, is not sent anew.
        """
        key = value.ctypes.data, value.shape, value.dtype.str
        if key not in self._shared:
            # With the value itself, so that its place in memory stays its own.
            self._shared[key] = value, self._client.submit(_same, value, pure=False)
        self._shared.move_to_end(key)
        while len(self._shared) > 1 and self._bytes_shared() > SHARED:
            self._shared.popitem(last=False)
        return self._shared[key][1]

    def _bytes_shared(self) -> int:
        return sum(value.nbytes for value, _ in self._shared.values())

    def close(self) -> None:
        self._client.close()

    def __str__(self) -> str:
        return f"the cluster at {self._address}"


def _same(value: Any) -> Any:
    return value


class Slurm(Cluster):
    """A dask cluster whose scheduler is this process and whose workers are jobs of SLURM."""

    def __init__(self, words: dict[str, str]):
        import submitit
        from distributed import LocalCluster

        count = int(words.pop("workers", "1"))
        kind = words.pop("cluster", "slurm")
        self._cluster = LocalCluster(
            n_workers=0, host="" if kind == "slurm" else "127.0.0.1", dashboard_address=":0"
        )
        executor = submitit.AutoExecutor(tempfile.mkdtemp(prefix="claimbench-jobs-"), cluster=kind)
        executor.update_parameters(**{_option(key, kind): _number(v) for key, v in words.items()})
        address = self._cluster.scheduler_address
        self._jobs = [executor.submit(serve, address) for _ in range(count)]
        atexit.register(self.close)
        super().__init__(address)

    def close(self) -> None:
        """Workers end with their scheduler, jobs with their workers; what does not is cancelled."""
        atexit.unregister(self.close)
        super().close()
        self._cluster.close()
        deadline = time.monotonic() + PARTING
        while any(not job.done() for job in self._jobs) and time.monotonic() < deadline:
            time.sleep(0.1)
        for job in self._jobs:
            if not job.done():
                job.cancel()


def serve(address: str) -> None:
    """In a job: one worker of one thread, until its scheduler goes."""
    from distributed import Nanny

    async def worker() -> None:
        async with Nanny(address, nthreads=1) as nanny:
            await nanny.finished()

    asyncio.run(worker())


def _words(address: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in address.partition(":")[2].split(",") if word]
    if wrong := [key for key, sign, _ in pairs if not sign]:
        raise PoolError(
            f"--scheduler {address}: {wrong[0]!r} has no value; write slurm:key=value,..."
        )
    return {key: value for key, _, value in pairs}


def _option(key: str, kind: str) -> str:
    """submitit knows some options for every kind of cluster, and the rest by its name."""
    common = {"timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node"}
    return key if key in common else f"{kind}_{key}"


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text
