"""Comparisons over data sets: every number is worked out again here, from the records alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from claimbench.reports import claim_ranks
from claimbench.reports.tables import Table
from claimbench.suite.definitions import Claim
from claimbench.suite.records import Measured, Record
from claimbench.suite.verdicts import Verdict, judge

from . import synthetic

VALUES = {
    "kernel": [0.90, 0.80, 0.70, 0.96, 0.55, 0.60],
    "forest": [0.85, 0.80, 0.60, 1.00, 0.50, 0.58],
    "linear": [0.70, 0.75, 0.72, 0.90, 0.52, 0.57],
}
DATA = [f"d{k}" for k in range(1, 7)]


def claim(**changes: Any) -> Claim:
    one = {"data": DATA, "protocols": ["draw"], "trials": 1, "seconds": 1.0, "stand_in": "tables"}
    return synthetic.claim(
        protocols={"draw": {"published_folds": {}}}, tiers={"smoke": one}, shapes={}, **changes
    )


def verdict(of: Claim, values: dict[str, list[float]] = VALUES) -> Verdict:
    def reached(record: Record) -> Record:
        value = values[record.method][DATA.index(record.data)]
        fourth = 0 if record.data in DATA[:3] else 1
        chosen = [[[fourth, 0], 1.0], [[0, 0], 0.1]] if record.method == "kernel" else [3, 3]
        score = Measured(metrics={"accuracy": value}, details={"chosen": chosen})
        return record.model_copy(update={"scores": (score,)})

    return judge(of, "smoke", [reached(r) for r in synthetic.records(of, "smoke")])


def column(table: Table, name: str) -> dict[str, object]:
    """Values of a column by what its row is about: the method, or the rival in a pair."""
    names = [head.name for head in table.columns]
    key = names.index("against") if "against" in names else 0
    return {row[key].text: row[names.index(name)].value for row in table.rows}


def test_ranks_means_and_shares_of_the_best() -> None:
    ranking, _, _ = claim_ranks.comparisons(verdict(claim()))
    table = np.array(list(VALUES.values()))
    best = table.max(axis=0)
    wanted = {
        "Friedman rank": stats.rankdata(-table, axis=0).mean(axis=1),
        "mean accuracy": table.mean(axis=1),
        "std": table.std(axis=1, ddof=1),
        "P90": (table > 0.90 * best).mean(axis=1),
        "P95": (table > 0.95 * best).mean(axis=1),
        "PMA": (table / best).mean(axis=1),
        "std of PMA": (table / best).std(axis=1, ddof=1),
    }
    for name, values in wanted.items():
        assert column(ranking, name) == pytest.approx(dict(zip(VALUES, values, strict=True)))


def test_pairs_have_counts_an_interval_and_p_values_after_holm() -> None:
    _, pairs, _ = claim_ranks.comparisons(verdict(claim()))
    assert column(pairs, "wins") == {"forest": 4, "linear": 5}
    assert column(pairs, "ties") == {"forest": 1, "linear": 0}
    assert column(pairs, "losses") == {"forest": 1, "linear": 1}
    gaps = {
        rival: np.round(np.subtract(VALUES["kernel"], VALUES[rival]), 12)
        for rival in ("forest", "linear")
    }
    p = {rival: stats.wilcoxon(gap, zero_method="zsplit").pvalue for rival, gap in gaps.items()}
    assert column(pairs, "Wilcoxon p") == pytest.approx(p)
    least, most = sorted(p, key=lambda rival: p[rival])
    holm = {least: min(1, 2 * p[least]), most: max(min(1, 2 * p[least]), p[most])}
    assert column(pairs, "p after Holm") == pytest.approx(holm)
    assert column(pairs, "mean gap") == pytest.approx({r: g.mean() for r, g in gaps.items()})


def test_what_was_selected_is_counted_in_folds() -> None:
    *_, selected = claim_ranks.comparisons(verdict(claim()))
    rows = {(row[0].text, row[2].text): (row[3].value, row[4].value) for row in selected.rows}
    assert rows[("kernel", "0, 0")] == (9, 0.75)
    assert rows[("kernel", "1, 0")] == (3, 0.25)
    assert rows[("forest", "3")] == (12, 1.0)


def test_a_sum_in_another_order_is_still_a_tie() -> None:
    values = VALUES | {"forest": [0.1 + 0.2] * 6, "kernel": [0.3] * 6}
    _, pairs, _ = claim_ranks.comparisons(verdict(claim(), values))
    assert column(pairs, "ties")["forest"] == 6
    assert column(pairs, "Wilcoxon p")["forest"] == 1.0


def test_where_less_is_better_ranks_turn_and_shares_of_the_best_say_nothing() -> None:
    less = {"direction": "lower", "unit": "fraction", "tolerance": 0.01}
    base = claim()
    lower = base.model_copy(
        update={"metrics": {"accuracy": base.metrics["accuracy"].model_copy(update=less)}}
    )
    ranking, pairs, _ = claim_ranks.comparisons(verdict(lower))
    ranks = stats.rankdata(list(VALUES.values()), axis=0).mean(axis=1)
    assert column(ranking, "Friedman rank") == pytest.approx(dict(zip(VALUES, ranks, strict=True)))
    assert set(column(ranking, "PMA").values()) == {None}
    assert column(pairs, "wins")["forest"] == 1


def test_few_data_sets_are_not_compared() -> None:
    of = claim()
    tier = of.tiers["smoke"].model_copy(update={"data": ("d1", "d2")})
    few = of.model_copy(update={"tiers": {"smoke": tier}})
    assert claim_ranks.comparisons(verdict(few)) == ()
    assert claim_ranks.comparisons(judge(of, "smoke", [])) == ()


def test_the_papers_table_has_ours_under_each_of_its_rows() -> None:
    over = {"friedman_rank": 2.5, "p90": 0.9, "p95": 0.8, "pma": 0.97, "pma_std": 0.03}
    row = {
        "method": "forest",
        "metric": "accuracy",
        "value": 0.81,
        "spread": 0.14,
        "at": {"data_sets": 90, "protocol": "draw"},
        "basis": "paper",
        "over_data": over | {"basis": "quoted"},
    }
    ours = claim(published=[row, row | {"over_data": None}])
    table = claim_ranks.comparisons(verdict(ours))[0]
    names = [column.name for column in table.columns]
    paper, here = (dict(zip(names, (cell.value for cell in cells), strict=True))
                   for cells in table.rows)  # fmt: skip
    assert [paper[n] for n in ("Friedman rank", "std", "PMA", "data sets")] == [2.5, 0.14, 0.97, 90]
    assert "quoted by another text" in str(paper["basis"])
    assert (here["method"], here["from"], here["data sets"]) == ("forest", "here", 6)
    assert here["mean accuracy"] == pytest.approx(np.mean(VALUES["forest"]))


def test_the_rule_and_the_table_have_one_p_value() -> None:
    """A third of 0.3 is not 0.1 to the last bit, and is 0.1 to any test."""
    values = VALUES | {"forest": [0.9 + 1e-16, 0.80, 0.1 + 0.2, 0.96, 0.5, 0.5]}
    values["kernel"] = [0.9, 0.80, 0.3, 0.9, 0.55, 0.6]
    found = verdict(claim(), values)
    _, pairs, _ = claim_ranks.comparisons(found)
    finding = found.findings["beats_forest"]
    assert column(pairs, "Wilcoxon p")["forest"] == finding.tests["wilcoxon_p"]
    assert column(pairs, "ties")["forest"] == finding.tests["ties"] == 3
