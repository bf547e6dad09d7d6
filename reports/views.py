"""What the pages show: every number, word and figure is decided here, none in a template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimbench.suite.definitions import Claim, digest
from claimbench.suite.records import Record
from claimbench.suite.rules import Finding, Outcome

from . import claim_history, claim_tables, claim_views, kernel_views, results, tables, words
from .claim_views import ClaimPage
from .figures import Spark
from .history import Commit, Timing
from .kernel_views import KernelPage
from .published import beside
from .standings import Standing, standings
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
class Row:
    """A claim on the overview."""

    id: str
    file: str
    title: str
    tags: str
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
    tier: str
    data: str
    stand_in: str
    kernel: str
    kernel_file: str
    speed: str
    spark: Spark | None
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


@dataclass(frozen=True)
class Report:
    index: Index
    claims: tuple[ClaimPage, ...]
    kernels: tuple[KernelPage, ...]
    results: dict[str, Any]


def report(
    claims: Sequence[Claim],
    records: Sequence[Record],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
    benches: Sequence[BenchRecord] = (),
) -> Report:
    """The whole report, from what was measured; the last of the commits is judged."""
    found = standings(claims, records, timings, commits)
    links = {claim.id: claim_views.file_of(claim.id) for claim in claims}
    return Report(
        index=_index(found, claims, commits),
        claims=tuple(claim_views.claim_page(standing) for standing in found),
        kernels=tuple(kernel_views.kernel_pages(claims, timings, commits, links, benches)),
        results=results.as_json(found, commits),
    )


def _index(found: Sequence[Standing], claims: Sequence[Claim], commits: Sequence[Commit]) -> Index:
    counted = Counter(standing.verdict.outcome for standing in found)
    ordered = sorted(found, key=lambda standing: ORDER.index(standing.verdict.outcome))
    return Index(
        counts=tuple((outcome, counted[outcome]) for outcome in Outcome),
        stamp=tuple(_stamp(found, claims, commits)),
        missing=tuple(missing for standing in found for missing in _missing(standing)),
        rows=tuple(map(_row, ordered)),
        table=_table(ordered),
        commits=_commits(commits),
    )


def _stamp(
    found: Sequence[Standing], claims: Sequence[Claim], commits: Sequence[Commit]
) -> list[tuple[str, str]]:
    definitions = digest([claim.model_dump(mode="json") for claim in claims])[:12]
    last = ("Definitions", f"{words.count(len(claims), 'claim')}, digest {definitions}")
    if not commits:
        return [("Commit", "nothing measured yet"), last]
    newest = commits[-1]
    subject = f" {newest.subject}" if newest.subject else ""
    records = [record for standing in found for record in standing.records]
    machines = dict.fromkeys(_machine(record) for record in records)
    return [
        ("Commit", f"{newest.short}{subject}"),
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


def _missing(standing: Standing) -> list[Missing]:
    """A claim without any verdict, and each tier that was begun and not finished."""
    claim = standing.claim
    tiers = standing.started
    if standing.verdict.outcome == Outcome.NOT_MEASURED and not tiers:
        tiers = [standing.tier]
    return [
        Missing(
            title=claim.title,
            file=claim_views.file_of(claim.id),
            what=f"tier {tier}",
            reason=standing.verdicts[tier].reason + _before(standing),
            redo=claim_tables.redo(claim, tier),
        )
        for tier in tiers
    ]


def _before(standing: Standing) -> str:
    """Where a claim without a verdict last had one."""
    for moment in reversed(standing.history):
        if moment.verdict.outcome != Outcome.NOT_MEASURED:
            return f"; last {moment.verdict.outcome} at {moment.commit.short}"
    return ""


def _row(standing: Standing) -> Row:
    claim, verdict = standing.claim, standing.verdict
    label, finding = standing.leading or ("", None)
    # As the claim itself has it: a tier may replace a rule's arguments by what its data allow.
    call = claim.rules[label or next(iter(claim.rules_of(standing.tier)))]
    spark = claim_history.effect_spark(standing)
    speed = _speed(standing)
    return Row(
        id=claim.id,
        file=claim_views.file_of(claim.id),
        title=claim.title,
        tags=" ".join(claim.tags),
        source=claim_views.source_of(claim),
        source_url=claim.source.url,
        outcome=verdict.outcome,
        rule=label,
        rule_href=f"{claim_views.file_of(claim.id)}#rule-{label}",
        effect=words.effect(finding.effect, finding.unit) if finding else "",
        interval=_interval(finding),
        n=f"n = {finding.n:,} {finding.over}" if finding else "",
        why=verdict.reason,
        others=_others(standing),
        published=tuple(beside(claim, call)),
        tier=standing.tier,
        data=_data(standing),
        stand_in=claim.tiers[standing.tier].stand_in,
        kernel=claim.kernel,
        kernel_file=kernel_views.file_of(claim.kernel),
        speed=speed,
        spark=spark,
        trend=_trend(standing),
    )


def _interval(finding: Finding | None) -> str:
    if finding is None:
        return ""
    return words.interval(*finding.interval, finding.n, finding.unit)


def _data(standing: Standing) -> str:
    measured = ", ".join(claim_tables.data_of(standing.verdict))
    return measured or words.plain(standing.claim.tiers[standing.tier].data)


def _speed(standing: Standing) -> str:
    now = standing.history[-1] if standing.history else None
    found = kernel_views.speed(standing.claim, standing.tier, now.timings) if now else None
    return str(found) if found else "not timed"


def _others(standing: Standing) -> str:
    """The rules that the row has no room for."""
    rest = dict(standing.verdict.findings)
    if standing.leading is None or len(rest) < 2:
        return ""
    del rest[standing.leading[0]]
    counts = Counter(str(finding.outcome) for finding in rest.values())
    told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    return f"{words.count(len(rest), 'other rule')}: {told}"


def _trend(standing: Standing) -> str:
    """Change of effect and runtime since the commit before, in words."""
    measured = [moment for moment in standing.history if moment.verdict.findings]
    if standing.leading is None:
        return ""
    if len(measured) < 2:
        return "first measurement"
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
    return f"since {before.commit.short}: {', '.join(parts) or 'nothing to compare'}"


def _table(found: Sequence[Standing]) -> Table:
    """The overview as a file; its page shows the same in a form of its own."""
    head = tables.columns(
        "claim", "title", "verdict", "rule", "effect", "95% interval", "n", "tier", "data",
        "stand-in", "kernel", "speed", "published", "source",
    )  # fmt: skip
    rows = tuple(
        (
            tables.text(row.id),
            tables.text(row.title),
            tables.verdict(row.outcome),
            *claim_tables.effect_cells(*(standing.leading or ("", None))),
            tables.text(row.tier),
            tables.text(row.data),
            tables.text(row.stand_in),
            tables.text(row.kernel),
            tables.text(row.speed),
            tables.text("; ".join(row.published)),
            tables.text(row.source_url),
        )
        for standing in found
        for row in [_row(standing)]
    )
    return Table("claims", "Every claim with its verdict", head, rows)


def _commits(commits: Sequence[Commit]) -> Table:
    rows = tuple(kernel_views.commit_cells(commit) for commit in reversed(commits))
    head = tables.columns("commit", "date", "subject")
    return Table("commits", "Commits that something was measured at, newest first", head, rows)
