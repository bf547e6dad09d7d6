"""Recursive feature machines: kernel regression that learns its metric from its own gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..evaluation import Indices, Score, Trial, cross_validated, method
from ..solving import solve
from .kernel_machines import as_rows

Metric = Float[np.ndarray, "p p"]


class Fitted(NamedTuple):
    """A kernel regression on its training samples.

    Attributes:
        weights: one column a class.
        among: kernel between the training samples.
        distances: between the training samples, by the metric.
    """

    weights: Float[np.ndarray, "n classes"]
    among: Float[np.ndarray, "n n"]
    distances: Float[np.ndarray, "n n"]


@method(baseline=True, libraries=("scipy",))
def feature_machine(
    trial: Trial,
    *,
    bandwidth: float = 10.0,
    ridges: Sequence[float] = (10.0, 1.0, 0.1, 0.01, 0.001),
    iterations: int = 3,
) -> Iterator[Score]:
    """Recursive feature machine; its ridge and number of iterations are selected by the protocol.

    Ridge regression on one-hot targets with the kernel exp(-|x - z|_M / bandwidth), where |.|_M is
    the distance by a metric M. M begins as the identity and becomes, in each iteration, the mean
    over the training samples of the outer products of the predictor's gradients, summed over the
    classes. It is scaled to trace p, so that the bandwidth keeps its meaning. No iteration is the
    plain Laplace kernel.

    Source: Radhakrishnan et al. 2022, arXiv:2212.13881, algorithm 1.
    """
    x, y = as_rows(trial.data.x), trial.data.y
    targets = np.eye(trial.data.classes)[y]
    runs: dict[tuple[float, int, int], tuple[list[float], Iterator[float]]] = {}

    def accuracy(candidate: tuple[float, int], train: Indices, test: Indices) -> float:
        ridge, step = candidate
        key = ridge, id(train), id(test)
        if key not in runs:
            fits = recursion(x[train], targets[train], ridge, bandwidth, iterations, x[test])
            runs[key] = [], (float((f.argmax(axis=1) == y[test]).mean()) for f in fits)
        known, more = runs[key]
        while len(known) <= step:
            known.append(next(more))
        return known[step]

    for part in trial.parts:
        yield cross_validated(part, list(product(ridges, range(iterations + 1))), accuracy)
        runs.clear()


def recursion(
    x: Float[np.ndarray, "n p"],
    targets: Float[np.ndarray, "n classes"],
    ridge: float,
    bandwidth: float,
    iterations: int,
    asked: Float[np.ndarray, "m p"],
) -> Iterator[Float[np.ndarray, "m classes"]]:
    """Predictions at `asked` after 0, 1, ... iterations, each computed when it is asked for."""
    metric = np.eye(x.shape[1])
    for step in range(iterations + 1):
        fitted = fit(x, targets, metric, ridge, bandwidth)
        predictions = laplace(asked, x, metric, bandwidth)[0] @ fitted.weights
        if step < iterations:
            metric = learnt_metric(x, fitted, metric, bandwidth)
        del fitted  # a run that is asked no further keeps no matrix of n by n
        yield predictions


def fit(
    x: Float[np.ndarray, "n p"],
    targets: Float[np.ndarray, "n classes"],
    metric: Metric,
    ridge: float,
    bandwidth: float,
) -> Fitted:
    among, distances = laplace(x, x, metric, bandwidth)
    return Fitted(solve(among.copy(), targets, ridge=ridge).weights, among, distances)


def laplace(
    x1: Float[np.ndarray, "n p"], x2: Float[np.ndarray, "m p"], metric: Metric, bandwidth: float
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n m"]]:
    """The kernel exp(-d / bandwidth), and the distances d by the metric."""
    left = x1 @ metric
    squared = (left * x1).sum(axis=1)[:, None] + ((x2 @ metric) * x2).sum(axis=1)
    squared -= 2 * left @ x2.T
    distances = np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
    if x1 is x2:
        np.fill_diagonal(distances, 0)
    return np.exp(distances / -bandwidth), distances


def learnt_metric(
    x: Float[np.ndarray, "n p"], fitted: Fitted, metric: Metric, bandwidth: float
) -> Metric:
    r"""Mean outer product of the predictor's gradients, scaled to trace p.

    The gradient at :math:`x_i` for a class with weights :math:`w` is
    :math:`\sum_j w_j k_{ij} M (x_j - x_i) / (L d_{ij})`, where a sample does not pull at itself.
    """
    near = fitted.distances > 0
    pull = np.divide(fitted.among, fitted.distances, out=np.zeros_like(fitted.among), where=near)
    total = np.zeros_like(metric)
    for weights in fitted.weights.T:
        gradients = pull @ (weights[:, None] * x) - (pull @ weights)[:, None] * x
        total += gradients.T @ gradients
    total = metric @ total @ metric
    scale = total.trace()
    return total * (len(metric) / scale) if scale > 0 else metric
