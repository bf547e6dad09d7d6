"""Fully connected ReLU nets in torch, initialised as He et al. or as in the NTK's limit."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Init = Literal["he", "ntk"]


class Dense(nn.Module):
    """Linear layer without bias: weights of variance 2 / p ("he"), or 1 with the factor outside.

    Both compute the same at the start. Under gradient descent a step of the second is smaller by
    the factor 2 / p, which is what keeps its tangent kernel finite as the width grows.

    With `members` it is the layer of so many nets side by side, [members n after].
    """

    def __init__(self, before: int, after: int, init: Init, members: tuple[int, ...] = ()):
        super().__init__()
        scale = math.sqrt(2 / before)
        weight = torch.randn(*members, after, before)
        self.weight = nn.Parameter(weight * (scale if init == "he" else 1.0))
        self.factor = 1.0 if init == "he" else scale

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.weight.mT).mul(self.factor) if self.factor != 1 else x @ self.weight.mT


def dense_net(
    features: int,
    classes: int,
    *,
    width: int,
    depth: int,
    init: Init,
    normalise: bool,
    members: tuple[int, ...] = (),
) -> nn.Sequential:
    """`depth` hidden layers of `width` units, with batch normalisation before each ReLU or not.

    With `members` it is so many nets side by side, whose outputs are [members n classes].
    """
    layers: list[nn.Module] = []
    before = features
    for _ in range(depth):
        layers.append(Dense(before, width, init, members))
        if normalise:
            # Training is on all samples at once: their own statistics are the ones to test with.
            layers.append(nn.BatchNorm1d(width, momentum=1.0))
        layers.append(nn.ReLU())
        before = width
    return nn.Sequential(*layers, Dense(before, classes, init, members))
