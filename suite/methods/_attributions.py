"""Attribution techniques of captum, each as a map of one number a pixel for one label."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from captum import attr
from torch import Tensor, nn

Technique = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(net, images [b c h w], labels [b]) -> maps [b h w], high where the label is supported."""


def gradient_x_input(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Shrikumar et al. 2016, arXiv:1605.01713."""
    return attr.InputXGradient(net).attribute(_leaf(images), target=labels).sum(1)


def integrated_gradients(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Sundararajan et al. 2017, arXiv:1703.01365: from grey, in 16 steps."""
    return attr.IntegratedGradients(net).attribute(images, target=labels, n_steps=16).sum(1)


def smooth_grad(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Smilkov et al. 2017, arXiv:1706.03825: gradient x input over 16 copies with noise of 0.15."""
    tunnel = attr.NoiseTunnel(attr.InputXGradient(net))
    noise = 0.15 * float(images.max() - images.min())
    return tunnel.attribute(_leaf(images), nt_samples=16, stdevs=noise, target=labels).sum(1)


def guided_backprop(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Springenberg et al. 2014, arXiv:1412.6806, times the input."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")
        guided = attr.GuidedBackprop(net).attribute(_leaf(images), target=labels)
    return (guided * images).sum(1)


def grad_cam(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Selvaraju et al. 2017, arXiv:1610.02391: at the last convolution, upsampled bilinearly."""
    last = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)][-1]
    coarse = attr.LayerGradCam(net, last).attribute(
        _leaf(images), target=labels, relu_attributions=True
    )
    upsampled: Tensor = nn.functional.interpolate(
        coarse, images.shape[2:], mode="bilinear", align_corners=False
    )
    return upsampled[:, 0]


def occlusion(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Zeiler and Fergus 2013, arXiv:1311.2901: grey windows of a quarter of a side."""
    window = tuple(-(-side // 4) for side in images.shape[2:])
    stride = tuple(max(1, side // 2) for side in window)
    return (
        attr.Occlusion(net)
        .attribute(
            images,
            target=labels,
            sliding_window_shapes=(images.shape[1], *window),
            strides=(images.shape[1], *stride),
            baselines=0,
        )
        .sum(1)
    )


TECHNIQUES: dict[str, Technique] = {
    technique.__name__: technique
    for technique in (
        gradient_x_input,
        integrated_gradients,
        smooth_grad,
        guided_backprop,
        grad_cam,
        occlusion,
    )
}


def _leaf(images: Tensor) -> Tensor:
    return images.detach().clone().requires_grad_()


def explained(technique: str, net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Maps of one technique, without the graph that made them."""
    with torch.enable_grad():
        return TECHNIQUES[technique](net, images, labels).detach()
