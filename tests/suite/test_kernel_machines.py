"""SVMs reach what a plain grid of scikit-learn's SVC reaches, whatever they do not compute."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.svm import SVC

from claimbench.kernels import ntk_gram, ntk_variants
from claimbench.suite import protocols
from claimbench.suite.data import load
from claimbench.suite.evaluation import Data, Indices, Score, Trial, cross_validated
from claimbench.suite.methods import kernel_machines
from claimbench.suite.methods.kernel_machines import (
    C_OF_THE_STUDY,
    CutOut,
    NtkBlocks,
    PrecomputedSvm,
)

Protocol = Callable[[Data, int], Any]
CAP = 5_000


def noisy() -> Data:
    """Classes that no kernel parts, with rows that come twice: the slowest case for the solver."""
    x, y = make_classification(
        80, 5, n_informative=3, n_redundant=1, n_classes=3, flip_y=0.3, random_state=0
    )
    x, y = np.concatenate([x, x[:40]]), np.concatenate([y, y[:40]])
    return Data("noisy", x, y, {}, "noisy")


DATA: dict[str, Callable[[], Data]] = {
    "iris": lambda: load("iris"),
    "wine": lambda: load("wine"),
    "noisy": noisy,
}


def plain_grid(data: Data, trial: Trial) -> Score:
    """Every fit of the grid, one by one and to its end."""
    variants = ntk_variants(2)
    grams = dict(zip(variants, ntk_gram(data.x, variants=variants, c_sigma=1.0), strict=True))

    def accuracy(candidate: tuple[Any, float], train: Indices, test: Indices) -> float:
        name, cost = candidate
        k = grams[name]
        machine = SVC(kernel="precomputed", C=cost).fit(k[np.ix_(train, train)], data.y[train])
        return float((machine.predict(k[np.ix_(test, train)]) == data.y[test]).mean())

    return cross_validated(trial.parts[0], list(product(variants, C_OF_THE_STUDY)), accuracy)


@pytest.mark.parametrize("protocol", [protocols.published_folds, protocols.nested_folds])
@pytest.mark.parametrize("name", DATA)
def test_ntk_svm_is_the_plain_grid(name: str, protocol: Protocol) -> None:
    data = DATA[name]()
    trial = Trial(data, protocol(data, 0), 0)
    [score] = kernel_machines.ntk_svm(trial, depth=2, iterations=CAP)
    wanted = plain_grid(data, trial)
    assert score.items == wanted.items
    assert score.details["chosen"] == wanted.details["chosen"]
    assert score.details["stopped_fits"] > 0 or name != "noisy"


@pytest.mark.parametrize("protocol", [protocols.published_folds, protocols.nested_folds])
def test_blocks_of_the_ntk_are_those_of_the_whole_matrix(protocol: Protocol) -> None:
    data, variants = load("iris"), ntk_variants(2)
    [part] = protocol(data, 0)
    blocks = NtkBlocks(data.x, variants, part)
    whole = dict(zip(variants, ntk_gram(data.x, variants=variants, c_sigma=1.0), strict=True))
    for fold in part.folds:
        for train, test in (*fold.selection, (fold.train, fold.test)):
            for variant in variants:
                among, across = blocks(variant, train, test)
                k = whole[variant]
                np.testing.assert_allclose(among, k[np.ix_(train, train)], rtol=1e-12, atol=1e-12)
                # Of equal rows, the arc cosine next to 1 makes 1e-8 of a rounding of 1e-16.
                np.testing.assert_allclose(across, k[np.ix_(test, train)], rtol=1e-6, atol=1e-12)


def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """(C, cap) of each fit that is made from now on."""
    made: list[tuple[float, int]] = []
    real = kernel_machines._support_vectors

    def counted(k: np.ndarray, y: np.ndarray, cost: float, iterations: int) -> Any:
        made.append((cost, iterations))
        return real(k, y, cost, iterations)

    monkeypatch.setattr(kernel_machines, "_support_vectors", counted)
    return made


def test_where_no_multiplier_is_at_its_bound_a_larger_c_is_not_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    y, everything = np.array([0, 0, 1, 1]), np.arange(4)
    machine = PrecomputedSvm(CutOut(lambda _: x @ x.T), y)
    made = fits(monkeypatch)
    # The maximal margin is 2, so both multipliers are 1/2: at their bound for C = 0.5, not for 1.
    accuracies = [machine(("linear", cost), everything, everything) for cost in (0.5, 1, 10, 100)]
    assert accuracies == [1.0] * 4
    assert [cost for cost, _ in made] == [0.5, 1]


def test_a_stopped_fit_that_is_selected_is_fitted_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = noisy()
    trial = Trial(data, protocols.published_folds(data, 0), 0)
    made = fits(monkeypatch)
    machine = PrecomputedSvm(CutOut(lambda _: data.x @ data.x.T), data.y, iterations=1)
    score = machine.cross_validated(trial.parts[0], [("linear", 1.0)])
    assert score.details["stopped_fits"] == 0
    assert [cap for _, cap in made if cap == -1] == [-1] * 4  # one candidate, so no selection
    free = PrecomputedSvm(CutOut(lambda _: data.x @ data.x.T), data.y)
    assert score.items == free.cross_validated(trial.parts[0], [("linear", 1.0)]).items


@pytest.mark.parametrize(
    ("method", "arguments", "plain"),
    [
        (kernel_machines.linear_svm, {}, SVC(kernel="linear", C=2.0)),
        (
            kernel_machines.gaussian_svm,
            {"gamma": (0.5,)},
            SVC(kernel="rbf", gamma=0.5 / 4, C=2.0),
        ),
        (
            kernel_machines.polynomial_svm,
            {"degrees": (3,), "scales": (0.1,)},
            SVC(kernel="poly", degree=3, gamma=0.1, coef0=1.0, C=2.0),
        ),
    ],
)
def test_kernels_are_those_of_scikit_learn(
    method: Callable[..., Any], arguments: dict[str, Any], plain: SVC
) -> None:
    data = load("iris")
    trial = Trial(data, protocols.published_folds(data, 0), 0)
    [score] = method(trial, c=(2.0,), **arguments)
    wanted = [
        plain.fit(data.x[fold.train], data.y[fold.train]).score(
            data.x[fold.test], data.y[fold.test]
        )
        for fold in trial.parts[0].folds
    ]
    assert score.items["accuracy"] == pytest.approx(wanted)


def test_no_warning_of_the_solver_reaches_the_user() -> None:
    data = noisy()
    trial = Trial(data, protocols.published_folds(data, 0), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(kernel_machines.linear_svm(trial, c=(1.0, 1e4), iterations=10))
