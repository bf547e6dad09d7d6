"""Random convolutional nets in torch whose tangent kernels have the CNTK as their mean."""

from __future__ import annotations

import math

from torch import Tensor, nn


class Scaled(nn.Module):
    """A layer whose weights have variance 1, with a factor outside."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, factor: float):
        super().__init__()
        nn.init.normal_(layer.weight)
        self.layer, self.factor = layer, factor

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x) * self.factor
        return result


def convolutional_net(
    shape: tuple[int, ...], *, width: int, depth: int, pooled: bool, frozen_ends: bool
) -> nn.Sequential:
    """One output for images of `shape` (channels, height, width), as `cntk_gram` scales it.

    Convolutions of 3 x 3 without biases, each with a ReLU. Every layer but the first has the factor
    sqrt(2 / (9 width)), the last one too.

    Args:
        width: channels of each convolution.
        depth: number of convolutions.
        pooled: average over all pixels before the last layer, or give each its own weight.
        frozen_ends: the first and the last layer are not trained.
    """
    channels, height, across = shape
    factor = math.sqrt(2 / (9 * width))
    layers: list[nn.Module] = []
    for level in range(depth):
        layer = nn.Conv2d(width if level else channels, width, 3, padding=1, bias=False)
        layers += [Scaled(layer, factor if level else 1.0), nn.ReLU()]
    pixels = 1 if pooled else height * across
    pooling = [nn.AdaptiveAvgPool2d(1)] if pooled else []
    head = Scaled(nn.Linear(width * pixels, 1, bias=False), factor)
    if frozen_ends:
        for end in (layers[0], head):
            end.requires_grad_(False)
    return nn.Sequential(*layers, *pooling, nn.Flatten(), head)
