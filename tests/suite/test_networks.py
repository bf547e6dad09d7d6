"""Finite networks: their size, their initial functions, and that they learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris

from claimbench.suite.evaluation import Data, Fold, Indices, Part, Trial, cross_validated
from claimbench.suite.methods import _training, networks
from claimbench.suite.methods._dense import BatchNorm, dense_net, keep, one_by_one
from claimbench.suite.methods._residual import residual_net
from claimbench.suite.methods._training import (
    Recipe,
    accuracy,
    descend,
    descend_side_by_side,
    seeded,
    tensors,
)
from claimbench.suite.protocols import nested_folds, published_folds


def trial(train: int, test: int, seed: int = 0, **selection: tuple[slice, slice]) -> Trial:
    digits = load_digits()
    data = Data("digits", digits.images[:, None] / 16, digits.target, {}, "digits")
    everything = np.arange(train + test)
    pairs = tuple((everything[a], everything[b]) for a, b in selection.values())
    fold = Fold(everything[:train], everything[train:], pairs)
    return Trial(data, (Part({"n": train}, (fold,)),), seed)


def test_resnet_34_has_the_known_number_of_parameters() -> None:
    assert sum(p.numel() for p in residual_net(34, 3, 10).parameters()) == 21_282_122


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 28), (1, 5)])
def test_resnet_takes_any_image(channels: int, side: int) -> None:
    net = residual_net(18, channels, 7).eval()
    assert net(torch.zeros(2, channels, side, side)).shape == (2, 7)


def test_there_is_no_resnet_of_another_depth() -> None:
    with pytest.raises(ValueError, match=r"depth is 50, wanted one of \[18, 34\]"):
        residual_net(50, 3, 10)


def test_residual_network_learns_20_digits_and_reports_what_it_learnt() -> None:
    [score] = networks.residual_network(
        trial(20, 40), depth=18, epochs=30, batch=10, rate=0.02, decay=0.0
    )
    assert score.at == {"n": 20}
    assert score.details["train_accuracy"] == [1.0]
    assert score.items["accuracy"] == [score.metrics["accuracy"]]
    assert score.metrics["accuracy"] > 0.3


def test_tuned_residual_network_selects_its_recipe_on_the_draw() -> None:
    halves = {"halves": (slice(0, 20), slice(20, 40))}
    tried = trial(40, 40, **halves)
    [score] = networks.tuned_residual_network(
        tried, depth=18, epochs=12, batches=[20], rates=[1e-6, 0.02], decays=[0.0]
    )
    assert score.details["chosen"] == [networks.Training(20, 0.02, 0.0)]
    recipe = {"depth": 18, "epochs": 12, "batch": 20, "rate": 0.02, "decay": 0.0}
    [alone] = networks.residual_network(tried, **recipe)  # type: ignore[arg-type]
    assert score.items == alone.items


def test_where_folds_have_no_class_in_common_the_first_recipe_is_taken() -> None:
    tried = trial(40, 20)
    y = tried.data.y[:40]
    low, high = np.flatnonzero(y < 5)[:5], np.flatnonzero(y >= 5)[:5]
    fold = Fold(np.concatenate([low, high]), np.arange(40, 60), ((low, high), (high, low)))
    tried = Trial(tried.data, (Part({"n": 10}, (fold,)),), 0)
    [score] = networks.tuned_residual_network(
        tried, depth=18, epochs=5, batches=[10, 5], rates=[0.02], decays=[0.0, 1e-3]
    )
    assert score.details["chosen"] == [networks.Training(10, 0.02, 0.0)]


def test_a_trial_comes_out_the_same_again_and_leaves_the_seed_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = (
        next(iter(networks.residual_network(trial(11, 30, seed), depth=18, epochs=2, batch=5)))
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("normalise", [False, True])
def test_both_initialisations_compute_the_same_at_the_start(normalise: bool) -> None:
    nets = []
    for init in ("he", "ntk"):
        with seeded(3, "cpu"):
            nets.append(
                dense_net(6, 4, width=9, depth=2, init=init, normalise=normalise)  # type: ignore[arg-type]
            )
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(nets[0](x), nets[1](x))


def test_a_dense_net_keeps_the_scale_of_its_inputs() -> None:
    with seeded(0, "cpu"):
        net = dense_net(20, 1000, width=1000, depth=3, init="ntk", normalise=False)
    x = torch.ones(1, 20)
    with torch.inference_mode():
        # Variance 2 / p of each layer doubles the last one, which no ReLU halves again.
        assert float(net(x).square().mean()) == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize(("init", "rate"), [("he", 0.1), ("ntk", 1.0)])
def test_dense_network_learns_digits(init: str, rate: float) -> None:
    halves = {"halves": (slice(0, 100), slice(100, 200))}
    [score] = networks.dense_network(
        trial(200, 100, **halves),
        init=init,  # type: ignore[arg-type]
        width=64,
        depths=(1, 2),
        rates=(rate,),
        batch_norm=(False, True),
    )
    assert score.metrics["accuracy"] > 0.8
    assert score.details["chosen"][0].rate == rate


def test_a_net_that_diverges_is_not_selected() -> None:
    halves = {"halves": (slice(0, 50), slice(50, 100))}
    [score] = networks.dense_network(
        trial(100, 50, **halves), init="he", width=32, depths=(2,), rates=(1e6, 0.1)
    )
    assert [candidate.rate for candidate in score.details["chosen"]] == [0.1]


SMALL = {"width": 16, "depths": (1, 3), "rates": (0.1, 1e6, 0.5), "epochs": 30, "momentum": 0.9}
"""Of these nets, those of the second rate diverge."""


def table(name: str) -> Data:
    """Standardised iris, or 361 digits: neither halves nor folds of them come out even."""
    x, y = {"iris": load_iris, "digits": load_digits}[name](return_X_y=True)
    x, y = x[: 19 * 19], y[: 19 * 19]
    return Data(name, (x - x.mean(0)) / (x.std(0) + 1e-6), y, {}, name)


def alone(trial: Trial, init: str, candidate: networks.Candidate, *fit: Indices) -> float:
    """Accuracy of a single net that torch's own optimiser trains."""
    depth, rate, normalise = candidate
    (x, y), (asked, wanted) = (
        tensors(trial.data.x[part], trial.data.y[part], "cpu") for part in fit
    )
    with seeded(trial.seed, "cpu"):
        net = dense_net(
            x.shape[1],
            trial.data.classes,
            width=16,
            depth=depth,
            init=init,  # type: ignore[arg-type]
            normalise=normalise,
        )
    descend(net, x, y, Recipe(30, len(x), rate, 0.9, decay=0.0, milestones=()))
    numbers = all(bool(weight.isfinite().all()) for weight in net.parameters())
    return accuracy(net, asked, wanted) if numbers else 0.0


@pytest.mark.parametrize("init", ["he", "ntk"])
@pytest.mark.parametrize("protocol", [published_folds, nested_folds])
@pytest.mark.parametrize("name", ["iris", "digits"])
def test_nets_side_by_side_reach_what_each_reaches_alone(
    name: str, protocol: Callable[..., tuple[Part, ...]], init: str
) -> None:
    data = table(name)
    tried = Trial(data, protocol(data, 0), seed=3)
    [score] = networks.dense_network(tried, init=init, batch_norm=(False, True), **SMALL)  # type: ignore[arg-type]
    grid = [
        networks.Candidate(*values)
        for values in product(SMALL["depths"], SMALL["rates"], (False, True))  # type: ignore[call-overload]
    ]
    assert score == cross_validated(tried.parts[0], grid, partial(alone, tried, init))


def test_every_net_begins_at_the_weights_of_a_single_one() -> None:
    shape = {"width": 6, "depth": 2, "init": "he", "normalise": True}
    with seeded(7, "cpu"):
        single = dense_net(5, 3, **shape)  # type: ignore[arg-type]
    with seeded(7, "cpu"):
        nets = dense_net(5, 3, members=(1,), **shape)  # type: ignore[arg-type]
    keep(nets, torch.zeros(4, dtype=torch.int64))
    for weights, weight in zip(nets.parameters(), single.parameters(), strict=True):
        assert torch.equal(weights, weight.expand(4, *weight.shape))
    x = torch.randn(9, 5)
    for net in one_by_one(nets):
        assert torch.equal(net(x), single(x))


def three_nets(rates: list[float], scale: float = 1.0, epochs: int = 20) -> tuple[list[int], Any]:
    """Those that are left, and their weights."""
    with seeded(1, "cpu"):
        nets = dense_net(4, 3, width=8, depth=2, init="he", normalise=False, members=(3,))
        x, y = scale * torch.randn(3, 12, 4), torch.randint(3, (3, 12))
    left = descend_side_by_side(nets, x, y, torch.tensor(rates), epochs, 0.9)
    return left.tolist(), list(nets.parameters())


def test_a_net_that_diverges_leaves_and_its_neighbours_go_on() -> None:
    everyone, weights = three_nets([0.1, 0.1, 0.2])
    assert everyone == [0, 1, 2]
    left, others = three_nets([0.1, 1e9, 0.2])
    assert left == [0, 2]
    for weight, other in zip(weights, others, strict=True):
        torch.testing.assert_close(weight[[0, 2]], other)
    assert three_nets([1e9] * 3)[0] == []


def test_weights_that_the_last_step_made_infinite_have_diverged() -> None:
    assert three_nets([0.1, 3e38, 0.1], scale=1e3, epochs=1)[0] == [0, 2]


def test_nets_of_one_shape_are_trained_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data, trained = table("iris"), []

    def counted(nets: torch.nn.Module, x: torch.Tensor, *others: Any) -> torch.Tensor:
        trained.append(x.shape[:2])
        return descend_side_by_side(nets, x, *others)

    monkeypatch.setattr(_training, "descend_side_by_side", counted)
    tried = Trial(data, published_folds(data, 0), seed=0)
    together = list(networks.dense_network(tried, init="he", **SMALL))  # type: ignore[arg-type]
    # A depth at three rates on one half each; the chosen on four folds of two sizes.
    assert trained == [(3, 75), (3, 75), (2, 112), (2, 113)]
    monkeypatch.setattr(networks.DenseNets, "ACTIVATIONS", 1)
    assert list(networks.dense_network(tried, init="he", **SMALL)) == together  # type: ignore[arg-type]
    assert trained[4:] == [(1, 75)] * 6 + [(1, 112)] * 2 + [(1, 113)] * 2


def test_batch_normalisation_is_of_each_net_by_itself() -> None:
    together = BatchNorm(5, members=(3,))
    x = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0))
    single = [torch.nn.BatchNorm1d(5, momentum=1.0) for _ in range(3)]
    for asked in (x, 2 * x + 1):
        wanted = torch.stack([norm(part) for norm, part in zip(single, asked, strict=True)])
        torch.testing.assert_close(together(asked), wanted)
        together.eval()
        for norm in single:
            norm.eval()


def test_small_numbers_are_numbers_again_after_training() -> None:
    list(networks.dense_network(trial(20, 10), init="he", width=8, depths=(1,), rates=(0.1,)))
    assert float(torch.tensor(1e-39) * 0.5) > 0


def test_a_last_batch_of_one_sample_is_left_out() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    recipe = Recipe(epochs=1, batch=2, rate=0.1, momentum=0.0, decay=0.0)
    descend(net, torch.ones(5, 2), torch.zeros(5, dtype=torch.int64), recipe)
    assert int(net[1].num_batches_tracked) == 2
