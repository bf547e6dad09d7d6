"""Tables of a claim: how it was tested, what was measured, and the rows behind it."""

from __future__ import annotations

from typing import Any

from claimbench.suite.definitions import Call, Claim, TierName
from claimbench.suite.evaluation import method, protocol
from claimbench.suite.evidence import Evidence, Row
from claimbench.suite.records import Record
from claimbench.suite.registry import Registry
from claimbench.suite.rules import Finding
from claimbench.suite.verdicts import Verdict

from . import kernel_views, tables, words
from .claim_ranks import MANY
from .kernel_views import commit_cells
from .published import interval_cell, mean_of
from .standings import Moment, Standing, Standings, machine_of
from .tables import Cell, Table


def redo(claim: Claim, tier: TierName) -> str:
    return f"claimbench run {claim.id} --tier {tier}"


def data_of(verdict: Verdict) -> list[str]:
    """What was measured on; many sets are counted rather than named."""
    names = [name for name in verdict.data if name]
    return names if len(names) <= 3 else [f"{len(names)} data sets ({names[0]} to {names[-1]})"]


def calls(claim: Claim, tier: TierName) -> Table:
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


def file_of(claim: str, tier: str = "") -> str:
    """The page of a claim, or of one of its tiers that is not its best."""
    return f"claims/{words.slug(claim)}{tier and f'.{tier}'}.html"


def page_of(standings: Standings, standing: Standing) -> str:
    """The best tier has the claim's own page, and each other that was measured one beside it."""
    if standing is standings.best:
        return file_of(standings.claim.id)
    return file_of(standings.claim.id, standing.tier) if standing.shown.measured else ""


def tiers(standings: Standings) -> Table:
    head = tables.columns(
        "tier", "verdict", "at commit", "rule", "effect", "95% interval", "n", "data", "trials",
        "why not", "command", numeric=("effect", "n", "trials"),
    )  # fmt: skip
    rows = tuple(row for s in standings.tiers for row in _tier_rows(standings, s))
    return Table("tiers", "Every tier, at the newest commit that has all of it", head, rows)


def _tier_rows(standings: Standings, standing: Standing) -> list[tuple[Cell, ...]]:
    claim, verdict = standing.claim, standing.verdict
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
            tables.text(verdict.tier, page_of(standings, standing).removeprefix("claims/")),
            tables.verdict(finding.outcome if finding else verdict.outcome),
            tables.text(standing.shown.commit.short if standing.shown.measured else ""),
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


def measured(verdict: Verdict) -> Table:
    """Each method at each point, over trials on each of few data sets, else over data sets."""
    claim = verdict.claim
    head = tables.columns(
        "method", "protocol", "data", "at", *(f"{metric}" for metric in claim.metrics),
        "95% interval", "n", numeric=(*claim.metrics, "n"),
    )  # fmt: skip
    rows = tuple(_measured_rows(claim, verdict.evidence)) if verdict.evidence else ()
    caption = (
        f"Measured values; the interval is that of {claim.lead}, n counts trials, or data sets "
        "where values are means over them"
    )
    return Table("measured", caption, head, rows, limit=150)


def _measured_rows(claim: Claim, evidence: Evidence) -> list[tuple[Cell, ...]]:
    many = len({row.record.data for row in evidence.rows}) >= MANY
    points: dict[tuple[str, str, str, str], Row] = {}
    for row in evidence.rows:
        at = words.facts({**row.score.at, **row.score.variant})
        data = "" if many else row.record.data
        points.setdefault((row.record.method, row.record.protocol, data, at), row)
    return [_measured_row(claim, evidence, row, d, at) for (_, _, d, at), row in points.items()]


def _measured_row(
    claim: Claim, evidence: Evidence, row: Row, data: str, at: str
) -> tuple[Cell, ...]:
    record = row.record
    point = row.score.at | row.score.variant | ({"data": data} if data else {})
    selector = {"method": record.method, "protocol": record.protocol, **point}
    found = {metric: mean_of(evidence, selector, metric) for metric in claim.metrics}
    lead = found[claim.lead]
    unit = claim.metrics[claim.lead].unit
    return (
        tables.text(record.method),
        tables.text(record.protocol),
        tables.text(data),
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


def across(standing: Standing) -> Table:
    head = tables.columns(
        "commit", "date", "subject", "verdict", "rule", "effect", "95% interval", "n",
        "kernel time", "time of methods", "machine",
        numeric=("effect", "n", "kernel time", "time of methods"),
    )  # fmt: skip
    label = standing.leading[0] if standing.leading else ""
    rows = tuple(_across_row(moment, label) for moment in reversed(standing.history))
    caption = f"Verdict and runtime across commits at tier {standing.tier}, newest first"
    return Table("across", caption, head, rows, kernel_views.PAGE, further="Older commits")


def _across_row(moment: Moment, label: str) -> tuple[Cell, ...]:
    taken = sum(moment.seconds.values())
    fastest = kernel_views.speed(moment.verdict.claim, moment.verdict.tier, moment.timings)
    return (
        *commit_cells(moment.commit),
        tables.verdict(moment.verdict.outcome),
        *effect_cells(label, moment.verdict.findings.get(label)),
        tables.amount(fastest.seconds, _at_shape(fastest)) if fastest else tables.text(""),
        tables.amount(taken, words.seconds(taken)) if taken else tables.text(""),
        tables.text(", ".join(moment.machines)),
    )


def _at_shape(speed: kernel_views.Speed) -> str:
    return f"{words.seconds(speed.seconds)} ({speed.backend}, {speed.shape})"


def rows_behind(standing: Standing) -> Table:
    """Every score at the commit and tier shown, one row each."""
    claim = standing.claim
    head = tables.columns(
        "method", "data", "protocol", "trial", "at", "variant", *claim.metrics, "seconds",
        "backend", "measured at", "machine", "error",
        numeric=("trial", *claim.metrics, "seconds"),
    )  # fmt: skip
    evidence = standing.verdict.evidence
    chosen = [row.record for row in evidence.rows] if evidence else standing.records
    records = {record.cell: record for record in chosen}
    rows = tuple(row for record in records.values() for row in _record_rows(claim, record))
    return Table("rows", "The rows behind the verdict", head, rows, limit=200)


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
