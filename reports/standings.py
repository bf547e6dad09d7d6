"""Standings: where a claim stands at each of its tiers, and where it stood before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from claimbench.suite.definitions import Claim, TierName, tier_names
from claimbench.suite.records import Record
from claimbench.suite.rules import Finding, Outcome
from claimbench.suite.verdicts import Verdict, judge

from .history import Commit, Timing

NOWHERE = Commit("", "no commit", "", datetime.max.replace(tzinfo=UTC))
"""Where a claim stands of which nothing was ever measured."""


@dataclass(frozen=True)
class Moment:
    """A claim at one commit and tier."""

    commit: Commit
    verdict: Verdict
    records: tuple[Record, ...]
    timings: tuple[Timing, ...]

    @property
    def measured(self) -> bool:
        return self.verdict.outcome != Outcome.NOT_MEASURED


@dataclass(frozen=True)
class Standing:
    """A claim at one tier.

    Attributes:
        now: at the newest commit of all, whether or not the tier was measured there.
        shown: at the newest commit that has all of the tier; `now` where none has.
        history: in the order of commits; those at which nothing of the tier was measured, nor the
            kernel timed, are out.
    """

    claim: Claim
    tier: TierName
    now: Moment
    shown: Moment
    history: tuple[Moment, ...]

    @property
    def verdict(self) -> Verdict:
        return self.shown.verdict

    @property
    def records(self) -> tuple[Record, ...]:
        return self.shown.records

    @property
    def current(self) -> bool:
        """Whether the verdict is of the newest commit."""
        return self.shown is self.now

    @property
    def begun(self) -> bool:
        """Whether the newest commit has records of the tier, but not all."""
        return bool(self.now.records) and not self.now.measured

    @property
    def leading(self) -> tuple[str, Finding] | None:
        """The rule that decides, and what it found: the first with the verdict's own outcome."""
        found = self.verdict.findings
        deciding = [label for label in found if found[label].outcome == self.verdict.outcome]
        for label in (*deciding, *found):
            return label, found[label]
        return None


@dataclass(frozen=True)
class Standings:
    """A claim at all of its tiers, the smallest first."""

    claim: Claim
    tiers: tuple[Standing, ...]

    @property
    def best(self) -> Standing:
        """The largest tier that was ever measured in whole, else the smallest there is."""
        measured = [standing for standing in self.tiers if standing.shown.measured]
        return measured[-1] if measured else self.tiers[0]


def standings(
    claims: Sequence[Claim],
    records: Sequence[Record],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
    kept: Sequence[Record] = (),
) -> list[Standings]:
    """Where each claim stands; the newest commit is the last.

    Args:
        kept: baselines that come with the suite; they fill in what a commit has no record of.
    """
    of_tier: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in kept:
        origin = record.provenance.commit
        reused = record.model_copy(update={"reused_from": record.reused_from or origin})
        of_tier[record.claim, record.tier].append(reused)
    of_cell: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        of_cell[record.claim, record.tier, record.provenance.commit].append(record)
    of_time: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for timing in timings:
        of_time[timing.claim, timing.commit].append(timing)
    return [
        Standings(
            claim,
            tuple(
                _standing(claim, tier, of_cell, of_time, commits, of_tier[claim.id, tier])
                for tier in tier_names(claim)
            ),
        )
        for claim in claims
    ]


def _standing(
    claim: Claim,
    tier: TierName,
    records: Mapping[tuple[str, str, str], list[Record]],
    timings: Mapping[tuple[str, str], list[Timing]],
    commits: Sequence[Commit],
    kept: Sequence[Record],
) -> Standing:
    nothing = judge(claim, tier, ())
    moments = []
    for commit in commits or [NOWHERE]:
        then = tuple(records.get((claim.id, tier, commit.sha), ()))
        timed = tuple(timings.get((claim.id, commit.sha), ()))
        verdict = judge(claim, tier, [*kept, *then]) if then else nothing
        moments.append(Moment(commit, verdict, then, timed))
    now = moments[-1]
    shown = next((moment for moment in reversed(moments) if moment.measured), now)
    told = tuple(moment for moment in moments if moment.records or moment.timings)
    return Standing(claim, tier, now, shown, told)
