"""The product goes to BLAS in blocks that fit the second cache; gathering its patches and writing
both sides of its results are one pass each, so that memory sees images and features and no more.

BLAS brings the threads: numba's own beside them fight for the same cores and cost tenfold.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FILTERS, POSITIONS = 256, 1024  # of a block: 1 MiB of results in float32


def coates_ng_features(images: np.ndarray, filters: np.ndarray, *, bias: float = 1.0) -> np.ndarray:
    n, _, h, w = images.shape
    k, _, s, _ = filters.shape
    rows, columns = h - s + 1, w - s + 1
    features = np.empty((n, 2 * k, rows * columns), images.dtype)
    flat = np.ascontiguousarray(filters).reshape(k, -1)
    threshold = images.dtype.type(bias)
    together = max(1, POSITIONS // (rows * columns))
    for first in range(0, n, together):
        patches = _gathered(images[first : first + together], s)
        for start in range(0, k, FILTERS):
            found = flat[start : start + FILTERS] @ patches
            _write_sides(found, threshold, features[first : first + together], start)
    return features.reshape(n, 2 * k, rows, columns)


@njit(cache=True)
def _gathered(images, s):
    """Patches as columns: [c * s * s, images * rows * columns]."""
    n, c, h, w = images.shape
    rows, columns = h - s + 1, w - s + 1
    patches = np.empty((c * s * s, n * rows * columns), images.dtype)
    for tap in range(c * s * s):
        channel, i, j = tap // (s * s), tap // s % s, tap % s
        for image in range(n):
            for y in range(rows):
                at = (image * rows + y) * columns
                patches[tap, at : at + columns] = images[image, channel, y + i, j : j + columns]
    return patches


@njit(cache=True)
def _write_sides(found, bias, features, start):
    """Both thresholds of a block of filters, counted from filter `start`."""
    n, sides, positions = features.shape
    zero = found.dtype.type(0)
    for f in range(found.shape[0]):
        for image in range(n):
            line = found[f, image * positions : (image + 1) * positions]
            positive = features[image, start + f]
            negative = features[image, sides // 2 + start + f]
            for p in range(positions):
                positive[p] = max(line[p] - bias, zero)
                negative[p] = max(-line[p] - bias, zero)
