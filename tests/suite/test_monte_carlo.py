"""Random nets estimate the CNTK: without bias, and twice as well with four times the channels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from claimbench.kernels import cntk_gram, empirical_ntk_gram
from claimbench.suite.matrices import UnsolvableGram
from claimbench.suite.methods import monte_carlo
from claimbench.suite.methods._convolutional import convolutional_net
from claimbench.suite.methods._training import seeded
from claimbench.suite.methods.image_kernels import cntk_regression

from .test_networks import trial

KINDS = [(0, False), ("gap", True), ("gap", False), (0, True)]


def images(n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2, 4, 5)).astype(np.float32)


def drawn(x: np.ndarray, width: int, window: int | str, frozen_ends: bool, nets: int) -> np.ndarray:
    """Grams of so many random nets."""
    shape = {"width": width, "depth": 2, "pooled": window == "gap", "frozen_ends": frozen_ends}
    with seeded(1, "cpu"):
        made = [convolutional_net(x.shape[1:], **shape) for _ in range(nets)]  # type: ignore[arg-type]
    grams = [empirical_ntk_gram(torch.from_numpy(x), module=net) for net in made]
    return torch.stack(grams).numpy().astype(np.float64)


@pytest.mark.parametrize(("window", "frozen_ends"), KINDS)
def test_the_mean_over_random_nets_is_the_exact_kernel(
    window: int | str, frozen_ends: bool
) -> None:
    """The limit is within what scatter of the draws allows: 4 standard errors of each entry."""
    x = images()
    asked: dict[str, Any] = {"windows": [window], "frozen_ends": frozen_ends}
    exact = cntk_gram(x.astype(np.float64), depths=[2], **asked)[0, 0, 0, 0]
    grams = drawn(x, 64, window, frozen_ends, 100)
    standard_error = grams.std(axis=0, ddof=1) / 10
    assert (np.abs(grams.mean(axis=0) - exact) < 4 * standard_error + 1e-3 * exact.max()).all()


@pytest.mark.parametrize(("window", "frozen_ends"), KINDS[:2])
def test_the_error_halves_with_four_times_the_channels(
    window: int | str, frozen_ends: bool
) -> None:
    x = images()
    asked: dict[str, Any] = {"windows": [window], "frozen_ends": frozen_ends}
    exact = cntk_gram(x, depths=[2], **asked)[0, 0, 0, 0]
    errors = [
        np.sqrt(np.square(drawn(x, width, window, frozen_ends, 100) - exact).sum((1, 2)).mean())
        for width in (8, 32, 128)
    ]
    for narrow, wider in pairwise(errors):
        # 100 draws leave a root mean square uncertain by some 10%.
        assert narrow / wider == pytest.approx(2, rel=0.35)


def test_what_is_frozen_is_the_first_and_the_last_layer() -> None:
    net = convolutional_net((1, 3, 3), width=2, depth=3, pooled=True, frozen_ends=True)
    trained = [name for name, weight in net.named_parameters() if weight.requires_grad]
    assert trained == ["2.layer.weight", "4.layer.weight"]


@pytest.mark.parametrize("window", [0, "gap"])
def test_without_cut_directions_exact_regression_is_that_of_the_other_claims(
    window: int | str,
) -> None:
    on = trial(30, 40)
    scores = monte_carlo.exact_cntk(
        on,
        depth=[2, 3],
        window=window,
        ridge=[0.0],
        frozen_ends=True,  # type: ignore[arg-type]
    )
    wanted = cntk_regression(
        on,
        get=["ntk"],
        depth=[2, 3],
        window=[window],
        flip=[False],
        ridge=0.0,
        unit_diagonal=False,
        frozen_ends=True,
    )
    found = [score.metrics["accuracy"] for score in scores]
    assert found == [score.metrics["accuracy"] for score in wanted]
    assert min(found) > 0.5


def test_monte_carlo_tells_of_every_point_and_repeats() -> None:
    asked: dict[str, Any] = {
        "depth": [2],
        "width": [2, 64],
        "window": 0,
        "ridge": [0.0, 0.01],
        "draws": 3,
    }
    first, again = (list(monte_carlo.monte_carlo_cntk(trial(20, 30), **asked)) for _ in range(2))
    assert first == again
    assert [tuple(score.variant.values()) for score in first] == [
        (2, 2, 0.0), (2, 2, 0.01), (2, 64, 0.0), (2, 64, 0.01),
    ]  # fmt: skip
    narrow, _, wide, _ = (score.metrics for score in first)
    assert narrow["gram_error"] > 2 * wide["gram_error"]
    for score in first:
        assert score.metrics["accuracy"] == np.median(score.items["accuracy"])
        assert len(score.items["accuracy"]) == 3


def test_a_kernel_of_low_rank_is_regressed_in_the_directions_that_it_has() -> None:
    """Features fewer than samples: the answer of least squares, which no solve could give."""
    on = trial(20, 30)
    [fold] = on.parts[0].folds
    features = np.random.default_rng(0).normal(size=(50, 8))
    k = features @ features.T
    found = monte_carlo._reached(k[:20, :20], k[20:, :20], on.data.y, fold, ridge=0.0)
    labels = on.data.y[fold.train]
    weights, *_ = np.linalg.lstsq(features[:20], np.eye(10)[labels], rcond=None)
    answers = (features[20:] @ weights).argmax(axis=1)
    assert found.accuracy == (answers == on.data.y[fold.test]).mean()
    assert found.condition == pytest.approx(np.linalg.cond(features[:20]) ** 2)
    k[3, 7] = np.nan
    with pytest.raises(UnsolvableGram, match=r"1 entries .* row 3, column 7"):
        monte_carlo._reached(k[:20, :20], k[20:, :20], on.data.y, fold, ridge=0.0)
