"""Layer by layer, from inputs and signals: the Jacobian is never whole, and mostly never formed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from . import Output, trainable_layers
from ._calls import Call, Observed, observe, watched_calls
from ._products import Layer, layer_gram, paired


def empirical_ntk_gram(
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    module: nn.Module,
    output: Output = "trace",
    by_layer: bool = False,
) -> Tensor:
    calls = watched_calls(module, x1)
    left = observe(module, calls, x1, output)
    right = left if x2 is None else observe(module, calls, x2, output)
    grams: dict[str, Tensor] = {}
    for parameter, gram in _contributions(calls, left, right, output):
        layer = parameter.rpartition(".")[0] if by_layer else ""
        grams[layer] = grams[layer].add_(gram) if layer in grams else gram
    if not by_layer:
        return grams[""]
    return torch.stack([grams[layer] for layer in trainable_layers(module)])


def _contributions(
    calls: list[Call], left: Observed, right: Observed, output: Output
) -> Iterator[tuple[str, Tensor]]:
    """The part of each layer, or of each parameter that no call tells of, with one name in it."""
    together: dict[object, list[int]] = {}
    for place, call in enumerate(calls):
        together.setdefault(call.layer, []).append(place)
    for places in together.values():
        called = [calls[k] for k in places]
        one = _layer(called, places, left)
        other = one if right is left else _layer(called, places, right)
        yield called[0].weight or called[0].bias or "", layer_gram(one, other, output)
    for name, gradients in left.others.items():
        yield name, paired(gradients.flatten(2), right.others[name].flatten(2), output)


def _layer(called: list[Call], places: list[int], seen: Observed) -> Layer:
    return Layer(called, [seen.inputs[k] for k in places], [seen.signals[k] for k in places])
