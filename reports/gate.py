"""The gate: what a change made worse, and what was not measured.

The rule, once:

- **Expected** is what the claim files say: every cell of the tier, every shape that asv times. One
  without a record or a time at base or at head is *not measured*, and comes first. A cell that
  failed at head is *worse* where base was fine, and *not measured* where base failed too.
- **The same data**: where data digests differ, accuracy is *refused*. **The same machine**: where
  processors, devices or threads of base and head differ, times are *refused*. Baselines are exempt
  from the second, for the change cannot have altered them.
- **A metric** is compared by method and variant, in the direction of its definition, on identical
  (protocol, data, trial, at). It is *worse* where the mean loss exceeds the metric's tolerance. A
  seeded trial gives the same again on a CPU with the same machine, threads and libraries, so there
  nothing else is asked. Elsewhere Wilcoxon's signed-rank test must agree (5%, Holm over all metrics
  of the gate), unless it has no say: over fewer than 6 pairs, over pairs that all moved alike, or
  where it could not reach 5% after the correction had all that moved been losses. *Better* is the
  same, mirrored; anything else is *unchanged*.
- **A verdict** that moves from supported towards refuted is *worse*, the way back *better*.
- **A backend** must be right before it has a time: one that failed, or has no known error, at head
  only is *worse*, and so is one whose error more than doubled.
- **A time** comes from rounds in which base, head and base again take turns. It is *worse* where
  the slow-down clears the shape's tolerance and the A/A difference, and does so again, by the whole
  of its interval, in a second measurement. Where it was too noisy to tell, it is *not measured*.
  **Memory** is judged from the same rounds. docs/gate.md has the numbers and what they rest on.
- **Without rounds** of the two commits, asv's samples are judged: worse where the lower quartile
  rose by more than 25% (or the tolerance, if larger) and 0.1 ms and lies above base's upper one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from claimbench.suite import records as record_files
from claimbench.suite.definitions import TIERS, Claim, TierName
from claimbench.suite.records import Record
from claimbench.suite.verdicts import judge

from . import claim_results, kernel_times, outputs
from .asv_results import Timing
from .asv_results import timings as asv_timings
from .claim_results import Judged
from .comparison import Allowed, Comparison, Line, in_order, status
from .history import DIRTY, UsageError, resolve
from .rounds import Judge, Rounds
from .rounds import read as read_rounds

__all__ = ["Comparison", "Line", "compare", "run", "status"]

ASV_RESULTS = Path(".asv/results")


def compare(
    claims: Sequence[Claim],
    records: Sequence[Record],
    timings: Sequence[Timing],
    base: str,
    head: str,
    tier: TierName,
    rounds: Rounds | None = None,
    judged: Judged = judge,
) -> Comparison:
    """Hold head against base at one tier, by the rule above. Reads no file and runs nothing.

    `judged` gives verdicts; who compares many pairs of commits need not remake them for each.
    """
    expected = [claim for claim in claims if tier in claim.tiers]
    lines: list[Line] = [] if expected else [_nothing(tier)]
    family: list[claim_results.Series] = []
    for claim in expected:
        found = claim_results.twins(claim, tier, records, base, head)
        lines += claim_results.lines(claim, tier, found, judged)
        family += claim_results.series(claim, found)
    metrics, notes = claim_results.metric_lines(family)
    lines += [*metrics, *_vanished(records, base, tier, expected)]
    of_rounds = None if rounds is None else Judge(rounds, claims)
    for claim in claims:
        lines += kernel_times.lines(claim, timings, base, head, of_rounds)
    notes = [*notes, *kernel_times.notes(of_rounds, lines)]
    return Comparison(base=base, head=head, tier=tier, lines=in_order(lines), notes=tuple(notes))


def _vanished(
    records: Sequence[Record], base: str, tier: TierName, expected: Sequence[Claim]
) -> Iterator[Line]:
    """Claims that base has records of and that nothing defines any more."""
    measured = {r.claim for r in records if (r.provenance.commit, r.tier) == (base, tier)}
    for claim in sorted(measured - {claim.id for claim in expected}):
        reason = f"{claim}: measured at base, and no claim file followed now has tier {tier}"
        yield _not_measured(claim, "definition", reason)


def _nothing(tier: TierName) -> Line:
    """An empty comparison would be a green one."""
    return _not_measured("claimbench", "anything", f"nothing measured: no claim has a tier {tier}")


def _not_measured(subject: str, name: str, reason: str) -> Line:
    return Line(
        kind="not measured", subject=subject, what="record", name=name, reason=reason, claim=""
    )


def common_tier(records: Sequence[Record], base: str, head: str) -> TierName | None:
    """The largest tier at which both commits have a record of anything."""
    tiers = [{r.tier for r in records if r.provenance.commit == c} for c in (base, head)]
    shared = tiers[0] & tiers[1]
    return max(shared, key=TIERS.index, default=None)


def smallest_tier(claims: Sequence[Claim]) -> TierName:
    return next((tier for tier in TIERS if any(tier in c.tiers for c in claims)), TIERS[0])


def run(
    base: str,
    head: str,
    results: Path,
    out: Path | None = None,
    tier: TierName | None = None,
    asv_results: Path | None = None,
    *,
    claims: Sequence[Claim],
    line_of: outputs.LineOf = outputs.first_line,
    allowed: Sequence[Allowed] = (),
    notes: Sequence[str] = (),
) -> int:
    """Compare two commits from the files of a results folder, print, write, answer the status.

    `notes` go before what the comparison itself has to say besides.
    """
    records = record_files.read(results)
    timings = asv_timings(asv_results or ASV_RESULTS)
    known = {r.provenance.commit for r in records} | {t.commit for t in timings}
    before, after = resolve(base, known), resolve(head, known)
    if before == after:
        raise UsageError(f"{base!r} and {head!r} are one commit; name two to compare")
    chosen = tier or common_tier(records, before, after) or smallest_tier(claims)
    rounds = read_rounds(results, before, after)
    comparison = compare(claims, records, timings, before, after, chosen, rounds)
    notes = [*notes, *comparison.notes, *_advice(comparison, known)]
    said = (*notes, *_allowance(comparison, allowed))
    comparison = comparison.model_copy(update={"notes": said, "allowed": tuple(allowed)})
    outputs.show(comparison, line_of)
    if out is not None:
        outputs.write(comparison, out, line_of)
    return status(comparison)


def _advice(comparison: Comparison, known: set[str]) -> list[str]:
    """What to do about all that was not measured."""
    base, head = comparison.base, comparison.head
    missing = comparison.of("not measured", "refused")
    if not missing:
        return []
    notes = [_absence(commit, known) for commit in (base, head) if commit not in known]
    commits = " ".join(commit.removesuffix(DIRTY) for commit in (base, head))
    notes.append(f"measure both, in turns: claimbench gate --measure {commits}")
    return notes


def _allowance(comparison: Comparison, allowed: Sequence[Allowed]) -> list[str]:
    """Never silently: what an exit status of 0 passes over."""
    count = len(comparison.of("not measured", "refused"))
    if "inconclusive" not in allowed or not count:
        return []
    return [f"{count} not measured or refused, which `--allow inconclusive` does not count"]


def _absence(commit: str, known: set[str]) -> str:
    if commit + DIRTY in known:
        return (
            f"{commit[:8]} was measured only with files changed: commit them and measure, or "
            f"compare {commit[:8]}{DIRTY}"
        )
    return f"nothing was measured at {commit[:8]}: no record and no time of it was found"
