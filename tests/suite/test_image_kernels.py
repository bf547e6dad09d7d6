"""Kernel regression on images: blocks, its solution, and features of patches."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from claimbench.kernels import coates_ng_features, patch_filters, using
from claimbench.suite.data import load
from claimbench.suite.evaluation import Trial
from claimbench.suite.gram import GramFunction, Workplace, working
from claimbench.suite.gram import plan as plans
from claimbench.suite.methods import image_kernels
from claimbench.suite.methods.image_kernels import (
    Images,
    Ridge,
    cntk_regression,
    entry_errors,
    patch_cntk_regression,
    predicted,
)
from claimbench.suite.protocols import few_samples
from claimbench.suite.solving import ENTRY_ERROR, UnsolvableGram

ASKED: dict[str, Any] = {"get": ["ntk", "nngp"], "depth": [1, 2], "window": [0, 1, "gap"]}
RIDGE: dict[str, Any] = {"ridge": 1e-3, "unit_diagonal": True}
PATCHES: dict[str, Any] = {"patches": 6, "size": 3, "zca_bias": 1e-3}


def images(n: int, seed: int = 0) -> Images:
    return np.random.default_rng(seed).normal(size=(n, 2, 4, 5)).astype(np.float32)


gram = GramFunction(
    "cntk_gram",
    {"flips": [False], "get": ["ntk", "nngp"], "depths": [1, 3], "windows": [0, "gap"]},
)


def digits(n: int = 20, test: int = 30) -> Trial:
    data = load("digits")
    return Trial(data, few_samples(data, 0, n=[10, n], test=test), 0)


def test_the_prediction_is_that_of_the_normal_equations() -> None:
    rng = np.random.default_rng(0)
    features, others = rng.normal(size=(12, 20)), rng.normal(size=(9, 20))
    y = np.arange(12) % 3
    unit = [f / np.linalg.norm(f, axis=1, keepdims=True) for f in (features, others)]
    for solver, (a, b) in (
        (Ridge(0.1, False), (features, others)),
        (Ridge(0.1, True), (unit[0], others)),
    ):
        primal = np.linalg.solve(a.T @ a + 0.1 * np.eye(20), a.T @ np.eye(3)[y])
        found, _ = predicted(features @ features.T, others @ features.T, y, solver)
        assert found.tolist() == (b @ primal).argmax(1).tolist()


def test_without_a_ridge_training_samples_get_their_own_labels() -> None:
    k = gram(images(12))[0]
    y = np.arange(12) % 4
    kept = k.copy()
    assert predicted(k, k, y, Ridge(0.0, True))[0].tolist() == y.tolist()
    np.testing.assert_array_equal(k, kept)


@pytest.mark.parametrize("method", [cntk_regression, patch_cntk_regression])
def test_every_variant_is_answered_at_every_n_and_alone_as_together(method: Any) -> None:
    more = PATCHES if method is patch_cntk_regression else {}
    together = list(method(digits(), **ASKED, flip=[False, True], **RIDGE, **more, groups=4))
    assert len(together) == 2 * 2 * 2 * 2 * 3
    for score in together:
        assert len(score.items["accuracy"]) == 4
        weights = [8, 8, 7, 7]
        mean = np.average(score.items["accuracy"], weights=weights)
        assert mean == pytest.approx(score.metrics["accuracy"])
    for score in together[::5]:
        one = {key: [value] for key, value in score.variant.items()}
        alone = list(method(digits(), **one, **RIDGE, **more))
        [same] = [s for s in alone if s.at == score.at]
        assert same.items == {}
        assert same.metrics["accuracy"] == pytest.approx(score.metrics["accuracy"], abs=1 / 29)


def test_features_of_a_mirrored_image_are_mirrored_with_their_filters_exchanged() -> None:
    x = images(3).astype(np.float64)
    filters = patch_filters(x, 5, 3, 0, 1e-3, bank=50)
    swapped = np.concatenate([filters[5:], filters[:5]])
    plain = coates_ng_features(x, swapped)[..., ::-1]
    np.testing.assert_allclose(coates_ng_features(x[..., ::-1], filters), plain, atol=1e-12)


def mirrored(trial: Trial) -> Trial:
    """The test images mirrored, the training images as they are."""
    test = trial.parts[0].folds[0].test
    x = trial.data.x.copy()
    x[test] = x[test][..., ::-1]
    return replace(trial, data=replace(trial.data, x=x))


def test_with_flips_a_mirrored_test_image_is_answered_alike() -> None:
    one = {"get": ["ntk"], "depth": [2], "window": [1]}
    plain, flipped = (
        [
            [score.items for score in patch_cntk_regression(
                trial, **one, flip=[flip], **RIDGE, **PATCHES, groups=100
            )]
            for trial in (digits(), mirrored(digits()))
        ]
        for flip in (False, True)
    )  # fmt: skip
    assert flipped[0] == flipped[1]
    assert plain[0] != plain[1]


def test_patches_come_from_the_training_draw_alone() -> None:
    trial = digits()
    test = trial.parts[0].folds[0].test
    unseen = np.setdiff1d(np.arange(len(trial.data.y)), trial.parts[-1].folds[0].train)
    x = trial.data.x.copy()
    x[np.setdiff1d(unseen, test)] = 1e6
    other = replace(trial, data=replace(trial.data, x=x))
    one: dict[str, Any] = {"get": ["ntk"], "depth": [1], "window": [1], "flip": [False]}
    found = [list(patch_cntk_regression(t, **one, **RIDGE, **PATCHES)) for t in (trial, other)]
    assert found[0] == found[1]


def test_the_rounding_that_is_reckoned_with_is_seen_where_patches_are_parallel() -> None:
    """Angles near 0 are lost to the root of the precision; the CNN-GP does not feel them."""
    bound = ENTRY_ERROR["float32"]
    np.testing.assert_array_equal(entry_errors(gram, images(5)), np.full(8, bound))
    plain = np.ones((3, 2, 6, 6), np.float32) * np.float32([1, 2, 3])[:, None, None, None]
    single = entry_errors(gram, plain)
    assert single[:4].max() > 10 * bound
    np.testing.assert_array_equal(single[4:], np.full(4, bound))
    double = entry_errors(gram, plain.astype(np.float64))
    np.testing.assert_allclose(double[:4].max(), single[:4].max() * 2**-14.5, rtol=1e-3)


def with_first_image(trial: Trial, made: Any) -> Trial:
    """The first training image replaced."""
    x = trial.data.x.copy()
    first, second = trial.parts[0].folds[0].train[:2]
    x[first] = made(x[second])
    return replace(trial, data=replace(trial.data, x=x))


def test_a_score_tells_the_condition_number_that_it_rests_on() -> None:
    one: dict[str, Any] = {"get": ["ntk"], "depth": [1], "window": [0], "flip": [False]}
    for score in cntk_regression(digits(), **one, **RIDGE):
        assert 1 < score.details["condition"] < 1e5
        assert "untrusted" not in score.details


def test_a_solution_that_float32_does_not_carry_is_marked_and_the_reference_carries_it() -> None:
    one: dict[str, Any] = {"get": ["ntk"], "depth": [1], "window": [0], "flip": [False]}
    twin = with_first_image(digits(), lambda image: image)
    solver: dict[str, Any] = {"ridge": 1e-6, "unit_diagonal": True}
    for score in cntk_regression(twin, **one, **solver):
        assert "leave no digit of the weights sure." in score.details["untrusted"]
    with using("reference"):
        for score in cntk_regression(twin, **one, **solver):
            assert 1e5 < score.details["condition"] < 1e12
            assert "untrusted" not in score.details


def test_a_solvers_folder_stays_where_it_is_stopped_and_goes_where_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def solving(error: BaseException | None) -> Path:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        if error:
            monkeypatch.setattr(image_kernels, "solve_blocks", Mock(side_effect=error))
        with suppress(UnsolvableGram, KeyboardInterrupt):
            k, y = gram(images(6))[0], np.arange(6) % 3
            predicted(k, k, y, Ridge(0.1, False), scratch=scratch)
        return scratch

    assert not solving(None).exists()
    assert solving(KeyboardInterrupt()).exists()
    assert not solving(UnsolvableGram("none")).exists()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda image: image, r"^get ntk, depth 1, window 0, flip False: .* not positive definite"),
        (lambda image: np.full_like(image, np.nan), "20 of 20 samples .* not finite"),
    ],
)
def test_a_matrix_without_a_solution_is_refused_with_its_variant(made: Any, message: str) -> None:
    one: dict[str, Any] = {"get": ["ntk"], "depth": [1], "window": [0], "flip": [False]}
    trial = with_first_image(digits(), made)
    with pytest.raises(ValueError, match=message):
        list(cntk_regression(trial, **one, ridge=0.0, unit_diagonal=False))


@pytest.mark.parametrize("method", [cntk_regression, patch_cntk_regression])
def test_in_tiles_and_from_a_store_the_scores_are_those_of_one_call(
    method: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = PATCHES if method is patch_cntk_regression else {}
    asked = {**ASKED, **more, **RIDGE, "flip": [False, True]}
    wanted = list(method(digits(), **asked))
    monkeypatch.setattr(plans, "BLOCKS", ((float("inf"), 4),))
    for folder in (None, tmp_path / "grams"):
        with working(Workplace(folder=folder, stored_seconds=0)):
            found = list(method(digits(), **asked))
        for one, other in zip(found, wanted, strict=True):
            assert one.variant == other.variant
            assert one.metrics["accuracy"] == pytest.approx(other.metrics["accuracy"], abs=1 / 29)
    assert len(list((tmp_path / "grams").glob("*/*.zarr"))) == 2
