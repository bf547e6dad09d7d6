"""Inputs for a kernel in the shapes that a claim declares."""

from __future__ import annotations

import numpy as np

from .definitions import Shape


def inputs(shape: Shape, seed: int = 0) -> list[np.ndarray]:
    """Random inputs, float32: one standard normal array for each input, in the kernel's order."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=size).astype("float32") for size in shape.inputs.values()]
