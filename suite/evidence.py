"""Evidence: the measured values of one claim at one tier, as rules ask for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import NamedTuple

from .definitions import Claim, Scalar, TierName
from .records import Measured, Record

Selector = str | Mapping[str, Scalar]
"""A method's label, or a table { method = "label", axis = value, protocol = "label", ... }."""


class Unit(NamedTuple):
    """What two methods are paired on."""

    protocol: str
    data: str
    trial: int
    at: tuple[tuple[str, Scalar], ...]


class Row(NamedTuple):
    """One score of one record."""

    record: Record
    score: Measured

    @property
    def unit(self) -> Unit:
        record = self.record
        at = tuple(sorted(self.score.at.items()))
        return Unit(record.protocol, record.data, record.trial, at)

    @property
    def facts(self) -> dict[str, Scalar]:
        """Everything that a selector may ask for."""
        record = self.record
        labels = {"method": record.method, "protocol": record.protocol, "data": record.data}
        return {**labels, **self.score.at, **self.score.variant}


@dataclass(frozen=True)
class Evidence:
    """What rules are asked about.

    Attributes:
        brief: only effect, interval and outcome are wanted; a rule may leave out what it would
            tell beside them. A history asks so of each of its commits.
    """

    claim: Claim
    tier: TierName
    rows: tuple[Row, ...]
    brief: bool = False

    def rows_of(self, selector: Selector, where: Mapping[str, Scalar] | None = None) -> list[Row]:
        """The rows that a selector means."""
        return [row for row, _ in self._chosen(selector, where)]

    def values(
        self, selector: Selector, metric: str, where: Mapping[str, Scalar] | None = None
    ) -> dict[Unit, float]:
        """Mean value by unit, over the variants that the selector leaves open."""
        found: dict[Unit, list[float]] = defaultdict(list)
        for row, unit in self._chosen(selector, where):
            found[unit].append(row.score.metrics[metric])
        return {unit: fmean(v) if len(v) > 1 else v[0] for unit, v in found.items()}

    def items(
        self, selector: Selector, metric: str, where: Mapping[str, Scalar] | None = None
    ) -> dict[Unit, list[float]]:
        """The values behind the metric, by unit; mean over the variants left open."""
        found: dict[Unit, list[list[float]]] = defaultdict(list)
        for row, unit in self._chosen(selector, where):
            found[unit].append(row.score.items[metric])
        return {
            unit: [fmean(values) for values in zip(*lists, strict=True)]
            for unit, lists in found.items()
        }

    def _chosen(
        self, selector: Selector, where: Mapping[str, Scalar] | None
    ) -> list[tuple[Row, Unit]]:
        asked = {"method": selector} if isinstance(selector, str) else selector
        wanted = {**asked, **(where or {})}.items()
        return [(row, unit) for row, unit, facts in self._known if wanted <= facts]

    @cached_property
    def _known(self) -> list[tuple[Row, Unit, Set[tuple[str, Scalar]]]]:
        """Each row with what it is asked for by, made once for all rules."""
        return [(row, row.unit, row.facts.items()) for row in self.rows]

    def methods(self) -> list[str]:
        """Labels of the methods that have rows, in the claim's order."""
        present = {row.record.method for row in self.rows}
        return [label for label in self.claim.methods if label in present]


def evidence(
    claim: Claim, tier: TierName, records: Sequence[Record], brief: bool = False
) -> Evidence:
    """The rows of the records of a claim at a tier."""
    return Evidence(claim, tier, tuple(_rows(records)), brief)


def _rows(records: Sequence[Record]) -> Iterator[Row]:
    return (Row(record, score) for record in records for score in record.scores)
