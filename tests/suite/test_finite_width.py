"""Nets of finite width approach their NTK: exactly where they are linear, else with the width."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from claimbench.kernels import empirical_ntk_gram, ntk_gram
from claimbench.suite.evaluation import Score, Trial
from claimbench.suite.methods import finite_width
from claimbench.suite.methods._dense import dense_net
from claimbench.suite.methods._training import descend_on_squares, seeded

from .test_networks import trial

FEW = {"depth": 1, "steps": 60, "rate": 0.5}


def by_variant(scores: list[Score], **variant: object) -> dict[str, float]:
    [found] = [score for score in scores if score.variant == variant]
    return found.metrics


def wide(
    on: Trial, width: list[int], members: list[int], centred: tuple[bool, ...] = (True,)
) -> list[Score]:
    return list(
        finite_width.wide_networks(on, width=width, centred=centred, members=members, **FEW)
    )


def test_kernel_descent_is_gradient_descent_on_a_linear_model() -> None:
    """Without a hidden layer the net is linear in its weights, and the kernel says all of it."""
    rng = np.random.default_rng(0)
    x, asked, targets = rng.normal(size=(12, 5)), rng.normal(size=(4, 5)), rng.normal(size=(12, 3))
    found, largest = finite_width.descended(x, asked, targets, 0, 37, 0.5)
    weights = np.zeros((5, 3))
    for _ in range(37):
        weights -= 0.5 / largest * x.T @ (x @ weights - targets)
    np.testing.assert_allclose(found, asked @ weights, rtol=1e-9, atol=1e-12)
    assert largest == pytest.approx(np.linalg.eigvalsh(x @ x.T)[-1])


def test_kernel_descent_ends_in_regression_without_a_ridge() -> None:
    rng = np.random.default_rng(1)
    x, asked, targets = rng.normal(size=(9, 4)), rng.normal(size=(5, 4)), rng.normal(size=(9, 2))
    found, _ = finite_width.descended(x, asked, targets, 2, 10**7, 0.9)
    [k], [across] = (ntk_gram(*pair, variants=[(2, 0)]) for pair in ((x,), (asked, x)))
    np.testing.assert_allclose(found, across @ np.linalg.solve(k, targets), rtol=1e-7)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_tangent_kernel_of_a_wide_net_is_the_ntk(depth: int) -> None:
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    with seeded(0, "cpu"):
        net = dense_net(5, 1, width=2048, depth=depth, init="ntk", normalise=False)
    k = empirical_ntk_gram(x, module=net).numpy()
    [limit] = ntk_gram(x.numpy(), variants=[(depth, 0)]) * 2 / 5
    # Of the order of 1 over the root of the width, 0.02.
    assert np.linalg.norm(k - limit) < 0.1 * np.linalg.norm(limit)


def test_nets_side_by_side_are_the_nets_one_by_one() -> None:
    shape = {"width": 7, "depth": 2, "init": "ntk", "normalise": False}
    with seeded(4, "cpu"):
        together = dense_net(5, 3, members=(2,), **shape)  # type: ignore[arg-type]
    alone = [dense_net(5, 3, **shape) for _ in range(2)]  # type: ignore[arg-type]
    for index, net in enumerate(alone):
        pairs = zip(net.parameters(), together.parameters(), strict=True)
        for weight, weights in pairs:
            weight.data = weights.data[index].clone()
    x, y = torch.randn(9, 5), torch.randn(9, 3)
    for net in (together, *alone):
        descend_on_squares(net, x, y, 0.05, 20)
    for index, net in enumerate(alone):
        torch.testing.assert_close(together(x)[index], net(x))


def test_a_linear_net_that_is_centred_is_its_kernel_up_to_rounding() -> None:
    on = trial(40, 30)
    asked = {"depth": 0, "steps": 60, "rate": 0.5}
    [single, mean] = finite_width.wide_networks(
        on, width=[1], centred=[True], members=[1, 2], **asked
    )
    [limit] = finite_width.ntk_descent(on, **asked)
    for score in (single, mean):
        assert score.metrics["distance"] < 1e-4
        assert score.metrics["variance"] < 1e-8
        assert score.metrics["accuracy"] == limit.metrics["accuracy"]
    assert (limit.metrics["distance"], limit.metrics["variance"]) == (0, 0)


def test_distance_halves_with_four_times_the_width() -> None:
    scores = wide(trial(40, 30), [64, 256, 1024], [1, 6])
    found = [by_variant(scores, width=w, centred=True, members=1) for w in (64, 256, 1024)]
    for narrow, wider in pairwise(found):
        assert narrow["distance"] / wider["distance"] == pytest.approx(2, rel=0.35)
        assert narrow["variance"] / wider["variance"] == pytest.approx(4, rel=0.7)


def test_without_centring_a_part_of_the_first_function_stays() -> None:
    scores = wide(trial(40, 30), [1024], [1, 6], (False, True))
    plain, centred = (
        by_variant(scores, width=1024, centred=c, members=1)["variance"] for c in (False, True)
    )
    assert plain > 20 * centred


def test_means_of_nets_vary_less_and_are_nearer() -> None:
    scores = wide(trial(40, 30), [32], [1, 2, 6])
    single, pair, all_six = (
        by_variant(scores, width=32, centred=True, members=m) for m in (1, 2, 6)
    )
    assert pair["variance"] == pytest.approx(single["variance"] / 2)
    assert all_six["variance"] == pytest.approx(single["variance"] / 6)
    assert all_six["distance"] < pair["distance"] < single["distance"]


def test_a_trial_comes_out_the_same_again() -> None:
    first, again, other = (wide(trial(20, 10, seed), [16], [1]) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_members_must_divide() -> None:
    with pytest.raises(ValueError, match="3 nets make no groups of 2"):
        wide(trial(20, 10), [8], [2, 3])
