"""Facts about splits that hold for every protocol and draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimbench.suite.evaluation import Fold, Part, cross_validated, select
from claimbench.suite.protocols import (
    UnfitData,
    few_samples,
    holdout,
    nested_folds,
    published_folds,
)

from .toys import data

LABELS = [0] * 40 + [1] * 40 + [2] * 40


def test_published_splits_are_used_as_they_are() -> None:
    selection = (np.array([0, 1]), np.array([2, 3]))
    folds = tuple(np.array(k) for k in ([0, 1], [2, 3], [2, 3], [0, 1]))
    [part] = published_folds(data([0, 1, 0, 1], selection=selection, folds=folds), 0)
    assert [fold.test.tolist() for fold in part.folds] == [[2, 3], [0, 1]]
    assert all(fold.selection[0][0].tolist() == [0, 1] for fold in part.folds)
    assert part.folds[0].selection is part.folds[1].selection  # so that it is selected on once


@given(st.lists(st.integers(0, 3), min_size=8, max_size=60), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_folds_cover_every_sample_once(y: list[int], trial: int) -> None:
    [part] = published_folds(data(y), trial)
    tests = np.concatenate([fold.test for fold in part.folds])
    assert sorted(tests) == list(range(len(y)))
    assert all(not set(fold.train) & set(fold.test) for fold in part.folds)


def test_nested_selection_never_sees_a_test_sample() -> None:
    [part] = nested_folds(data(LABELS), 0)
    for fold in part.folds:
        seen = {int(i) for pair in fold.selection for indices in pair for i in indices}
        assert seen == set(fold.train.tolist())
        assert not seen & set(fold.test.tolist())


def test_nested_selection_may_rest_on_some_of_its_folds() -> None:
    both, one = (nested_folds(data(LABELS), 0, pairs=pairs)[0].folds for pairs in (None, 1))
    assert [len(fold.selection) for fold in both] == [2] * 4
    for fold, first in zip(both, one, strict=True):
        [(fit, validate)] = first.selection
        assert np.array_equal(fit, fold.selection[0][0])
        assert np.array_equal(validate, fold.selection[0][1])


def test_few_samples_are_balanced_and_each_draw_holds_the_smaller() -> None:
    parts = few_samples(data(LABELS), 1, n=[3, 9, 30], test=20)
    assert [part.at for part in parts] == [{"n": 3}, {"n": 9}, {"n": 30}]
    y = np.asarray(LABELS)
    for part in parts:
        [fold] = part.folds
        assert np.bincount(y[fold.train]).tolist() == [part.at["n"] // 3] * 3
        assert not set(fold.train) & set(fold.test)
        assert fold.train[:3].tolist() == parts[0].folds[0].train.tolist()


def test_published_test_samples_stay_test_samples() -> None:
    splits = {"train": (np.arange(60),), "test": (np.arange(60, 120),)}
    labels = [0, 1] * 60
    [part] = holdout(data(labels, **splits), 0, train=10, test=10)
    assert part.folds[0].train.max() < 60 <= part.folds[0].test.min()


def test_holdout_may_draw_from_the_first_classes_alone() -> None:
    [part] = holdout(data(LABELS), 3, train=20, test=20, classes=2)
    [fold] = part.folds
    labels = np.asarray(LABELS)
    assert np.bincount(labels[fold.train]).tolist() == [10, 10]
    assert set(labels[fold.test]) == {0, 1}
    with pytest.raises(UnfitData, match="toy: train = 90: there are"):
        holdout(data(LABELS), 3, train=90, test=20, classes=2)


def test_trials_differ_and_repeat() -> None:
    first, again, other = (few_samples(data(LABELS), t, n=[30], test=20) for t in (0, 0, 1))
    assert first[0].folds[0].train.tolist() == again[0].folds[0].train.tolist()
    assert first[0].folds[0].train.tolist() != other[0].folds[0].train.tolist()


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(UnfitData, match="n = 4 is no multiple of the 3 classes"):
        few_samples(data(LABELS), 0, n=[4], test=20)
    with pytest.raises(UnfitData, match="toy has no 90 balanced training samples: there are 60"):
        few_samples(data(LABELS), 0, n=[90], test=20)
    with pytest.raises(UnfitData, match="toy has no 99 test samples"):
        few_samples(data(LABELS), 0, n=[3], test=99)


def test_ties_go_to_the_candidate_that_stands_first() -> None:
    fold = Fold(np.arange(2), np.arange(2), ((np.arange(1), np.arange(1, 2)),))
    scores = {"a": 0.5, "b": 0.7, "c": 0.7}
    assert select(fold, list(scores), lambda c, *_: scores[c]) == "b"


def test_selection_is_done_once_where_the_folds_share_it() -> None:
    selection = ((np.arange(2), np.arange(2, 4)),)
    fold = Fold(np.arange(2), np.arange(2, 4), selection)
    tried: list[str] = []

    def accuracy(candidate: str, train: np.ndarray, test: np.ndarray) -> float:
        tried.append(candidate)
        return 1.0

    score = cross_validated(Part({}, (fold, fold, fold)), ["a", "b"], accuracy)
    assert tried == ["a", "b", "a", "a", "a"]
    assert score.details["chosen"] == ["a", "a", "a"]
