"""Standard shapes of `ntk_gram`: a data set of the UCI study at its largest, in both dtypes."""

from __future__ import annotations

from typing import Any

from ..shapes import Device, Inputs, StandardShape, Work, entries, pairs
from . import ntk_variants

STANDARD = {
    "uci_1000": StandardShape({"x1": (1000, 20)}, {"variants": ntk_variants(4)}),
    "uci_1000_float64": StandardShape(
        {"x1": (1000, 20)}, {"variants": ntk_variants(4)}, dtype="float64"
    ),
    "uci_8000": StandardShape({"x1": (8000, 20)}, {"variants": ntk_variants(4)}, device="cuda"),
}

SIZES: dict[int, Device] = {
    125: None, 250: None, 500: None, 1000: None, 2000: None, 4000: "cuda", 8000: "cuda",
}  # fmt: skip
SWEEP = {
    f"points_{n}": StandardShape({"x1": (n, 20)}, {"variants": ntk_variants(4)}, device=device)
    for n, device in SIZES.items()
}

ACTIVATION = 28
"""Operations of both arc-cosine kernels in float32: the cosine and its bounds 4, a square root,
polynomials of degree 6 and 5 by Horner's rule 22, and their last product."""


def work(inputs: Inputs, arguments: dict[str, Any], itemsize: int) -> Work:
    """An inner product for each pair, the activation once a level, two operations a fixed layer.

    All variants share one activation a level, and a symmetric matrix is computed once and written
    in full.
    """
    variants = arguments["variants"]
    deepest = max(depth for depth, _ in variants)
    fixed = len({first for _, first in variants})
    x1, count = inputs["x1"], pairs(inputs)
    outputs = len(variants) * x1[0] * inputs.get("x2", x1)[0]
    flops = count * (2 * x1[1] + deepest * (ACTIVATION + 2 * fixed))
    return Work(flops, itemsize * (entries(inputs) + outputs), count)
