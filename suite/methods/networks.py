"""Finite networks trained by gradient descent: the rivals of the kernels in their own papers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from ..evaluation import (
    Indices,
    Part,
    Score,
    Trial,
    cross_validated,
    method,
    select,
    standardised,
)

_TORCH = (("torch", "torch"),)


@method(needs=_TORCH, libraries=("torch",), baseline=True)
def residual_network(
    trial: Trial,
    *,
    depth: int = 34,
    epochs: int = 160,
    batch: int = 160,
    rate: float = 0.1,
    momentum: float = 0.9,
    decay: float = 5e-4,
    milestones: Sequence[float] = (0.5, 0.75),
    factor: float = 0.1,
) -> Iterator[Score]:
    """ResNet for small images, trained from scratch on each draw, without augmentation.

    The whole recipe stands in the arguments, because the tuning budget of a net decides who wins on
    few samples: stochastic gradient descent on batches of `batch` (all samples where there are
    fewer), the rate multiplied by `factor` after each share of the epochs in `milestones`.

    Args:
        depth: 18 or 34.
        decay: weight decay, on all weights.
    """
    from ._training import Recipe

    recipe = Recipe(epochs, batch, rate, momentum, decay, tuple(milestones), factor)
    for part in trial.parts:
        reached = [_residual(trial, fold.train, fold.test, depth, recipe) for fold in part.folds]
        tested = [test for _, test in reached]
        yield Score(
            metrics={"accuracy": float(np.mean(tested))},
            at=part.at,
            items={"accuracy": tested},
            details={"train_accuracy": [train for train, _ in reached]},
        )


class Training(NamedTuple):
    """What the protocol may select of a residual net's recipe."""

    batch: int
    rate: float
    decay: float


@method(needs=_TORCH, libraries=("torch",), baseline=True)
def tuned_residual_network(
    trial: Trial,
    *,
    batches: Sequence[int],
    rates: Sequence[float],
    decays: Sequence[float],
    depth: int = 34,
    epochs: int = 160,
    momentum: float = 0.9,
    milestones: Sequence[float] = (0.5, 0.75),
    factor: float = 0.1,
) -> Iterator[Score]:
    """`residual_network` whose batch, rate and weight decay are selected by the protocol.

    Selection sees training samples alone. Where it cannot tell candidates apart, as with one sample
    a class, the first of each list is taken.
    """
    from ._training import Recipe

    def accuracy(candidate: Training, train: Indices, test: Indices) -> float:
        batch, rate, decay = candidate
        recipe = Recipe(epochs, batch, rate, momentum, decay, tuple(milestones), factor)
        return _residual(trial, train, test, depth, recipe)[1]

    grid = [Training(*values) for values in product(batches, rates, decays)]
    for part in trial.parts:
        yield cross_validated(part, grid, accuracy)


def _residual(
    trial: Trial, train: Indices, test: Indices, depth: int, recipe: object
) -> tuple[float, float]:
    """Accuracy on training and test samples; a net that diverged names one class always."""
    from ._residual import residual_net
    from ._training import Recipe, accuracy, descend, seeded, tensors

    assert isinstance(recipe, Recipe)
    used, first = np.concatenate([train, test]), np.arange(len(train))
    images = np.split(standardised(trial.data.x[used], first), [len(train)])
    x, y = tensors(images[0], trial.data.y[train], trial.device)
    with seeded(trial.seed, trial.device):
        net = residual_net(depth, x.shape[1], trial.data.classes).to(trial.device)
        descend(net, x, y, recipe)
    return accuracy(net, x, y), accuracy(net, *tensors(images[1], trial.data.y[test], trial.device))


class Candidate(NamedTuple):
    """A dense net that the protocol may select."""

    depth: int
    rate: float
    normalise: bool


@method(needs=_TORCH, libraries=("torch",), baseline=True)
def dense_network(
    trial: Trial,
    *,
    init: Literal["he", "ntk"],
    width: int = 256,
    depths: Sequence[int] = (1, 2, 4),
    rates: Sequence[float] = (0.1, 1.0),
    batch_norm: Sequence[bool] = (False,),
    epochs: int = 100,
    momentum: float = 0.0,
) -> Iterator[Score]:
    """Fully connected ReLU net without biases, by gradient descent on all samples at once.

    Depth, rate and batch normalisation are selected by the protocol. A net whose training diverges
    counts as one that classifies nothing right. Nets of one shape that differ in rate or samples
    are trained side by side. Each begins at the weights that the trial's seed gives a single net
    and reaches what that would reach, up to rounding.

    Args:
        init: "he", weights of variance 2 / p; "ntk", weights of variance 1 with the factor
            sqrt(2 / p) outside, so that the rate acts as in the limit of the NTK.
        width: units of each hidden layer.
        depths: numbers of hidden layers.
    """
    grid = [Candidate(*values) for values in product(depths, rates, batch_norm)]
    nets = DenseNets(trial, init, width, epochs, momentum)
    for part in trial.parts:
        yield nets.cross_validated(part, grid)


class Fit(NamedTuple):
    """A candidate, the samples that train it and those that test it."""

    candidate: Candidate
    train: Indices
    test: Indices

    @property
    def name(self) -> tuple[Candidate, int, int]:
        """What tells it from others: its arrays live as long as their trial."""
        return self.candidate, id(self.train), id(self.test)


class DenseNets:
    """Accuracy of dense nets by candidate, for `select`, which asks when they have been trained."""

    ACTIVATIONS = 2**18
    """Of a layer, in nets side by side. This 1 MiB stays in a core's cache; more are no faster."""

    def __init__(
        self, trial: Trial, init: Literal["he", "ntk"], width: int, epochs: int, momentum: float
    ):
        from ._training import tensors

        rows = trial.data.x.reshape(len(trial.data.x), -1)
        self.x, self.y = tensors(rows, trial.data.y, trial.device)
        self.trial, self.init, self.width = trial, init, width
        self.epochs, self.momentum = epochs, momentum
        self._known: dict[tuple[Candidate, int, int], float] = {}

    def __call__(self, candidate: Candidate, train: Indices, test: Indices) -> float:
        return self._known[Fit(candidate, train, test).name]

    def cross_validated(self, part: Part, grid: Sequence[Candidate]) -> Score:
        """All that selects is trained first, then what was selected on all folds."""
        if len(grid) > 1:
            pairs = [pair for fold in part.folds for pair in fold.selection]
            self._train([Fit(candidate, *pair) for candidate, pair in product(grid, pairs)])
        self._train([Fit(select(f, grid, self), f.train, f.test) for f in part.folds])
        return cross_validated(part, grid, self)

    def _train(self, fits: Sequence[Fit]) -> None:
        groups: dict[tuple[int, bool, int], list[Fit]] = {}
        for fit in {fit.name: fit for fit in fits}.values():
            depth, _, normalise = fit.candidate
            groups.setdefault((depth, normalise, len(fit.train)), []).append(fit)
        for (_, _, samples), group in groups.items():
            at_once = max(1, self.ACTIVATIONS // (samples * self.width))
            for start in range(0, len(group), at_once):
                self._train_side_by_side(group[start : start + at_once])

    def _train_side_by_side(self, fits: Sequence[Fit]) -> None:
        """Fits that share depth, normalisation and number of training samples."""
        import torch

        from ._dense import dense_net, keep, one_by_one
        from ._training import accuracy, descend_side_by_side, nothing_denormal, seeded

        depth, _, normalise = fits[0].candidate
        with seeded(self.trial.seed, self.trial.device):
            nets = dense_net(
                self.x.shape[1],
                self.trial.data.classes,
                width=self.width,
                depth=depth,
                init=self.init,
                normalise=normalise,
                members=(1,),
            ).to(self.trial.device)
        keep(nets, torch.zeros(len(fits), dtype=torch.int64))
        train = np.stack([fit.train for fit in fits])
        rates = torch.tensor([fit.candidate.rate for fit in fits], device=self.trial.device)
        with nothing_denormal():
            left = descend_side_by_side(
                nets, self.x[train], self.y[train], rates, self.epochs, self.momentum
            )
        self._known |= {fit.name: 0.0 for fit in fits}
        for index, net in zip(left.tolist(), one_by_one(nets), strict=True):
            test = fits[index].test
            self._known[fits[index].name] = accuracy(net, self.x[test], self.y[test])
