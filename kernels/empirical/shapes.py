"""Standard shapes of `empirical_ntk_gram`: a dense network of 1.9 million parameters, and a small
convolutional one of 0.1 million."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..shapes import Device, Inputs, StandardShape, Work, entries

if TYPE_CHECKING:  # torch is imported where a network is made
    from torch import nn


def dense() -> nn.Module:
    from torch import nn

    return _seeded(
        lambda: nn.Sequential(
            nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
        )
    )


def convolutional() -> nn.Module:
    from torch import nn

    return _seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(128, 10),
        )
    )  # fmt: skip


def _seeded(make: Any) -> nn.Module:
    """The same network each time, in evaluation mode."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module: nn.Module = make().eval()
    return module


PSEUDO = {"output": "pseudo"}
STANDARD = {
    "dense_128": StandardShape({"x1": (128, 784)}, PSEUDO, {"module": dense}),
    "convolutional_64": StandardShape({"x1": (64, 3, 32, 32)}, PSEUDO, {"module": convolutional}),
}

SIZES: dict[int, Device] = {16: None, 32: None, 64: None, 128: None, 256: "cuda"}
SWEEP = {
    f"dense_{n}": StandardShape({"x1": (n, 784)}, PSEUDO, {"module": dense}, device=device)
    for n, device in SIZES.items()
}


def work(inputs: Inputs, arguments: dict[str, Any], itemsize: int) -> Work:
    """Of a dense network: one pass forwards, one backwards, two Gram products a layer.

    A product for the inputs of the layer and one for its signals, each on and above the diagonal.
    That is for one output or "pseudo"; others, and other layers, are not counted.
    """
    from torch import nn

    module = arguments["module"]()
    n = inputs["x1"][0]
    layers = [m for m in module.modules() if next(m.parameters(recurse=False), None) is not None]
    dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if "x2" in inputs or len(dense) < len(layers) or arguments.get("output") != "pseudo":
        return Work(None, None, n, "sample")
    weights = sum(layer.in_features * layer.out_features for layer in dense)
    sides = sum(layer.in_features + layer.out_features for layer in dense)
    flops = 4 * n * weights + n * (n + 1) * sides
    return Work(flops, itemsize * (entries(inputs) + weights + n * n), n, "sample")
