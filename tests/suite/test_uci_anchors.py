"""The `paper` protocol gives the accuracies of the released code, set by set.

The figures are those of the study's own recursion, protocol and files, run once outside of this
project. They need the real files, so this runs where CLAIMBENCH_DATA names a mirror.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from claimbench.suite import records, runner
from claimbench.suite.cells import cells
from claimbench.suite.checking import load_claims
from claimbench.suite.records import Measured
from claimbench.suite.verdicts import matching

PERCENT = {
    "uci/dermatology": 96.98,
    "uci/glass": 68.40,
    "uci/ionosphere": 94.89,
    "uci/iris": 97.30,
    "uci/pima": 75.52,
    "uci/seeds": 92.79,
    "uci/statlog-heart": 88.06,
    "uci/synthetic-control": 99.50,
    "uci/tic-tac-toe": 99.79,
    "uci/wine": 97.73,
    "uci/yeast": 59.77,
    "uci/zoo": 96.00,
}
MEASURED = Path(__file__).parents[2] / "docs" / "measured"


@pytest.mark.skipif(
    "CLAIMBENCH_DATA" not in os.environ, reason="CLAIMBENCH_DATA names no mirror of the UCI files"
)
@pytest.mark.parametrize("data", PERCENT)
def test_accuracy_is_that_of_the_released_code(data: str) -> None:
    [claim] = load_claims(["arora2020_ntk_beats_forests"])
    [cell] = [
        cell
        for cell in cells(claim, "full", only="ntk_svm")
        if (cell.data, cell.protocol) == (data, "paper")
    ]
    [score] = runner.measure(cell, runner.Settings()).scores
    assert round(100 * score.metrics["accuracy"], 2) == PERCENT[data]


def recorded() -> dict[str, Measured]:
    """The score on each of the 90 sets under `paper`, from the committed records."""
    [claim] = load_claims(["arora2020_ntk_beats_forests"])
    wanted = [c for c in cells(claim, "full", only="ntk_svm") if c.protocol == "paper"]
    found = matching(wanted, records.read(MEASURED))
    return {record.data: record.scores[0] for record in found.values()}


def test_records_of_all_90_sets_have_the_published_mean_and_spread() -> None:
    values = [100 * score.metrics["accuracy"] for score in recorded().values()]
    assert len(values) == 90
    assert f"{np.mean(values):.2f} +- {np.std(values, ddof=1):.2f}" == "81.95 +- 14.10"


@pytest.mark.parametrize("data", PERCENT)
def test_record_is_that_of_the_released_code(data: str) -> None:
    assert round(100 * recorded()[data].metrics["accuracy"], 2) == PERCENT[data]


def test_the_cap_on_iterations_changes_no_selection() -> None:
    """The plain grid, whose fits were capped at 300,000, selects the same kernel and C everywhere.

    No fit that the cap of the full tier stops was better there than what is selected.
    """
    grid = json.loads((MEASURED / "uci-grid.json").read_text())
    found = recorded()
    assert grid["sets"].keys() == found.keys()
    for data, plain in grid["sets"].items():
        assert [plain["selected"]] * 4 == found[data].details["chosen"], data
        assert plain["best_of_longer"] <= plain["validation"], data
