"""What passes between data set, protocol and method: arrays, splits and scores."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int

from .definitions import Scalar
from .registry import Registry

Indices = Int[np.ndarray, " k"]
Candidate = TypeVar("Candidate", bound=Hashable)


@dataclass(frozen=True)
class Data:
    """A data set: whole arrays in a fixed order.

    Attributes:
        name: as a record must give it; a part of a published set says so in its name.
        x: one sample a row: features (n, p), or images (n, channels, height, width).
        y: classes, 0 to `classes` - 1. Where a sample may be of several: one column a class, with
            what `memberships` gives.
        splits: what the publisher defines, by the publisher's name for it; tuples of indices.
        digest: SHA-256 over the arrays.
    """

    name: str
    x: np.ndarray
    y: Int[np.ndarray, "n ..."]
    splits: dict[str, tuple[Indices, ...]]
    digest: str

    @property
    def classes(self) -> int:
        return self.y.shape[1] if self.y.ndim == 2 else int(self.y.max()) + 1

    def memberships(self) -> Int[np.ndarray, "n classes"]:
        """1 where a sample is of a class, -1 where it is not, 0 where it is not to be counted."""
        if self.y.ndim == 2:
            return self.y
        return np.where(np.eye(self.classes, dtype=bool)[self.y], 1, -1)


class Fold(NamedTuple):
    """One fit: where to train, where to test, and where hyper-parameters are selected.

    Attributes:
        selection: pairs (fit, validate) of indices; empty where there is nothing to select.
    """

    train: Indices
    test: Indices
    selection: tuple[tuple[Indices, Indices], ...] = ()


@dataclass(frozen=True)
class Part:
    """The folds behind one score of a trial.

    Attributes:
        at: values of the protocol's axes, such as the number of samples.
    """

    at: dict[str, Scalar]
    folds: tuple[Fold, ...]


@dataclass(frozen=True)
class Trial:
    """One draw of a protocol on a data set; every method sees the same, so that they are paired.

    Attributes:
        data: all samples; a method may look at the labels of `train` and `selection` only.
        seed: for whatever a method itself draws.
        device: where a method computes, `cpu` or `cuda`.
    """

    data: Data
    parts: tuple[Part, ...]
    seed: int
    device: str = "cpu"


@dataclass(frozen=True)
class Score:
    """What a method reached at one point.

    Attributes:
        at: values of the protocol's axes.
        variant: values of the method's axes.
        metrics: by name of the metric, in its unit.
        items: the values whose mean a metric is (folds, images), where a rule may want them.
        details: what else a reader may ask: chosen hyper-parameters, curves.
    """

    metrics: dict[str, float]
    at: dict[str, Scalar] = field(default_factory=dict)
    variant: dict[str, Scalar] = field(default_factory=dict)
    items: dict[str, list[float]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


protocol: Registry[tuple[Part, ...]] = Registry("protocol")
method: Registry[Iterable[Score]] = Registry("method")


def select(
    fold: Fold, grid: Sequence[Candidate], accuracy: Callable[[Candidate, Indices, Indices], float]
) -> Candidate:
    """The first candidate of the grid that does best where the fold selects.

    A tie goes to the candidate that stands earlier, so a grid lists the simplest first.
    """
    if not fold.selection or len(grid) == 1:
        return grid[0]

    def score(candidate: Candidate) -> float:
        return float(np.mean([accuracy(candidate, fit, val) for fit, val in fold.selection]))

    return max(grid, key=score)


def cross_validated(
    part: Part,
    grid: Sequence[Candidate],
    accuracy: Callable[[Candidate, Indices, Indices], float],
    metric: str = "accuracy",
) -> Score:
    """Accuracy of a method over the folds of a part, its hyper-parameters selected by the protocol.

    Args:
        grid: candidates, the simplest first.
        accuracy: of a candidate fitted on the first indices and tested on the second, 0 to 1.
        metric: what it is, where it is not accuracy.
    """
    chosen: list[Candidate] = []
    reached: list[float] = []
    for previous, fold in zip((None, *part.folds), part.folds, strict=False):
        if previous is None or previous.selection is not fold.selection:
            candidate = select(fold, grid, accuracy)
        chosen.append(candidate)
        reached.append(accuracy(candidate, fold.train, fold.test))
    return Score(
        metrics={metric: float(np.mean(reached))},
        at=part.at,
        items={metric: reached},
        details={"chosen": chosen},
    )


def standardised(x: Float[np.ndarray, "n ..."], train: Indices) -> Float[np.ndarray, "n ..."]:
    """Zero mean, unit variance over the training samples: of channels for images, else features.

    What is constant there stays so, and is not divided by the rounding error of its mean.
    """
    axes = (0, 2, 3) if x.ndim == 4 else (0,)
    mean = x[train].mean(axis=axes, keepdims=True)
    spread = x[train].std(axis=axes, keepdims=True)
    varies = (np.ptp(x[train], axis=axes, keepdims=True) > 0) & (spread > 0)
    return (x - mean) / np.where(varies, spread, 1)


def on_data(trial: Trial, x: np.ndarray) -> Trial:
    """The same trial with other inputs, such as standardised ones."""
    return replace(trial, data=replace(trial.data, x=x))
