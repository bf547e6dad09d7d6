"""Intervals and tests, from scipy; which one where, and nothing of our own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
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


@np.errstate(over="ignore", invalid="ignore")
def student(values: Sequence[float]) -> Estimate:
    """Mean with Student's t interval; of one value the interval is unbounded.

    The sums are those of `scipy.stats.ttest_1samp`, to the bit, without its checks of its
    arguments: a report asks for tens of thousands of intervals.
    """
    a = np.asarray(values, float)
    mean, n = float(a.mean()), len(a)
    if n < 2:
        return Estimate(mean, -np.inf, np.inf, n)
    if _alike(a):
        return Estimate(mean, mean, mean, n)
    variance = float(((a - mean) ** 2).mean()) * (n / (n - 1))
    low, high = _t_quantiles(n - 1)
    error = math.sqrt(variance / n)
    return Estimate(mean, low * error + mean, high * error + mean, n)


@cache
def _t_quantiles(freedom: int) -> tuple[float, float]:
    """Where the middle of Student's distribution begins and ends."""
    from scipy import special

    tail = (1 - CONFIDENCE) / 2
    return float(special.stdtrit(freedom, tail)), float(special.stdtrit(freedom, 1 - tail))


def _alike(values: Sequence[float] | np.ndarray) -> bool:
    """Equal up to rounding: there is no spread to estimate, and scipy warns of what it loses."""
    least, most = min(values), max(values)
    return float(most - least) <= 1e-12 * float(max(-least, most))


@np.errstate(over="ignore", invalid="ignore")
def bootstrap(values: Sequence[float]) -> Estimate:
    """Mean with a bias-corrected and accelerated bootstrap interval.

    The sums are those of `scipy.stats.bootstrap`, with draws that are made once for each n.
    """
    if len(values) < 3 or _alike(values):
        return student(values)
    a = np.asarray(values, float)
    means = np.sort(a[_draws(len(a))].mean(1))
    low, high = _quantiles(means, _corrected(a, means))
    return Estimate(float(a.mean()), low, high, len(a))


@lru_cache(maxsize=4)
def _draws(n: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, n, (RESAMPLES, n))


def _corrected(a: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Which quantiles of the resampled means are the ends of the interval.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), equations 14.9 to 14.15.
    """
    from scipy.special import ndtr, ndtri

    mean, n = a.mean(), len(a)
    below = np.count_nonzero(means < mean) + np.count_nonzero(means <= mean)
    bias = ndtri(below / (2 * RESAMPLES))
    others = np.broadcast_to(a, (n, n))[~np.eye(n, dtype=bool)].reshape(n, n - 1).mean(1)
    influence = (n - 1) * (others.mean() - others)
    skew = 1 / 6 * ((influence**3).sum() / n**3) / ((influence**2).sum() / n**2) ** (3 / 2)
    tail = ndtri((1 - CONFIDENCE) / 2)
    shifted = bias + np.array([tail, -tail])
    return np.asarray(ndtr(bias + shifted / (1 - skew * shifted)))


def _quantiles(ordered: np.ndarray, shares: np.ndarray) -> tuple[float, float]:
    """Two quantiles by linear interpolation; NaN where a share is."""
    if np.isnan(shares).any():
        return np.nan, np.nan
    place = shares * len(ordered) + (1 - shares)
    under = np.clip(place // 1 - 1, 0, len(ordered) - 1).astype(int)
    over = np.clip(place // 1, 0, len(ordered) - 1).astype(int)
    low, high = (1 - place % 1) * ordered[under] + place % 1 * ordered[over]
    return float(low), float(high)


def rank_correlation(x: Sequence[Sequence[float]], y: Sequence[Sequence[float]]) -> Estimate:
    """Spearman's correlation between the means of the rows of `x` and of `y`.

    The interval is a percentile bootstrap over the columns, drawn for all rows alike.
    """
    a, b = np.asarray(x, float), np.asarray(y, float)
    n = a.shape[1]
    draws = np.random.default_rng(SEED).integers(0, n, (999, n))
    found = _spearman(*(_means(rows, draws) for rows in (a, b)))
    known = found[np.isfinite(found)]
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.quantile(known, ends) if known.size else (np.nan, np.nan)
    [effect] = _spearman(*(_means(rows, np.arange(n)[None]) for rows in (a, b)))
    return Estimate(float(effect), float(low), float(high), n)


def _means(rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The mean of each row over the columns of each draw, some draws at a time for memory's sake.

    Summed column by column: means that are equal must tie in every draw alike.
    """
    parts = np.array_split(draws, 1 + draws.size * len(rows) // 2**20)
    return np.concatenate([rows.T[part].mean(1) for part in parts])


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's correlation of ranks, one for each row; NaN where all of a row are alike.

    `scipy.stats.spearmanr` takes one pair of rows in the time that this takes a thousand.
    """
    from scipy import stats

    u, v = (ranks - ranks.mean(1, keepdims=True) for ranks in stats.rankdata([x, y], axis=2))
    share = 1 / (x.shape[1] - 1)
    covariance, *variances = ((s * t).sum(1) * share for s, t in ((u, v), (u, u), (v, v)))
    with np.errstate(invalid="ignore"):
        return np.clip(covariance / np.sqrt(variances[1]) / np.sqrt(variances[0]), -1, 1)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of the straight line that fits best by least squares."""
    from scipy import stats

    return float(stats.linregress(x, y).slope)


def turning_point(places: Sequence[float], gaps: Sequence[Sequence[float]]) -> Estimate:
    """Where a lead is lost for good, going up `places`: the mean gap reaches 0 on a line to there.

    The line leads from the last place with a lead to the next one, over their logarithms; places
    are positive and rising. A lead at the last place ends there, one that never was at the first.
    The interval is a percentile bootstrap over the rows of `gaps`, which have a gap at each place;
    of one row it is unbounded.
    """
    table, logs = np.asarray(gaps, float), np.log(places)
    n = len(table)
    [effect] = np.exp(_last_zeros(logs, table.mean(0, keepdims=True)))
    if n < 2:
        return Estimate(float(effect), -np.inf, np.inf, n)
    turns = np.exp(_last_zeros(logs, table[_draws(n)].mean(1)))
    low, high = np.quantile(turns, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(effect), float(low), float(high), n)


def _last_zeros(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where each row, as a broken line over x, comes down to 0 behind its last positive value."""
    lead, last, here = rows > 0, len(x) - 1, np.arange(len(rows))
    start = np.where(lead.any(1), last - lead[:, ::-1].argmax(1), 0)
    end = np.where(lead.any(1), np.minimum(start + 1, last), 0)
    above, below = rows[here, start], rows[here, end]
    share = np.where(start < end, above / np.where(start < end, above - below, 1), 0)
    return np.asarray(x[start] + share * (x[end] - x[start]))


def log_ratio_of_spreads(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Jackknife pseudo-values of ln(std a / std b), one for each pair; NaN of fewer than three."""
    pairs = np.array([a, b], float)
    n = pairs.shape[1]
    if n < 3:
        return [np.nan] * n
    others = pairs[:, np.nonzero(~np.eye(n, dtype=bool))[1].reshape(n, n - 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        [whole], left_out = (
            np.log(s[0] / s[1]) for s in (pairs.std(1, ddof=1)[:, None], others.std(2, ddof=1))
        )
        values: list[float] = (n * whole - (n - 1) * left_out).tolist()
    return values


def win_tie_loss(gaps: Sequence[float]) -> dict[str, float]:
    signs = np.sign(gaps)
    return {
        name: float((signs == s).sum()) for name, s in (("wins", 1), ("ties", 0), ("losses", -1))
    }


@np.errstate(over="ignore", invalid="ignore")
def paired_tests(gaps: Sequence[float]) -> dict[str, float]:
    """Wins, ties and losses, and Wilcoxon's signed-rank p-value, two-sided, zeros split.

    Gaps are rounded to 12 decimals, so that equal accuracies tie whatever the order in which their
    folds were summed.
    """
    from scipy import stats

    rounded = np.round(np.asarray(gaps, float), 12)
    found = win_tie_loss(rounded.tolist())
    if rounded.any() and len(rounded) > 1:
        found["wilcoxon_p"] = float(stats.wilcoxon(rounded, zero_method="zsplit").pvalue)
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
