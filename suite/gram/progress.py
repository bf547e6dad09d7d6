"""How far a Gram matrix is: a line now and then, with the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY = 10.0
"""Seconds between lines."""


class Progress:
    """Tells of steps that are done, at most every ten seconds."""

    def __init__(self, tell: Callable[[str], None], name: str, total: int):
        self._tell, self._name, self._total, self._done = tell, name, total, 0
        self._began = self._told = time.monotonic()

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._told < EVERY:
            return
        self._told = now
        left = (now - self._began) * (self._total - self._done) / self._done
        self._tell(f"{self._name}: {self._done} of {self._total} tiles, about {left:.0f} s left")
