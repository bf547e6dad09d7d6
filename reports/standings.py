"""Standings: where a claim stands at each of its tiers, and where it stood before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from statistics import fmean
from typing import NamedTuple

from joblib import Parallel, cpu_count, delayed

from claimbench.suite import statistics
from claimbench.suite.cells import cells
from claimbench.suite.definitions import Claim, TierName, tier_names
from claimbench.suite.evidence import Evidence
from claimbench.suite.records import Archived, Record, by_commit
from claimbench.suite.registry import load_plugins
from claimbench.suite.rules import Finding, Outcome
from claimbench.suite.statistics import Estimate
from claimbench.suite.verdicts import Verdict, judge

from .history import Commit, Timing

PAYS = 5000
"""Verdicts that take longer than a process that judges them takes to start."""
NOWHERE = Commit("", "no commit", "", datetime.max.replace(tzinfo=UTC))
"""Where a claim stands of which nothing was ever measured."""


OfTier = Callable[[str], Mapping[tuple[str, str], list[Record]]]
"""From a commit to its records, by claim and tier."""


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
        records: if by commit, each is asked for as seldom as may be.
        kept: baselines that come with the suite; they fill in what a commit has no record of.
    """
    archive = by_commit(records)
    of_time: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for timing in timings:
        of_time[timing.claim, timing.commit].append(timing)
    baselines: dict[str, list[Record]] = defaultdict(list)
    for record in kept:
        baselines[record.claim].append(_reused(record))
    books = [
        # Of all tiers: a cell that two tiers ask for was measured for one of them.
        _Book(claim, tier, baselines[claim.id])
        for claim in claims
        for tier in tier_names(claim)
    ]

    @lru_cache(maxsize=2)
    def of_tier(commit: str) -> Mapping[tuple[str, str], list[Record]]:
        return _by_tier(archive[commit])

    newest_first = list(reversed(commits or [NOWHERE]))
    for commit, entries in zip(newest_first, _entries(books, archive, newest_first), strict=True):
        for book, entry in zip(books, entries, strict=True):
            timed = of_time.get((book.claim.id, commit.sha), ())
            book.add(commit, entry, timed, of_tier)
    told = groupby((book.standing for book in books), key=lambda standing: standing.claim.id)
    return [Standings(tiers[0].claim, tiers) for _, group in told for tiers in [tuple(group)]]


def _entries(
    books: Sequence[_Book], archive: Archived, commits: Sequence[Commit]
) -> Iterator[list[_Entry | None]]:
    """What each book has of each commit; by several processes where that pays for starting them."""
    jobs = min(cpu_count(), len(commits) * len(books) // PAYS)
    if jobs < 2:
        return (_entered(books, archive, commit) for commit in commits)
    parts = (list(commits[place::jobs]) for place in range(jobs))
    found = Parallel(n_jobs=jobs)(delayed(_all_entered)(books, archive, part) for part in parts)
    return (found[place % jobs][place // jobs] for place in range(len(commits)))


def _all_entered(
    books: Sequence[_Book], archive: Archived, commits: Sequence[Commit]
) -> list[list[_Entry | None]]:
    """In a process of its own, which does not yet know the names that plug-ins give."""
    load_plugins()
    return [_entered(books, archive, commit) for commit in commits]


def _entered(books: Sequence[_Book], archive: Archived, commit: Commit) -> list[_Entry | None]:
    found = _by_tier(archive.get(commit.sha, ()))
    return [book.entry(found.get((book.claim.id, book.tier), [])) for book in books]


def _by_tier(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        found[record.claim, record.tier].append(record)
    return found


def _reused(record: Record) -> Record:
    origin = record.reused_from or record.provenance.commit
    return record.model_copy(update={"reused_from": origin})


class _Entry(NamedTuple):
    """What a history has of a claim's records at one commit; see `Moment`."""

    verdict: Verdict
    values: Mapping[str, Estimate]
    seconds: Mapping[str, float]
    machines: tuple[str, ...]


class _Book:
    """The history of a claim at one tier, entered from its newest commit backwards."""

    def __init__(self, claim: Claim, tier: TierName, kept: Sequence[Record]):
        self.claim, self.tier, self._kept = claim, tier, kept
        self._cells = cells(claim, tier)
        self._nothing = judge(claim, tier, (), expected=self._cells)
        self._moments: list[Moment] = []
        self._now: Moment | None = None
        self._shown: Moment | None = None

    def entry(self, records: Sequence[Record]) -> _Entry | None:
        if not records:
            return None
        found = [*self._kept, *records]
        verdict = judge(self.claim, self.tier, found, expected=self._cells, brief=True)
        evidence = verdict.evidence
        return _Entry(
            replace(verdict, evidence=None),
            _values(evidence) if evidence else {},
            _seconds(evidence) if evidence else {},
            tuple(dict.fromkeys(map(machine_of, records))),
        )

    def add(
        self, commit: Commit, entry: _Entry | None, timings: Sequence[Timing], of_tier: OfTier
    ) -> None:
        moment = self._moment(commit, entry, timings)
        if self._now is None or (self._shown is None and moment.measured):
            moment = self._whole(moment, of_tier)
        self._now = self._now or moment
        if self._shown is None and moment.measured:
            self._shown = moment
        if moment.begun or timings:
            self._moments.append(moment)

    def _moment(self, commit: Commit, entry: _Entry | None, timings: Sequence[Timing]) -> Moment:
        if entry is None:
            machines = tuple(dict.fromkeys(timing.machine for timing in timings))
            return Moment(commit, self._nothing, (), tuple(timings), machines=machines)
        return Moment(
            commit, entry.verdict, (), tuple(timings), True, entry.values, entry.seconds,
            entry.machines,
        )  # fmt: skip

    def _whole(self, moment: Moment, of_tier: OfTier) -> Moment:
        """The moment with all that a page of its own shows."""
        if not moment.begun:
            return moment
        records = of_tier(moment.commit.sha)[self.claim.id, self.tier]
        verdict = judge(self.claim, self.tier, [*self._kept, *records], expected=self._cells)
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
