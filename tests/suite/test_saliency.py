"""Saliency: the metrics by hand, and maps of nets whose explanation is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from claimbench.kernels import backends_used
from claimbench.suite.evaluation import Data, Fold, Part, Trial
from claimbench.suite.methods import saliency
from claimbench.suite.methods._attributions import TECHNIQUES, explained
from claimbench.suite.methods._explained import (
    NETS,
    Subject,
    masked_mean,
    planned,
    small_net,
    subject,
)
from claimbench.suite.methods._masks import Objective, label_loss, learned_masks, variation
from claimbench.suite.saliency_metrics import completeness, per_image, soundness


def test_completeness_is_the_share_of_the_probability_that_is_kept() -> None:
    g, f = np.array([0.4, 0.9, 0.0, 0.05]), np.array([0.8, 0.6, 0.5, 0.04])
    np.testing.assert_allclose(completeness(g, f), [0.5, 1, 0.2, 1])


def test_soundness_falls_where_masked_copies_convince_more_than_the_image() -> None:
    g, f = np.array([0.4, 0.8, 0.5, 0.0]), np.array([0.8, 0.2, 0.0, 0.0])
    np.testing.assert_allclose(soundness(g, f), [1, 0.25, 0.2, 1])


def test_metrics_of_an_image_by_hand() -> None:
    f = np.array([[0.7, 0.2, 0.1]])
    g = np.array([[0.35, 0.4, 0.05]])
    found = {name: float(values[0]) for name, values in per_image(g, f).items()}
    assert found == pytest.approx(
        {
            "completeness": 0.5,  # 0.35 / 0.7
            "soundness": (0.5 + 1) / 2,  # 0.2 / 0.4, and 0.1 / 0.05 cut at 1
            "worst_completeness": 0.5,
            "worst_soundness": 0.5,
            "insertion_auc": 0.35,
        }
    )


def linear(weights: torch.Tensor) -> nn.Module:
    """Logits that are sums of pixels times `weights` [labels, c, h, w]."""
    layer = nn.Linear(weights[0].numel(), len(weights), bias=False)
    layer.weight.data = weights.flatten(1)
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False)


def a_subject(net: nn.Module, images: torch.Tensor, bank: torch.Tensor) -> Subject:
    return Subject(net, images, bank, net(images).softmax(1))


def test_copies_keep_the_top_pixels_of_four() -> None:
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    weights = torch.zeros(2, 1, 2, 2)
    weights[0] = 1
    explained_net = a_subject(linear(weights), image, image)
    ranking = torch.tensor([[[0.1, 0.9], [0.5, 0.3]]]).repeat(2, 1, 1)
    g = masked_mean(explained_net, ranking, points=4, seed=0)
    # The sums that label 0 sees: pixel 2 first, then 3, then 4, then 1.
    chances = torch.sigmoid(torch.tensor([2.0, 5.0, 9.0, 10.0]))
    torch.testing.assert_close(g, torch.stack([chances.mean(), 1 - chances.mean()])[None])


def test_a_map_of_zeros_keeps_pixels_at_random_and_not_by_rows() -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 4, 4)
    image[..., 0, :] = 5.0
    weights = torch.zeros(2, 1, 4, 4)
    weights[0] = 1
    explained_net = a_subject(linear(weights), image, image)
    flat = masked_mean(explained_net, torch.zeros(2, 4, 4), points=4, seed=0)
    top_rows = torch.arange(16.0).flip(0).reshape(4, 4).repeat(2, 1, 1)
    ordered = masked_mean(explained_net, top_rows, points=4, seed=0)
    assert float(flat[0, 0]) < float(ordered[0, 0])


@pytest.mark.parametrize("technique", ["gradient_x_input", "integrated_gradients"])
def test_attributions_of_a_linear_net_are_weights_times_inputs(technique: str) -> None:
    draws = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 2, 4, 5, generator=draws)
    images = torch.randn(2, 2, 4, 5, generator=draws)
    labels = torch.tensor([2, 0])
    actual = explained(technique, linear(weights), images, labels)
    torch.testing.assert_close(actual.float(), (weights[labels] * images).sum(1))


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_gives_one_finite_map_a_label(technique: str) -> None:
    torch.manual_seed(0)
    net = small_net(3, [4, 6], 3).eval().requires_grad_(False)
    images = torch.randn(2, 3, 9, 7)
    maps = explained(technique, net, images, torch.tensor([0, 1]))
    assert maps.shape == (2, 9, 7)
    assert torch.isfinite(maps).all()
    assert maps.std() > 0


@pytest.mark.parametrize("loss", ["released", "negative_log"])
def test_a_learned_mask_finds_the_only_patch_that_a_net_looks_at(loss: Any) -> None:
    weights = torch.zeros(2, 1, 8, 8)
    weights[0, 0, :4, 4:] = 1.0
    weights[1] = -weights[0]
    image = torch.ones(1, 1, 8, 8)
    seen = a_subject(linear(weights), image, -torch.ones(5, 1, 8, 8))
    objective = Objective(
        scale=4, tv=0.01, l1=1.0, steps=80, rate=0.05, fillers=2, bank=5, loss=loss
    )
    masks = learned_masks(seen, objective, seed=0)
    patch = torch.zeros(8, 8, dtype=torch.bool)
    patch[:4, 4:] = True
    top = masks[0].flatten().argsort(descending=True)[:9]
    assert patch.flatten()[top].all()
    # The other label has nothing to gain from any pixel of this image.
    assert masks[1].max() < 0.5


def test_released_loss_has_a_second_softmax() -> None:
    mean = torch.tensor([[0.7, 0.3]])
    label = torch.tensor([0])
    assert float(label_loss(mean, label, "negative_log")) == pytest.approx(-np.log(0.7))
    assert float(label_loss(mean, label, "released")) == pytest.approx(np.log(1 + np.exp(-0.4)))


def test_variation_counts_steps_down_and_right() -> None:
    mask = torch.zeros(1, 3, 3)
    mask[0, 0, 0] = 2.0
    assert float(variation(mask)) == 8.0


def trial(seed: int = 0) -> Trial:
    digits = load_digits()
    data = Data("digits", digits.images[:, None] / 16, digits.target, {}, "digits")
    fold = Fold(np.arange(60), np.arange(60, 63))
    return Trial(data, (Part({}, (fold,)),), seed)


CALLS = {
    "random_map": {},
    "edge_map": {},
    "attribution": {"technique": ["gradient_x_input", "grad_cam"]},
    "learned_mask": {"scale": 3, "tv": 0.01, "steps": 3, "fillers": 2},
}


@pytest.mark.parametrize("name", CALLS)
def test_every_method_scores_each_image_and_comes_out_the_same_again(name: str) -> None:
    first, again = (
        list(getattr(saliency, name)(trial(), points=4, net="one_layer", **CALLS[name]))
        for _ in "ab"
    )
    assert first == again
    assert len(first) == (2 if name == "attribution" else 1)
    for score in first:
        assert score.items.keys() == score.metrics.keys()
        for metric, values in score.items.items():
            assert len(values) == 3
            assert all(0 <= value <= 1 for value in values)
            assert np.mean(values) == pytest.approx(score.metrics[metric], abs=1e-6)


def test_learned_mask_says_which_backend_made_its_inputs() -> None:
    with backends_used() as used:
        list(saliency.learned_mask(trial(), points=4, net="one_layer", **CALLS["learned_mask"]))
    assert used.keys() == {"saliency_mask"}


def test_methods_of_a_trial_explain_the_same_net_and_other_trials_another() -> None:
    net = NETS["one_layer"]
    fold = trial().parts[0].folds[0]
    first = subject(trial(), fold, net)
    assert subject(trial(), fold, net) is first
    assert subject(trial(seed=1), fold, net) is not first
    assert first.images.shape == (3, 1, 8, 8)


def test_a_larger_image_is_given_to_the_net_in_smaller_batches() -> None:
    net = small_net(1, [4], 2).eval()
    assert planned(net, torch.zeros(1, 8, 8)) > planned(net, torch.zeros(1, 16, 16)) >= 1


def test_says_which_nets_there_are() -> None:
    with pytest.raises(ValueError, match="no net is called 'large'; there are one_layer, two_"):
        list(saliency.random_map(trial(), net="large"))
