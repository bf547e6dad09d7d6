"""The bounds of the kernels' errors: docs, code and the record they come from say the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from claimbench.suite.solving import ENTRY_ERROR

from .experiments import numerics

ROOT = Path(__file__).parents[1]
RECORD = json.loads((ROOT / "docs" / "measured" / "numerics.json").read_text())


def test_the_docs_show_what_was_measured() -> None:
    page = (ROOT / "docs" / "kernels.md").read_text()
    start, end = "<!-- made from docs/measured/numerics.json -->\n", "<!-- the end -->"
    assert page.partition(start)[2].partition(end)[0] == numerics.table(RECORD) + "\n"


@pytest.mark.parametrize("dtype", ENTRY_ERROR)
def test_solutions_reckon_with_what_was_measured(dtype: str) -> None:
    measured = numerics.bound(RECORD, "cntk_gram", "ntk", numerics.DISTINCT, dtype, 20)
    assert ENTRY_ERROR[dtype] == measured


def test_the_experiment_measures_every_backend_that_runs_here() -> None:
    series = list(numerics.measured(4, [1, 2]))
    assert ("reference", "float32") in {(one["backend"], one["dtype"]) for one in series}
    for one in series:
        assert len(one["errors"]) == len(one["depths"]) == 2
        worst = 1e-2 if one["patches"] == numerics.PARALLEL else 1e-5
        assert max(one["errors"]) < worst, one


def test_a_bound_is_the_next_of_1_2_and_5() -> None:
    def of(error: float) -> float:
        series = {"kernel": "k", "get": "ntk", "patches": "p", "dtype": "float32"}
        other = series | {"dtype": "float64", "depths": [1], "errors": [9.0]}
        mine = series | {"depths": [1, 7], "errors": [error, 9.0]}
        return numerics.bound({"series": [mine, other]}, "k", "ntk", "p", "float32", 5)

    assert [of(e) for e in (1e-7, 1.1e-7, 2e-7, 4e-7, 5.1e-7)] == [1e-7, 2e-7, 2e-7, 5e-7, 1e-6]
