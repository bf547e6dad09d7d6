"""Watching a network run: where its inputs meet its weights, and what comes back there.

For a dense layer z = W a the gradient of one sample is b a^T, with b the gradient by z: the
inputs a and the signals b of a layer say all, and its Jacobian never needs to exist. Convolutions
are dense layers on patches. Here every call of `linear` and `conv1d` to `conv3d` is watched,
whichever module or formula it stands in, and each z is given an offset of zero to differentiate by.

A first run of one sample compares what was watched with autograd's own graph. A parameter that is
used in any other way is differentiated by itself; nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from . import Output


class Convolution(NamedTuple):
    """The geometry of a convolution, over one, two or three axes."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]  # before and after each axis
    dilation: tuple[int, ...]
    groups: int


@dataclass(frozen=True)
class Call:
    """One application of a dense layer or a convolution.

    Attributes:
        weight: the trainable parameter that is its weight; `None` where that is a constant.
        bias: the same of its bias.
        convolution: `None` for a dense layer.
        shape: of what it gave for one sample.
    """

    weight: str | None
    bias: str | None
    convolution: Convolution | None
    shape: torch.Size

    @property
    def parameters(self) -> set[str]:
        return {name for name in (self.weight, self.bias) if name is not None}

    def only(self, kept: set[str]) -> Call:
        """The same call, with every parameter a constant but those `kept`."""
        weight, bias = (name if name in kept else None for name in (self.weight, self.bias))
        return replace(self, weight=weight, bias=bias)

    @property
    def layer(self) -> tuple[str | None, str | None, int]:
        """Calls that agree in this differ in their inputs alone, and their gradients add up."""
        return self.weight, self.bias, self.convolution.groups if self.convolution else 1


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Any, ...]:
    return x, weight, bias, None


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Any, ...]:
    kernel = tuple(weight.shape[2:])

    def each(value: Any) -> tuple[int, ...]:
        values = (value,) if isinstance(value, int) else tuple(value)
        return values * len(kernel) if len(values) == 1 else values

    if padding == "same":  # the odd one goes behind
        totals = [d * (k - 1) for d, k in zip(each(dilation), kernel, strict=True)]
        around = tuple((total // 2, total - total // 2) for total in totals)
    else:
        around = tuple((p, p) for p in each(0 if padding == "valid" else padding))
    return x, weight, bias, Convolution(kernel, each(stride), around, each(dilation), groups)


WATCHED: dict[Callable[..., Tensor], Callable[..., tuple[Any, ...]]] = {
    F.linear: _linear,
    F.conv1d: _convolution,
    F.conv2d: _convolution,
    F.conv3d: _convolution,
}


class _Watch(TorchFunctionMode):
    """Records calls, and adds an offset to what each of them gives.

    Attributes:
        calls: what was called, in order.
        inputs: what each call was applied to.
        versions: how often each of these had been changed in place by then.
        nodes: what autograd made of each call.
    """

    def __init__(self, names: dict[int, str] | None, offsets: list[Tensor] | None = None):
        """Watch the calls that use a parameter of `names`, by id; or every call."""
        super().__init__()
        self.names, self.offsets = names, offsets
        self.calls: list[Call] = []
        self.inputs: list[Tensor] = []
        self.versions: list[int] = []
        self.nodes: list[Any] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if function not in WATCHED:
            return result
        x, weight, bias, convolution = WATCHED[function](*args, **kwargs)
        names = self.names or {}
        call = Call(names.get(id(weight)), names.get(id(bias)), convolution, result.shape)
        if self.names is not None and not call.parameters:
            return result
        if self.offsets is not None:
            result = result + self.offsets[len(self.calls)]
        self.calls.append(call)
        self.inputs.append(x)
        self.versions.append(x._version)
        self.nodes.append(result.grad_fn)
        return result


def watched_calls(module: nn.Module, x: Tensor) -> list[Call]:
    """The calls that tell all of the gradients by the parameters they name.

    A parameter is named if autograd knows of no use of it but these calls, and if each of them has
    the same partner and finds its inputs as they were. One sample is run to see this.
    """
    names = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
    with torch.enable_grad(), _Watch(names) as seen:
        result = module(x[:1].clone())
    uses, nodes = _graph(result.grad_fn)
    intact = [x._version == before for x, before in zip(seen.inputs, seen.versions, strict=True)]

    def told(parameter: int) -> bool:
        mine = [k for k, c in enumerate(seen.calls) if names[parameter] in (c.weight, c.bias)]
        return (
            uses[parameter] == sum(seen.nodes[k] in nodes for k in mine)
            and all(intact[k] for k in mine)
            and len({seen.calls[k].layer for k in mine}) == 1
            and len({name.rpartition(".")[0] for name in seen.calls[mine[0]].parameters}) == 1
        )

    kept = {names[parameter] for parameter in names if told(parameter)}
    calls = [call.only(kept) for call in seen.calls]
    return [call for call in calls if call.parameters]


def _graph(root: Any) -> tuple[Counter[int], set[Any]]:
    """How often autograd reaches each parameter, by id, and all nodes on the way."""
    uses: Counter[int] = Counter()
    nodes = {root} if root else set()
    waiting = list(nodes)
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if hasattr(node, "variable"):
                uses[id(node.variable)] += 1
            elif node is not None and node not in nodes:
                nodes.add(node)
                waiting.append(node)
    return uses, nodes


@dataclass(frozen=True)
class Observed:
    """What a network tells of n samples, each with S signals: its outputs, or one sum of them.

    Attributes:
        inputs: of each watched call; [n ...].
        signals: gradients by what it gave; [n S ...].
        others: gradients by the parameters that no call tells of; [n S ...].
    """

    inputs: list[Tensor]
    signals: list[Tensor]
    others: dict[str, Tensor]


def observe(module: nn.Module, calls: list[Call], x: Tensor, output: Output) -> Observed:
    """Run a network on each sample by itself, and differentiate each of its outputs."""
    told = {name for call in calls for name in call.parameters}
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    names = {id(p): name for name, p in parameters.items() if name in told}
    others = {name: p.detach() for name, p in parameters.items() if name not in told}
    like = next(iter(parameters.values())).detach()
    offsets = [like.new_zeros(call.shape) for call in calls]

    def outputs(
        offsets: list[Tensor], others: dict[str, Tensor], sample: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        with _Watch(names, offsets) as seen:
            values = functional_call(module, others, sample[None].clone()).flatten()
        if output == "pseudo":
            values = values.sum()[None] / len(values) ** 0.5
        return values, seen.inputs

    gradients = vmap(jacrev(outputs, argnums=(0, 1), has_aux=True), in_dims=(None, None, 0))
    with torch.no_grad(), _full_precision():
        (signals, by_others), inputs = gradients(offsets, others, x)
    return Observed(inputs, signals, by_others)


def last_features(module: nn.Module, x: Tensor) -> Tensor:
    """Inputs [n p] of the dense layer that runs last."""

    def features(sample: Tensor) -> Tensor:
        with _Watch(None) as seen:
            module(sample[None].clone())
        runs = zip(seen.calls, seen.inputs, strict=True)
        dense = [inputs for call, inputs in runs if call.convolution is None]
        if not dense:
            raise ValueError("conjugate_gram: no dense layer ran, which has the last features")
        return dense[-1].flatten()

    with torch.no_grad(), _full_precision():
        return vmap(features)(x)


@contextmanager
def _full_precision() -> Iterator[None]:
    """Convolutions in the dtype of their inputs: a GPU's keep 10 bits of float32 by default."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
