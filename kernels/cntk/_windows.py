"""Pooling weights of the last layer, which the reference and every backend share.

Vanilla, local average pooling (LAP) and global average pooling (GAP) differ in nothing but the
weight of a pair of pixels. The weight is a product of one factor for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

Window = int | Literal["gap"]
Padding = Literal["zeros", "circular"]


def axis_weights(
    size: int, windows: Sequence[Window], padding: Padding
) -> Float[np.ndarray, "windows size size"]:
    """Weight of a pair of positions along one axis, for each window.

    For a half-width c it is the number of windows of 2c + 1 positions, one centred on each
    position, that see both, over (2c + 1)**2; positions outside the image are zeros, or those that
    wrap around. Half-width 0 gives the identity. For "gap" it is 1 / size**2.

    Source: Li et al. 2019, arXiv:1911.00809, section 4 (LAP).
    """
    return np.stack([_one_window(size, window, padding) for window in windows])


def _one_window(size: int, window: Window, padding: Padding) -> Float[np.ndarray, "size size"]:
    if window == "gap":
        return np.full((size, size), 1 / size**2)
    seen = np.zeros((size, size))
    for shift in range(-window, window + 1):
        if padding == "circular":
            seen += np.roll(np.eye(size), shift, axis=1)
        else:
            seen += np.eye(size, k=shift)
    return seen.T @ seen / (2 * window + 1) ** 2
