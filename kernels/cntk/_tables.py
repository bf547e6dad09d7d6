"""Variances of every layer, which need one image and no arc cosine.

At offset 0 a pixel meets itself: its cosine is 1, kappa_1(1) = 1, and the recursion of the
variance is linear. That makes it a table for each image, where the pairs would be quadratic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ._windows import Padding


class Norms(NamedTuple):
    """Standard deviations of the pre-activations, for each image, layer and pixel.

    Attributes:
        scale: the standard deviation over 3. The product of two has the 1/9 of the next convolution
            in it, so that maps keep their scale at every depth.
        inverse: 1 over the standard deviation; 0 next to a patch of zeros.
    """

    scale: Float[np.ndarray, "n layers height width"]
    inverse: Float[np.ndarray, "n layers height width"]


def norms(
    images: Float[np.ndarray, "n channels height width"], layers: int, padding: Padding
) -> Norms:
    """Both tables in float32, from variances in float64: their errors would add up over layers."""
    variance = np.einsum("nchw,nchw->nhw", images, images, dtype=np.float64)
    deviations = []
    for _ in range(layers):
        variance = _box(variance, padding)
        deviations.append(np.sqrt(variance))
        variance = variance / 9
    deviation = np.stack(deviations, axis=1)
    inverse = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    return Norms((deviation / 3).astype(np.float32), inverse.astype(np.float32))


def _box(maps: Float[np.ndarray, "n h w"], padding: Padding) -> Float[np.ndarray, "n h w"]:
    border = ((0, 0), (1, 1), (1, 1))
    padded = np.pad(maps, border, mode="wrap" if padding == "circular" else "constant")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
