"""Facts about splits that hold for every protocol and draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimbench.suite.evaluation import Data, Fold, Part, cross_validated, select
from claimbench.suite.protocols import (
    UnfitData,
    few_samples,
    few_shots,
    holdout,
    nested_folds,
    published_folds,
    published_split,
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


@given(st.lists(st.integers(0, 3), max_size=60).map(lambda y: [0, 1] * 5 + y), st.integers(0, 5))
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


def test_a_draw_may_hold_the_folds_that_select() -> None:
    plain, cut = (few_samples(data(LABELS), 1, n=[3, 30], test=20, inner=i) for i in (0, 2))
    for without, part in zip(plain, cut, strict=True):
        [old], [fold] = without.folds, part.folds
        assert old.selection == ()
        assert np.array_equal(old.train, fold.train)
        assert np.array_equal(old.test, fold.test)
        for fit, validate in fold.selection:
            assert sorted([*fit, *validate]) == sorted(fold.train)
    y = np.asarray(LABELS)
    fit, validate = cut[1].folds[0].selection[0]
    assert np.bincount(y[fit]).tolist() == [5, 5, 5]
    # With one sample a class the two folds have no class in common.
    fit, validate = cut[0].folds[0].selection[0]
    assert not set(y[fit]) & set(y[validate])


def test_the_published_split_is_taken_whole() -> None:
    splits = {"train": (np.arange(60),), "test": (np.arange(60, 120),)}
    [part] = published_split(data([0, 1] * 60, **splits), 0)
    [fold] = part.folds
    assert (fold.train.tolist(), fold.test.tolist()) == ([*range(60)], [*range(60, 120)])
    with pytest.raises(UnfitData, match="toy has no published training and test samples"):
        published_split(data(LABELS), 0)


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


def test_few_shots_have_k_of_each_class_and_each_draw_holds_the_smaller() -> None:
    parts = few_shots(data(LABELS), 1, k=[1, 2, 5], test=20)
    y = np.array(LABELS)
    for shots, part in zip((1, 2, 5), parts, strict=True):
        [fold] = part.folds
        assert part.at == {"k": shots}
        assert np.bincount(y[fold.train]).tolist() == [shots] * 3
        assert not set(fold.train) & set(fold.test)
        assert len(fold.test) == 20
    small, _, large = (part.folds[0].train.tolist() for part in parts)
    assert large[: len(small)] == small


def test_few_shots_select_inside_the_draw_where_it_has_enough() -> None:
    one, three = (part.folds[0] for part in few_shots(data(LABELS), 0, k=[1, 3], inner=3))
    assert one.selection == ()
    y = np.array(LABELS)
    assert len(three.selection) == 3
    for fit, validate in three.selection:
        assert sorted([*fit, *validate]) == sorted(three.train)
        assert np.bincount(y[validate]).tolist() == [1, 1, 1]


def test_few_shots_of_several_labels_draw_no_image_twice() -> None:
    labels = np.full((12, 3), -1)
    labels[:, 0] = 1  # in every image
    labels[[1, 5, 9], 1] = 1
    labels[[2, 6], 2] = 1
    labels[3:5, 2] = 0
    order = np.arange(12)
    toy = data(labels, train=(order[:10],), test=(order[10:],))
    assert toy.classes == 3
    [part] = few_shots(toy, 0, k=[1])
    assert len(set(part.folds[0].train.tolist())) == 3
    assert labels[part.folds[0].train[1], 1] == labels[part.folds[0].train[2], 2] == 1
    assert part.folds[0].test.tolist() == [10, 11]
    with pytest.raises(UnfitData, match="toy has no 3 training samples for class 2"):
        few_shots(toy, 0, k=[3])


@pytest.mark.parametrize(
    "split",
    [
        lambda toy: published_folds(toy, 0),
        lambda toy: few_samples(toy, 0, n=[2], test=2),
        lambda toy: holdout(toy, 0, train=2, test=2),
    ],
)
def test_other_protocols_want_one_class_a_sample(split: Callable[[Data], object]) -> None:
    with pytest.raises(UnfitData, match="of several classes, for which there is only few_shots"):
        split(data(np.ones((8, 2), dtype=int)))


def test_few_shots_want_that_many_test_samples() -> None:
    with pytest.raises(UnfitData, match="toy has no 99 test samples"):
        few_shots(data(LABELS), 0, k=[1], test=99)
