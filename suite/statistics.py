"""Intervals and tests, from scipy; which one where, and nothing of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 4999
SEED = 0  # a verdict must come out the same from the same records


class Estimate(NamedTuple):
    """A mean and its 95% interval, from n observations."""

    effect: float
    low: float
    high: float
    n: int


def student(values: Sequence[float]) -> Estimate:
    """Mean with Student's t interval; of one value the interval is unbounded."""
    from scipy import stats

    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Estimate(mean, -np.inf, np.inf, n)
    if _alike(values):
        return Estimate(mean, mean, mean, n)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(CONFIDENCE)
    return Estimate(mean, float(interval.low), float(interval.high), n)


def _alike(values: Sequence[float]) -> bool:
    """Equal up to rounding: there is no spread to estimate, and scipy warns of what it loses."""
    return float(np.ptp(values)) <= 1e-12 * float(np.abs(values).max())


def bootstrap(values: Sequence[float]) -> Estimate:
    """Mean with a bias-corrected and accelerated bootstrap interval."""
    from scipy import stats

    if len(values) < 3 or _alike(values):
        return student(values)
    result = stats.bootstrap(
        (np.asarray(values),),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(SEED),
    )
    interval = result.confidence_interval
    return Estimate(float(np.mean(values)), float(interval.low), float(interval.high), len(values))


def rank_correlation(x: Sequence[Sequence[float]], y: Sequence[Sequence[float]]) -> Estimate:
    """Spearman's correlation between the means of the rows of `x` and of `y`.

    The interval is a percentile bootstrap over the columns, drawn for all rows alike.
    """
    from scipy import stats

    a, b = np.asarray(x, float), np.asarray(y, float)

    def correlation(columns: np.ndarray) -> float:
        return float(stats.spearmanr(a[:, columns].mean(1), b[:, columns].mean(1)).statistic)

    n = a.shape[1]
    rng = np.random.default_rng(SEED)
    draws = [correlation(columns) for columns in rng.integers(0, n, (999, n))]
    low, high = np.nanquantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(correlation(np.arange(n)), float(low), float(high), n)


def win_tie_loss(gaps: Sequence[float]) -> dict[str, float]:
    signs = np.sign(gaps)
    return {
        name: float((signs == s).sum()) for name, s in (("wins", 1), ("ties", 0), ("losses", -1))
    }


def paired_tests(gaps: Sequence[float]) -> dict[str, float]:
    """Wins, ties and losses, and Wilcoxon's signed-rank p-value, two-sided, zeros split."""
    from scipy import stats

    found = win_tie_loss(gaps)
    if np.any(np.asarray(gaps) != 0) and len(gaps) > 1:
        found["wilcoxon_p"] = float(stats.wilcoxon(gaps, zero_method="zsplit").pvalue)
    return found


class Ranks(NamedTuple):
    """Friedman's comparison of k methods over n data sets.

    Attributes:
        average: mean rank by method, 1 is best, ties averaged.
        p: p-value of Friedman's test that all methods are alike; NaN for fewer than three.
    """

    average: dict[str, float]
    p: float
    n: int


def friedman(values: dict[str, Sequence[float]]) -> Ranks:
    """Ranks of methods (higher is better) over the same data sets in the same order."""
    from scipy import stats

    table = np.asarray(list(values.values()), float)
    ranks = stats.rankdata(-table, axis=0).mean(axis=1)
    p = float(stats.friedmanchisquare(*table).pvalue) if len(table) > 2 else float("nan")
    return Ranks(dict(zip(values, ranks.tolist(), strict=True)), p, table.shape[1])
