"""A claim small enough to run in a test, and the methods that it compares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from claimbench.kernels import ntk_gram
from claimbench.suite.cells import Cell, cells
from claimbench.suite.definitions import Claim
from claimbench.suite.evaluation import Data, Score, Trial, method
from claimbench.suite.records import Measured, Provenance, Record

RUNS: list[str] = []
"""What the toy methods were run on, in order."""


@method(axes=("level",))
def toy_level(trial: Trial, *, level: Sequence[float], fails: bool = False) -> Iterator[Score]:
    """Reaches the level that it is told to reach, a little more in each trial."""
    RUNS.append(f"toy_level {trial.seed}")
    if fails:
        raise RuntimeError("told to fail")
    ntk_gram(trial.data.x[:3].reshape(3, -1).astype(float), variants=[(1, 0)])
    for part in trial.parts:
        for value in level:
            reached = value + 0.001 * trial.seed
            yield Score({"accuracy": reached}, part.at, {"level": value})


@method(baseline=True, libraries=("numpy",))
def toy_baseline(trial: Trial, *, reaches: float) -> Iterator[Score]:
    """A rival that no commit can change."""
    RUNS.append(f"toy_baseline {trial.seed}")
    for part in trial.parts:
        yield Score({"accuracy": reaches}, part.at, items={"accuracy": [reaches, reaches]})


def tables(**replaced: Any) -> dict[str, Any]:
    """The tables of a right claim file, with some of them replaced."""
    return {
        "title": "Level 0.9 is above the baseline",
        "tags": ["toy"],
        "kernel": "ntk_gram",
        "source": {
            "paper": "A paper",
            "authors": "Nobody (2020)",
            "identifier": "arXiv:0000.00000",
            "url": "https://example.org/paper",
            "locator": "Table 1",
            "statement": "It is.",
            "data": ["iris"],
        },
        "metrics": {"accuracy": {"direction": "higher", "unit": "fraction", "tolerance": 0.01}},
        "protocols": {"split": {"holdout": {"train": 30, "test": 30}}},
        "methods": {
            "level": {"toy_level": {"level": [0.9]}},
            "rival": {"toy_baseline": {"reaches": 0.8}},
        },
        "rules": {
            "above": {"superiority": {"metric": "accuracy", "better": "level", "worse": "rival"}}
        },
        "tiers": {"smoke": {"data": ["iris"], "protocols": ["split"], "trials": 3, "seconds": 1.0}},
    } | replaced


def claim(**replaced: Any) -> Claim:
    return Claim.model_validate(tables(**replaced) | {"id": "toy"})


def provenance(**replaced: Any) -> Provenance:
    facts: dict[str, Any] = {
        "commit": "a" * 40,
        "code": "c" * 64,
        "started": "2026-01-01T00:00:00.000+00:00",
        "machine": {"host": "here", "cores": 2},
        "device": "cpu",
        "threads": 1,
        "load": 0.0,
        "libraries": {"numpy": "2.0.0"},
    }
    return Provenance.model_validate(facts | replaced)


def record(cell: Cell, value: float, **replaced: Any) -> Record:
    """A record of a cell at its first point."""
    at, variant = cell.points[0]
    facts: dict[str, Any] = {
        "claim": cell.claim.id,
        "tier": cell.tier,
        "method": cell.method,
        "protocol": cell.protocol,
        "data": cell.data,
        "data_name": cell.data,
        "data_digest": "d" * 64,
        "trial": cell.trial,
        "cell": cell.digest,
        "scores": [Measured(at=at, variant=variant, metrics={"accuracy": value})],
        "seconds": 0.1,
        "cpu_seconds": 0.1,
        "provenance": provenance(),
    }
    return Record.model_validate(facts | replaced)


def records(claim: Claim, values: dict[str, Sequence[float]]) -> list[Record]:
    """Records of every cell at the smoke tier: by method, its value in each trial."""
    return [record(cell, values[cell.method][cell.trial]) for cell in cells(claim, "smoke")]


def data(y: Sequence[int], **splits: Any) -> Data:
    labels = np.asarray(y)
    return Data("toy", np.zeros((len(labels), 2)), labels, splits, "digest")
