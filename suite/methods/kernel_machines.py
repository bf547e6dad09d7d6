"""Support vector machines with the NTK and with plain kernels; the solver is scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from claimbench.kernels import ntk_gram, ntk_variants

from ..evaluation import Indices, Part, Score, Trial, cross_validated, method

C_OF_THE_STUDY = tuple(10.0**k for k in range(-2, 5))
"""The grid of the released UCI code."""

Gram = Float[np.ndarray, "n n"]


def as_rows(x: np.ndarray) -> Float[np.ndarray, "n p"]:
    """Images as feature vectors; tables as they are."""
    return x.reshape(len(x), -1).astype(np.float64)


_Samples = tuple[int, int]
"""Training and test samples of a fit: identities of arrays that live as long as their trial."""

_Fit = tuple[tuple[Any, float], _Samples]
"""A candidate (Gram's name, C) on its samples."""


class Blocks(NamedTuple):
    """What a fit and its test need of a Gram matrix."""

    among: Gram
    across: Float[np.ndarray, "m n"]


BlocksOf = Callable[[Any, Indices, Indices], Blocks]
"""From a Gram matrix's name, training and test samples to its blocks."""


class CutOut:
    """Blocks cut out of whole Gram matrices; a grid asks for one matrix after the other."""

    def __init__(self, gram: Callable[[Any], Gram]):
        self.gram = gram
        self._name: Any = None
        self._matrix: Gram
        self._cut: dict[_Samples, Blocks] = {}

    def __call__(self, name: Any, train: Indices, test: Indices) -> Blocks:
        if self._name is None or name != self._name:
            self._name, self._matrix, self._cut = name, self.gram(name), {}
        samples = _samples(train, test)
        if samples not in self._cut:
            k = self._matrix
            self._cut[samples] = Blocks(k[np.ix_(train, train)], k[np.ix_(test, train)])
        return self._cut[samples]


class NtkBlocks:
    """Blocks of the NTK: all variants from one pass where one is selected, else that one alone.

    A pass computes only the pairs of samples that a fit and its validation need, and each block as
    a matrix of its own: a half of all pairs where selection is on halves, and nothing is copied.
    """

    def __init__(self, x: Float[np.ndarray, "n p"], variants: Sequence[Any], part: Part):
        self.x, self.variants = x, variants
        self._whole = CutOut(lambda variant: self._gram([variant], x)[0])
        self._selection = {
            _samples(*pair): id(fold.selection) for fold in part.folds for pair in fold.selection
        }
        self._of: int | None = None
        self._made: dict[_Samples, dict[Any, Blocks]] = {}

    def __call__(self, variant: Any, train: Indices, test: Indices) -> Blocks:
        samples = _samples(train, test)
        if samples not in self._selection:
            return self._whole(variant, train, test)
        if self._selection[samples] != self._of:
            self._of, self._made = self._selection[samples], {}
        if samples not in self._made:
            fitted, validated = self.x[train], self.x[test]
            among = self._gram(self.variants, fitted)
            across = self._gram(self.variants, validated, fitted)
            pairs = map(Blocks, among, across)
            self._made[samples] = dict(zip(self.variants, pairs, strict=True))
        return self._made[samples][variant]

    @staticmethod
    def _gram(variants: Sequence[Any], *x: Float[np.ndarray, "n p"]) -> Any:
        return ntk_gram(*x, variants=variants, c_sigma=1.0)


class PrecomputedSvm:
    """Accuracy of an SVM by candidate (Gram's name, C), for `select`; nothing is computed twice.

    A grid lists the C of a Gram matrix one behind the other, in rising order. Three shortcuts leave
    what is selected and reached as it is without them:

    1. The blocks of a Gram matrix are made once for all C.
    2. A fit none of whose multipliers has reached C answers for every larger C. In the dual,
       min 1/2 a'Qa - sum(a) with 0 <= a <= C and y'a = 0, C stands in the bounds alone, and the
       solver stops when the gradient Qa - 1 agrees, to its tolerance, between the multipliers that
       may rise and those that may fall. Where all a < C, a larger C alters neither the gradient nor
       these two sets: the same a meets the same rule. For more than two classes this holds of each
       pair, so of all where it holds of the largest multiplier.
    3. `iterations` caps fits that lose: `cross_validated` fits a stopped one again, to its end,
       where it was selected or tested. What the cap could hide is a fit that is behind when it is
       stopped and would have won.

    LibSVM cannot be started from the solution for another C, and no solver here is our own.
    """

    def __init__(self, blocks: BlocksOf, y: Indices, iterations: int = -1):
        self.blocks, self.y, self.iterations = blocks, y, iterations
        self._known: dict[_Fit, float] = {}
        self._settled: dict[tuple[Any, _Samples], tuple[float, float]] = {}
        self._stopped: set[_Fit] = set()
        self._to_the_end: set[_Fit] = set()

    def cross_validated(self, part: Part, grid: Sequence[tuple[Any, float]]) -> Score:
        """Accuracy over the folds of a part, with the number of fits that lost and were stopped."""
        while True:
            score = cross_validated(part, grid, self)
            believed = {
                (candidate, _samples(*pair))
                for fold, candidate in zip(part.folds, score.details["chosen"], strict=True)
                for pair in (*fold.selection, (fold.train, fold.test))
            }
            again = believed & self._stopped
            if not again:
                stopped = {"stopped_fits": len(self._stopped)}
                return replace(score, details=score.details | stopped)
            self._to_the_end |= again
            self._stopped -= again
            self._known = {fit: known for fit, known in self._known.items() if fit not in again}

    def __call__(self, candidate: tuple[Any, float], train: Indices, test: Indices) -> float:
        fit = candidate, _samples(train, test)
        if fit not in self._known:
            self._known[fit] = self._measured(fit, train, test)
        return self._known[fit]

    def _measured(self, fit: _Fit, train: Indices, test: Indices) -> float:
        (name, cost), samples = fit
        since, accuracy = self._settled.get((name, samples), (np.inf, 0.0))
        if since <= cost:
            return accuracy
        blocks = self.blocks(name, train, test)
        cap = -1 if fit in self._to_the_end else self.iterations
        machine = _support_vectors(blocks.among, self.y[train], cost, cap)
        accuracy = _share_right(machine, blocks.across, self.y[test])
        if machine.fit_status_:
            self._stopped.add(fit)
        elif np.abs(machine.dual_coef_).max() < cost:
            self._settled[name, samples] = cost, accuracy
        return accuracy


def _samples(train: Indices, test: Indices) -> _Samples:
    return id(train), id(test)


def _support_vectors(k: Gram, y: Indices, cost: float, iterations: int) -> Any:
    """A fitted SVM; its `fit_status_` tells whether it was stopped."""
    import sklearn
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    machine = SVC(kernel="precomputed", C=cost, max_iter=iterations)
    with warnings.catch_warnings(), sklearn.config_context(assume_finite=True):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return machine.fit(k, y)


def _share_right(machine: Any, across: Float[np.ndarray, "m n"], wanted: Indices) -> float:
    import sklearn

    with sklearn.config_context(assume_finite=True):
        return float((machine.predict(across) == wanted).mean())


@method()
def ntk_svm(
    trial: Trial, *, depth: int = 4, c: Sequence[float] = C_OF_THE_STUDY, iterations: int = -1
) -> Iterator[Score]:
    """SVM with the NTK; hidden layers, fixed layers and C are selected by the protocol.

    As in the released UCI code: every depth up to `depth` with every number of fixed layers, the
    Gram matrix neither centred nor normalised, one against one, ties to the shallowest and
    smallest C. The linear kernel at the largest C may need some 10^8 iterations on a set with many
    equal rows; `iterations` caps those of fits that lose, -1 caps none, and a record tells how many
    were stopped. `PrecomputedSvm` says why no accuracy depends on that.

    Source: Arora et al. 2020, arXiv:1910.01663, section 4.
    """
    x, variants = as_rows(trial.data.x), ntk_variants(depth)
    for part in trial.parts:
        machine = PrecomputedSvm(NtkBlocks(x, variants, part), trial.data.y, iterations)
        yield machine.cross_validated(part, list(product(variants, c)))


@method(baseline=True, libraries=("scikit-learn",))
def gaussian_svm(
    trial: Trial,
    *,
    gamma: Sequence[float] = tuple(2.0**k for k in range(-10, 4, 2)),
    c: Sequence[float] = C_OF_THE_STUDY,
    iterations: int = -1,
) -> Iterator[Score]:
    """SVM with the Gaussian kernel exp(-g d^2 / p); g and C are selected by the protocol.

    Dividing by the number of features p makes one grid of g fit every standardised data set.
    `iterations` is that of `ntk_svm`.
    """
    x = as_rows(trial.data.x)
    squared = _squared_distances(x) / x.shape[1]
    for part in trial.parts:
        machine = PrecomputedSvm(CutOut(lambda g: np.exp(-g * squared)), trial.data.y, iterations)
        yield machine.cross_validated(part, list(product(gamma, c)))


@method(baseline=True, libraries=("scikit-learn",))
def polynomial_svm(
    trial: Trial,
    *,
    degrees: Sequence[int] = (1, 2, 3),
    scales: Sequence[float] = (0.001, 0.01, 0.1),
    c: Sequence[float] = C_OF_THE_STUDY,
    iterations: int = -1,
) -> Iterator[Score]:
    """SVM with the polynomial kernel (s x'x + 1)^d; d, s and C are selected by the protocol.

    Degrees and scales are those that `svmPoly` of caret tries, the polynomial SVM of the UCI study
    (Fernandez-Delgado et al. 2014). `iterations` is that of `ntk_svm`.
    """
    x = as_rows(trial.data.x)
    inner = x @ x.T

    def gram(kernel: tuple[int, float]) -> Gram:
        degree, scale = kernel
        return np.asarray((scale * inner + 1) ** degree)

    kernels = list(product(degrees, scales))
    for part in trial.parts:
        machine = PrecomputedSvm(CutOut(gram), trial.data.y, iterations)
        yield machine.cross_validated(part, list(product(kernels, c)))


@method(baseline=True, libraries=("scikit-learn",))
def linear_svm(
    trial: Trial, *, c: Sequence[float] = C_OF_THE_STUDY, iterations: int = -1
) -> Iterator[Score]:
    """SVM with the linear kernel, which is the NTK without a hidden layer.

    `iterations` is that of `ntk_svm`.
    """
    x = as_rows(trial.data.x)
    for part in trial.parts:
        machine = PrecomputedSvm(CutOut(lambda _: x @ x.T), trial.data.y, iterations)
        yield machine.cross_validated(part, [("linear", cost) for cost in c])


def _squared_distances(x: Float[np.ndarray, "n p"]) -> Gram:
    norms = (x * x).sum(axis=1)
    return np.maximum(norms[:, None] + norms - 2 * x @ x.T, 0)
