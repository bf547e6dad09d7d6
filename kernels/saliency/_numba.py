"""Blending in one pass, an image a thread. NumPy brings the mask to the width of the images; each
row of a full mask lies between two of those.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit, prange

from . import upsampling


def saliency_mask(
    images: np.ndarray, weights: np.ndarray, fillers: np.ndarray, *, scale: int
) -> np.ndarray:
    b, f, c, h, w = fillers.shape
    _, gh, gw = weights.shape
    half = weights.dtype.type(0.5)
    shown = half + half * np.tanh(half * weights)
    columns = _weights(w, gw, scale, weights.dtype)
    wide = (shown.reshape(-1, gw) @ columns.T).reshape(b, gh, w)
    mask = np.empty((b, h * w), weights.dtype)
    blended = np.empty(fillers.shape, fillers.dtype)
    _blend(
        np.ascontiguousarray(images).reshape(b, c, h * w),
        wide,
        *_neighbours(h, gh, scale, weights.dtype),
        np.ascontiguousarray(fillers).reshape(b, f, c, h * w),
        mask,
        blended.reshape(b, f, c, h * w),
    )
    return blended


# What depends on sizes alone is kept: to make it takes longer than to blend a small batch.
@lru_cache(maxsize=64)
def _weights(size: int, cells: int, scale: int, dtype: np.dtype) -> np.ndarray:
    return upsampling(size, cells, scale).astype(dtype)


@lru_cache(maxsize=64)
def _neighbours(
    size: int, cells: int, scale: int, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The cells before and behind each pixel of an axis, and the weights of both."""
    weights = _weights(size, cells, scale, dtype)
    first = (weights > 0).argmax(axis=1)
    second = np.minimum(first + 1, cells - 1)
    near = weights[np.arange(size), first]
    return first, second, near, 1 - near


# A product and a sum may become one operation, which LLVM has to be told; nothing else may change.
@njit(parallel=True, cache=True, fastmath={"contract"})
def _blend(images, wide, first, second, near, far, fillers, mask, blended):
    b, f, c, size = fillers.shape
    h, w = len(first), wide.shape[2]
    one = mask.dtype.type(1)
    for i in prange(b):
        for y in range(h):
            for x in range(w):
                above, below = wide[i, first[y], x], wide[i, second[y], x]
                mask[i, y * w + x] = near[y] * above + far[y] * below
        for channel in range(c):
            for k in range(f):
                for p in range(size):
                    shown = mask[i, p] * images[i, channel, p]
                    hidden = (one - mask[i, p]) * fillers[i, k, channel, p]
                    blended[i, k, channel, p] = shown + hidden
