"""The paper's table found again: every published value at its row and column, ours beside it."""

from __future__ import annotations

from typing import Any

import pytest

from claimbench.reports.published import measured_at
from claimbench.reports.published_grid import grid
from claimbench.suite.definitions import Claim, Published
from claimbench.suite.verdicts import judge

from . import synthetic
from .synthetic import COMMITS


def value(method: str, amount: float, **at: Any) -> dict[str, Any]:
    return {"method": method, "metric": "accuracy", "value": amount, "at": at, "basis": "paper"}


def curves() -> list[dict[str, Any]]:
    sizes = (10, 40, 160)
    ours = [value("kernel", 0.5 + n / 1000, n=n) for n in sizes]
    return [*ours, *(value("forest", 0.4 + n / 1000, n=n) for n in sizes if n != 40)]


def made(published: list[dict[str, Any]], tier: Any = "quick") -> tuple[Claim, Any]:
    claim = synthetic.claim(published=published)
    return claim, judge(claim, tier, synthetic.records(claim, tier, COMMITS[:1]))


def test_rows_are_the_axis_of_numbers_and_columns_the_methods() -> None:
    claim, verdict = made(curves())
    table = grid(claim, verdict)
    assert table is not None
    assert [column.name for column in table.columns] == ["n", "kernel", "forest"]
    assert [row[0].text for row in table.rows] == ["10", "40", "160"]
    measured = measured_at(verdict.evidence, claim.published[1])
    assert measured is not None
    assert table.rows[1][1].text == f"54.00%; here {100 * measured.effect:.2f}%"
    assert table.rows[1][2].value is None  # the paper has no forest at 40


def test_what_was_not_measured_here_says_so() -> None:
    claim, verdict = made([value("resnet", 0.3, n=n) for n in (1, 2, 3)] + curves())
    table = grid(claim, verdict)
    assert table is not None
    assert table.rows[0][1].text == "30.00%; not measured here"


def test_a_stand_in_is_named() -> None:
    table = grid(*made(curves(), "smoke"))
    assert table is not None
    assert "stand-in" in table.caption


@pytest.mark.parametrize(
    "published",
    [
        [],
        [value("kernel", 0.5)],
        [value("kernel", 0.5, n=n) for n in (1, 2, 3)],  # one column is a list
        [value(m, 0.5, n=n) for n in (1, 2) for m in ("kernel", "forest")],  # too few rows
        [value(m, 0.5, flip=f) for f in (True, False) for m in ("kernel", "forest")],
    ],
)
def test_without_rows_and_columns_there_is_no_table(published: list[dict[str, Any]]) -> None:
    assert grid(*made(published)) is None


@pytest.mark.parametrize(("sets", "compares"), [(6, True), (90, False)])
def test_a_mean_over_data_sets_compares_with_one_over_as_many(sets: int, compares: bool) -> None:
    _, verdict = made([], "smoke")
    paper = Published.model_validate(value("kernel", 0.8, data_sets=sets))
    assert (measured_at(verdict.evidence, paper) is not None) == compares
