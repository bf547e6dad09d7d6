"""Progress of a run, with the time left: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .cells import Cell
from .records import Record
from .runner import Plan

Step = Callable[[Cell, Record], None]


@contextmanager
def progress(console: Console, plan: Plan) -> Iterator[Step]:
    """Something to call with each record as it is made."""
    if not plan.todo:
        yield lambda cell, record: None
    elif console.is_terminal:
        with _bar(console, plan) as step:
            yield step
    else:
        yield _lines(console, plan)


@contextmanager
def _bar(console: Console, plan: Plan) -> Iterator[Step]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=len(plan.todo))

        def step(cell: Cell, record: Record) -> None:
            bar.update(task, advance=1, description=f"{cell.method} on {cell.data}")
            _tell_error(bar.console, cell, record)

        yield step


def _lines(console: Console, plan: Plan) -> Step:
    began, left, done = time.monotonic(), plan.seconds, 0

    def step(cell: Cell, record: Record) -> None:
        nonlocal left, done
        done += 1
        left -= plan.estimates[cell.digest]
        spent = time.monotonic() - began
        expected = plan.seconds - left
        remaining = left * spent / expected if expected > 0 else left
        console.print(
            f"[{done}/{len(plan.todo)}] {cell}: {record.seconds:.1f} s, "
            f"about {max(remaining, 0):.0f} s left",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        _tell_error(console, cell, record)

    return step


def _tell_error(console: Console, cell: Cell, record: Record) -> None:
    if record.error:
        console.print(f"failed: {cell}: {record.error}", markup=False, soft_wrap=True)
