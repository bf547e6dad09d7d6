"""A standard shape of `saliency_mask`: a batch of CIFAR-10 images, four fillers each."""

from __future__ import annotations

from math import prod
from typing import Any

from ..shapes import Device, Inputs, StandardShape, Work, entries


def _batch(images: int) -> dict[str, tuple[int, ...]]:
    return {
        "images": (images, 3, 32, 32),
        "weights": (images, 8, 8),
        "fillers": (images, 4, 3, 32, 32),
    }


STANDARD = {
    "cifar_64": StandardShape(_batch(64), {"scale": 4}, device="cpu"),
    "cifar_4096": StandardShape(_batch(4096), {"scale": 4}, device="cuda"),
}

SIZES: dict[int, Device] = {16: None, 64: None, 256: None, 1024: None, 4096: "cuda"}
SWEEP = {
    f"cifar_{images}": StandardShape(_batch(images), {"scale": 4}, device=device)
    for images, device in SIZES.items()
}


def work(inputs: Inputs, arguments: dict[str, Any], itemsize: int) -> Work:
    """Bilinear upsampling once for each pixel, then two operations for each blended value."""
    n, _, height, width = inputs["images"]
    blended = prod(inputs["fillers"])
    flops = 2 * blended + n * height * width * 10
    return Work(flops, itemsize * (entries(inputs) + blended), n, "image")
