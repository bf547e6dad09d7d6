"""One shape, all contenders: made ready, then in turns, then what it comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles

import numpy as np

from ..peers import NotMeasured
from . import rounds
from .contenders import Absent, Contender, Entrant, Kind, Truth, entrants, ready
from .floors import Peaks, floor
from .runners import Sample
from .workloads import Workload

SETS = 2
"""Inputs of one turn; a turn of several calls has them in rotation."""

LEAST, LONGEST = 0.5, 3.0
"""Seconds of a call between which a part of the shape is chosen, however much time there is."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """Times of one contender on one shape. All `_s` are seconds of one call.

    Attributes:
        shape: a claim's id or `standard`, a dot, and the label.
        inputs: shapes of the arrays of the call, which may be the first part of the shape's.
        items: pairs or images of the call, and `items_of_shape` those of the whole shape.
        calls: in each round.
        lower_s: the lower quartile of the rounds; `upper_s` the upper.
        cpu_s: median processor time of the computing process, all threads.
        peak_bytes: rise of memory in one call; `None` where that cannot be seen.
        relative_error: against the reference in float64, on the part that the reference ran.
        flops: operations that the call needs, and `bytes` that it must move, by the best algorithm
            known to us; `None` where nobody has counted them.
        floor_s: what the machine's peaks allow at best; `floor_bound` says whether computing or
            memory sets it.
        note: how what it computes differs from what was asked for.
    """

    kernel: str
    shape: str
    contender: str
    kind: Kind
    dtype: str
    inputs: dict[str, tuple[int, ...]]
    item: str
    items: int
    items_of_shape: int
    rounds: int
    calls: int
    median_s: float
    lower_s: float
    upper_s: float
    fastest_s: float
    cpu_s: float
    peak_bytes: int | None
    relative_error: float
    flops: float | None
    bytes: float | None
    note: str
    floor_s: float | None = None
    floor_bound: str | None = None

    @property
    def item_s(self) -> float:
        return self.median_s / self.items

    @property
    def floor_fraction(self) -> float | None:
        return None if self.floor_s is None else self.floor_s / self.median_s


def with_floor(row: Row, peaks: Peaks) -> Row:
    if row.flops is None or row.bytes is None:
        return row
    least = floor(row.flops, row.bytes, row.dtype, peaks)
    return replace(row, floor_s=least.seconds, floor_bound=least.bound)


@dataclass(frozen=True)
class Settings:
    """What holds for every shape of a run."""

    device: str
    rounds: int
    peers: bool


def compare(
    workload: Workload,
    settings: Settings,
    seconds: float,
    tell: Tell,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[Row], list[Absent]]:
    """Times of all who can take part, in about so many seconds, and who could not."""
    began = clock()
    found = list(entrants(workload, settings.device, settings.peers))
    absent = [entrant for entrant in found if isinstance(entrant, Absent)]
    able = [entrant for entrant in found if isinstance(entrant, Entrant)]
    tell(f"making {len(able)} contenders ready")
    contenders: list[Contender] = []
    longest_s = min(max(seconds / (4 * max(len(able), 1)), LEAST), LONGEST)
    try:
        truth: Truth | None = None
        for entrant in able:
            outcome = _ready(workload, entrant, truth, longest_s)
            if isinstance(outcome, Absent):
                absent.append(outcome)
                continue
            contenders.append(outcome)
            truth = truth or Truth(outcome.part)
        # Compiling may have taken the whole share; times without rounds would be none.
        left = max(seconds - (clock() - began), seconds / 3)
        costs = [rounds.turn_s(contender.call_s) for contender in contenders]
        allotted = rounds.allot(costs, settings.rounds, left)
        total = sum(cost * count for cost, count in zip(costs, allotted, strict=True))
        tell(f"{len(contenders)} contenders in {max(allotted, default=0)} rounds, {total:.0f} s")
        samples = _take_turns(contenders, allotted)
    finally:
        for contender in contenders:
            contender.runner.close()
    rows = []
    for contender, taken in zip(contenders, samples, strict=True):
        if isinstance(taken, str):
            absent.append(_failed(workload, contender.entrant, taken))
        else:
            rows.append(_row(workload, contender, taken))
    return rows, absent


def _failed(workload: Workload, entrant: Entrant, reason: str) -> Absent:
    wrong = entrant.kind != "peer"
    return Absent(workload.kernel, workload.name, entrant.name, entrant.kind, reason, wrong)


def _ready(
    workload: Workload, entrant: Entrant, truth: Truth | None, longest_s: float
) -> Contender | Absent:
    """Whatever a contender does, it costs the others nothing."""
    if truth is None and entrant.kind != "reference":
        return _failed(workload, entrant, "there is no reference to hold it against")
    try:
        return ready(entrant, truth, longest_s)
    except NotMeasured as e:
        return _failed(workload, entrant, str(e))
    except Exception as e:
        return _failed(workload, entrant, _words(e))


def _words(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"failed: {type(error).__name__}: {first}"[:300]


def _take_turns(
    contenders: Sequence[Contender], allotted: Sequence[int]
) -> list[list[Sample] | str]:
    """The samples of each, or why it dropped out; all have the same inputs in a round."""
    taken: list[list[Sample] | str] = [[] for _ in contenders]
    for turn, index in rounds.schedule(allotted):
        samples, contender = taken[index], contenders[index]
        if isinstance(samples, str):
            continue
        calls = rounds.repeats(contender.call_s)
        seeds = range(1 + turn * SETS, 1 + turn * SETS + min(calls, SETS))
        try:
            samples.append(
                contender.runner.sample([contender.part.arrays(s) for s in seeds], calls)
            )
        except Exception as e:
            taken[index] = str(e) if isinstance(e, NotMeasured) else _words(e)
    return taken


def _row(workload: Workload, contender: Contender, taken: Sequence[Sample]) -> Row:
    entrant, part = contender.entrant, contender.part
    walls = [sample.wall_s for sample in taken]
    lower, middle, upper = quantiles(walls, method="inclusive") if len(walls) > 1 else walls * 3
    work = part.work()
    return Row(
        kernel=workload.kernel,
        shape=workload.name,
        contender=entrant.name,
        kind=entrant.kind,
        dtype=part.dtype,
        inputs=dict(part.taken),
        item=part.item,
        items=part.items,
        items_of_shape=workload.items,
        rounds=len(taken),
        calls=rounds.repeats(contender.call_s),
        median_s=middle,
        lower_s=lower,
        upper_s=upper,
        fastest_s=min(walls),
        cpu_s=float(np.median([sample.cpu_s for sample in taken])),
        peak_bytes=contender.peak_bytes,
        relative_error=contender.error,
        flops=work.flops if work else None,
        bytes=work.bytes if work else None,
        note=entrant.note,
    )
