"""Recursive feature machines, against finite differences and scikit-learn's kernel ridge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.kernel_ridge import KernelRidge

from claimbench.suite import protocols
from claimbench.suite.data import load
from claimbench.suite.evaluation import Data, Trial
from claimbench.suite.methods import feature_machines as machines

RIDGE, BANDWIDTH = 0.1, 3.0


def problem(n: int = 30, p: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, p)), np.eye(3)[rng.integers(0, 3, n)]


def some_metric(p: int) -> np.ndarray:
    root = np.random.default_rng(1).normal(size=(p, p))
    return root @ root.T


def test_the_kernel_is_that_of_mahalanobis_distances() -> None:
    x, _ = problem()
    metric = some_metric(4)
    wanted = cdist(x, x[:7], "mahalanobis", VI=metric)
    kernel, distances = machines.laplace(x, x[:7], metric, BANDWIDTH)
    # A distance is the root of a difference of squares, so near 0 it has half of the digits.
    np.testing.assert_allclose(distances, wanted, atol=1e-7)
    np.testing.assert_allclose(kernel, np.exp(-wanted / BANDWIDTH), atol=1e-7)


def test_without_iterations_it_is_kernel_ridge_regression() -> None:
    x, targets = problem()
    asked = x[:5] + 0.1
    [predicted] = machines.recursion(x, targets, RIDGE, BANDWIDTH, 0, asked)
    ridge = KernelRidge(alpha=RIDGE, kernel="precomputed")
    ridge.fit(np.exp(-cdist(x, x) / BANDWIDTH), targets)
    wanted = ridge.predict(np.exp(-cdist(asked, x) / BANDWIDTH))
    np.testing.assert_allclose(predicted, wanted, atol=1e-10)


def test_the_metric_is_that_of_numerical_gradients() -> None:
    x, targets = problem()
    metric = some_metric(4)
    fitted = machines.fit(x, targets, metric, RIDGE, BANDWIDTH)
    step = 1e-4

    def predictor(asked: np.ndarray, sample: int) -> np.ndarray:
        """Without the pull of the sample itself, whose cone has no gradient at its tip."""
        others = np.arange(len(x)) != sample
        kernel, _ = machines.laplace(asked, x[others], metric, BANDWIDTH)
        return np.asarray(kernel @ fitted.weights[others])

    outer = np.zeros((4, 4))
    for sample, point in enumerate(x):
        up, down = (predictor(point + s * step * np.eye(4), sample) for s in (1, -1))
        jacobian = (up - down) / (2 * step)
        outer += jacobian @ jacobian.T
    wanted = outer * 4 / outer.trace()
    learnt = machines.learnt_metric(x, fitted, metric, BANDWIDTH)
    # A central difference errs by its step squared.
    np.testing.assert_allclose(learnt, wanted, rtol=0, atol=100 * step**2)


def test_it_finds_the_feature_that_matters() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 20))
    y = (np.sin(2 * x[:, 0]) > 0).astype(int)
    plain, *_, learnt = (
        (f.argmax(axis=1) == y[150:]).mean()
        for f in machines.recursion(x[:150], np.eye(2)[y[:150]], 0.01, 10.0, 3, x[150:])
    )
    assert learnt > plain + 0.1


def test_constant_targets_leave_the_metric_alone() -> None:
    x = np.zeros((5, 3))
    fitted = machines.fit(x, np.ones((5, 1)), np.eye(3), RIDGE, BANDWIDTH)
    np.testing.assert_array_equal(machines.learnt_metric(x, fitted, np.eye(3), 1.0), np.eye(3))


@pytest.mark.parametrize("protocol", [protocols.published_folds, protocols.nested_folds])
def test_ridge_and_iterations_are_selected(protocol: object) -> None:
    data: Data = load("iris")
    assert callable(protocol)
    [score] = machines.feature_machine(Trial(data, protocol(data, 0), 0), ridges=(1.0, 0.1))
    assert score.metrics["accuracy"] > 0.9
    assert all(ridge in (1.0, 0.1) and 0 <= t <= 3 for ridge, t in score.details["chosen"])
