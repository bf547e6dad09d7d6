"""Finite networks trained by gradient descent: the rivals of the kernels in their own papers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from ..evaluation import Indices, Score, Trial, cross_validated, method, standardised

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
    counts as one that classifies nothing right.

    Args:
        init: "he", weights of variance 2 / p; "ntk", weights of variance 1 with the factor
            sqrt(2 / p) outside, so that the rate acts as in the limit of the NTK.
        width: units of each hidden layer.
        depths: numbers of hidden layers.
    """
    x = trial.data.x.reshape(len(trial.data.x), -1)
    grid = [Candidate(*values) for values in product(depths, rates, batch_norm)]

    def accuracy(candidate: Candidate, train: Indices, test: Indices) -> float:
        return _dense(trial, x, candidate, train, test, init, width, epochs, momentum)

    for part in trial.parts:
        yield cross_validated(part, grid, accuracy)


def _dense(
    trial: Trial,
    x: np.ndarray,
    candidate: Candidate,
    train: Indices,
    test: Indices,
    init: Literal["he", "ntk"],
    width: int,
    epochs: int,
    momentum: float,
) -> float:
    from ._dense import dense_net
    from ._training import Recipe, accuracy, descend, diverged, seeded, tensors

    depth, rate, normalise = candidate
    recipe = Recipe(epochs, len(train), rate, momentum, decay=0.0, milestones=())
    inputs, labels = tensors(x[train], trial.data.y[train], trial.device)
    with seeded(trial.seed, trial.device):
        net = dense_net(
            x.shape[1], trial.data.classes, width=width, depth=depth, init=init, normalise=normalise
        ).to(trial.device)
        descend(net, inputs, labels, recipe)
    if diverged(net):
        return 0.0
    return accuracy(net, *tensors(x[test], trial.data.y[test], trial.device))
