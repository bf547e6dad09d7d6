"""results.json: the verdicts, for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claimbench.suite.rules import Finding
from claimbench.suite.verdicts import Verdict

from . import claim_tables, words
from .history import Commit
from .standings import Moment, Standing, Standings


def as_json(found: Sequence[Standings], commits: Sequence[Commit]) -> dict[str, Any]:
    """The verdicts for machines; the tables of each page lie beside them as files."""
    return {
        "schema": 2,
        "commits": [{"sha": c.sha, "subject": c.subject, "date": str(c.date)} for c in commits],
        "claims": [_result(standings) for standings in found],
    }


def _result(standings: Standings) -> dict[str, Any]:
    claim = standings.claim
    return {
        "id": claim.id,
        "title": claim.title,
        "source": claim.source.model_dump(mode="json"),
        "published": [p.model_dump(mode="json") for p in claim.published],
        "kernel": claim.kernel,
        "tier": standings.best.tier,
        "tiers": {standing.tier: _standing(standings, standing) for standing in standings.tiers},
    }


def _standing(standings: Standings, standing: Standing) -> dict[str, Any]:
    return {
        "page": claim_tables.page_of(standings, standing),
        "commit": standing.shown.commit.sha,
        **_verdict(standing.verdict),
        "history": list(map(_moment, standing.history)),
    }


def _moment(moment: Moment) -> dict[str, Any]:
    """What a history has of a commit; all of it is in the records."""
    verdict = moment.verdict
    return {
        "commit": moment.commit.sha,
        "outcome": str(verdict.outcome),
        "findings": {label: _estimate(f) for label, f in verdict.findings.items()},
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    stand_in = verdict.claim.tiers[verdict.tier].stand_in
    return {
        "outcome": str(verdict.outcome),
        "reason": verdict.reason,
        "data": list(verdict.data),
        "stand_in": stand_in,
        "cells": verdict.expected,
        "reused": verdict.reused,
        "findings": {label: _finding(f) for label, f in verdict.findings.items()},
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        **_estimate(finding),
        "over": finding.over,
        "unit": finding.unit,
        "threshold": finding.threshold,
        "against": finding.against,
        "tests": {name: _number(value) for name, value in finding.tests.items()},
    }


def _estimate(finding: Finding) -> dict[str, Any]:
    return {
        "outcome": str(finding.outcome),
        "effect": _number(finding.effect),
        "interval": [_number(end) for end in finding.interval],
        "n": finding.n,
    }


def _number(value: float) -> float | None:
    """JSON has no word for infinity."""
    return value if words.finite(value) else None
