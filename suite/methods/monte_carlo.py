"""The CNTK by Monte Carlo: the tangent kernel of a random net of finite width, and its limit.

The gradients of such a net are random features of the CNTK, with which one estimated the kernel
before it could be computed exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from claimbench.kernels import cntk_gram, empirical_ntk_gram

from ..evaluation import Fold, Indices, Part, Score, Trial, method, standardised
from ..gram import on_device
from ..matrices import Grid, survey

Pooling = Literal[0, "gap"]
"""A window of `cntk_gram`: none, the vanilla CNTK, or global average pooling."""


@method(axes=("depth", "ridge"))
def exact_cntk(
    trial: Trial,
    *,
    depth: Sequence[int],
    window: Pooling,
    ridge: Sequence[float],
    frozen_ends: bool = False,
) -> Iterator[Score]:
    """Regression with the exact CNTK, the kernel of infinitely many channels.

    Args:
        depth: numbers of convolution layers, each with a ReLU.
        window: 0 for the vanilla kernel, `gap` for global average pooling.
        ridge: as a share of the mean of the kernel's diagonal; 0 is least squares of minimum norm,
            without the directions that float32 cannot tell from none.
        frozen_ends: the first and the last layer are not trained.

    Source: Arora et al. 2019, arXiv:1904.11955, appendix A.
    """
    for part in trial.parts:
        fold, x = _images(trial, part)
        test, train = x[fold.test], x[fold.train]
        among = _exact(trial, depth, window, frozen_ends, train)
        across = _exact(trial, depth, window, frozen_ends, test, train)
        for (level, layers), share in product(enumerate(depth), ridge):
            reached = _reached(among[level], across[level], trial.data.y, fold, share)
            metrics = {"accuracy": reached.accuracy, "gram_error": 0.0}
            details = {"condition": reached.condition}
            yield Score(metrics, part.at, {"depth": layers, "ridge": share}, details=details)


@method(axes=("depth", "width", "ridge"), needs=(("torch", "torch"),))
def monte_carlo_cntk(
    trial: Trial,
    *,
    depth: Sequence[int],
    width: Sequence[int],
    window: Pooling,
    ridge: Sequence[float],
    draws: int,
    frozen_ends: bool = False,
) -> Iterator[Score]:
    """Regression with the tangent kernel of random nets, one kernel a net.

    Accuracy is the median over the nets, as published; the error is the mean of theirs, in the norm
    of Frobenius over the training samples, relative to the exact kernel's.

    Args:
        width: channels of each convolution.
        draws: nets of each width.
        depth: as of `exact_cntk`, with `window`, `ridge` and `frozen_ends`.

    Source: Novak et al. 2019, arXiv:1810.05148, for the estimate; as random features Arora et al.
    2019, arXiv:1904.11955.
    """
    from ._training import seeded

    for part in trial.parts:
        fold, x = _images(trial, part)
        samples = np.concatenate([fold.train, fold.test])
        size = len(fold.train)
        exact = _exact(trial, depth, window, frozen_ends, x[fold.train])
        with seeded(trial.seed, trial.device):
            for (level, layers), channels in product(enumerate(depth), width):
                grams = [
                    _drawn(trial, x[samples], layers, channels, window, frozen_ends)
                    for _ in range(draws)
                ]
                error = float(np.mean([_error(k[:size, :size], exact[level]) for k in grams]))
                for share in ridge:
                    reached = [
                        _reached(k[:size, :size], k[size:, :size], trial.data.y, fold, share)
                        for k in grams
                    ]
                    accuracies = [one.accuracy for one in reached]
                    yield Score(
                        {"accuracy": float(np.median(accuracies)), "gram_error": error},
                        part.at,
                        {"depth": layers, "width": channels, "ridge": share},
                        items={"accuracy": accuracies},
                        details={"condition": max(one.condition for one in reached)},
                    )


def _images(trial: Trial, part: Part) -> tuple[Fold, Float[np.ndarray, "n channels h w"]]:
    [fold] = part.folds
    return fold, standardised(trial.data.x, fold.train).astype(np.float32)


def _exact(
    trial: Trial, depth: Sequence[int], window: Pooling, frozen_ends: bool, *images: np.ndarray
) -> Float[np.ndarray, "depths n m"]:
    asked = {"depths": depth, "windows": [window], "frozen_ends": frozen_ends}
    grams: np.ndarray = on_device(trial.device, cntk_gram, *images, **asked)
    return grams[0, 0, :, 0].astype(np.float64)


def _drawn(
    trial: Trial,
    images: Float[np.ndarray, "n channels h w"],
    depth: int,
    width: int,
    window: Pooling,
    frozen_ends: bool,
) -> Float[np.ndarray, "n n"]:
    """The tangent kernel of a net drawn now."""
    import torch

    from ._convolutional import convolutional_net

    net = convolutional_net(
        images.shape[1:],
        width=width,
        depth=depth,
        pooled=window == "gap",
        frozen_ends=frozen_ends,
    ).to(trial.device)
    gram = empirical_ntk_gram(torch.from_numpy(images).to(trial.device), module=net)
    values: np.ndarray = gram.cpu().numpy().astype(np.float64)
    return values


def _error(k: Float[np.ndarray, "n n"], exact: Float[np.ndarray, "n n"]) -> float:
    return float(np.linalg.norm(k - exact) / np.linalg.norm(exact))


class _Reached(NamedTuple):
    """What kernel regression reached.

    Attributes:
        condition: of the matrix in the directions that were kept, in the 2-norm. What float32
            cannot tell from none is left out, so no solution rests on its rounding.
    """

    accuracy: float
    condition: float


def _reached(
    k: Float[np.ndarray, "n n"],
    across: Float[np.ndarray, "m n"],
    y: Indices,
    fold: Fold,
    ridge: float,
) -> _Reached:
    """Kernel regression on one-hot targets.

    Raises:
        UnsolvableGram: where an entry of the kernel is not finite.
    """
    survey(lambda rows, columns: k[rows, columns], Grid(len(k), len(k)))
    values, vectors = np.linalg.eigh(k)
    kept = values > len(k) * np.finfo(np.float32).eps * values[-1]
    damped = values[kept] + ridge * k.diagonal().mean()
    labels = y[fold.train]
    targets = np.eye(labels.max() + 1)[labels]
    weights = vectors[:, kept] @ ((vectors[:, kept].T @ targets) / damped[:, None])
    accuracy = float(((across @ weights).argmax(axis=1) == y[fold.test]).mean())
    return _Reached(accuracy, float(damped[-1] / damped[0]) if len(damped) else 1.0)
