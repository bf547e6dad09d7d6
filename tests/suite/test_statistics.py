"""Intervals by a short way of our own are scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from claimbench.suite import statistics


@pytest.mark.parametrize("n", [2, 3, 7, 8, 17, 150])
@pytest.mark.parametrize("scale", [1e-9, 0.01, 1e6])
def test_students_interval_is_scipys(n: int, scale: float) -> None:
    values = np.random.default_rng(n).normal(0.7, scale, n).tolist()
    found = statistics.student(values)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(statistics.CONFIDENCE)
    assert found == (np.mean(values), theirs.low, theirs.high, n)


@pytest.mark.parametrize(
    ("values", "interval"),
    [([0.5], (-np.inf, np.inf)), ([0.5, 0.5], (0.5, 0.5)), ([0.0, -0.0], (0.0, 0.0))],
)
def test_without_spread_there_is_no_estimate_of_it(
    values: list[float], interval: tuple[float, float]
) -> None:
    assert statistics.student(values)[1:3] == interval


@pytest.mark.parametrize("n", [3, 6, 8, 41])
@pytest.mark.parametrize("digits", [1, 9])
def test_the_bootstrap_is_scipys(n: int, digits: int) -> None:
    values = np.random.default_rng(n).lognormal(size=n).round(digits).tolist()
    found = statistics.bootstrap(values)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=statistics.RESAMPLES,
        rng=np.random.default_rng(statistics.SEED),
    ).confidence_interval
    assert found == pytest.approx((np.mean(values), theirs.low, theirs.high, n), rel=1e-12)


@pytest.mark.parametrize("digits", [1, 9])
def test_the_rank_correlation_is_scipys_ties_and_all(digits: int) -> None:
    x, y = np.random.default_rng(digits).normal(size=(2, 6, 11)).round(digits)
    found = statistics.rank_correlation(x.tolist(), y.tolist())
    draws = np.random.default_rng(statistics.SEED).integers(0, 11, (999, 11))
    plain = [stats.spearmanr(x[:, c].mean(1), y[:, c].mean(1)).statistic for c in draws]
    low, high = np.quantile(plain, [0.025, 0.975])
    assert found == (stats.spearmanr(x.mean(1), y.mean(1)).statistic, low, high, 11)


def test_rows_that_are_all_alike_have_no_correlation() -> None:
    found = statistics.rank_correlation([[1.0] * 5] * 3, np.eye(3, 5).tolist())
    assert np.isnan(found.effect)
