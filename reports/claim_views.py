"""Claim pages: what was claimed, how it was tested, what came out, and the rows behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from claimbench.suite.definitions import Call, Claim, TierName
from claimbench.suite.evaluation import method, protocol
from claimbench.suite.evidence import Evidence, Row
from claimbench.suite.records import Record
from claimbench.suite.registry import Registry
from claimbench.suite.rules import Finding, Outcome, rule
from claimbench.suite.verdicts import Verdict

from . import claim_figures, kernel_views, tables, words
from .figures import Figure
from .kernel_views import commit_cells
from .published import interval_cell, mean_of, published_table
from .standings import Moment, Standing
from .tables import Cell, Table


@dataclass(frozen=True)
class RuleView:
    """What a rule asks, and what it found; `found` is empty where it could not be applied."""

    label: str
    outcome: Outcome
    about: str
    call: str
    found: tuple[tuple[str, str], ...]
    breakdown: Table | None


@dataclass(frozen=True)
class ClaimPage:
    """What the page of a claim shows.

    Attributes:
        state: tier, data and stand-in of what is shown, as (name, text).
        reason: why no rule could be applied; empty where they were.
        redo: the command that measures it again.
    """

    id: str
    file: str
    title: str
    tags: tuple[str, ...]
    outcome: Outcome
    reason: str
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
    published: Table
    measured: Table
    across: Table
    rows: Table
    redo: str


def file_of(claim: str) -> str:
    return f"claims/{words.slug(claim)}.html"


def source_of(claim: Claim) -> str:
    return f"{claim.source.paper}, {claim.source.locator}"


def redo(claim: Claim, tier: TierName) -> str:
    return f"claimbench run {claim.id} --tier {tier}"


def claim_page(standing: Standing) -> ClaimPage:
    claim, verdict = standing.claim, standing.verdict
    return ClaimPage(
        id=claim.id,
        file=file_of(claim.id),
        title=claim.title,
        tags=claim.tags,
        outcome=verdict.outcome,
        reason=verdict.reason,
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
        history=claim_figures.history(standing),
        calls=_calls(claim, standing.tier),
        tiers=_tiers(standing),
        published=published_table(claim, verdict),
        measured=_measured(verdict),
        across=_across(standing),
        rows=_rows(standing),
        redo=redo(claim, standing.tier),
    )


def _state(standing: Standing) -> list[tuple[str, str]]:
    verdict, asked = standing.verdict, standing.claim.tiers[standing.tier]
    reused = f", {verdict.reused} measured at another commit" if verdict.reused else ""
    return [
        ("Tier", standing.tier),
        ("Data", ", ".join(data_of(verdict)) if verdict.data else words.plain(asked.data)),
        ("Trials", str(asked.trials)),
        ("Cells", f"{verdict.expected:,} wanted{reused}"),
    ]


def data_of(verdict: Verdict) -> list[str]:
    """What was measured on; many sets are counted rather than named."""
    names = [name for name in verdict.data if name]
    return names if len(names) <= 3 else [f"{len(names)} data sets ({names[0]} to {names[-1]})"]


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
        breakdown=_breakdown(label, finding) if finding and finding.breakdown else None,
    )


def _found(finding: Finding, call: Call) -> list[tuple[str, str]]:
    side = "below" if "below" in call.arguments else "above"
    plain = "below" in call.arguments
    wanted = (
        words.number(finding.threshold) if plain else words.effect(finding.threshold, finding.unit)
    )
    found = [
        ("Effect", words.effect(finding.effect, finding.unit)),
        ("95% interval", words.interval(*finding.interval, finding.n, finding.unit)),
        ("n", f"{finding.n:,} {finding.over}"),
        ("Supported if the interval is", f"{side} {wanted}"),
    ]
    if finding.against:
        found.append(("Against", finding.against))
    return [*found, *_tests(finding.tests)]


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


def _calls(claim: Claim, tier: TierName) -> Table:
    """How it was tested: protocols and methods as the claim file calls them."""
    head = tables.columns("label", "is a", "function", "arguments", "in words")
    protocols, methods = claim.protocols_of(tier), claim.methods_of(tier)
    rows = (
        *(_call("protocol", label, call, protocol) for label, call in protocols.items()),
        *(_call("method", label, call, method) for label, call in methods.items()),
    )
    return Table("calls", f"Protocols and methods of tier {tier}", head, tuple(rows))


def _call(noun: str, label: str, call: Call, registry: Registry[Any]) -> tuple[Cell, ...]:
    docstring = registry[call.name].function.__doc__ if call.name in registry else ""
    return (
        tables.text(label),
        tables.text(noun),
        tables.text(call.name),
        tables.text(words.facts(call.arguments)),
        tables.text(words.first_paragraph(docstring).replace("`", "")),
    )


def _tiers(standing: Standing) -> Table:
    head = tables.columns(
        "tier", "verdict", "rule", "effect", "95% interval", "n", "data", "trials", "why not",
        "command", numeric=("effect", "n", "trials"),
    )  # fmt: skip
    rows = tuple(
        row for verdict in standing.verdicts.values() for row in _tier_rows(standing.claim, verdict)
    )
    return Table("tiers", "Every tier at the newest commit", head, rows)


def _tier_rows(claim: Claim, verdict: Verdict) -> list[tuple[Cell, ...]]:
    asked = claim.tiers[verdict.tier]
    data = ", ".join(data_of(verdict)) or words.plain(asked.data)
    if asked.stand_in:
        data += f" (stand-in: {asked.stand_in})"
    end = (
        tables.text(data),
        tables.amount(asked.trials, str(asked.trials)),
        tables.text(verdict.reason),
        tables.text(redo(claim, verdict.tier)),
    )
    found = verdict.findings.items() or [("", None)]
    return [
        (
            tables.text(verdict.tier),
            tables.verdict(finding.outcome if finding else verdict.outcome),
            *effect_cells(label, finding),
            *end,
        )
        for label, finding in found
    ]


def effect_cells(label: str, finding: Finding | None) -> tuple[Cell, Cell, Cell, Cell]:
    """A rule's label, effect, interval and n."""
    if finding is None:
        nothing = tables.text("")
        return nothing, nothing, nothing, nothing
    return (
        tables.text(label),
        tables.amount(finding.effect, words.effect(finding.effect, finding.unit)),
        tables.interval(
            *finding.interval, words.interval(*finding.interval, finding.n, finding.unit)
        ),
        tables.amount(finding.n, f"{finding.n:,} {finding.over}"),
    )


def _measured(verdict: Verdict) -> Table:
    """Each method at each point, over data sets or trials."""
    claim = verdict.claim
    head = tables.columns(
        "method", "protocol", "at", *(f"{metric}" for metric in claim.metrics),
        "95% interval", "n", numeric=(*claim.metrics, "n"),
    )  # fmt: skip
    rows = tuple(_measured_rows(claim, verdict.evidence)) if verdict.evidence else ()
    caption = f"Measured values; the interval is that of {claim.lead}"
    return Table("measured", caption, head, rows, limit=150)


def _measured_rows(claim: Claim, evidence: Evidence) -> list[tuple[Cell, ...]]:
    points: dict[tuple[str, str, str], Row] = {}
    for row in evidence.rows:
        at = words.facts({**row.score.at, **row.score.variant})
        points.setdefault((row.record.method, row.record.protocol, at), row)
    return [_measured_row(claim, evidence, row, at) for (_, _, at), row in points.items()]


def _measured_row(claim: Claim, evidence: Evidence, row: Row, at: str) -> tuple[Cell, ...]:
    record = row.record
    point = row.score.at | row.score.variant
    selector = {"method": record.method, "protocol": record.protocol, **point}
    found = {metric: mean_of(evidence, selector, metric) for metric in claim.metrics}
    lead = found[claim.lead]
    unit = claim.metrics[claim.lead].unit
    return (
        tables.text(record.method),
        tables.text(record.protocol),
        tables.text(at),
        *(
            tables.amount(f.effect, words.value(f.effect, claim.metrics[m].unit))
            if f
            else tables.text("")
            for m, f in found.items()
        ),
        interval_cell(lead, unit) if lead else tables.text(""),
        tables.amount(lead.n, str(lead.n)) if lead else tables.text(""),
    )


def _across(standing: Standing) -> Table:
    head = tables.columns(
        "commit", "date", "subject", "verdict", "rule", "effect", "95% interval", "n",
        "kernel time", "time of methods", "machine",
        numeric=("effect", "n", "kernel time", "time of methods"),
    )  # fmt: skip
    label = standing.leading[0] if standing.leading else ""
    rows = tuple(_across_row(moment, label) for moment in reversed(standing.history))
    caption = f"Verdict and runtime across commits at tier {standing.tier}, newest first"
    return Table("across", caption, head, rows)


def _across_row(moment: Moment, label: str) -> tuple[Cell, ...]:
    taken = sum(claim_figures.method_seconds(moment).values())
    fastest = kernel_views.speed(moment.verdict.claim, moment.verdict.tier, moment.timings)
    machines = dict.fromkeys(
        [machine_of(record) for record in moment.records] or [t.machine for t in moment.timings]
    )
    return (
        *commit_cells(moment.commit),
        tables.verdict(moment.verdict.outcome),
        *effect_cells(label, moment.verdict.findings.get(label)),
        tables.amount(fastest.seconds, _at_shape(fastest)) if fastest else tables.text(""),
        tables.amount(taken, words.seconds(taken)) if taken else tables.text(""),
        tables.text(", ".join(machines)),
    )


def _at_shape(speed: kernel_views.Speed) -> str:
    return f"{words.seconds(speed.seconds)} ({speed.backend}, {speed.shape})"


def machine_of(record: Record) -> str:
    known = record.provenance.machine
    return str(known.get("host") or known.get("processor") or "")


def _rows(standing: Standing) -> Table:
    """Every score of the newest commit at the tier shown, one row each."""
    claim = standing.claim
    head = tables.columns(
        "method", "data", "protocol", "trial", "at", "variant", *claim.metrics, "seconds",
        "backend", "measured at", "machine", "error",
        numeric=("trial", *claim.metrics, "seconds"),
    )  # fmt: skip
    evidence = standing.verdict.evidence
    chosen = [row.record for row in evidence.rows] if evidence else _of_tier(standing)
    records = {record.cell: record for record in chosen}
    rows = tuple(row for record in records.values() for row in _record_rows(claim, record))
    return Table("rows", "The rows behind the verdict", head, rows, limit=200)


def _of_tier(standing: Standing) -> list[Record]:
    return [record for record in standing.records if record.tier == standing.tier]


def _record_rows(claim: Claim, record: Record) -> list[tuple[Cell, ...]]:
    start = (
        tables.text(record.method),
        tables.text(record.data_name or record.data),
        tables.text(record.protocol),
        tables.amount(record.trial, str(record.trial)),
    )
    end = (
        tables.amount(record.seconds, words.seconds(record.seconds)),
        tables.text(words.facts(record.backends)),
        tables.text((record.reused_from or record.provenance.commit)[:12]),
        tables.text(machine_of(record)),
        tables.text(record.error),
    )
    empty = tuple(tables.text("") for _ in range(2 + len(claim.metrics)))
    if not record.scores:
        return [(*start, *empty, *end)]
    return [
        (
            *start,
            tables.text(words.facts(score.at)),
            tables.text(words.facts(score.variant)),
            *(
                tables.amount(found, words.value(found, claim.metrics[metric].unit))
                for metric in claim.metrics
                for found in [score.metrics.get(metric)]
            ),
            *end,
        )
        for score in record.scores
    ]
