"""Verdicts: what the records say of a claim. Nothing here runs, reads a file or asks the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .cells import Cell, cells
from .definitions import Claim, TierName
from .evidence import Evidence, evidence
from .records import Record
from .rules import Finding, Outcome, rule


@dataclass(frozen=True)
class Verdict:
    """The outcome for one claim at one tier.

    Attributes:
        findings: what each rule found, by its label; empty where no rule could be applied.
        reason: why no rule could be applied; empty where they were.
        data: what was really measured on, such as `cifar10[prefix 4660+846]`.
        reused: how many of the `expected` records were measured at another commit.
    """

    claim: Claim
    tier: TierName
    outcome: Outcome
    findings: dict[str, Finding] = field(default_factory=dict)
    reason: str = ""
    data: tuple[str, ...] = ()
    expected: int = 0
    reused: int = 0
    evidence: Evidence | None = None


def judge(
    claim: Claim,
    tier: TierName,
    records: Sequence[Record],
    *,
    expected: Sequence[Cell] | None = None,
    brief: bool = False,
) -> Verdict:
    """The verdict on a claim from records of one commit.

    Supported where every rule is supported, refuted where one is refuted, else inconclusive.

    Args:
        expected: the claim's cells at the tier, from one who asks of many commits.
        brief: leave out what the rules tell beside effect, interval and outcome.
    """
    expected = cells(claim, tier) if expected is None else expected
    found = matching(expected, records)
    if missing := [cell for cell in expected if cell.digest not in found]:
        reason = f"{len(missing)} of {len(expected)} cells have no record; first: {missing[0]}"
        return Verdict(claim, tier, Outcome.NOT_MEASURED, reason=reason, expected=len(expected))

    chosen = list(found.values())
    facts: dict[str, Any] = {
        "data": tuple(dict.fromkeys(record.data_name for record in chosen)),
        "expected": len(expected),
        "reused": sum(bool(record.reused_from) for record in chosen),
    }
    if failed := [record for record in chosen if record.error]:
        first = failed[0]
        reason = f"{len(failed)} cells failed; {first.method}, trial {first.trial}: {first.error}"
        return Verdict(claim, tier, Outcome.INCONCLUSIVE, reason=reason, **facts)
    rows = evidence(claim, tier, chosen, brief)
    findings = {}
    for label, call in claim.rules_of(tier).items():
        try:
            findings[label] = rule.run(call, rows)
        except Exception as e:  # a rule may ask for a metric or an axis that no score has
            said = f"{type(e).__name__}: {e}".removesuffix(": ")
            reason = f"the rule {label} fails on what was measured ({said})"
            return Verdict(claim, tier, Outcome.INCONCLUSIVE, reason=reason, **facts)
    return Verdict(claim, tier, _together(findings), findings, evidence=rows, **facts)


def matching(expected: Sequence[Cell], records: Sequence[Record]) -> dict[str, Record]:
    """The newest record of each expected cell, by its digest; a success stands over an error.

    The digest holds what a method and a protocol are and not what a claim calls them: a record made
    under an older label comes back under the present one.
    """
    claims = {cell.claim.id for cell in expected}
    wanted = {cell.digest for cell in expected}
    found: dict[str, Record] = {}
    for record in records:
        if record.claim in claims and record.cell in wanted:
            known = found.get(record.cell)
            if known is None or known.error or not record.error:
                found[record.cell] = record
    return {
        cell.digest: _labelled(found[cell.digest], cell)
        for cell in expected
        if cell.digest in found
    }


def _labelled(record: Record, cell: Cell) -> Record:
    if (record.method, record.protocol) == (cell.method, cell.protocol):
        return record
    return record.model_copy(update={"method": cell.method, "protocol": cell.protocol})


def _together(findings: dict[str, Finding]) -> Outcome:
    outcomes = {finding.outcome for finding in findings.values()}
    if Outcome.REFUTED in outcomes:
        return Outcome.REFUTED
    return Outcome.SUPPORTED if outcomes == {Outcome.SUPPORTED} else Outcome.INCONCLUSIVE
