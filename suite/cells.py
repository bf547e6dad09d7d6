"""Cells: what a claim at a tier must measure, enumerated from its definition alone.

The expected set never comes from what happened to be measured, so that nothing missing can pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from .definitions import Call, Claim, Problem, Scalar, TierName, digest, tier_names
from .registry import Entry
from .vocabulary import method, protocol

MOST_CELLS = 50_000
"""Cells of a claim at a tier; the largest of ours has 900."""

MOST_POINTS = 10_000
"""Scores of a cell."""


@dataclass(frozen=True)
class Cell:
    """One method, to be run once: on a trial of a protocol on a data set."""

    claim: Claim
    tier: TierName
    method: str
    protocol: str
    data: str
    trial: int
    method_call: Call
    protocol_call: Call

    @property
    def entry(self) -> Entry[Any]:
        return method[self.method_call.name]

    @cached_property
    def digest(self) -> str:
        """Digest of everything in the definition that can change what is measured.

        Titles, tolerances, rules and published values are not in it: editing them re-judges old
        records and does not make them stale.
        """
        return digest(
            {
                "method": [_content(self.method_call), self.entry.version],
                "protocol": [
                    _content(self.protocol_call),
                    protocol[self.protocol_call.name].version,
                ],
                "data": self.data,
                "trial": self.trial,
            }
        )

    @property
    def points(self) -> list[tuple[dict[str, Scalar], dict[str, Scalar]]]:
        """The (at, variant) of every score that this cell must give."""
        at = protocol.points(self.protocol_call)
        return list(product(at, method.points(self.method_call)))

    def __str__(self) -> str:
        where = f"{self.protocol} on {self.data}, trial {self.trial}"
        return f"{self.claim.id}: {self.method}, {where}"


def _content(call: Call) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}


def cells(claim: Claim, tier: TierName, only: str | None = None) -> list[Cell]:
    """Every cell of a claim at a tier, trial by trial; `only` keeps one method."""
    asked, pairs = claim.tiers[tier], _pairs(claim, tier)
    methods, protocols = claim.methods_of(tier), claim.protocols_of(tier)
    return [
        Cell(claim, tier, label, name, data, trial, method_call, protocol_call)
        for data in asked.data
        for name, protocol_call in protocols.items()
        for trial in range(asked.trials)
        for label, method_call in methods.items()
        if only in (None, label) and (label, name) in pairs
    ]


def _pairs(claim: Claim, tier: TierName) -> set[tuple[str, str]]:
    """Labels of methods with those of the protocols that they run under."""
    asked = claim.tiers[tier]
    return {
        (label, name)
        for label in asked.methods or claim.methods
        for name in asked.protocols
        if name in asked.only.get(label, asked.protocols)
    }


def overflow(claim: Claim) -> Iterator[Problem]:
    """Tiers that ask for nothing, or for more than can be listed; they are counted only."""
    for tier in tier_names(claim):
        asked = claim.tiers[tier]
        count = len(_pairs(claim, tier)) * len(asked.data) * asked.trials
        if count == 0:
            yield ("tiers", tier, "only"), "leaves no method a protocol to run under"
        if count > MOST_CELLS:
            what = f"{count} cells (methods, protocols, data sets and trials)"
            yield ("tiers", tier, "trials"), f"makes {what}, at most {MOST_CELLS} can be run"
        yield from _overflow_of_points(claim, tier)


def _overflow_of_points(claim: Claim, tier: TierName) -> Iterator[Problem]:
    parts = max(protocol.count(call) for call in claim.protocols_of(tier).values())
    for label, call in claim.methods_of(tier).items():
        if (scores := parts * method.count(call)) > MOST_POINTS:
            message = f"asks for {scores} scores of each cell, at most {MOST_POINTS} can be kept"
            yield ("methods", label, call.name), message
