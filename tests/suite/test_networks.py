"""Finite networks: their size, their initial functions, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from claimbench.suite.evaluation import Data, Fold, Part, Trial
from claimbench.suite.methods import networks
from claimbench.suite.methods._dense import dense_net
from claimbench.suite.methods._residual import residual_net
from claimbench.suite.methods._training import Recipe, descend, seeded


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
        tried, depth=18, epochs=12, batches=[10], rates=[1e-6, 0.02], decays=[0.0]
    )
    assert score.details["chosen"] == [networks.Training(10, 0.02, 0.0)]
    recipe = {"depth": 18, "epochs": 12, "batch": 10, "rate": 0.02, "decay": 0.0}
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


def test_a_last_batch_of_one_sample_is_left_out() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    recipe = Recipe(epochs=1, batch=2, rate=0.1, momentum=0.0, decay=0.0)
    descend(net, torch.ones(5, 2), torch.zeros(5, dtype=torch.int64), recipe)
    assert int(net[1].num_batches_tracked) == 2
