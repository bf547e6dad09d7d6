"""Protocols: how a trial splits the data and where hyper-parameters are selected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Int
from pydantic import Field

from .evaluation import Data, Fold, Indices, Part, protocol

Count = Annotated[int, Field(ge=1)]
AtLeastTwo = Annotated[int, Field(ge=2)]


class UnfitData(ValueError):
    """A protocol cannot be run on a data set; the message says what it wants."""


@protocol()
def published_folds(data: Data, trial: int) -> tuple[Part, ...]:
    """The protocol of the UCI study: one selection split over all points, then four fixed folds.

    The selection split covers the same points as the folds, a leak that the original study
    (Fernandez-Delgado et al. 2014) has for every classifier alike. Data without published splits
    get ones of the same form: half and half, then four stratified folds.
    """
    if "folds" in data.splits:
        [fit, validate], folds = data.splits["selection"], data.splits["folds"]
        tests = list(zip(folds[::2], folds[1::2], strict=True))
    else:
        [(fit, validate)] = _stratified(data.y, 2, trial)[:1]
        tests = _stratified(data.y, 4, trial)
    selection = ((fit, validate),)
    return _sound(data, Part({}, tuple(Fold(train, test, selection) for train, test in tests)))


@protocol()
def nested_folds(
    data: Data, trial: int, *, inner: AtLeastTwo = 2, pairs: Count | None = None
) -> tuple[Part, ...]:
    """The same four test folds, with selection by stratified folds inside each training part.

    Args:
        inner: into how many folds a training part is cut.
        pairs: how many of these are validated on; all of them where left out.
    """
    [outer] = published_folds(data, trial)
    folds = []
    for train, test, _ in outer.folds:
        cut = _stratified(data.y[train], inner, trial)[:pairs]
        selection = tuple((train[fit], train[validate]) for fit, validate in cut)
        folds.append(Fold(train, test, selection))
    return _sound(data, Part({}, tuple(folds)))


def _stratified(y: Indices, folds: int, seed: int) -> list[tuple[Indices, Indices]]:
    """Stratified folds; a class with fewer members than folds is spread as far as it goes."""
    _require_one_class(y)
    if folds > len(y):
        raise UnfitData(f"{len(y)} samples cannot be cut into {folds} folds")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    fold_of = np.empty(len(y), dtype=np.intp)
    fold_of[order] = np.arange(len(y)) % folds
    return [(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(folds)]


@protocol(axes=("n",))
def few_samples(
    data: Data,
    trial: int,
    *,
    n: Sequence[Count],
    test: Count,
    inner: Literal[0] | AtLeastTwo = 0,
) -> tuple[Part, ...]:
    """Class-balanced draws of n training samples, tested on `test` others.

    The draw of a larger n holds that of a smaller one. Training samples come from the published
    training split and test samples from the test split where the data have them; the test samples
    are drawn afresh in each trial, and are the same for every n.

    Args:
        inner: stratified folds of the draw itself, on which hyper-parameters are selected; none
            where 0. Two folds of one sample a class have no class in common.
    """
    rng = np.random.default_rng(trial)
    pool, held_out = _pools(data, rng)
    order = _balanced(data.y, rng.permutation(pool))
    chosen = _first(rng.permutation(held_out), test, f"{data.name} has no {test} test samples")
    uneven = [size for size in n if size % data.classes]
    if uneven:
        raise UnfitData(f"n = {uneven[0]} is no multiple of the {data.classes} classes")
    parts = []
    for size in n:
        train = _first(order, size, f"{data.name} has no {size} balanced training samples")
        cut = _stratified(data.y[train], inner, trial) if inner else []
        selection = tuple((train[fit], train[validate]) for fit, validate in cut)
        parts.append(Part({"n": size}, (Fold(train, chosen, selection),)))
    return _sound(data, *parts)


@protocol(axes=("k",))
def few_shots(
    data: Data, trial: int, *, k: Sequence[Count], test: Count | None = None, inner: AtLeastTwo = 2
) -> tuple[Part, ...]:
    """k training images for each class, with selection inside them, tested on `test` others.

    An image of several classes is drawn for one of them and counts for all that it is of; none is
    drawn twice. The draw of a larger k holds that of a smaller one. The s-th image of each class
    goes to inner fold s mod `inner`, so that every class is in every fold; with fewer images a
    class than folds nothing can be selected, and the first candidate is taken.

    Args:
        test: how many test samples are drawn, afresh in each trial; all of them where left out.
        inner: into how many folds the training samples are cut.
    """
    rng = np.random.default_rng(trial)
    pool, held_out = _pools(data, rng)
    drawn = _shots(data, rng.permutation(pool), max(k))
    wanted = len(held_out) if test is None else test
    complaint = f"{data.name} has no {wanted} test samples"
    chosen = np.sort(_first(rng.permutation(held_out), wanted, complaint))
    return _sound(data, *(Part({"k": s}, (_selected(drawn[:s], chosen, inner),)) for s in k))


def _selected(drawn: Int[np.ndarray, "k classes"], test: Indices, inner: int) -> Fold:
    """A fold whose training samples are all that is drawn; selection is among them."""
    folds = [drawn[fold::inner].ravel() for fold in range(inner)]
    pairs = [
        (np.concatenate([other for other in folds if other is not fold]), fold) for fold in folds
    ]
    return Fold(drawn.ravel(), test, tuple(pairs) if len(drawn) >= inner else ())


def _shots(data: Data, order: Indices, k: int) -> Int[np.ndarray, "k classes"]:
    """The next sample of each class that is not taken yet, class by class, k times."""
    if k > len(order):
        raise UnfitData(f"{data.name} has no {k} training samples for each class")
    of_class = data.memberships()[order] == 1
    free = np.ones(len(order), dtype=bool)
    drawn = np.empty((k, data.classes), dtype=np.intp)
    for shot, label in np.ndindex(drawn.shape):
        left = np.flatnonzero(free & of_class[:, label])
        if len(left) == 0:
            raise UnfitData(f"{data.name} has no {k} training samples for class {label}")
        free[left[0]] = False
        drawn[shot, label] = order[left[0]]
    return drawn


@protocol()
def published_split(data: Data, trial: int) -> tuple[Part, ...]:
    """All published training samples and all published test samples; every trial is the same."""
    if "train" not in data.splits:
        raise UnfitData(f"{data.name} has no published training and test samples")
    return _sound(data, Part({}, (Fold(data.splits["train"][0], data.splits["test"][0]),)))


@protocol()
def holdout(
    data: Data, trial: int, *, train: AtLeastTwo, test: Count, classes: AtLeastTwo | None = None
) -> tuple[Part, ...]:
    """Class-balanced training samples and test samples, drawn afresh in each trial.

    Args:
        classes: how many of the first classes are drawn from; all of them where left out.
    """
    rng = np.random.default_rng(trial)
    pool, held_out = _pools(data, rng)
    if classes is not None:
        pool, held_out = (part[data.y[part] < classes] for part in (pool, held_out))
    fold = Fold(
        _first(_balanced(data.y, rng.permutation(pool)), train, f"{data.name}: train = {train}"),
        _first(_balanced(data.y, rng.permutation(held_out)), test, f"{data.name}: test = {test}"),
    )
    return _sound(data, Part({}, (fold,)))


def _sound(data: Data, *parts: Part) -> tuple[Part, ...]:
    """The parts, if a method can learn from each of them and be tested."""
    for fold in (fold for part in parts for fold in part.folds):
        pairs = (fold.train, fold.test), *fold.selection
        if any(len(learnt) == 0 or len(tested) == 0 for learnt, tested in pairs):
            raise UnfitData(f"{data.name} has too few samples: none is left to learn or test on")
        if data.y.ndim == 1 and np.ptp(data.y[fold.train]) == 0:
            raise UnfitData(
                f"{data.name}: {len(fold.train)} training samples of one class, wanted two classes"
            )
    return parts


def _pools(data: Data, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Where to draw from: the published splits, or two halves drawn in this trial."""
    if "train" in data.splits:
        return data.splits["train"][0], data.splits["test"][0]
    order = rng.permutation(len(data.y))
    half = len(order) // 2
    return order[:half], order[half:]


def _balanced(y: Indices, order: Indices) -> Indices:
    """The order rearranged so that every prefix of it is as balanced as can be."""
    _require_one_class(y)
    rank = np.empty(len(order), dtype=np.intp)
    labels = y[order]
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    return order[np.argsort(rank, kind="stable")]


def _require_one_class(y: Int[np.ndarray, "n ..."]) -> None:
    if y.ndim > 1:
        raise UnfitData("a sample is of several classes, for which there is only few_shots")


def _first(order: Indices, count: int, complaint: str) -> Indices:
    if count > len(order):
        raise UnfitData(f"{complaint}: there are {len(order)}")
    return order[:count]
