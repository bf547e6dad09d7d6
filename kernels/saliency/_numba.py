"""Blending in one pass, an image a thread; the mask of an image is made in a buffer of its size."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from . import upsampling


def saliency_mask(
    images: np.ndarray, weights: np.ndarray, fillers: np.ndarray, *, scale: int
) -> np.ndarray:
    h, w = images.shape[2:]
    rows = upsampling(h, weights.shape[1], scale).astype(weights.dtype)
    columns = upsampling(w, weights.shape[2], scale).astype(weights.dtype)
    blended = np.empty(fillers.shape, fillers.dtype)
    plain = np.ascontiguousarray
    _blend(plain(images), plain(weights), plain(fillers), rows, columns, scale, blended)
    return blended


@njit(parallel=True, cache=True, fastmath={"contract"})
def _blend(images, weights, fillers, rows, columns, scale, blended):
    b, f, c, h, w = fillers.shape
    one = images.dtype.type(1)
    for image in prange(b):
        mask = _mask(weights[image], rows, columns, scale)
        hidden = one - mask
        for channel in range(c):
            shown = mask * images[image, channel]
            for k in range(f):
                filler, out = fillers[image, k, channel], blended[image, k, channel]
                for y in range(h):
                    for x in range(w):
                        out[y, x] = shown[y, x] + hidden[y, x] * filler[y, x]


@njit(cache=True, fastmath={"contract"})
def _mask(weights, rows, columns, scale):
    """Upsampled along one axis and then the other, from the two cells that a pixel lies between."""
    half, one = weights.dtype.type(0.5), weights.dtype.type(1)
    shown = half * (one + np.tanh(half * weights))
    h, w = len(rows), len(columns)
    gh, gw = shown.shape
    mask = np.empty((h, w), weights.dtype)
    for y in range(h):
        top = _first_cell(y, gh, scale)
        bottom = min(top + 1, gh - 1)
        line = rows[y, top] * shown[top]
        if bottom > top:
            line += rows[y, bottom] * shown[bottom]
        for x in range(w):
            left = _first_cell(x, gw, scale)
            mask[y, x] = columns[x, left] * line[left]
            if left + 1 < gw:
                mask[y, x] += columns[x, left + 1] * line[left + 1]
    return mask


@njit(cache=True)
def _first_cell(pixel, cells, scale):
    """The cell whose centre is the last at or before the centre of a pixel."""
    return min(max((2 * pixel + 1 - scale) // (2 * scale), 0), cells - 1)
