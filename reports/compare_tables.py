"""Verdicts and kernel times of two commits, side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from claimbench.suite.definitions import Claim, TierName
from claimbench.suite.rules import Finding
from claimbench.suite.verdicts import Verdict

from . import kernel_views, tables, words
from .asv_results import Timing
from .comparison import differing
from .linked_tables import Linked, linked
from .rounds import Judge, Key, Turns
from .tables import Cell

VerdictOf = Callable[[Claim, str], Verdict]
"""The verdict on a claim at a commit."""


def verdicts(
    claims: Sequence[Claim],
    tier: TierName,
    commits: tuple[str, str],
    verdict_of: VerdictOf,
    links: Mapping[str, str],
) -> Linked:
    """Every claim that has the tier, rule by rule."""
    columns = tables.columns(
        "claim", "rule", "at base", "at head", "effect at base", "95% interval at base",
        "effect at head", "95% interval at head", "must clear", "why not",
        numeric=("effect at base", "effect at head", "must clear"),
    )  # fmt: skip
    rows = (
        (f"verdict-{claim.id}-{row[1].text}", row)
        for claim in claims
        if tier in claim.tiers
        for row in _verdict_rows(
            tables.text(claim.title, links[claim.id]), *(verdict_of(claim, c) for c in commits)
        )
    )
    return linked("verdicts", f"Verdicts at tier {tier}, rule by rule", columns, rows)


def _verdict_rows(name: Cell, before: Verdict, after: Verdict) -> Iterator[tuple[Cell, ...]]:
    """The claim as a whole, then its rules, of which only some may have been applied."""
    labels = list(dict.fromkeys([*before.findings, *after.findings]))
    if len(labels) != 1:
        yield (
            name,
            tables.text("all together"),
            tables.verdict(before.outcome),
            tables.verdict(after.outcome),
            *_effect(None),
            *_effect(None),
            tables.text(""),
            tables.text(_reasons(before, after)),
        )
    for label in labels:
        old, new = before.findings.get(label), after.findings.get(label)
        known = new or old
        assert known is not None
        yield (
            name,
            tables.text(label),
            tables.verdict(old.outcome if old else before.outcome),
            tables.verdict(new.outcome if new else after.outcome),
            *_effect(old),
            *_effect(new),
            tables.amount(known.threshold, words.effect(known.threshold, known.unit)),
            tables.text(_reasons(before, after)),
        )


def _effect(finding: Finding | None) -> tuple[Cell, Cell]:
    if finding is None:
        return tables.text(""), tables.text("")
    shown = words.interval(*finding.interval, finding.n, finding.unit)
    return (
        tables.amount(finding.effect, words.effect(finding.effect, finding.unit)),
        tables.interval(*finding.interval, shown),
    )


def _reasons(before: Verdict, after: Verdict) -> str:
    sides = (("base", before), ("head", after))
    return "; ".join(f"{side}: {verdict.reason}" for side, verdict in sides if verdict.reason)


def times(
    claims: Sequence[Claim], base: Sequence[Timing], head: Sequence[Timing], judge: Judge | None
) -> Linked:
    """Every backend on every shape that was timed at either commit.

    Times that were taken in turns stand in place of those that asv took of each commit by itself.
    """
    columns = tables.columns(
        "kernel", "backend", "claim and shape", "base", "quartiles at base", "head",
        "quartiles at head", "head / base", "quartiles of the ratio", "taken",
        numeric=("base", "head", "head / base"),
    )  # fmt: skip
    in_turns = dict(_of_rounds(claims, judge)) if judge else {}
    by_asv = ((key, row) for key, row in _of_asv(base, head) if key not in in_turns)
    rows = ((f"time-{'-'.join(key)}", row) for key, row in (*in_turns.items(), *by_asv))
    return linked("times", "Kernel times side by side", columns, rows)


def _of_rounds(claims: Sequence[Claim], judge: Judge) -> Iterator[tuple[Key, tuple[Cell, ...]]]:
    kernels = {claim.id: claim.kernel for claim in claims}
    # What was measured again was measured with more care.
    for key, turns in (judge.first | judge.again).items():
        if turns.times and key.claim in kernels:
            yield key, _of_turns(kernels[key.claim], turns)


def _of_turns(kernel: str, turns: Turns) -> tuple[Cell, ...]:
    before, after = ([times[place] for times in turns.times] for place in (0, 1))
    ratios = [new / old for old, new, _ in turns.times]
    low, middle, high = _quartiles(ratios)
    return (
        *_case(kernel, turns.key),
        *_spread(*_quartiles(before)),
        *_spread(*_quartiles(after)),
        tables.amount(middle, words.times(middle)),
        tables.text(f"{words.times(low)} to {words.times(high)}"),
        tables.text(f"in turns, {words.count(len(ratios), 'round')}"),
    )


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _case(kernel: str, key: Key) -> tuple[Cell, Cell, Cell]:
    return (
        tables.text(kernel, kernel_views.file_of(kernel)),
        tables.text(key.backend),
        tables.text(f"{key.claim}.{key.shape}"),
    )


def _spread(low: float | None, middle: float | None, high: float | None) -> tuple[Cell, Cell]:
    shown = words.NOTHING if middle is None else words.seconds(middle)
    return tables.amount(middle, shown), tables.text(words.spread(low, high, "seconds"))


def _of_asv(
    base: Sequence[Timing], head: Sequence[Timing]
) -> Iterator[tuple[Key, tuple[Cell, ...]]]:
    """Paired on one machine and in one environment, of which there may be several."""
    before, after = ({_place(t): t for t in timings} for timings in (base, head))
    for place in dict.fromkeys((*before, *after)):
        old, new = before.get(place), after.get(place)
        known = new or old
        assert known is not None
        key = Key(known.claim, known.shape, known.backend)
        ratio = _ratio(old, new)
        yield (
            key,
            (
                *_case(known.kernel, key),
                *_asv_time(old),
                *_asv_time(new),
                tables.amount(ratio, words.NOTHING if ratio is None else words.times(ratio)),
                tables.text(""),
                tables.text(f"by asv, each by itself, on {known.machine}{_unlike(old, new)}"),
            ),
        )


def _place(timing: Timing) -> tuple[str, ...]:
    case = (timing.kernel, timing.claim, timing.shape, timing.backend)
    return (*case, timing.machine, timing.environment)


def _asv_time(timing: Timing | None) -> tuple[Cell, Cell]:
    if timing is None:
        return tables.text(""), tables.text("")
    if timing.status != "ok":
        return Cell(f"{words.DASH} {timing.status}", None), tables.text("")
    return _spread(timing.low, timing.seconds, timing.high)


def _ratio(old: Timing | None, new: Timing | None) -> float | None:
    if not old or not new or not old.seconds or not new.seconds or _unlike(old, new):
        return None
    return new.seconds / old.seconds


def _unlike(old: Timing | None, new: Timing | None) -> str:
    """Why two times make no ratio; empty where they do, or where one is missing."""
    if old and new and (fields := differing(dict(old.hardware), dict(new.hardware))):
        return f"; the machine is not the same: {fields}"
    if old and new and old.version != new.version:
        return "; the benchmark is not the same"
    return ""
