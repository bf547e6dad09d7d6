"""Fully connected ReLU nets in torch, initialised as He et al. or as in the NTK's limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import batch_norm

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


class BatchNorm(nn.Module):
    """Batch normalisation, of nets side by side each by itself.

    Training is on all samples at once: their own statistics are the ones to test with.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, members: tuple[int, ...] = ()):
        super().__init__()
        ones, zeros = torch.ones(*members, 1, width), torch.zeros(*members, 1, width)
        self.weight, self.bias = nn.Parameter(ones), nn.Parameter(zeros)
        self.register_buffer("mean", zeros.clone())
        self.register_buffer("variance", ones.clone())

    def forward(self, x: Tensor) -> Tensor:
        rows = x.movedim(-2, 0)
        normalised = batch_norm(
            rows.flatten(1),
            self.mean.view(-1),
            self.variance.view(-1),
            self.weight.flatten(),
            self.bias.flatten(),
            training=self.training,
            momentum=1.0,
        )
        return normalised.view(rows.shape).movedim(0, -2)


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
            layers.append(BatchNorm(width, members))
        layers.append(nn.ReLU())
        before = width
    return nn.Sequential(*layers, Dense(before, classes, init, members))


def keep(nets: nn.Module, members: Tensor) -> None:
    """Make nets side by side those at the given indices; one that is given twice becomes two."""
    for layer in nets.modules():
        for name, weight in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, nn.Parameter(weight.detach()[members]))
        for name, statistic in list(layer.named_buffers(recurse=False)):
            setattr(layer, name, statistic[members])


def one_by_one(nets: nn.Module) -> Iterator[Callable[[Tensor], Tensor]]:
    """Each of nets side by side as a function of its inputs, [n p] to [n classes]."""
    weights = nets.state_dict()
    for alone in zip(*weights.values(), strict=True):
        yield partial(functional_call, nets, dict(zip(weights, alone, strict=True)))
