"""Records and times that nobody measured: the suite's own names, with values of a formula."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import claimbench.suite.methods  # registers what claims name
import claimbench.suite.protocols  # noqa: F401
from claimbench.reports.history import Commit, Timing
from claimbench.suite.cells import Cell, cells
from claimbench.suite.definitions import Claim, TierName
from claimbench.suite.records import Measured, Provenance, Record

COMMITS = (
    Commit("a" * 40, "aaaaaaa", "First version", datetime(2026, 1, 2, 12, tzinfo=UTC)),
    Commit("b" * 40, "bbbbbbb", "Fuse the kernel's loops", datetime(2026, 1, 5, 12, tzinfo=UTC)),
    Commit("c" * 40, "ccccccc", "Halve the memory", datetime(2026, 1, 9, 12, tzinfo=UTC)),
)

BACKENDS = {"reference": 1.0, "numba": 0.05, "cpu": 0.02}


def claim(**changes: Any) -> Claim:
    """A claim of four methods over sample sizes and six data sets."""
    return Claim.model_validate(
        {
            "id": "smith2020_kernel_wins",
            "title": "The kernel beats the forest on small samples",
            "tags": ["small", "kernels"],
            "kernel": "ntk_gram",
            "notes": "Ours differs in two ways.\n\nThe forest has fewer trees.",
            "source": {
                "paper": "Kernels on small data",
                "authors": "Smith and Jones",
                "identifier": "arXiv:2001.00001",
                "url": "https://arxiv.org/abs/2001.00001",
                "locator": "Table 2",
                "statement": "The kernel wins.",
                "paraphrase": True,
                "data": ["large"],
            },
            "published": [
                {"method": "kernel", "metric": "accuracy", "value": 0.82, "basis": "paper"},
                {"method": "forest", "metric": "accuracy", "value": 0.8, "basis": "memory_high"},
            ],
            "metrics": {"accuracy": {"direction": "higher", "unit": "fraction", "tolerance": 0.01}},
            "protocols": {"draw": {"few_samples": {"n": [10, 40, 160], "test": 50}}},
            "methods": {
                "kernel": {"ntk_svm": {"depth": 2}},
                "forest": {"random_forest": {"trees": 10}},
                "linear": {"linear_svm": {}},
            },
            "rules": {
                "beats_forest": {
                    "superiority": {
                        "metric": "accuracy",
                        "better": "kernel",
                        "worse": "forest",
                        "over": "data",
                    }
                },
                "beats_linear": {
                    "superiority": {"metric": "accuracy", "better": "kernel", "worse": "linear"}
                },
            },
            "tiers": {
                "smoke": {
                    "data": ["d1", "d2", "d3", "d4", "d5", "d6"],
                    "protocols": ["draw"],
                    "trials": 2,
                    "seconds": 5,
                    "stand_in": "small tables stand in for the large one",
                },
                "quick": {"data": ["large"], "protocols": ["draw"], "trials": 3, "seconds": 60},
            },
            "shapes": {"small": {"tier": "smoke", "inputs": {"x1": [64, 8]}}},
            **changes,
        }
    )


def records(of: Claim, tier: TierName, commits: Sequence[Commit] = COMMITS) -> list[Record]:
    """Every record of a claim at a tier and some commits."""
    return [
        record(cell, commit, place)
        for place, commit in enumerate(commits)
        for cell in cells(of, tier)
    ]


def record(cell: Cell, commit: Commit, place: int = 0, **changes: Any) -> Record:
    return Record(
        **{
            "claim": cell.claim.id,
            "tier": cell.tier,
            "method": cell.method,
            "protocol": cell.protocol,
            "data": cell.data,
            "data_name": cell.data,
            "trial": cell.trial,
            "cell": cell.digest,
            "scores": tuple(_scores(cell, place)),
            "seconds": 0.25 * (1 + place),
            "cpu_seconds": 0.25,
            "backends": {"ntk_gram": "cpu"},
            "baseline": cell.entry.baseline,
            "reused_from": "a" * 40 if cell.entry.baseline and place else "",
            "provenance": provenance(commit),
            **changes,
        }
    )


def provenance(commit: Commit) -> Provenance:
    return Provenance(
        commit=commit.sha,
        code="0" * 64,
        started=commit.date.isoformat(),
        machine={"host": "box", "processor": "Example 9000", "cores": 2, "system": "Linux x86_64"},
        device="cpu",
        threads=2,
        load=0.1,
        libraries={"numpy": "2.0.0"},
    )


def _scores(cell: Cell, place: int) -> Iterator[Measured]:
    for at, variant in cell.points:
        name = (cell.method, cell.data, cell.trial, *at.values(), *variant.values())
        noise = int(hashlib.sha256(repr(name).encode()).hexdigest()[:8], 16) / 2**32 - 0.5
        better = 0.04 * (next(iter(cell.claim.methods)) == cell.method) + 0.002 * place
        size = at.get("n", 50)
        base = 0.55 + 0.05 * math.log10(float(size))
        base += 0.03 * math.sin(sum(float(v) for v in variant.values() if isinstance(v, int)) / 4)
        value = round(min(base + better + 0.05 * noise, 1.0), 4)
        metrics = {name: value - 0.1 * k for k, name in enumerate(cell.claim.metrics)}
        items = {name: [v + 0.02 * math.sin(i) for i in range(8)] for name, v in metrics.items()}
        yield Measured(at=at, variant=variant, metrics=metrics, items=items)


def timings(of: Claim, commits: Sequence[Commit] = COMMITS) -> list[Timing]:
    """Times of every backend and shape; a backend gets faster with each commit."""
    return [
        Timing(
            commit=commit.sha,
            machine="box",
            environment="py3.13",
            kernel=of.kernel,
            backend=backend,
            claim=of.id,
            shape=shape,
            seconds=0.5 * speed / (1 + place),
            low=0.48 * speed / (1 + place),
            high=0.55 * speed / (1 + place),
            samples=(0.5 * speed,),
            error=1e-7,
            committed=commit.date,
        )
        for place, commit in enumerate(commits)
        for shape in of.shapes
        for backend, speed in BACKENDS.items()
    ]
