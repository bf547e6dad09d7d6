"""Finite nets of growing width beside their limit: kernel regression with the NTK.

Both take the same steps of gradient descent on squared errors, from the same training samples. What
is left between them is the width: the tangent kernel of a finite net is drawn at random, and moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float

from claimbench.kernels import ntk_gram

from ..definitions import Scalar
from ..evaluation import Fold, Indices, Part, Score, Trial, method, standardised
from .kernel_machines import as_rows

Outputs = Float[np.ndarray, "*members test classes"]


@dataclass(frozen=True)
class Problem:
    """A fold as nets and kernel see it.

    Attributes:
        x: standardised inputs of all samples, one a row.
        targets: of the training samples, one-hot less the mean over classes.
        rate: learning rate of a net in the NTK's parametrisation.
        limit: what the NTK says of the test samples after the same steps.
    """

    x: Float[np.ndarray, "n p"]
    fold: Fold
    targets: Float[np.ndarray, "train classes"]
    labels: Indices
    rate: float
    limit: Float[np.ndarray, "test classes"]


@method()
def ntk_descent(trial: Trial, *, depth: int, steps: int, rate: float) -> Iterator[Score]:
    """The limit of infinitely wide nets after some steps of gradient descent on squared errors.

    With T steps at the rate h the NTK's answer is K(x, X) K^-1 (1 - (1 - h K)^T) Y: regression
    without a ridge, of which the slowest directions are not yet learnt. It depends on no draw, so
    its distance and its variance are 0.

    Args:
        depth: number of hidden layers.
        steps: T.
        rate: h as a share of 1 over the largest eigenvalue of K; below 1.

    Source: Jacot et al. 2018, arXiv:1806.07572; Lee et al. 2019, arXiv:1902.06720.
    """
    for part in trial.parts:
        problem = _problem(trial, part, depth, steps, rate)
        yield Score(_metrics(problem, problem.limit[None], 0.0), part.at)


@method(axes=("width", "centred", "members"), needs=(("torch", "torch"),))
def wide_networks(
    trial: Trial,
    *,
    width: Sequence[int],
    centred: Sequence[bool],
    members: Sequence[int],
    depth: int,
    steps: int,
    rate: float,
) -> Iterator[Score]:
    """Fully connected ReLU nets in the NTK's parametrisation, trained from several initialisations.

    The largest of `members` nets are trained for each width. Distance is that of their outputs from
    the NTK's after the same steps, variance that of their outputs over initialisations; both are
    relative to the mean square of the NTK's outputs, in roots and squares alike.

    Args:
        width: units of each hidden layer.
        centred: whether the function that a net computes before its training is subtracted from it.
            Otherwise a net keeps a part of that function, however wide it is.
        members: nets whose outputs are averaged into one; 1 for single nets.
        depth: number of hidden layers.
        steps: of gradient descent, on all samples at once.
        rate: as of `ntk_descent`.

    Source: Jacot et al. 2018, arXiv:1806.07572, for the parametrisation; output minus initial
    output as in Chizat et al. 2019, arXiv:1812.07956.
    """
    nets = max(members)
    if odd := [count for count in members if nets % count]:
        raise ValueError(f"wide_networks: {nets} nets make no groups of {odd[0]}, see `members`")
    for part in trial.parts:
        problem = _problem(trial, part, depth, steps, rate)
        for units, from_zero in product(width, centred):
            outputs = _trained(trial, problem, nets, units, depth, steps, from_zero)
            scale = np.square(problem.limit).mean()
            variance = float(outputs.var(axis=0, ddof=1).mean() / scale) if nets > 1 else 0.0
            for count in members:
                groups = outputs.reshape(-1, count, *problem.limit.shape).mean(axis=1)
                variant: dict[str, Scalar] = {
                    "width": units,
                    "centred": from_zero,
                    "members": count,
                }
                yield Score(_metrics(problem, groups, variance / count), part.at, variant)


def _problem(trial: Trial, part: Part, depth: int, steps: int, rate: float) -> Problem:
    [fold] = part.folds
    x = as_rows(standardised(trial.data.x, fold.train))
    targets = np.eye(trial.data.classes)[trial.data.y[fold.train]] - 1 / trial.data.classes
    limit, largest = descended(x[fold.train], x[fold.test], targets, depth, steps, rate)
    # A net's first layer divides by half the number of features, and its kernel with it.
    its_rate = rate / (largest * 2 / x.shape[1])
    return Problem(x, fold, targets, trial.data.y[fold.test], its_rate, limit)


def descended(
    x: Float[np.ndarray, "n p"],
    asked: Float[np.ndarray, "m p"],
    targets: Float[np.ndarray, "n classes"],
    depth: int,
    steps: int,
    rate: float,
) -> tuple[Float[np.ndarray, "m classes"], float]:
    """The NTK's outputs after so many steps, and the largest eigenvalue of its Gram matrix."""
    variants = [(depth, 0)]
    values, vectors = np.linalg.eigh(ntk_gram(x, variants=variants)[0])
    values = np.maximum(values, np.finfo(float).eps * values[-1])
    learnt = -np.expm1(steps * np.log1p(-rate * values / values[-1])) / values
    weights = vectors @ (learnt[:, None] * (vectors.T @ targets))
    return ntk_gram(asked, x, variants=variants)[0] @ weights, float(values[-1])


def _trained(
    trial: Trial,
    problem: Problem,
    members: int,
    width: int,
    depth: int,
    steps: int,
    centred: bool,
) -> Outputs:
    """Outputs of so many nets on the test samples."""
    import torch

    from ._dense import dense_net
    from ._training import descend_on_squares, seeded

    def tensor(values: np.ndarray) -> Any:
        return torch.from_numpy(values.astype(np.float32)).to(trial.device)

    train, test = (tensor(problem.x[part]) for part in (problem.fold.train, problem.fold.test))
    targets = tensor(problem.targets)
    with seeded(trial.seed, trial.device):
        nets = dense_net(
            train.shape[1],
            targets.shape[1],
            width=width,
            depth=depth,
            init="ntk",
            normalise=False,
            members=(members,),
        ).to(trial.device)
    with torch.no_grad():
        before = nets(test) if centred else 0.0
        wanted = targets + nets(train) if centred else targets
    descend_on_squares(nets, train, wanted, problem.rate, steps)
    with torch.inference_mode():
        outputs: Outputs = (nets(test) - before).cpu().numpy().astype(np.float64)
    return outputs


def _metrics(problem: Problem, outputs: Outputs, variance: float) -> dict[str, float]:
    """Means over the first axis of the outputs."""
    distance = np.square(outputs - problem.limit).mean() / np.square(problem.limit).mean()
    return {
        "accuracy": float((outputs.argmax(axis=-1) == problem.labels).mean()),
        "distance": float(np.sqrt(distance)),
        "variance": variance,
    }
