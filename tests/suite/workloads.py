"""Tasks and functions that tests send to other processes, which must be able to import them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from distributed import WorkerPlugin

from claimbench.suite.gram import GramFunction
from claimbench.suite.gram.tasks import in_blocks
from claimbench.suite.workers import WorkerLost


@dataclass(frozen=True, eq=False)
class Squares:
    """The squares of some numbers; where a marker file is named, the first process to try dies."""

    numbers: tuple[int, ...]
    marker: Path | None = None
    room: int = 100
    wrong: list[int] = field(default_factory=list)

    @property
    def call(self) -> tuple[Any, tuple[Any, ...]]:
        return squares, (self.numbers, self.marker, self.room)

    def check(self, answer: list[int]) -> None:
        if self.wrong:
            raise WorkerLost(f"wrong {self.wrong.pop()}", "somebody")

    def parts(self) -> Sequence[Squares]:
        if len(self.numbers) == 1:
            return ()
        half = len(self.numbers) // 2
        return [
            Squares(part, None, self.room) for part in (self.numbers[:half], self.numbers[half:])
        ]


def squares(numbers: tuple[int, ...], marker: Path | None, room: int) -> list[int]:
    if len(numbers) > room:
        raise MemoryError(f"{len(numbers)} numbers")
    if marker and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return [number * number for number in numbers]


def slow(marker: Path, seconds: float) -> int:
    """Late where it is called first."""
    if not marker.exists():
        marker.touch()
        time.sleep(seconds)
        return 1
    return 2


class Faulty(GramFunction):
    """A function that fails as its marker files say, once each."""

    def __call__(self, x: np.ndarray, z: np.ndarray | None = None) -> np.ndarray:
        values = super().__call__(x, z)
        for fault in ("kill", "nan", "memory"):
            marker = Path(os.environ["CLAIMBENCH_TEST_FAULTS"]) / fault
            if len(x) > 1 and marker.exists():
                marker.unlink(missing_ok=True)
                if fault == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                if fault == "memory":
                    raise MemoryError("planted")
                values = np.full_like(values, np.nan)
        return values


def cramped(function: Any, x: Any, z: Any, area: Any, block: int) -> np.ndarray:
    if max(area.shape) > block:
        raise MemoryError("less than was said")
    return in_blocks(function, x, z, area, block)


class Tampering(WorkerPlugin):
    """One worker changes tiles, before or after their checksum is taken, or has no memory."""

    name = "tampering"
    idempotent = True

    def __init__(self, address: str, how: str):
        self.address, self.how = address, how

    def setup(self, worker: Any) -> None:
        if worker.address != self.address:
            return
        from claimbench.suite.gram import measured, tasks

        if self.how == "memory":
            measured.free_memory = lambda device: 2**50
            tasks.in_blocks = cramped
            return
        honest = tasks.digest

        def digest(values: np.ndarray) -> str:
            if self.how == "before":
                values *= 2
                return honest(values)
            told = honest(values)
            values.flat[0] += 1
            return told

        tasks.digest = digest
