"""Kernel times of two commits: correct first, then fast. The gate's docstring has the rule."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from claimbench.suite.definitions import Claim, TierName

from .asv_results import Timing
from .comparison import Kind, Line, differing

TIMED: TierName = "smoke"  # whose shapes the suite's benchmarks of kernels run
FLOOR_S = 1e-4  # timers and schedulers of shared machines move a call by this much
GROWTH = 2.0  # as a backend may be off by twice what the reference is in the same dtype
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
        return self.claim.shapes[self.label].tolerance

    def line(
        self,
        kind: Kind,
        reason: str,
        what: Literal["time", "machine", "correctness"] = "time",
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


def lines(claim: Claim, timings: Sequence[Timing], base: str, head: str) -> Iterator[Line]:
    """Every backend on every shape that asv times, and on any other that it was made to time."""
    for label, shape in claim.shapes.items():
        case = Case(claim, label)
        here = [t for t in timings if (t.claim, t.shape) == (claim.id, label)]
        found = list(_of_shape(case, here, base, head))
        if not found and shape.tier == TIMED:
            found = [case.line("not measured", "no time at base and none at head")]
        yield from found


def _of_shape(case: Case, timings: Sequence[Timing], base: str, head: str) -> Iterator[Line]:
    for backend in sorted({t.backend for t in timings if t.commit in (base, head)}):
        before, after = (
            {
                (t.machine, t.environment): t
                for t in timings
                if (t.commit, t.backend) == (c, backend)
            }
            for c in (base, head)
        )
        yield from _of_backend(replace(case, backend=backend), before, after)


def _of_backend(
    case: Case, before: Mapping[Place, Timing], after: Mapping[Place, Timing]
) -> Iterator[Line]:
    """Base and head are paired on one machine and environment; there may be several of those."""
    if before and after and not before.keys() & after.keys():
        yield from _of_pair(case, next(iter(before.values())), next(iter(after.values())))
        return
    places = sorted(before.keys() | after.keys())
    for place in places:
        named = case if len(places) == 1 else replace(case, where=", ".join(place))
        yield from _of_pair(named, before.get(place), after.get(place))


def _of_pair(case: Case, base: Timing | None, head: Timing | None) -> list[Line]:
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
    return [_less_right(case, base, head) or _times(case, base, head)]


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
