"""Cells: what a claim at a tier must measure, enumerated from its definition alone.

The expected set never comes from what happened to be measured, so that nothing missing can pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from .definitions import Call, Claim, Scalar, TierName, digest
from .registry import Entry
from .vocabulary import method, protocol


@dataclass(frozen=True)
class Cell:
    """One method, to be run once: on a trial of a protocol on a data set."""

    claim: Claim
    tier: TierName
    method: str
    protocol: str
    data: str
    trial: int

    @property
    def method_call(self) -> Call:
        return self.claim.methods_of(self.tier)[self.method]

    @property
    def protocol_call(self) -> Call:
        return self.claim.protocols_of(self.tier)[self.protocol]

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
                "method": [self.method_call.model_dump(), self.entry.version],
                "protocol": [
                    self.protocol_call.model_dump(),
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


def cells(claim: Claim, tier: TierName, only: str | None = None) -> list[Cell]:
    """Every cell of a claim at a tier, trial by trial; `only` keeps one method."""
    asked = claim.tiers[tier]
    return [
        Cell(claim, tier, label, name, data, trial)
        for data in asked.data
        for name in claim.protocols_of(tier)
        for trial in range(asked.trials)
        for label in claim.methods_of(tier)
        if only in (None, label) and name in asked.only.get(label, asked.protocols)
    ]
