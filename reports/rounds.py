"""Rounds: times of kernels of two commits, taken in turns, and what they say.

Three streams take turns: `base`, `head` and `twin`, which is base once more. A round of a case is
one number from each, so that head / base is a ratio of neighbours in time, whatever the machine
does, and twin / base shows what such ratios do where nothing has changed (an A/A run). docs/gate.md
has the rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field
from pydantic_core import from_json

from claimbench.suite import writing
from claimbench.suite.definitions import Claim, Definition, Scalar
from claimbench.suite.records import RecordError

from .comparison import Kind

ALPHA = 0.05  # one-sided; shared by all cases that are measured again
FEWEST = 8  # rounds without which a case is not judged
COARSE = 0.25  # beyond its tolerance; a case in which no less would be seen has told nothing
MEMORY_SHARE, MEMORY_BYTES = 0.10, 4 * 2**20

Seconds = Annotated[float, Field(gt=0)]
Times = tuple[Seconds, Seconds, Seconds]
"""Seconds of one call of base, head and twin in one round."""


class Key(NamedTuple):
    claim: str
    shape: str
    backend: str


class Turns(Definition):
    """One backend on one shape, in all its rounds."""

    claim: str
    shape: str
    kernel: str
    backend: str
    inputs: dict[str, tuple[int, ...]]
    arguments: dict[str, Any] = {}
    times: tuple[Times, ...] = ()
    memory: tuple[int | None, int | None, int | None] = (None, None, None)
    """Least rise of memory in a call, in bytes: base, head, twin."""
    problem: str = ""
    """Why there are no times, or no more."""

    @property
    def key(self) -> Key:
        return Key(self.claim, self.shape, self.backend)


class Rounds(Definition):
    """All rounds of two commits, with where and when; the content of one file."""

    schema_version: Literal[1] = 1
    base: str
    head: str
    started: str
    finished: str
    machine: dict[str, Scalar]
    device: str
    threads: int
    load: tuple[float, float]
    """Load average of the minute before the start, and at the end."""
    libraries: dict[str, str]
    first: tuple[Turns, ...]
    again: tuple[Turns, ...] = ()
    """The cases that the first measurement picked, in processes of their own."""


def path(results: Path, base: str, head: str) -> Path:
    return results / f"rounds-{base[:12]}-{head[:12]}.json"


def write(rounds: Rounds, results: Path) -> Path:
    target = path(results, rounds.base, rounds.head)
    writing.write(target, rounds.model_dump_json(indent=1) + "\n")
    return target


def read(results: Path, base: str, head: str) -> Rounds | None:
    """The rounds of two commits; `None` where none were taken.

    Raises:
        RecordError: if the file is no such record.
    """
    file = path(results, base, head)
    if not file.exists():
        return None
    try:
        found = Rounds.model_validate(from_json(file.read_bytes()))
        if (found.base, found.head) != (base, head):
            raise ValueError(f"it is of {found.base} and {found.head}")
    except ValueError as e:
        said = str(e).partition("\n")[0]
        raise RecordError(f"{file}: not rounds of its commits ({said}); measure again") from None
    return found


# What paired ratios say.


def interval(values: Sequence[float], alpha: float) -> tuple[float, float]:
    """Bounds of the location of values that are symmetric about it, each wrong at rate alpha.

    Wilcoxon's signed-rank test turned round: the ends are order statistics of the pairwise means,
    so that one wild round does not move them far. Infinite where there are too few values.
    """
    means = _pairwise_means(values)
    below = int(np.searchsorted(_signed_rank_cdf(len(values)), alpha, side="right"))
    if not below:
        return -math.inf, math.inf
    return float(means[below - 1]), float(means[-below])


def location(values: Sequence[float]) -> float:
    """The median of the pairwise means (Hodges and Lehmann)."""
    return float(np.median(_pairwise_means(values)))


def _pairwise_means(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, float)
    first, second = np.triu_indices(len(array))
    return np.sort((array[first] + array[second]) / 2)


@cache
def _signed_rank_cdf(n: int) -> np.ndarray:
    """P(W <= w) for w = 0, 1, ... of the signed-rank sum of n values symmetric about zero."""
    chances = np.ones(1)
    for rank in range(1, n + 1):
        longer = np.zeros(len(chances) + rank)
        longer[: len(chances)] += chances / 2
        longer[rank:] += chances / 2
        chances = longer
    return np.cumsum(chances)


def of_streams(turns: Turns) -> tuple[list[float], list[float]]:
    """log(head / base) and log(twin / base), round by round."""
    logs = [[math.log(seconds) for seconds in times] for times in turns.times]
    return [head - base for base, head, _ in logs], [twin - base for base, _, twin in logs]


@dataclass(frozen=True)
class Finding:
    """What one measurement of a case says. All but `rounds` are logarithms of ratios.

    Attributes:
        effect: of head over base.
        low, high: where the effect lies.
        floor: what the same ratio came to where nothing had changed.
        threshold: what an effect must clear: the floor or the tolerance, whichever is larger.
    """

    effect: float
    low: float
    high: float
    floor: float
    threshold: float
    rounds: int

    @property
    def suspicious(self) -> bool:
        return abs(self.effect) > self.threshold

    @property
    def kind(self) -> Kind:
        """By the end of the interval that is nearest to no change."""
        if self.low > self.threshold:
            return "worse"
        return "better" if self.high < -self.threshold else "unchanged"

    @property
    def resolution(self) -> float:
        """The smallest relative slow-down that would have been caught 19 times in 20."""
        return math.expm1(min(self.threshold + self.effect - self.low, 50))


def finding(turns: Turns, tolerance: float, common: float, alpha: float = ALPHA) -> Finding:
    changed, same = of_streams(turns)
    low, high = interval(changed, alpha)
    floor = max(common, abs(location(same)))
    threshold = max(floor, math.log1p(tolerance))
    return Finding(location(changed), low, high, floor, threshold, len(changed))


def common_floor(measured: Sequence[Turns]) -> float:
    """The A/A difference that three cases of four stay below."""
    differences = [abs(location(of_streams(t)[1])) for t in measured if len(t.times) >= FEWEST]
    return float(np.quantile(differences, 0.75)) if differences else 0.0


def tolerance_of(claims: Sequence[Claim]) -> Mapping[tuple[str, str], float]:
    """What each claim file declares, by claim and shape."""
    return {
        (claim.id, label): shape.tolerance
        for claim in claims
        for label, shape in claim.shapes.items()
    }


def more_memory(turns: Turns) -> int | None:
    """Bytes that head takes more than base, or less, where that is news; 0 where it is not."""
    base, head, twin = turns.memory
    if base is None or head is None or twin is None:
        return None
    least = max(MEMORY_SHARE * min(base, head), MEMORY_BYTES, abs(twin - base))
    return head - base if abs(head - base) > least else 0


def picked(measured: Sequence[Turns], tolerances: Mapping[tuple[str, str], float]) -> list[Turns]:
    """The cases to be measured again: those that seem to have changed, in either direction."""
    common = common_floor(measured)
    return [
        turns
        for turns in measured
        if len(turns.times) >= FEWEST
        and not turns.problem
        and (
            finding(turns, tolerances[turns.claim, turns.shape], common).suspicious
            or more_memory(turns)
        )
    ]


class Judgement(NamedTuple):
    """What both measurements of a case say together; `last` is `None` where there are no times."""

    kind: Kind
    first: Finding | None = None
    last: Finding | None = None
    why: str = ""


class Judge:
    """The rule over all cases of one file."""

    def __init__(self, rounds: Rounds, claims: Sequence[Claim]):
        self.rounds, self.tolerances = rounds, tolerance_of(claims)
        self.shapes = {(c.id, label): shape for c in claims for label, shape in c.shapes.items()}
        self.first = {turns.key: turns for turns in rounds.first}
        self.again = {turns.key: turns for turns in rounds.again}
        self.common = common_floor(rounds.first)

    def time(self, key: Key) -> Judgement:
        turns = self.first.get(key)
        if turns is None or self._unusable(turns):
            return Judgement("not measured", why=self._unusable(turns))
        first = self._finding(turns)
        if not first.suspicious:
            return self._settled(key, first, first)
        repeated = self.again.get(key)
        if repeated is None or self._unusable(repeated):
            why = f"{percent(first.effect)}, and measured again: {self._unusable(repeated)}"
            return Judgement("not measured", why=why)
        last = self._finding(repeated, ALPHA / len(self.again))
        agree = last.kind != "unchanged" and (last.effect > 0) == (first.effect > 0)
        return Judgement(last.kind, first, last) if agree else self._settled(key, first, last)

    def _unusable(self, turns: Turns | None) -> str:
        """Why turns cannot be judged; empty where they can."""
        if turns is None:
            return "it is not in the rounds"
        shape = self.shapes[turns.claim, turns.shape]
        if (turns.inputs, turns.arguments) != (shape.inputs, shape.arguments):
            return "its shape has changed since the rounds were taken"
        few = f"{len(turns.times)} rounds, where {FEWEST} are the fewest"
        return turns.problem or (few if len(turns.times) < FEWEST else "")

    def _finding(self, turns: Turns, alpha: float = ALPHA) -> Finding:
        tolerance = self.tolerances[turns.claim, turns.shape]
        return finding(turns, tolerance, self.common, alpha)

    def _settled(self, key: Key, first: Finding, last: Finding) -> Judgement:
        if last.resolution > (1 + self.tolerances[key.claim, key.shape]) * (1 + COARSE) - 1:
            seen = f"no slow-down under {last.resolution:.0%} would have been seen"
            return Judgement("not measured", first, last, f"too noisy to tell: {seen}")
        return Judgement("unchanged", first, last)

    def memory(self, key: Key) -> tuple[Kind, Turns] | None:
        """Kind, and the measurement that decides; `None` where memory was not seen."""
        turns = self.first.get(key)
        more = more_memory(turns) if turns else None
        if turns is None or more is None:
            return None
        if not more:
            return "unchanged", turns
        repeated = self.again.get(key)
        still = more_memory(repeated) if repeated else None
        if repeated is None or still is None:
            return "not measured", turns
        if still * more <= 0:
            return "unchanged", repeated
        return "worse" if still > 0 else "better", repeated


def percent(logarithm: float) -> str:
    """A logarithm of a ratio as a change."""
    if not math.isfinite(logarithm):
        return "unknown"
    return f"{math.expm1(logarithm):+.1%}"
