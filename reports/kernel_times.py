"""Kernel times of two commits: correct first, then fast. The gate's docstring has the rule.

Times come from rounds where there are rounds of the two commits, else from the samples that asv
took of each commit by itself, which tell less.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from claimbench.suite.definitions import ASV_TIER, Claim

from .asv_results import Timing
from .comparison import Kind, Line, differing
from .rounds import MEMORY_BYTES, MEMORY_SHARE, Judge, Judgement, Key, Turns, percent

FLOOR_S = 1e-4  # timers and schedulers of shared machines move a call by this much
LEAST = 0.25  # by which asv's samples of two commits may differ where nothing has changed
GROWTH = 2.0  # as a backend may be off by twice what the reference is in the same dtype
WITHOUT_ROUNDS = (
    "times: no rounds of these two commits, so asv's samples of each by itself are compared, which "
    f"see no slow-down under {LEAST:.0%}; claimbench gate --measure takes rounds"
)
ROUNDING = 4 * 2.0**-23  # four units of rounding of float32, the coarsest dtype that is timed

State = Literal["right", "wrong", "absent"]
Place = tuple[str, str]
"""Machine and environment."""

WITHOUT_TIMES: Mapping[tuple[State, State], tuple[Kind, str]] = {
    ("right", "wrong"): ("worse", "broken: right at base, failed or wrong at head"),
    ("absent", "wrong"): ("worse", "broken: new at head, and failed or wrong there"),
    ("right", "absent"): ("not measured", "skipped at head, measured at base"),
    ("wrong", "absent"): ("not measured", "skipped at head, failed or wrong at base"),
    ("wrong", "wrong"): ("not measured", "failed or wrong at base and at head"),
    ("wrong", "right"): ("better", "right at head, failed or wrong at base"),
    ("absent", "right"): ("unchanged", "new at head, nothing to compare with"),
}


@dataclass(frozen=True)
class Case:
    """One backend on one of a claim's shapes; `where` names the machine if there are several."""

    claim: Claim
    label: str
    backend: str = "any backend"
    where: str = ""

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        return f"{self.backend} on {self.claim.id}.{self.label}{where}"

    @property
    def tolerance(self) -> float:
        """Of times that were not taken in turns."""
        return max(LEAST, self.claim.shapes[self.label].tolerance)

    @property
    def key(self) -> Key:
        return Key(self.claim.id, self.label, self.backend)

    def line(
        self,
        kind: Kind,
        reason: str,
        what: Literal["time", "memory", "machine", "correctness"] = "time",
        **values: Any,
    ) -> Line:
        return Line(
            kind=kind,
            subject=self.claim.kernel,
            what=what,
            name=f"{what} of {self}",
            reason=f"{self.claim.kernel} {self}: {reason}",
            claim=self.claim.id,
            keys=("shapes", self.label),
            **values,
        )


def lines(
    claim: Claim, timings: Sequence[Timing], base: str, head: str, judge: Judge | None = None
) -> Iterator[Line]:
    """Every backend on every shape that asv times, and on any other that it was made to time."""
    for label, shape in claim.shapes.items():
        case = Case(claim, label)
        here = [t for t in timings if (t.claim, t.shape) == (claim.id, label)]
        found = list(_of_shape(case, here, base, head, judge))
        if not found and shape.tier == ASV_TIER:
            found = [case.line("not measured", "no time at base and none at head")]
        yield from found


def _of_shape(
    case: Case, timings: Sequence[Timing], base: str, head: str, judge: Judge | None
) -> Iterator[Line]:
    for backend in sorted({t.backend for t in timings if t.commit in (base, head)}):
        before, after = (
            {
                (t.machine, t.environment): t
                for t in timings
                if (t.commit, t.backend) == (c, backend)
            }
            for c in (base, head)
        )
        yield from _of_backend(replace(case, backend=backend), before, after, judge)


def _of_backend(
    case: Case,
    before: Mapping[Place, Timing],
    after: Mapping[Place, Timing],
    judge: Judge | None,
) -> Iterator[Line]:
    """Base and head are paired on one machine and environment; there may be several of those."""
    if before and after and not before.keys() & after.keys():
        yield from _of_pair(case, next(iter(before.values())), next(iter(after.values())), judge)
        return
    places = sorted(before.keys() | after.keys())
    for place in places:
        named = case if len(places) == 1 else replace(case, where=", ".join(place))
        yield from _of_pair(named, before.get(place), after.get(place), judge)


def _of_pair(
    case: Case, base: Timing | None, head: Timing | None, judge: Judge | None
) -> list[Line]:
    """One line, or none where the backend is skipped at both commits."""
    if base is None or head is None:
        return [case.line("not measured", f"no time at {'base' if base is None else 'head'}")]
    if fields := differing(_place(base), _place(head)):
        return [case.line("refused", f"times of two machines do not compare, {fields}", "machine")]
    if base.version != head.version:
        return [case.line("refused", "times do not compare, the benchmark itself changed")]
    states = state(base), state(head)
    if states == ("absent", "absent"):
        return []
    if states in WITHOUT_TIMES:
        kind, reason = WITHOUT_TIMES[states]
        return [case.line(kind, reason, "correctness")]
    if less_right := _less_right(case, base, head):
        return [less_right]
    return [_times(case, base, head)] if judge is None else list(_of_rounds(case, judge))


def _place(timing: Timing) -> dict[str, Any]:
    known = {"machine": timing.machine, "environment": timing.environment}
    return {**timing.hardware, **known}


def state(timing: Timing) -> State:
    """A backend without a known error has no time, however fast it was."""
    if timing.status == "skipped":
        return "absent"
    measured = timing.status == "ok" and quartiles(timing)[0] > 0
    return "right" if measured and timing.error is not None else "wrong"


def _less_right(case: Case, base: Timing, head: Timing) -> Line | None:
    before, after = base.error or 0.0, head.error or 0.0
    if after <= GROWTH * before + ROUNDING:
        return None
    reason = f"relative error {before:.1e} -> {after:.1e}, more than {GROWTH:g} times"
    values = {"base": before, "head": after, "change": after - before}
    return case.line("worse", reason, "correctness", **values, unit="relative error")


def _of_rounds(case: Case, judge: Judge) -> Iterator[Line]:
    yield _time(case, judge.time(case.key), judge)
    if (memory := judge.memory(case.key)) is not None:
        yield _memory(case, *memory)


def _time(case: Case, judged: Judgement, judge: Judge) -> Line:
    last = judged.last
    if last is None:
        return case.line(judged.kind, judged.why)
    turns = (judge.first if judged.first is last else judge.again)[case.key]
    before = statistics.median(base for base, _, _ in turns.times)
    values = (math.exp(log) for log in (last.effect, last.low, last.high, last.threshold))
    effect, low, high, threshold = (before * (value - 1) for value in values)
    return case.line(
        judged.kind,
        f"{seconds(before)} -> {seconds(before + effect)} {_extent(judged)}",
        base=before,
        head=before + effect,
        change=effect,
        unit="s",
        tolerance=threshold,
        interval=(low, high) if math.isfinite(last.high - last.low) else None,
        n=last.rounds,
    )


def _extent(judged: Judgement) -> str:
    """How much a time changed, how sure that is, and what would have been seen."""
    first, last = judged.first, judged.last
    assert first is not None
    assert last is not None
    said = f"({percent(last.effect)} [{percent(last.low)}, {percent(last.high)}])"
    if first is not last:
        said += f", {percent(first.effect)} when first measured"
    limit = f"must clear {math.expm1(last.threshold):.1%}, A/A {math.expm1(last.floor):.1%}"
    seen = judged.why or f"a slow-down of {last.resolution:.1%} would have been caught"
    return f"{said}, {limit}" + ("" if judged.kind in ("worse", "better") else f"; {seen}")


def _memory(case: Case, kind: Kind, turns: Turns) -> Line:
    base, head, _ = turns.memory
    assert base is not None
    assert head is not None
    tolerance = max(MEMORY_SHARE * base, MEMORY_BYTES)
    reason = f"peak memory of a call {base / 2**20:.1f} -> {head / 2**20:.1f} MiB"
    reason += f", tolerance {tolerance / 2**20:.1f} MiB"
    if kind == "not measured":
        reason += ", and not measured again"
    values = {"base": float(base), "head": float(head), "change": float(head - base)}
    return case.line(kind, reason, "memory", **values, unit="bytes", tolerance=tolerance)


def notes(judge: Judge | None, lines: Sequence[Line]) -> list[str]:
    """How much the rounds could have seen, and on how busy a machine."""
    if judge is None:
        return [WITHOUT_ROUNDS] if any(line.what == "time" for line in lines) else []
    rounds = judge.rounds
    judged = {key: judge.time(key).last for key, turns in judge.first.items() if turns.times}
    seen = sorted((last.resolution, key) for key, last in judged.items() if last is not None)
    if not seen:
        return []
    worst, key = seen[-1]
    middle = seen[len(seen) // 2][0]
    said = (
        f"times: {len(seen)} cases in turns, load {rounds.load[0]:.1f} to {rounds.load[1]:.1f}; "
        f"a slow-down of {middle:.1%} would have been caught in half of the cases, of {worst:.0%} "
        f"in all (last: {key.backend} on {key.claim}.{key.shape}); "
        f"{len(rounds.again)} measured again"
    )
    if any(line.what == "memory" for line in lines):
        return [said]
    return [said, "memory was not measured: this system does not tell how far it rises"]


def _times(case: Case, base: Timing, head: Timing) -> Line:
    (before, _), (after, _) = quartiles(base), quartiles(head)
    change = f"{seconds(before)} -> {seconds(after)} ({after / before - 1:+.0%})"
    return case.line(
        judged(base, head, case.tolerance),
        f"{change}, tolerance {case.tolerance:.0%}",
        base=before,
        head=after,
        change=after - before,
        unit="s",
        tolerance=case.tolerance * before,
    )


def judged(base: Timing, head: Timing, tolerance: float) -> Kind:
    """What two times say, from their lower quartiles."""
    if _slower(base, head, tolerance):
        return "worse"
    return "better" if _slower(head, base, tolerance) else "unchanged"


def _slower(base: Timing, head: Timing, tolerance: float) -> bool:
    (low, high), (new, _) = quartiles(base), quartiles(head)
    return new > low * (1 + tolerance) and new - low > FLOOR_S and new > high


def quartiles(timing: Timing) -> tuple[float, float]:
    """Lower and upper quartile of the samples; asv's where it kept none, else its median twice."""
    if len(timing.samples) > 1:
        low, _, high = statistics.quantiles(timing.samples, n=4, method="inclusive")
        return low, high
    middle = timing.seconds or 0.0
    low = middle if timing.low is None else timing.low
    return low, middle if timing.high is None else timing.high


def seconds(value: float) -> str:
    """A time in the unit that a reader would choose."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"
