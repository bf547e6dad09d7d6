"""Axes: what the scores of a claim vary over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from claimbench.suite.definitions import Scalar
from claimbench.suite.evidence import Row


def facts(row: Row) -> dict[str, Scalar]:
    return {**row.score.at, **row.score.variant}


def several(rows: Sequence[Row]) -> dict[str, list[Scalar]]:
    """Values of each axis that has several, in the order in which they were measured."""
    values: dict[str, dict[Scalar, None]] = defaultdict(dict)
    for row in rows:
        for name, value in facts(row).items():
            values[name][value] = None
    return {name: list(found) for name, found in values.items() if len(found) > 1}


def of_numbers(axes: Mapping[str, Sequence[Scalar]]) -> list[str]:
    """Axes with at least two numbers, the one with the most first; it may hold words beside."""
    counts = {name: sum(map(_number, values)) for name, values in axes.items()}
    return sorted((name for name in axes if counts[name] > 1), key=lambda name: -counts[name])


def all_numbers(values: Sequence[Scalar]) -> bool:
    return all(map(_number, values))


def _number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
