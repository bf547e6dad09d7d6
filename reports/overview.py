"""The overview: one row a claim, what was not measured before all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from claimbench.suite.definitions import Claim, digest
from claimbench.suite.records import Record
from claimbench.suite.rules import Finding, Outcome

from . import (
    bench_records,
    claim_history,
    claim_tables,
    claim_views,
    effects,
    kernel_views,
    tables,
    words,
)
from .bench_records import Lead
from .figures import Interval, Spark
from .history import Commit
from .published import beside
from .standings import Moment, Standing, Standings
from .tables import Table

if TYPE_CHECKING:
    from claimbench.suite.kernel_bench import BenchRecord

ORDER = (Outcome.REFUTED, Outcome.INCONCLUSIVE, Outcome.SUPPORTED, Outcome.NOT_MEASURED)
"""What needs a look stands first."""


@dataclass(frozen=True)
class Missing:
    """Something that was not measured, why, and what would measure it."""

    title: str
    file: str
    what: str
    reason: str
    redo: str


@dataclass(frozen=True)
class Tier:
    """A claim's verdict at a tier that its row is not about."""

    name: str
    outcome: Outcome
    file: str
    at: str


@dataclass(frozen=True)
class Row:
    """A claim on the overview.

    Attributes:
        others: what the row has no room for: the claim's other rules, in words.
        at: the commit of the verdict, and what stands between it and the newest.
        span: effect, interval and published value as a picture.
        trends: effect and runtime across commits, as pictures.
    """

    id: str
    file: str
    title: str
    tags: tuple[str, ...]
    source: str
    source_url: str
    outcome: Outcome
    rule: str
    rule_href: str
    effect: str
    interval: str
    n: str
    why: str
    others: str
    published: tuple[str, ...]
    span: Interval | None
    tier: str
    at: str
    data: str
    stand_in: str
    tiers: tuple[Tier, ...]
    kernel: str
    kernel_file: str
    speed: str
    peer: str
    trends: tuple[Spark, ...]
    trend: str


@dataclass(frozen=True)
class Index:
    """The overview.

    Attributes:
        stamp: what the page speaks for: commit, date, machine, definitions; (name, text).
    """

    counts: tuple[tuple[Outcome, int], ...]
    stamp: tuple[tuple[str, str], ...]
    missing: tuple[Missing, ...]
    rows: tuple[Row, ...]
    table: Table
    commits: Table


def overview(
    found: Sequence[Standings],
    claims: Sequence[Claim],
    commits: Sequence[Commit],
    benches: Sequence[BenchRecord] = (),
    compared: Callable[[str, str], str | None] = lambda base, head: None,
) -> Index:
    """What the first page shows.

    Args:
        compared: the page of two commits, where they have one.
    """
    counted = Counter(standings.best.verdict.outcome for standings in found)
    ordered = sorted(found, key=lambda standings: ORDER.index(standings.best.verdict.outcome))
    ahead = {claim.kernel: bench_records.peer_speed(claim.kernel, benches) for claim in claims}
    rows = tuple(_row(standings, ahead[standings.claim.kernel]) for standings in ordered)
    return Index(
        counts=tuple((outcome, counted[outcome]) for outcome in Outcome),
        stamp=tuple(_stamp(found, claims, commits)),
        missing=tuple(missing for standings in found for missing in _missing(standings)),
        rows=rows,
        table=_table(ordered, rows),
        commits=_commits(commits, compared),
    )


def _stamp(
    found: Sequence[Standings], claims: Sequence[Claim], commits: Sequence[Commit]
) -> list[tuple[str, str]]:
    definitions = digest([claim.model_dump(mode="json") for claim in claims])[:12]
    last = ("Definitions", f"{words.count(len(claims), 'claim')}, digest {definitions}")
    if not commits:
        return [("Commit", "nothing measured yet"), last]
    newest = commits[-1]
    subject = f" {newest.subject}" if newest.subject else ""
    now = (record for s in found for tier in s.tiers for record in tier.now.records)
    machines = dict.fromkeys(_machine(record) for record in now)
    return [
        ("Newest commit", f"{newest.short}{subject}"),
        ("Date", newest.date.date().isoformat()),
        ("Machine", "; ".join(machines) or words.NOTHING),
        last,
    ]


def _machine(record: Record) -> str:
    known = record.provenance.machine
    parts = [str(known[key]) for key in ("host", "processor", "system") if known.get(key)]
    if known.get("cores"):
        parts.append(words.count(int(known["cores"]), "core"))
    if record.provenance.device != "cpu":
        parts.append(record.provenance.device)
    return ", ".join(parts)


def _missing(standings: Standings) -> list[Missing]:
    """A claim without a verdict at the newest commit, and tiers begun there and not finished."""
    claim = standings.claim
    tiers = [standing for standing in standings.tiers if standing.begun]
    if not tiers and not any(standing.now.measured for standing in standings.tiers):
        tiers = [standings.tiers[0]]
    return [
        Missing(
            title=claim.title,
            file=claim_views.file_of(claim.id),
            what=f"tier {standing.tier}",
            reason=standing.now.verdict.reason + _before(standing),
            redo=claim_tables.redo(claim, standing.tier),
        )
        for standing in tiers
    ]


def _before(standing: Standing) -> str:
    """Where a tier that is not measured now last was."""
    if not standing.shown.measured:
        return ""
    return f"; last {standing.verdict.outcome} at {standing.shown.commit.short}"


def _row(standings: Standings, ahead: Lead | None) -> Row:
    claim, best = standings.claim, standings.best
    verdict, tier = best.verdict, best.tier
    label, finding = best.leading or ("", None)
    # As the claim itself has it: a tier may replace a rule's arguments by what its data allow.
    call = claim.rules[label or next(iter(claim.rules_of(tier)))]
    file, trending = claim_views.file_of(claim.id), _trending(standings)
    return Row(
        id=claim.id,
        file=file,
        title=claim.title,
        tags=claim.tags,
        source=claim_views.source_of(claim),
        source_url=claim.source.url,
        outcome=verdict.outcome,
        rule=label,
        rule_href=f"{file}#rule-{label}",
        effect=words.effect(finding.effect, finding.unit) if finding else "",
        interval=_interval(finding),
        n=f"n = {finding.n:,} {finding.over}" if finding else "",
        why=verdict.reason,
        others=_others(best),
        published=tuple(beside(claim, call)),
        span=effects.interval(claim, label, call, finding),
        tier=tier,
        at="" if best.current or not best.shown.measured else f"at {best.shown.commit.short}",
        data=_data(best),
        stand_in=claim.tiers[tier].stand_in,
        tiers=tuple(_tier(standings, s) for s in standings.tiers if s is not best),
        kernel=claim.kernel,
        kernel_file=kernel_views.file_of(claim.kernel),
        speed=_speed(best),
        peer=_peer(ahead),
        trends=tuple(claim_history.sparks(trending)),
        trend=_trend(trending),
    )


def _tier(standings: Standings, standing: Standing) -> Tier:
    at = standing.shown.commit.short if standing.shown.measured and not standing.current else ""
    page = claim_tables.page_of(standings, standing)
    return Tier(standing.tier, standing.verdict.outcome, page, at)


def _interval(finding: Finding | None) -> str:
    if finding is None:
        return ""
    return words.interval(*finding.interval, finding.n, finding.unit)


def _data(standing: Standing) -> str:
    measured = ", ".join(claim_tables.data_of(standing.verdict))
    return measured or words.plain(standing.claim.tiers[standing.tier].data)


def _speed(standing: Standing) -> str:
    timed = next((moment for moment in reversed(standing.history) if moment.timings), None)
    found = kernel_views.speed(standing.claim, standing.tier, timed.timings) if timed else None
    return str(found) if found else "not timed"


def _peer(lead: Lead | None) -> str:
    if lead is None or lead.over_peer is None:
        return ""
    return f"{words.times(lead.over_peer)} the best peer, {lead.peer}, on {lead.backend}"


def _others(standing: Standing) -> str:
    """The rules that the row has no room for."""
    rest = dict(standing.verdict.findings)
    if standing.leading is None or len(rest) < 2:
        return ""
    del rest[standing.leading[0]]
    counts = Counter(str(finding.outcome) for finding in rest.values())
    told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    return f"{words.count(len(rest), 'other rule')}: {told}"


def _trending(standings: Standings) -> Standing:
    """The tier that was measured at the most commits; of equals the largest."""
    return max(reversed(standings.tiers), key=lambda standing: len(_measured(standing)))


def _measured(standing: Standing) -> list[Moment]:
    return [moment for moment in standing.history if moment.verdict.findings]


def _trend(standing: Standing) -> str:
    """Change of effect and runtime since the commit before, in words."""
    measured = _measured(standing)
    if standing.leading is None:
        return ""
    if len(measured) < 2:
        return f"{standing.tier}: first measurement"
    before, now = measured[-2:]
    label, finding = standing.leading
    parts = []
    if label in before.verdict.findings and label in now.verdict.findings:
        change = now.verdict.findings[label].effect - before.verdict.findings[label].effect
        parts.append(f"effect {words.effect(change, finding.unit)}")
    then, today = (
        kernel_views.speed(standing.claim, standing.tier, m.timings) for m in measured[-2:]
    )
    if then and today and then.shape == today.shape:
        parts.append(f"kernel time {words.times(today.seconds / then.seconds)}")
    said = ", ".join(parts) or "nothing to compare"
    ends = f"{now.commit.short} since {before.commit.short}"
    return f"{standing.tier}, {_since(measured)}; {ends}: {said}"


def _since(measured: Sequence[Moment]) -> str:
    """The verdict, and the first commit from which on it was the same."""
    outcome = measured[-1].verdict.outcome
    same = takewhile(lambda moment: moment.verdict.outcome == outcome, reversed(measured))
    *_, first = same
    return f"{outcome} since {first.commit.short}"


def _table(found: Sequence[Standings], shown: Sequence[Row]) -> Table:
    """The overview as a file; its page shows the same in a form of its own."""
    head = tables.columns(
        "claim", "title", "verdict", "rule", "effect", "95% interval", "n", "tier", "commit",
        "data", "stand-in", "kernel", "speed", "published", "source",
    )  # fmt: skip
    rows = tuple(
        (
            tables.text(row.id),
            tables.text(row.title),
            tables.verdict(row.outcome),
            *claim_tables.effect_cells(*(standings.best.leading or ("", None))),
            tables.text(row.tier),
            tables.text(standings.best.shown.commit.sha),
            tables.text(row.data),
            tables.text(row.stand_in),
            tables.text(row.kernel),
            tables.text(row.speed),
            tables.text("; ".join(row.published)),
            tables.text(row.source_url),
        )
        for standings, row in zip(found, shown, strict=True)
    )
    return Table("claims", "Every claim with its verdict", head, rows)


def _commits(commits: Sequence[Commit], compared: Callable[[str, str], str | None]) -> Table:
    before = [None, *commits]
    rows = tuple(
        (*kernel_views.commit_cells(commit), kernel_views.comparison_cell(last, commit, compared))
        for last, commit in reversed(list(zip(before, commits, strict=False)))
    )
    head = tables.columns("commit", "date", "subject", "comparison")
    caption = "Commits that something was measured at, newest first"
    return Table("commits", caption, head, rows, kernel_views.PAGE, further="Older commits")
