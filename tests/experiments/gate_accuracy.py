"""How often the gate misses an accuracy that fell by one point, where trials repeat.

    python -m tests.experiments.gate_accuracy docs/measured/gate_accuracy.json

Records of every cell of the smoke tier are made up, with the suite's own names. In each trial one
series, which is a method and a variant of a claim, loses one point in the mean at head: dealt out
at random over its pairs, so that many of them gain. The control loses half of the tolerance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from claimbench.reports import claim_results
from claimbench.reports.claim_results import Series
from claimbench.suite import provenance
from claimbench.suite.cells import cells
from claimbench.suite.checking import load_claims
from claimbench.suite.definitions import Claim
from claimbench.suite.records import Record

from ..reports import synthetic

POINT, SCATTER, DRAWS = 0.01, 0.05, 10


def found_worse(claim: Claim, losses: dict[str, float], rng: np.random.Generator) -> list[str]:
    """The series that the gate finds worse where each of those named loses so much in the mean."""
    base, head = synthetic.COMMITS[:2]
    records = [synthetic.record(cell, base) for cell in cells(claim, "smoke")]
    made = synthetic.provenance(head)
    after = [record.model_copy(update={"provenance": made}) for record in records]
    twins = claim_results.twins(claim, "smoke", records + after, base.sha, head.sha)
    series = claim_results.series(claim, twins)
    changed = [_losing(one, losses[one.label], rng) for one in series if one.label in losses]
    others = [one for one in series if one.label not in losses]
    lines, _ = claim_results.metric_lines([*changed, *others])
    return [line.name for line in lines if line.kind == "worse"]


def _losing(one: Series, loss: float, rng: np.random.Generator) -> Series:
    noise = rng.normal(0, SCATTER, len(one.pairs))
    changes = noise - noise.mean() - loss
    pairs = [(base, base + change) for (base, _), change in zip(one.pairs, changes, strict=True)]
    return replace(one, pairs=tuple(pairs))


def trials(claim: Claim, rng: np.random.Generator) -> tuple[int, int, int]:
    """How many trials, how many losses found, and how many of the control."""
    base = synthetic.COMMITS[0]
    records: Sequence[Record] = [synthetic.record(cell, base) for cell in cells(claim, "smoke")]
    twins = claim_results.twins(claim, "smoke", records, base.sha, base.sha)
    labels = [one.label for one in claim_results.series(claim, twins) if one.metric == "accuracy"]
    tolerance = claim.metrics["accuracy"].tolerance if "accuracy" in claim.metrics else 0.0
    found = control = 0
    for label in labels:
        for _ in range(DRAWS):
            found += bool(found_worse(claim, {label: POINT}, rng))
            control += bool(found_worse(claim, {label: tolerance / 2}, rng))
    return len(labels) * DRAWS, found, control


def main(path: str) -> None:
    rng = np.random.default_rng(0)
    by_claim = {}
    for claim in load_claims():
        count, found, control = trials(claim, rng)
        if count:
            by_claim[claim.id] = {"trials": count, "found": found, "control_found": control}
    content = {
        "schema_version": 1,
        "experiment": "accuracy",
        "commit": provenance.commit(),
        "started": provenance.now(),
        "loss": POINT,
        "scatter_of_pairs": SCATTER,
        "claims": by_claim,
    }
    Path(path).write_text(json.dumps(content, indent=1) + "\n")
    for name, counts in by_claim.items():
        print(name, counts)


if __name__ == "__main__":
    main(*sys.argv[1:])
