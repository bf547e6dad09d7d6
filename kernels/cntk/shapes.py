"""Standard shapes of `cntk_gram`: those that its targets are stated in, and their work.

A layer never mixes offsets between a pixel of one image and a pixel of the other, so a pair of
images needs as many map entries as pixel pairs have a wanted offset: all for "gap", those of
offset 0 for the vanilla kernel.
"""

from __future__ import annotations

from typing import Any

from ..shapes import Inputs, StandardShape, Work, entries, pairs

DEEP = {"depths": [13], "frozen_ends": True}  # the depth of 14 of the released code


def _block(n: int, m: int, side: int) -> dict[str, tuple[int, ...]]:
    return {"x1": (n, 3, side, side), "x2": (m, 3, side, side)}


STANDARD = {
    "gap_32": StandardShape(_block(4, 16, 32), DEEP | {"windows": ["gap"]}, device="cpu"),
    "gap_16": StandardShape(_block(8, 32, 16), DEEP | {"windows": ["gap"]}, device="cpu"),
    "vanilla_32": StandardShape(_block(32, 32, 32), DEEP | {"windows": [0]}, device="cpu"),
    "gap_32_many": StandardShape(_block(64, 64, 32), DEEP | {"windows": ["gap"]}, device="cuda"),
    "gap_16_many": StandardShape(_block(128, 128, 16), DEEP | {"windows": ["gap"]}, device="cuda"),
    "vanilla_32_many": StandardShape(_block(512, 512, 32), DEEP | {"windows": [0]}, device="cuda"),
}

SWEEP = {
    **{
        f"gap_{side}": StandardShape(_block(4, 4, side), DEEP | {"windows": ["gap"]}, device="cpu")
        for side in (8, 16, 24, 32)
    },
    **{
        f"vanilla_{side}": StandardShape(
            _block(16, 16, side), DEEP | {"windows": [0]}, device="cpu"
        )
        for side in (8, 16, 32)
    },
    **{
        f"many_gap_{side}": StandardShape(
            _block(64, 64, side), DEEP | {"windows": ["gap"]}, device="cuda"
        )
        for side in (8, 16, 24, 32)
    },
}

MIDDLE_LAYER = {"ntk": 46, "nngp": 30}
"""Operations an entry. For "ntk" 21 multiply-adds (8 in the two boxes, whose seams are masks, the
others in the cosine, the polynomials of both activations and what they multiply), three products
and a sum; for "nngp" one box and one activation less."""

ENDS = 70
"""Operations an entry for the first and the last layer and the sum, together."""


def _within(side: int, window: int | str) -> int:
    """Pairs of positions on one axis whose offset the pooling window still sees."""
    reach = side - 1 if window == "gap" else min(2 * int(window), side - 1)
    return sum(side - abs(offset) for offset in range(-reach, reach + 1))


def work(inputs: Inputs, arguments: dict[str, Any], itemsize: int) -> Work:
    """Map entries of every pair through all layers of the deepest kernel, once for each mirror."""
    n, _, height, width = inputs["x1"]
    m = inputs.get("x2", inputs["x1"])[0]
    processes, windows = arguments.get("get", ("ntk",)), arguments.get("windows", ("gap",))
    flips, depths = arguments.get("flips", (False,)), arguments["depths"]
    mirrors = 2 if any(flips) else 1
    maps = max(_within(height, window) * _within(width, window) for window in windows)
    layer = MIDDLE_LAYER["ntk" if "ntk" in processes else "nngp"]
    each = maps * (layer * max(max(depths) - 2, 0) + ENDS)
    outputs = len(flips) * len(processes) * len(depths) * len(windows) * n * m
    count = pairs(inputs)
    return Work(mirrors * count * each, itemsize * (entries(inputs) + outputs), count)
