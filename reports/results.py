"""results.json: the verdicts, for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claimbench.suite.rules import Finding
from claimbench.suite.verdicts import Verdict

from . import claim_views, words
from .history import Commit
from .standings import Standing


def as_json(found: Sequence[Standing], commits: Sequence[Commit]) -> dict[str, Any]:
    """The verdicts for machines; the tables of each page lie beside them as files."""
    return {
        "schema": 1,
        "commits": [{"sha": c.sha, "subject": c.subject, "date": str(c.date)} for c in commits],
        "claims": [_result(standing) for standing in found],
    }


def _result(standing: Standing) -> dict[str, Any]:
    claim = standing.claim
    return {
        "id": claim.id,
        "title": claim.title,
        "source": claim.source.model_dump(mode="json"),
        "published": [p.model_dump(mode="json") for p in claim.published],
        "kernel": claim.kernel,
        "page": claim_views.file_of(claim.id),
        "tier": standing.tier,
        "tiers": {tier: _verdict(verdict) for tier, verdict in standing.verdicts.items()},
        "history": [
            {"commit": moment.commit.sha, **_verdict(moment.verdict)} for moment in standing.history
        ],
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
    low, high = map(_number, finding.interval)
    return {
        "outcome": str(finding.outcome),
        "effect": _number(finding.effect),
        "interval": [low, high],
        "n": finding.n,
        "over": finding.over,
        "unit": finding.unit,
        "threshold": finding.threshold,
        "against": finding.against,
        "tests": {name: _number(value) for name, value in finding.tests.items()},
    }


def _number(value: float) -> float | None:
    """JSON has no word for infinity."""
    return value if words.finite(value) else None
