"""Progress never shows a negative time, whatever was estimated and whatever the clock does."""

from __future__ import annotations

import io
import re
from datetime import datetime

import pytest
from rich.console import Console

from claimbench.suite import progress as module
from claimbench.suite.cells import cells
from claimbench.suite.runner import Plan

from . import toys


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("estimate", [-5.0, 0.0, 1e-9, 5.0, 1e300])
@pytest.mark.parametrize("jump", [-1e9, 0.0, 1e9])
def test_times_left_are_never_negative(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, estimate: float, jump: float
) -> None:
    now = 1e6
    todo = cells(toys.claim(), "smoke")
    plan = Plan(todo=todo, estimates=dict.fromkeys((cell.digest for cell in todo), estimate))
    said = io.StringIO()
    console = Console(file=said, force_terminal=terminal, width=200)
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    monkeypatch.setattr(module.time, "time", lambda: datetime.now().timestamp() + jump)
    with module.progress(console, plan) as step:
        for cell in todo:
            now += 0.5
            step(cell, toys.record(cell, 0.9))
    assert not re.search(r"-\s*\d+(:\d\d)* |about -", said.getvalue())
    assert said.getvalue()
