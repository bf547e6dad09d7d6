"""Inner products of the gradients of one layer, from its inputs and signals.

The gradient of a sample by the weights is G = sum_t b_t a_t^T over the positions t at which the
weights are used: one for a dense layer, every pixel for a convolution. Either G is formed, or

    <G, G'> = sum_tu (a_t . a'_u) (b_t . b'_u)

is, whichever is less work. The first is held in memory for some of the layer's outputs at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from . import Output
from ._calls import Call, Convolution

FORMED = 2**24  # numbers that are held at once: gradients of one layer, or products of positions
UNFOLDED = 2**20  # numbers of patches that are held at once on a CPU: they stay in cache


def paired(left: Tensor, right: Tensor, output: Output) -> Tensor:
    """Gram matrix of features [n S p] and [m S p], as `output` wants it of S signals."""
    if output == "class":
        return left.transpose(0, 1) @ right.permute(1, 2, 0)
    if output == "full":
        gram = left.flatten(0, 1) @ right.flatten(0, 1).T
        return gram.view(*left.shape[:2], *right.shape[:2]).permute(1, 3, 0, 2)
    return left.flatten(1) @ right.flatten(1).T / left.shape[1]


class Sizes(NamedTuple):
    """Of a layer: its inputs and outputs are those of one group, at one position."""

    samples: int
    signals: int
    groups: int
    inputs: int
    outputs: int
    positions: int


@dataclass(frozen=True)
class Layer:
    """Inputs [n ...] and signals [n S ...] of every call of one layer, on the same samples."""

    calls: list[Call]
    inputs: list[Tensor]
    signals: list[Tensor]

    def patches(self, rows: slice = slice(None)) -> Tensor:
        """What the weights meet at each position: [n groups inputs positions]."""
        runs = zip(self.calls, self.inputs, strict=True)
        return _joined([_patches(call.convolution, x[rows]) for call, x in runs])

    def received(self, rows: slice = slice(None)) -> Tensor:
        """What comes back there: [n S groups outputs positions]."""
        runs = zip(self.calls, self.signals, strict=True)
        return _joined([_received(call.convolution, b[rows]) for call, b in runs])

    @cached_property
    def sizes(self) -> Sizes:
        _, groups, inputs, _ = self.patches(slice(0, 1)).shape
        _, signals, _, outputs, positions = self.received(slice(0, 1)).shape
        return Sizes(len(self.inputs[0]), signals, groups, inputs, outputs, positions)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def _patches(convolution: Convolution | None, x: Tensor) -> Tensor:
    if convolution is None:
        return x.reshape(len(x), 1, -1, x.shape[-1]).transpose(-1, -2)
    axes = len(convolution.kernel)
    unfolded = _unfolded(convolution, x.reshape(-1, *x.shape[-axes - 1 :]))
    return unfolded.view(len(x), -1, *unfolded.shape[1:]).movedim(1, 3).flatten(3)


def _unfolded(convolution: Convolution, x: Tensor) -> Tensor:
    """Patches [b groups inputs positions] of images [b channels ...]."""
    kernel, stride, padding, dilation, groups = convolution
    if any(map(any, padding)):
        x = F.pad(x, [p for around in reversed(padding) for p in around])
    (b, channels, *sizes), (over_b, over_channels, *steps) = x.shape, x.stride()
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    places = [(n - r - 1) // s + 1 for n, r, s in zip(sizes, reach, stride, strict=True)]
    inside = [d * step for d, step in zip(dilation, steps, strict=True)]
    across = [s * step for s, step in zip(stride, steps, strict=True)]
    windows = x.as_strided(
        (b, channels, *kernel, *places), (over_b, over_channels, *inside, *across)
    )
    return windows.reshape(b, groups, -1, prod(places))


def _received(convolution: Convolution | None, b: Tensor) -> Tensor:
    n, signals = b.shape[:2]
    if convolution is None:
        return b.reshape(n, signals, 1, -1, b.shape[-1]).transpose(-1, -2)
    axes = len(convolution.kernel)
    channels = b.shape[-axes - 1]
    grouped = convolution.groups, channels // convolution.groups
    images = b.reshape(n, signals, -1, *grouped, prod(b.shape[-axes:]))
    return images.movedim(2, 4).flatten(4)


def layer_gram(left: Layer, right: Layer, output: Output) -> Tensor:
    """Inner products of the gradients by a layer's weight and bias, whichever it trains."""
    trained = left.calls[0]
    if trained.weight is None:
        return _bias(left, right, output)
    if _is_less_work(left, output):
        return _unformed(left, right, output, bias=trained.bias is not None)
    gram = _formed(left, right, output)
    return gram if trained.bias is None else gram + _bias(left, right, output)


def _is_less_work(layer: Layer, output: Output) -> bool:
    """Whether products of inputs and of signals, at all pairs of positions, beat forming G."""
    size = layer.sizes
    pairs = _pairs(layer, output)
    unformed = size.positions**2 * (size.inputs + pairs * size.outputs)
    return size.groups == 1 and unformed < pairs * size.inputs * size.outputs


def _pairs(layer: Layer, output: Output) -> int:
    """How many pairs of signals are multiplied."""
    return layer.sizes.signals ** (2 if output == "full" else 1)


def _bias(left: Layer, right: Layer, output: Output) -> Tensor:
    f1, f2 = (layer.received().sum(dim=-1).flatten(2) for layer in (left, right))
    return paired(f1, f2, output)


def _unformed(left: Layer, right: Layer, output: Output, bias: bool) -> Tensor:
    a2, b2 = _by_position(right)
    positions = right.sizes.positions
    strips = []
    for rows in _blocks(left.sizes.samples, FORMED // (_pairs(left, output) * positions * len(a2))):
        a1, b1 = _by_position(left, rows)
        products = a1 @ a2.T
        if bias:
            products += 1  # a bias is the weight of an input that is always 1
        gram = paired(b1, b2, output) * products
        if positions > 1:
            gram = gram.view(*gram.shape[:-2], -1, positions, right.sizes.samples, positions)
            gram = gram.sum(dim=(-3, -1))
        strips.append(gram)
    return torch.cat(strips, dim=-2)


def _by_position(layer: Layer, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
    """Inputs [n T, i] and signals [n T, S, o] of a layer without groups, each position a row."""
    inputs = layer.patches(rows)[:, 0].transpose(1, 2).flatten(0, 1)
    signals = layer.received(rows)[:, :, 0].permute(0, 3, 1, 2).flatten(0, 1)
    return inputs, signals


def _formed(left: Layer, right: Layer, output: Output) -> Tensor:
    _, signals, groups, inputs, outputs, _ = left.sizes
    most = max(left.sizes.samples, right.sizes.samples)
    grams = (
        paired(first, first if right is left else _gradients(right, part), output)
        for part in _blocks(outputs, FORMED // (most * signals * groups * inputs))
        for first in [_gradients(left, part)]
    )
    return reduce(torch.add, grams)


def _gradients(layer: Layer, part: slice) -> Tensor:
    """Gradients [n S p] of each signal by the weights of some of the outputs of each group."""
    n, signals, groups, inputs, outputs, positions = layer.sizes
    rows_of = signals * len(range(outputs)[part])
    like = layer.inputs[0]
    formed = torch.empty(n, groups, rows_of, inputs, dtype=like.dtype, device=like.device)
    most = UNFOLDED if like.device.type == "cpu" else FORMED
    for rows in _blocks(n, most // (groups * inputs * positions)):
        received = layer.received(rows)[:, :, :, part].transpose(1, 2).flatten(2, 3)
        patches = layer.patches(rows).transpose(-1, -2)
        torch.bmm(received.flatten(0, 1), patches.flatten(0, 1), out=formed[rows].flatten(0, 1))
    return formed.view(n, groups, signals, -1).transpose(1, 2).flatten(2)


def _blocks(size: int, block: int) -> Iterator[slice]:
    block = max(1, block)
    return (slice(start, start + block) for start in range(0, size, block))
