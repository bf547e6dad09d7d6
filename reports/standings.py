"""Standings: where a claim stands at the newest commit, and where it stood at those before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from claimbench.suite.definitions import Claim, TierName, tier_names
from claimbench.suite.records import Record
from claimbench.suite.rules import Finding, Outcome
from claimbench.suite.verdicts import Verdict, judge

from .history import Commit, Timing


@dataclass(frozen=True)
class Moment:
    """A claim at one commit."""

    commit: Commit
    verdict: Verdict
    records: tuple[Record, ...]
    timings: tuple[Timing, ...]


@dataclass(frozen=True)
class Standing:
    """A claim at the newest commit, by tier, and at every commit at the tier that is shown.

    Attributes:
        tier: the largest that is measured at the newest commit, or else the smallest there is.
        verdicts: at the newest commit.
        records: of the claim at the newest commit, all tiers.
        history: in the order of commits; those at which nothing of the claim was measured are out.
    """

    claim: Claim
    tier: TierName
    verdicts: Mapping[TierName, Verdict]
    records: tuple[Record, ...]
    history: tuple[Moment, ...]

    @property
    def verdict(self) -> Verdict:
        return self.verdicts[self.tier]

    @property
    def leading(self) -> tuple[str, Finding] | None:
        """The rule that decides, and what it found: the first with the verdict's own outcome."""
        found = self.verdict.findings
        deciding = [label for label in found if found[label].outcome == self.verdict.outcome]
        for label in (*deciding, *found):
            return label, found[label]
        return None

    @property
    def started(self) -> list[TierName]:
        """Tiers of which the newest commit has records, but not all."""
        begun = {record.tier for record in self.records}
        return [tier for tier in self.verdicts if tier in begun and not _measured(self, tier)]


def _measured(standing: Standing, tier: TierName) -> bool:
    return standing.verdicts[tier].outcome != Outcome.NOT_MEASURED


def standings(
    claims: Sequence[Claim],
    records: Sequence[Record],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
) -> list[Standing]:
    """Where each claim stands; the newest commit is the last."""
    of_cell: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        of_cell[record.claim, record.provenance.commit].append(record)
    of_time: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for timing in timings:
        of_time[timing.claim, timing.commit].append(timing)
    return [_standing(claim, of_cell, of_time, commits) for claim in claims]


def _standing(
    claim: Claim,
    records: Mapping[tuple[str, str], list[Record]],
    timings: Mapping[tuple[str, str], list[Timing]],
    commits: Sequence[Commit],
) -> Standing:
    newest = commits[-1].sha if commits else ""
    latest = tuple(records.get((claim.id, newest), ()))
    tiers = list(tier_names(claim))
    verdicts = {tier: judge(claim, tier, latest) for tier in tiers}
    measured = [tier for tier in tiers if verdicts[tier].outcome != Outcome.NOT_MEASURED]
    shown = measured[-1] if measured else tiers[0]
    moments = []
    for commit in commits:
        then = tuple(records.get((claim.id, commit.sha), ()))
        timed = tuple(timings.get((claim.id, commit.sha), ()))
        if then or timed:
            known = verdicts[shown] if commit.sha == newest else judge(claim, shown, then)
            moments.append(Moment(commit, known, then, timed))
    return Standing(claim, shown, verdicts, latest, tuple(moments))
