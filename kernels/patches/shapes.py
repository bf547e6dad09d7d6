"""A standard shape of `coates_ng_features`: patches of 6 x 6 on CIFAR-10, as in the paper."""

from __future__ import annotations

from typing import Any

from ..shapes import Device, Inputs, StandardShape, Work, entries

STANDARD = {
    "cifar_256": StandardShape({"images": (16, 3, 32, 32), "filters": (256, 3, 6, 6)}, {}),
    "cifar_2048": StandardShape(
        {"images": (64, 3, 32, 32), "filters": (2048, 3, 6, 6)}, {}, device="cuda"
    ),
}

SIZES: dict[int, Device] = {
    32: None, 64: None, 128: None, 256: None, 512: None, 2048: "cuda",
}  # fmt: skip
SWEEP = {
    f"cifar_{filters}": StandardShape(
        {"images": (16, 3, 32, 32), "filters": (filters, 3, 6, 6)}, {}, device=device
    )
    for filters, device in SIZES.items()
}


def work(inputs: Inputs, arguments: dict[str, Any], itemsize: int) -> Work:
    """A multiply-add for each weight of each filter at each position, then two thresholds."""
    n, _, height, width = inputs["images"]
    filters, channels, side, _ = inputs["filters"]
    positions = n * filters * (height - side + 1) * (width - side + 1)
    flops = positions * (2 * channels * side * side + 4)
    return Work(flops, itemsize * (entries(inputs) + 2 * positions), n, "image")
