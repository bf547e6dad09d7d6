"""Standings: where a claim stands at each of its tiers, and where it stood before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from statistics import fmean

from claimbench.suite import statistics
from claimbench.suite.cells import cells
from claimbench.suite.definitions import Claim, TierName, tier_names
from claimbench.suite.evidence import Evidence
from claimbench.suite.records import Archived, Record, by_commit
from claimbench.suite.rules import Finding, Outcome
from claimbench.suite.statistics import Estimate
from claimbench.suite.verdicts import Verdict, judge

from .history import Commit, Timing

NOWHERE = Commit("", "no commit", "", datetime.max.replace(tzinfo=UTC))
"""Where a claim stands of which nothing was ever measured."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A claim at one commit and tier: of most commits no more than a history shows.

    Attributes:
        records: of the newest commit and of the one that is shown; of others they are let go, and
            with them the verdict's evidence.
        begun: whether there were any.
        values: the leading metric of each method, with its interval.
        seconds: wall time of each method over all cells behind the verdict.
        machines: hosts that measured it.
    """

    commit: Commit
    verdict: Verdict
    records: tuple[Record, ...]
    timings: tuple[Timing, ...]
    begun: bool = False
    values: Mapping[str, Estimate] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    machines: tuple[str, ...] = ()

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
        return self.now.begun and not self.now.measured

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
    records: Archived | Iterable[Record],
    timings: Iterable[Timing],
    commits: Sequence[Commit],
    kept: Sequence[Record] = (),
) -> list[Standings]:
    """Where each claim stands; the newest commit is the last.

    Args:
        records: if by commit, each is asked for once.
        kept: baselines that come with the suite; they fill in what a commit has no record of.
    """
    archive = by_commit(records)
    of_time: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for timing in timings:
        of_time[timing.claim, timing.commit].append(timing)
    baselines = _by_tier(map(_reused, kept))
    books = [
        _Book(claim, tier, baselines.get((claim.id, tier), []))
        for claim in claims
        for tier in tier_names(claim)
    ]
    for commit in reversed(commits or [NOWHERE]):
        found = _by_tier(archive.get(commit.sha, ()))
        for book in books:
            key = (book.claim.id, book.tier)
            book.add(commit, found.get(key, []), of_time.get((book.claim.id, commit.sha), []))
    told = groupby((book.standing for book in books), key=lambda standing: standing.claim.id)
    return [Standings(tiers[0].claim, tiers) for _, group in told for tiers in [tuple(group)]]


def _by_tier(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        found[record.claim, record.tier].append(record)
    return found


def _reused(record: Record) -> Record:
    origin = record.reused_from or record.provenance.commit
    return record.model_copy(update={"reused_from": origin})


class _Book:
    """The history of a claim at one tier, entered from its newest commit backwards."""

    def __init__(self, claim: Claim, tier: TierName, kept: Sequence[Record]):
        self.claim, self.tier, self._kept = claim, tier, kept
        self._cells = cells(claim, tier)
        self._nothing = judge(claim, tier, (), expected=self._cells)
        self._moments: list[Moment] = []
        self._now: Moment | None = None
        self._shown: Moment | None = None

    def add(self, commit: Commit, records: list[Record], timings: list[Timing]) -> None:
        moment = self._moment(commit, records, timings)
        if self._shown is None and moment.measured:
            self._shown = self._whole(moment, records)
            moment = self._shown
        if self._now is None:
            self._now = moment if moment.measured else self._whole(moment, records)
            moment = self._now
        if records or timings:
            self._moments.append(moment)

    def _moment(self, commit: Commit, records: list[Record], timings: list[Timing]) -> Moment:
        if not records:
            machines = dict.fromkeys(timing.machine for timing in timings)
            return Moment(commit, self._nothing, (), tuple(timings), machines=tuple(machines))
        found = [*self._kept, *records]
        verdict = judge(self.claim, self.tier, found, expected=self._cells, brief=True)
        evidence = verdict.evidence
        return Moment(
            commit,
            replace(verdict, evidence=None),
            (),
            tuple(timings),
            begun=True,
            values=_values(evidence) if evidence else {},
            seconds=_seconds(evidence) if evidence else {},
            machines=tuple(dict.fromkeys(map(machine_of, records))),
        )

    def _whole(self, moment: Moment, records: list[Record]) -> Moment:
        """The moment with all that a page of its own shows."""
        found = [*self._kept, *records] if records else []
        verdict = judge(self.claim, self.tier, found, expected=self._cells)
        return replace(moment, verdict=verdict, records=tuple(records))

    @property
    def standing(self) -> Standing:
        assert self._now is not None
        history = tuple(reversed(self._moments))
        return Standing(self.claim, self.tier, self._now, self._shown or self._now, history)


def machine_of(record: Record) -> str:
    known = record.provenance.machine
    return str(known.get("host") or known.get("processor") or "")


def _values(evidence: Evidence) -> dict[str, Estimate]:
    """The leading metric of each method, over trials on data sets."""
    found = {}
    for method in evidence.methods():
        groups: dict[tuple[str, int], list[float]] = defaultdict(list)
        for unit, value in evidence.values(method, evidence.claim.lead).items():
            groups[unit.data, unit.trial].append(value)
        if groups:
            found[method] = statistics.student([fmean(values) for values in groups.values()])
    return found


def _seconds(evidence: Evidence) -> dict[str, float]:
    totals: dict[str, float] = defaultdict(float)
    for record in {row.record.cell: row.record for row in evidence.rows}.values():
        if not record.reused_from:
            totals[record.method] += record.seconds
    return totals
