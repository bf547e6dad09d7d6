"""Attribution techniques of captum, each as a map of one number a pixel for one label."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    with _without_warnings():
        guided = attr.GuidedBackprop(net).attribute(_leaf(images), target=labels)
    return (guided * images).sum(1)


def grad_cam(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Selvaraju et al. 2017, arXiv:1610.02391: at the features that the net averages over space.

    There the map is the class activation map of Zhou et al. 2016, arXiv:1512.04150, without what
    is negative in it. Upsampled bilinearly.
    """
    coarse = attr.LayerGradCam(net, features_of(net)).attribute(
        _leaf(images), target=labels, relu_attributions=True
    )
    upsampled: Tensor = nn.functional.interpolate(
        coarse, images.shape[2:], mode="bilinear", align_corners=False
    )
    return upsampled[:, 0]


def guided_grad_cam(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Selvaraju et al. 2017, arXiv:1610.02391: guided backpropagation times Grad-CAM."""
    with _without_warnings():
        guided = attr.GuidedGradCam(net, features_of(net)).attribute(
            _leaf(images), target=labels, interpolate_mode="bilinear"
        )
    return guided.sum(1)


def features_of(net: nn.Module) -> nn.Module:
    """The layer whose output a net averages over space."""
    layers = list(net.children())
    pooling = [at for at, layer in enumerate(layers) if isinstance(layer, nn.AdaptiveAvgPool2d)]
    return layers[pooling[-1] - 1]


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
        guided_grad_cam,
        occlusion,
    )
}


COMPETITIVE = {"competitive_gradient_x_input": "gradient_x_input"}
"""Techniques in which the maps of all labels of an image compete, by name: of what maps."""


def competing(maps: Tensor) -> Tensor:
    """What is left of the maps of all labels of each image, [n, labels, h, w], once they compete.

    A pixel's positive value stays where no other label has a greater one there, a negative value
    where no other label has a smaller one; the rest becomes 0.

    Source: Gupta and Arora 2019, arXiv:1905.12152, here for pixels summed over channels.
    """
    most = (maps > 0) & (maps == maps.amax(1, keepdim=True))
    least = (maps < 0) & (maps == maps.amin(1, keepdim=True))
    return maps * (most | least)


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")
        yield


def _leaf(images: Tensor) -> Tensor:
    return images.detach().clone().requires_grad_()


def explained(technique: str, net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Maps of one technique, without the graph that made them."""
    with torch.enable_grad():
        return TECHNIQUES[technique](net, images, labels).detach()
