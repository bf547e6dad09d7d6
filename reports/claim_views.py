"""Claim pages: what was claimed, how it was tested, what came out, and the rows behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from claimbench.suite.definitions import Call, Claim
from claimbench.suite.rules import Finding, Outcome, rule
from claimbench.suite.solving import untrusted
from claimbench.suite.verdicts import Verdict

from . import (
    claim_figures,
    claim_history,
    claim_ranks,
    claim_tables,
    effects,
    kernel_views,
    tables,
    words,
)
from .claim_tables import file_of
from .figures import Figure, Interval
from .published import published_table
from .published_grid import grid
from .standings import Standing, Standings
from .tables import Table

__all__ = ["ClaimPage", "RuleView", "claim_pages", "file_of", "source_of"]


@dataclass(frozen=True)
class RuleView:
    """What a rule asks, and what it found; `found` is empty where it could not be applied.

    Attributes:
        span: the effect with its interval as a picture.
    """

    label: str
    outcome: Outcome
    about: str
    call: str
    found: tuple[tuple[str, str], ...]
    span: Interval | None
    breakdown: Table | None


@dataclass(frozen=True)
class ClaimPage:
    """What the page of a claim shows.

    Attributes:
        state: tier, data and stand-in of what is shown, as (name, text).
        reason: why no rule could be applied; empty where they were.
        others: the claim's other tiers: (tier, verdict, link).
        earlier: said where the verdict is not of the newest commit; else empty.
        redo: the command that measures it again.
    """

    id: str
    file: str
    title: str
    tags: tuple[str, ...]
    outcome: Outcome
    reason: str
    earlier: str
    others: tuple[tuple[str, Outcome, str], ...]
    stand_in: str
    state: tuple[tuple[str, str], ...]
    source: str
    source_url: str
    locator: str
    statement: str
    quoted: bool
    notes: tuple[str, ...]
    kernel: str
    kernel_file: str
    rules: tuple[RuleView, ...]
    figures: tuple[Figure, ...]
    history: Figure | None
    calls: Table
    tiers: Table
    grid: Table | None
    published: Table
    measured: Table
    comparisons: tuple[Table, ...]
    across: Table
    rows: Table
    redo: str


def source_of(claim: Claim) -> str:
    return f"{claim.source.paper}, {claim.source.locator}"


def claim_pages(standings: Standings) -> list[ClaimPage]:
    """A page for the best tier, and one for each other tier that was ever measured in whole."""
    told = [s for s in standings.tiers if claim_tables.page_of(standings, s)]
    return [_page(standings, standing) for standing in told]


def _page(standings: Standings, standing: Standing) -> ClaimPage:
    claim, verdict = standing.claim, standing.verdict
    return ClaimPage(
        id=claim.id,
        file=claim_tables.page_of(standings, standing),
        title=claim.title,
        tags=claim.tags,
        outcome=verdict.outcome,
        reason=verdict.reason,
        earlier=_earlier(standing),
        others=tuple(_others(standings, standing)),
        stand_in=claim.tiers[standing.tier].stand_in,
        state=tuple(_state(standing)),
        source=f"{claim.source.authors}: {claim.source.paper} ({claim.source.identifier})",
        source_url=claim.source.url,
        locator=claim.source.locator,
        statement=claim.source.statement,
        quoted=not claim.source.paraphrase,
        notes=tuple(part for part in claim.notes.strip().split("\n\n") if part),
        kernel=claim.kernel,
        kernel_file=kernel_views.file_of(claim.kernel),
        rules=tuple(_rules(claim, verdict)),
        figures=tuple(claim_figures.fitting(standing)),
        history=claim_history.history(standing),
        calls=claim_tables.calls(claim, standing.tier),
        tiers=claim_tables.tiers(standings),
        grid=grid(claim, verdict),
        published=published_table(claim, verdict),
        measured=claim_tables.measured(verdict),
        comparisons=claim_ranks.comparisons(verdict),
        across=claim_tables.across(standing),
        rows=claim_tables.rows_behind(standing),
        redo=claim_tables.redo(claim, standing.tier),
    )


def _earlier(standing: Standing) -> str:
    if standing.current or not standing.shown.measured:
        return ""
    newest, then = standing.now.commit.short, standing.shown.commit
    lacking = "in part" if standing.begun else "not at all"
    return f"Measured at {then.short} {then.subject}; at the newest commit, {newest}, {lacking}."


def _others(standings: Standings, standing: Standing) -> Iterator[tuple[str, Outcome, str]]:
    for other in standings.tiers:
        if other is not standing and (file := claim_tables.page_of(standings, other)):
            yield other.tier, other.verdict.outcome, file.removeprefix("claims/")


def _state(standing: Standing) -> list[tuple[str, str]]:
    verdict, asked = standing.verdict, standing.claim.tiers[standing.tier]
    reused = f", {verdict.reused} measured at another commit" if verdict.reused else ""
    doubt = untrusted(row.score for row in verdict.evidence.rows) if verdict.evidence else ""
    return [
        ("Tier", standing.tier),
        ("Commit", standing.shown.commit.short),
        (
            "Data",
            ", ".join(claim_tables.data_of(verdict)) if verdict.data else words.plain(asked.data),
        ),
        ("Trials", str(asked.trials)),
        ("Cells", f"{verdict.expected:,} wanted{reused}"),
        *([("Weights", doubt)] if doubt else []),
    ]


def _rules(claim: Claim, verdict: Verdict) -> list[RuleView]:
    return [
        _rule(label, call, verdict.findings.get(label), verdict)
        for label, call in claim.rules_of(verdict.tier).items()
    ]


def _rule(label: str, call: Call, finding: Finding | None, verdict: Verdict) -> RuleView:
    known = call.name in rule
    about = words.first_paragraph(rule[call.name].function.__doc__) if known else ""
    return RuleView(
        label=label,
        outcome=finding.outcome if finding else verdict.outcome,
        about=about.replace("`", ""),
        call=f"{call.name}: {words.facts(call.arguments)}",
        found=tuple(_found(finding, call)) if finding else (),
        span=effects.interval(verdict.claim, label, verdict.claim.rules[label], finding),
        breakdown=_breakdown(label, finding) if finding and finding.breakdown else None,
    )


def _found(finding: Finding, call: Call) -> list[tuple[str, str]]:
    found = [
        ("Effect", words.effect(finding.effect, finding.unit)),
        ("95% interval", words.interval(*finding.interval, finding.n, finding.unit)),
        ("n", f"{finding.n:,} {finding.over}"),
        ("Supported if the interval is", _wanted(finding, call)),
    ]
    if finding.against:
        found.append(("Against", finding.against))
    return [*found, *_tests(finding.tests)]


def _wanted(finding: Finding, call: Call) -> str:
    above, below = (call.arguments.get(end) for end in ("above", "below"))
    if below is None:
        return f"above {words.effect(finding.threshold, finding.unit)}"
    if above is None:
        return f"below {words.number(finding.threshold)}"
    return f"between {words.number(above)} and {words.number(below)}"


def _tests(found: Mapping[str, float]) -> list[tuple[str, str]]:
    rest = dict(found)
    shown = []
    if {"wins", "ties", "losses"} <= rest.keys():
        counts = (f"{words.number(rest.pop(name))} {name}" for name in ("wins", "ties", "losses"))
        shown.append(("Paired", ", ".join(counts)))
    if "wilcoxon_p" in rest:
        shown.append(("Wilcoxon signed-rank p", words.p_value(rest.pop("wilcoxon_p"))))
    return [*shown, *((name, words.number(value)) for name, value in rest.items())]


def _breakdown(label: str, finding: Finding) -> Table:
    head = tables.columns("part", "effect", "95% interval", "n", numeric=("effect", "n"))
    rows = tuple(
        (
            tables.text(part),
            tables.amount(effect, words.effect(effect, finding.unit)),
            tables.interval(*interval, words.interval(*interval, n, finding.unit)),
            tables.amount(n, f"{n:,}"),
        )
        for part, effect, interval, n in finding.breakdown
    )
    return Table(f"rule-{label}-parts", f"{label}: the effect part by part", head, rows)
