"""Where tasks run: in this process, in other processes of this machine, on a dask cluster."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .. import provenance, writing
from ..registry import MissingExtra, load_plugins
from ..threads import thread_limits


class PoolError(RuntimeError):
    """The workers cannot do what is asked of them; the message says what is lost, if anything."""


class WorkerLost(Exception):
    """No good answer came from a worker: it died, or what it sent was not whole.

    Attributes:
        worker: whose answer it was, where one came.
    """

    def __init__(self, reason: str, worker: str = ""):
        super().__init__(reason)
        self.worker = worker


class TooLarge(Exception):
    """A worker had not the memory for a task."""


class Pool:
    """Workers, as the scheduler sees them; this one is the process itself, one task at a time.

    Attributes:
        remote: the workers may run on other machines, so that what they say is held against what
            this machine finds.
    """

    remote = False

    @property
    def workers(self) -> int:
        return 1

    @property
    def slots(self) -> int:
        """Tasks that may be given out at a time: a few more than workers, so that none waits."""
        return self.workers

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """A call on some worker; its future raises `WorkerLost` or `TooLarge` for such."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except MemoryError as e:
            future.set_exception(TooLarge(str(e) or "out of memory"))
        except Exception as e:
            future.set_exception(e)
        return future

    def wait(self, futures: set[Future[Any]], timeout: float | None) -> set[Future[Any]]:
        """Those that are done, once one is or so many seconds have gone by."""
        return wait(futures, timeout, FIRST_COMPLETED).done

    def now(self) -> float:
        """Seconds on the clock by which tasks are late."""
        return time.monotonic()

    def blame(self, worker: str) -> None:
        """A worker answered wrongly; one that does so again is given nothing more."""

    def everywhere(self, function: Callable[[], Any]) -> list[Any] | None:
        """What a function says on each worker; `None` where one may speak for all."""
        return None

    def share(self, value: np.ndarray) -> Any:
        """What stands for an array that many tasks need, so that it is not sent with each."""
        return value

    def close(self) -> None:
        """Let go of the workers."""

    def __str__(self) -> str:
        return "this process"


class _Translated(Pool):
    """A pool of somebody else's futures, whose errors get our names."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        ours: Future[Any] = Future()

        def finished(theirs: Any) -> None:
            if not ours.set_running_or_notify_cancel():
                return
            try:
                ours.set_result(theirs.result())
            except BaseException as e:
                ours.set_exception(self._translated(e))

        self._started(function, arguments).add_done_callback(finished)
        return ours

    def _started(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """A future of the library's."""
        raise NotImplementedError

    def _translated(self, error: BaseException) -> BaseException:
        return TooLarge(str(error) or "out of memory") if isinstance(error, MemoryError) else error


class Processes(_Translated):
    """Processes of this machine, by joblib's loky; a new set of them where one was killed.

    On a machine with several GPUs each has its own.
    """

    def __init__(self, count: int, device: str = "cpu"):
        self._count = count
        self._last: Any = None
        # A process that has grown is replaced, and its task given again: nothing to tell a user.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
        self._gpus = _gpus() if device == "cuda" else []

    @property
    def workers(self) -> int:
        return self._count

    @property
    def slots(self) -> int:
        return self._count + 1

    def _started(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            return self._executor().submit(_called, function, arguments)
        except BrokenExecutor:  # it broke a moment ago; the next one is new
            return self._executor().submit(_called, function, arguments)

    def _executor(self) -> Any:
        from joblib.externals.loky import get_reusable_executor

        self._last = get_reusable_executor(
            max_workers=self._count,
            timeout=600,
            initializer=_begin,
            initargs=(os.getpid(), self._gpus),
            env=thread_limits(max(1, provenance.threads() // self._count)),
        )
        return self._last

    def _translated(self, error: BaseException) -> BaseException:
        if isinstance(error, BrokenExecutor):
            reason = str(error).partition("\n")[0]
            return WorkerLost(f"a worker process is gone, by hand or for its memory ({reason})")
        return super()._translated(error)

    def close(self) -> None:
        if self._last is not None:
            self._last.shutdown(wait=True, kill_workers=True)

    def __str__(self) -> str:
        return f"{self._count} processes of this machine"


def _called(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*arguments)


def _gpus() -> list[str]:
    """What each GPU that this process may use is called in CUDA_VISIBLE_DEVICES."""
    if named := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return named.split(",")
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def _begin(owner: int, gpus: list[str]) -> None:
    """In a new worker: an end with its owner, a GPU of its own, and whatever plug-ins register."""
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = own_gpu(gpus)
    load_plugins()


def _end_with(owner: int) -> None:
    """No worker outlives a command that was killed."""
    while os.getppid() == owner:
        time.sleep(1)
    os._exit(1)


_held: list[int] = []


def own_gpu(gpus: list[str]) -> str:
    """One that no other process of ours has, which is ours until we end; by turns where none is."""
    for gpu in gpus:
        path = Path(tempfile.gettempdir()) / f"claimbench-{os.getuid()}-gpu-{gpu}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if writing.lock(handle):
            _held.append(handle)
            return gpu
        os.close(handle)
    return gpus[os.getpid() % len(gpus)]


def open_pool(jobs: int, scheduler: str | None = None, device: str = "cpu") -> Pool:
    """Workers as a command line names them.

    Args:
        jobs: processes of this machine, where there is no scheduler; 1 is this process itself.
        scheduler: `tcp://host:port` (or `tls://`) of a dask scheduler, or
            `slurm:workers=8,partition=gpu,...`, whose words but `workers` are submitit's.

    Raises:
        PoolError: if the scheduler cannot be reached, or has no workers.
        MissingExtra: if what it needs is not installed.
    """
    if scheduler is None:
        return Pool() if jobs == 1 else Processes(jobs, device)
    if find_spec("distributed") is None or find_spec("submitit") is None:
        raise MissingExtra("--scheduler needs dask and submitit; pip install 'claimbench[cluster]'")
    from . import cluster

    return cluster.connect(scheduler)
