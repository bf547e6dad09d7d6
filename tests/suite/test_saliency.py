"""Saliency: the metrics by hand, and maps of nets whose explanation is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from claimbench.kernels import backends_used
from claimbench.suite.evaluation import Data, Fold, Part, Trial
from claimbench.suite.methods import saliency
from claimbench.suite.methods._attributions import TECHNIQUES, competing, explained
from claimbench.suite.methods._explained import (
    NETS,
    Subject,
    deleted,
    folded,
    inserted,
    of_nothing,
    planned,
    small_net,
    small_residual_net,
    subject,
)
from claimbench.suite.methods._masks import Objective, label_loss, learned_masks, variation
from claimbench.suite.saliency_details import Curves, Pictures, curve, hexadecimal, levels
from claimbench.suite.saliency_metrics import completeness, per_image, soundness


def test_completeness_is_the_share_of_the_probability_that_is_kept() -> None:
    g, f = np.array([0.4, 0.9, 0.0, 0.05]), np.array([0.8, 0.6, 0.5, 0.04])
    np.testing.assert_allclose(completeness(g, f), [0.5, 1, 0.2, 1])


def test_soundness_falls_where_masked_copies_convince_more_than_the_image() -> None:
    g, f = np.array([0.4, 0.8, 0.5, 0.0]), np.array([0.8, 0.2, 0.0, 0.0])
    np.testing.assert_allclose(soundness(g, f), [1, 0.25, 0.2, 1])


def test_metrics_of_an_image_by_hand() -> None:
    f = np.array([[0.7, 0.2, 0.1]])
    inserted = np.array([[[0.2, 0.5], [0.3, 0.5], [0.06, 0.04]]])  # means 0.35, 0.4 and 0.05
    deleted = np.array([[0.5, 0.3]])
    found = {name: float(values[0]) for name, values in per_image(inserted, deleted, f).items()}
    assert found == pytest.approx(
        {
            "completeness": 0.5,  # 0.35 / 0.7
            "soundness": (0.5 + 1) / 2,  # 0.2 / 0.4, and 0.1 / 0.05 cut at 1
            "worst_completeness": 0.5,
            "worst_soundness": 0.5,
            "insertion_auc": 0.35,
            "deletion_auc": 0.4,
        }
    )


def linear(weights: torch.Tensor) -> nn.Module:
    """Logits that are sums of pixels times `weights` [labels, c, h, w]."""
    layer = nn.Linear(weights[0].numel(), len(weights), bias=False)
    layer.weight.data = weights.flatten(1)
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False)


def a_subject(net: nn.Module, images: torch.Tensor, bank: torch.Tensor) -> Subject:
    return Subject(net, images, bank, net(images).softmax(1))


IMAGE = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
RANKING = torch.tensor([[[0.1, 0.9], [0.5, 0.3]]]).repeat(2, 1, 1)
"""Pixel 2 first, then 3, then 4, then 1."""


def two_labels() -> Subject:
    """Label 0 sees the sum of all pixels, label 1 sees nothing."""
    weights = torch.zeros(2, 1, 2, 2)
    weights[0] = 1
    return a_subject(linear(weights), IMAGE, IMAGE)


def test_copies_keep_the_top_pixels_of_four() -> None:
    found = inserted(two_labels(), RANKING, points=4, seed=0)
    chances = torch.sigmoid(torch.tensor([2.0, 5.0, 9.0, 10.0]))
    torch.testing.assert_close(found, torch.stack([chances, 1 - chances])[None])


def test_copies_lose_the_top_pixels_of_four() -> None:
    found = deleted(two_labels(), RANKING, points=4, seed=0)
    torch.testing.assert_close(found, torch.sigmoid(torch.tensor([[8.0, 5.0, 1.0]])))
    torch.testing.assert_close(of_nothing(two_labels()), torch.tensor([0.5, 0.5]))


def test_deletion_is_insertion_of_the_negated_map_without_the_whole_image() -> None:
    draws = torch.Generator().manual_seed(0)
    images = torch.randn(5, 2, 4, 6, generator=draws)
    explained_net = a_subject(linear(torch.randn(3, 2, 4, 6, generator=draws)), images, images)
    maps = torch.randn(15, 4, 6, generator=draws)
    own = explained_net.f.argmax(1)
    rising = inserted(explained_net, -maps, points=8, seed=0)[torch.arange(5), own]
    falling = deleted(explained_net, maps, points=8, seed=0)
    torch.testing.assert_close(falling.flip(1), rising[:, :-1])


@pytest.mark.parametrize("points", [3, 7, 28])
def test_scores_of_a_linear_net_have_a_closed_form(points: int) -> None:
    """Gradient x input of a linear net ranks pixels by what each adds to the label's logit.

    So the logits of a copy are sums of the largest such terms, and everything else follows.
    """
    rng = np.random.default_rng(points)
    weights, images = rng.standard_normal((4, 2, 5, 6)), rng.standard_normal((7, 2, 5, 6))
    terms = np.einsum("lchw,nchw->nlhw", weights, images).reshape(7, 4, 30)
    wanted_g, wanted_f = np.empty((7, 4)), np.empty((7, 4))
    removed = []
    for n in range(7):
        wanted_f[n] = chances(terms[n].sum(1))
        for label in range(4):
            order = np.argsort(-terms[n, label])
            kept = [order[: max(1, round(30 * k / points))] for k in range(1, points + 1)]
            wanted_g[n, label] = np.mean([chances(terms[n][:, k].sum(1))[label] for k in kept])
        own = int(wanted_f[n].argmax())
        order = np.argsort(-terms[n, own])
        left = [order[max(1, round(30 * k / points)) :] for k in range(1, points)]
        removed.append(np.mean([chances(terms[n][:, k].sum(1))[own] for k in left]))
    net = linear(torch.from_numpy(weights).float())
    explained_net = a_subject(net, torch.from_numpy(images).float(), torch.zeros(1))
    which, labels = explained_net.pairs()
    maps = explained("gradient_x_input", net, explained_net.images[which], labels)
    found = per_image(
        inserted(explained_net, maps, points, seed=0).numpy().astype(float),
        deleted(explained_net, maps, points, seed=0).numpy().astype(float),
        explained_net.f.numpy().astype(float),
    )
    own = wanted_f.argmax(1)
    complete = np.minimum(np.maximum(0.1, wanted_g) / wanted_f, 1)
    sound = np.minimum(np.maximum(0.1, wanted_f) / wanted_g, 1)
    others = np.array([np.delete(row, label).mean() for row, label in zip(sound, own, strict=True)])
    wanted = {
        "completeness": complete[np.arange(7), own],
        "soundness": others,
        "worst_completeness": complete.min(1),
        "worst_soundness": sound.min(1),
        "insertion_auc": wanted_g[np.arange(7), own],
        "deletion_auc": np.array(removed),
    }
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)


def chances(logits: np.ndarray) -> np.ndarray:
    shifted: np.ndarray = np.exp(logits - logits.max())
    return shifted / shifted.sum()


def test_a_map_of_zeros_keeps_pixels_at_random_and_not_by_rows() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[..., 0, :] = 5.0
    weights = torch.zeros(2, 1, 4, 4)
    weights[0] = 1
    explained_net = a_subject(linear(weights), image, image)
    flat = inserted(explained_net, torch.zeros(2, 4, 4), points=4, seed=0).mean(2)
    top_rows = torch.arange(16.0).flip(0).reshape(4, 4).repeat(2, 1, 1)
    ordered = inserted(explained_net, top_rows, points=4, seed=0).mean(2)
    assert float(flat[0, 0]) < float(ordered[0, 0])


@pytest.mark.parametrize("technique", ["gradient_x_input", "integrated_gradients"])
def test_attributions_of_a_linear_net_are_weights_times_inputs(technique: str) -> None:
    draws = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 2, 4, 5, generator=draws)
    images = torch.randn(2, 2, 4, 5, generator=draws)
    labels = torch.tensor([2, 0])
    actual = explained(technique, linear(weights), images, labels)
    torch.testing.assert_close(actual.float(), (weights[labels] * images).sum(1))


def test_smooth_grad_of_a_linear_net_is_gradient_x_input_up_to_the_noise() -> None:
    draws = torch.Generator().manual_seed(0)
    net = linear(torch.randn(2, 1, 4, 4, generator=draws))
    images, labels = torch.randn(1, 1, 4, 4, generator=draws), torch.tensor([1])
    torch.manual_seed(0)
    found = torch.stack([explained("smooth_grad", net, images, labels) for _ in range(64)]).mean(0)
    wanted = explained("gradient_x_input", net, images, labels)
    assert float((found - wanted).abs().max()) < 0.15


def one_convolution() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """A net of one convolution of 1 x 1, whose maps can be told by hand; and an image."""
    convolution = nn.Conv2d(1, 2, 1, bias=False)
    convolution.weight.data = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
    last = nn.Linear(2, 2, bias=False)
    last.weight.data = torch.tensor([[3.0, -2.0], [0.5, 1.0]])
    net = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    image = torch.tensor([[[[2.0, -1.0], [4.0, -3.0]]]])
    return net.eval().requires_grad_(False), image, torch.tensor([0])


def test_grad_cam_is_the_class_activation_map_without_what_is_negative() -> None:
    net, image, label = one_convolution()
    positive, negative = image[0, 0].clamp_min(0), (-image[0, 0]).clamp_min(0)
    wanted = (3.0 * positive - 2.0 * negative).clamp_min(0) / 4  # the mean over four places
    torch.testing.assert_close(explained("grad_cam", net, image, label)[0], wanted)


def test_guided_backprop_passes_positive_gradients_through_open_units_alone() -> None:
    net, image, label = one_convolution()
    # Channel 0 is open at 2 and 4, with gradient 3 / 4; channel 1 has a negative gradient.
    wanted = torch.tensor([[0.75 * 2, 0.0], [0.75 * 4, 0.0]])
    torch.testing.assert_close(explained("guided_backprop", net, image, label)[0], wanted)
    # Guided Grad-CAM has no input in it; its map is guided backpropagation times Grad-CAM.
    cam = explained("grad_cam", net, image, label)[0]
    guided = torch.tensor([[0.75, 0.0], [0.75, 0.0]])
    found = explained("guided_grad_cam", net, image, label)[0]
    torch.testing.assert_close(found, guided * cam)


@pytest.mark.parametrize("build", [small_net, small_residual_net])
def test_a_net_with_its_normalisations_folded_in_is_the_same_function(build: Any) -> None:
    torch.manual_seed(0)
    net, images = build(3, [4, 6], 3), torch.randn(20, 3, 9, 7)
    net(images)  # gives the normalisations statistics of their own
    wanted = net.eval()(images)
    plain = folded(net)
    torch.testing.assert_close(plain(images), wanted, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in plain.modules())


def test_maps_of_labels_compete_for_each_pixel() -> None:
    maps = torch.tensor([[[[3.0, -1.0, 2.0]], [[1.0, -2.0, 2.0]], [[-1.0, 0.0, -4.0]]]])
    wanted = torch.tensor([[[[3.0, 0.0, 2.0]], [[0.0, -2.0, 2.0]], [[-1.0, 0.0, -4.0]]]])
    assert torch.equal(competing(maps), wanted)


@pytest.mark.parametrize("build", [small_net, small_residual_net])
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_gives_one_finite_map_a_label(technique: str, build: Any) -> None:
    torch.manual_seed(0)
    net = build(3, [4, 6], 3).eval().requires_grad_(False)
    images = torch.randn(2, 3, 9, 7)
    maps = explained(technique, net, images, torch.tensor([0, 1]))
    assert maps.shape == (2, 9, 7)
    assert torch.isfinite(maps).all()
    assert maps.std() > 0
    assert not any(module._backward_hooks for module in net.modules())


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
    "attribution": {"technique": ["gradient_x_input", "competitive_gradient_x_input"]},
    "learned_mask": {"scale": 3, "tv": 0.01, "steps": 3, "fillers": 2},
}


@pytest.mark.parametrize("name", CALLS)
def test_every_method_scores_each_image_and_comes_out_the_same_again(name: str) -> None:
    nets = ["one_layer", "two_layers"]
    first, again = (
        list(getattr(saliency, name)(trial(), points=4, net=nets, **CALLS[name])) for _ in "ab"
    )
    assert first == again
    assert len(first) == 2 * (2 if name == "attribution" else 1)
    assert {score.variant["net"] for score in first} == set(nets)
    for score in first:
        assert score.items.keys() == score.metrics.keys()
        for metric, values in score.items.items():
            assert len(values) == 3
            assert all(0 <= value <= 1 for value in values)
            assert np.mean(values) == pytest.approx(score.metrics[metric], abs=1e-4)


def test_curves_lead_from_a_grey_image_to_the_whole_one_and_back() -> None:
    [score] = saliency.random_map(trial(), points=20, net=["one_layer"])
    curves = Curves.model_validate(score.details["curves"])
    seen = subject(trial(), trial().parts[0].folds[0], NETS["one_layer"])
    own = seen.f.argmax(1)
    grey, whole = of_nothing(seen)[own].mean(), seen.f.max(1).values.mean()
    assert curves.images == 3
    assert curves.insertion.fraction == curves.deletion.fraction
    assert len(curves.insertion.fraction) == 11
    for found, ends in ((curves.insertion, (grey, whole)), (curves.deletion, (whole, grey))):
        assert (found.fraction[0], found.fraction[-1]) == (0, 1)
        assert (found.mean[0], found.mean[-1]) == pytest.approx(tuple(map(float, ends)), abs=1e-4)


def test_a_curve_keeps_mean_and_standard_error() -> None:
    found = curve(np.array([0.0, 0.5, 1.0]), np.array([[0.0, 0.2, 1.0], [0.0, 0.6, 0.5]]))
    assert found.fraction == (0, 0.5, 1)
    assert found.mean == (0, 0.4, 0.75)
    assert found.error == pytest.approx((0, 0.2, 0.25))


def test_maps_are_kept_of_the_first_images_of_the_first_trial() -> None:
    [first] = saliency.edge_map(trial(), points=4, net=["one_layer"])
    [second] = saliency.edge_map(trial(seed=1), points=4, net=["one_layer"])
    pictures = Pictures.model_validate(first.details["pictures"])
    assert (pictures.height, pictures.width, len(pictures.shown)) == (8, 8, 3)
    image = np.asarray(list(levels(pictures.shown[0].image))).reshape(8, 8)
    np.testing.assert_allclose(image / 255, load_digits().images[60] / 16, atol=0.05)
    assert "pictures" not in second.details


def test_images_that_may_not_be_passed_on_are_not_kept() -> None:
    foreign = replace(trial(), data=replace(trial().data, name="cifar10[prefix 4660+846]"))
    [score] = saliency.random_map(foreign, points=4, net=["one_layer"])
    shown = Pictures.model_validate(score.details["pictures"]).shown
    assert all(one.map and not one.image for one in shown)


def test_a_picture_runs_from_black_to_white_whatever_its_values() -> None:
    assert hexadecimal(np.array([[-2.0, 0.0], [1.0, 3.0]]), cut=0) == "069f"
    assert hexadecimal(np.full((2, 2), 7.0)) == "0000"
    assert levels("0f8") == bytes([0, 255, 136])


def test_learned_mask_says_which_backend_made_its_inputs() -> None:
    with backends_used() as used:
        list(saliency.learned_mask(trial(), points=4, net=["one_layer"], **CALLS["learned_mask"]))
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
        list(saliency.random_map(trial(), net=["large"]))
