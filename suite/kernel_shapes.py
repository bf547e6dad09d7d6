"""Inputs for a kernel in the shapes that a claim, or the kernel itself, declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np


class Sized(Protocol):
    """What says of which shape a kernel's array arguments are, in the kernel's order."""

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]: ...


def inputs(shape: Sized, seed: int = 0) -> list[np.ndarray]:
    """Random inputs, float32: one standard normal array for each input, in the kernel's order."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=size).astype("float32") for size in shape.inputs.values()]
