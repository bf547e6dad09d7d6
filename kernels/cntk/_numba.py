"""CNTK on the CPU: one map at a time through all layers, in cache.

A 3 x 3 convolution moves both pixels of a pair by the same step, so pairs of different offset
p - q never mix. The four-dimensional tensor of a pair of images falls into maps, one for each
offset, and a map goes through all layers in about 20 KB, where the tensor at 32 x 32 has 4 MB.

Three arrangements keep the loops long, flat and vectorised:

- Columns are cyclic: pixel j of x meets pixel (j - shift) mod width of z. So the column offsets
  shift and shift - width share one map, and a seam where no value may cross divides them.
- Several images of z lie side by side in one map where images are small, as one wide image with
  seams between.
- Rows need no packing: a map of row offset d has height - |d| rows, contiguous in both images.

With circular padding there is no seam, and rows are cyclic as well.
"""

# Compiled functions have no annotations: numba and Triton infer their types.
# mypy: disallow-untyped-defs=False

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from ._activation import P, Q
from ._composition import composed
from ._tables import norms
from ._windows import Padding, Window, axis_weights

ENTRIES = 1024  # of a map: long enough for flat loops, short enough for the level-2 cache
PAD = 8  # floats around a buffer that is read at -1 and +1

F = np.float32
ZERO, ONE, NINTH = F(0), F(1), F(1 / 9)
P0, P1, P2, P3, P4, P5, P6 = (F(p / 9) for p in P)  # kappa_0 only occurs over 9
Q0, Q1, Q2, Q3, Q4, Q5 = (F(q) for q in Q)

flat = njit(fastmath=True, error_model="numpy", cache=True)
parallel = njit(fastmath=True, error_model="numpy", cache=True, parallel=True)


class Images(NamedTuple):
    """Blocks of images side by side; the last axis is height * blocked images * width."""

    pixels: np.ndarray  # [blocks channels entries]
    scale: np.ndarray  # [blocks layers entries]
    inverse: np.ndarray  # [blocks layers entries]


class Maps(NamedTuple):
    """The offsets that the asked windows see, and their pooling weights."""

    row1: np.ndarray  # [maps], first row in x
    row2: np.ndarray  # [maps], first row in z
    rows: np.ndarray  # [maps]
    shifts: np.ndarray  # [shifts], cyclic column offsets
    row_weights: np.ndarray  # [windows maps entries]
    column_weights: np.ndarray  # [windows shifts columns]


@flat
def _product(n, x, z, out):
    for k in range(n):
        out[k] += x[k] * z[k]


@flat
def _p_over_9(u):
    return (((((P6 * u + P5) * u + P4) * u + P3) * u + P2) * u + P1) * u + P0


@flat
def _q(u):
    return ((((Q5 * u + Q4) * u + Q3) * u + Q2) * u + Q1) * u + Q0


@flat
def _first_relu(n, start, s, inverse1, inverse2, scale1, scale2, covariance, tangent):
    """The one layer whose cosine may be negative; T is `start` times S."""
    for k in range(n):
        c = s[k] * (inverse1[k] * inverse2[k])
        u = max(ONE - abs(c), ZERO)
        r = np.sqrt(u)
        rp = r * _p_over_9(u)
        a = (scale1[k] * scale2[k]) * (ONE - u + min(c, ZERO) + u * r * _q(u))
        covariance[k] = a
        tangent[k] = start * s[k] * (rp if c < ZERO else NINTH - rp) + a


@flat
def _relu(n, s, t, inverse1, inverse2, scale1, scale2, covariance, tangent):
    for k in range(n):
        u = max(ONE - s[k] * (inverse1[k] * inverse2[k]), ZERO)
        r = np.sqrt(u)
        a = (scale1[k] * scale2[k]) * (ONE - u * (ONE - r * _q(u)))
        covariance[k] = a
        tangent[k] = t[k] * (NINTH - r * _p_over_9(u)) + a


@flat
def _relu_of_nngp(n, s, inverse1, inverse2, scale1, scale2, covariance):
    for k in range(n):
        u = max(ONE - s[k] * (inverse1[k] * inverse2[k]), ZERO)
        covariance[k] = (scale1[k] * scale2[k]) * (ONE - u * (ONE - np.sqrt(u) * _q(u)))


@flat
def _sum_of_rows(n, above, here, below, out):
    # Three views of one array: through one name LLVM would carry values from turn to turn.
    for k in range(n):
        out[k] = above[k] + here[k] + below[k]


@flat
def _sum_of_columns(n, left, here, right, open_left, open_right, out):
    for k in range(n):
        out[k] = here[k] + open_left[k] * left[k] + open_right[k] * right[k]


@flat
def _box(n, columns, width, circular, values, sums, open_left, open_right, out):
    """The box of the text, of one map; `values` has room for one row before it and one behind."""
    if circular:
        for k in range(columns):
            values[k] = values[n + k]
            values[columns + n + k] = values[columns + k]
    _sum_of_rows(n, values, values[columns:], values[2 * columns :], sums[PAD:])
    _sum_of_columns(n, sums[PAD - 1 :], sums[PAD:], sums[PAD + 1 :], open_left, open_right, out)
    if circular:
        for first in range(0, n, width):
            last = first + width - 1
            out[first] += sums[PAD + last]
            out[last] += sums[PAD + first]


@flat
def _open_seams(width, shift, circular, open_left, open_right):
    """1 where a value may come from the column to the left or to the right, otherwise 0."""
    seam = 0 if circular else shift
    for first in range(0, len(open_left), width):
        for j in range(width):
            open_left[first + j] = ZERO if j in (0, seam) else ONE
            open_right[first + j] = ZERO if j in (width - 1, seam - 1) else ONE


@flat
def _tile(source, width, columns, out):
    """Lay one image side by side as often as there are columns for it."""
    for channel in range(len(source)):
        for row in range(source.shape[1] // width):
            for first in range(row * columns, (row + 1) * columns, width):
                for j in range(width):
                    out[channel, first + j] = source[channel, row * width + j]


@flat
def _roll(source, width, shift, out):
    """Turn every image by `shift` columns; repeat from the top where `out` has room for two."""
    n = source.shape[1]
    length = width if shift else n  # unturned, all rows are one
    for channel in range(len(source)):
        for first in range(0, n, length):
            for j in range(length - shift):
                out[channel, first + shift + j] = source[channel, first + j]
            for j in range(shift):
                out[channel, first + j] = source[channel, first + length - shift + j]
        for k in range(n, out.shape[1]):
            out[channel, k] = out[channel, k - n]


@flat
def _multiply_identical(factor, identical, columns, width, inverse):
    for layer in range(len(inverse)):
        for k in range(inverse.shape[1]):
            if identical[k % columns // width]:
                inverse[layer, k] *= factor


@flat
def _find_identical(x, z, columns, width, identical):
    for image in range(len(identical)):
        same = True
        for channel in range(len(x)):
            for row in range(image * width, x.shape[1], columns):
                for k in range(row, row + width):
                    if x[channel, k] != z[channel, k]:
                        same = False
                        break
                if not same:
                    break
            if not same:
                break
        identical[image] = same


@flat
def _pool_rows(n, weights, values, sums):
    for k in range(n):
        sums[k] += weights[k] * values[k]


@flat
def _pool_columns(sums, weights, width, out):
    """Add to each blocked image the sum of its columns."""
    for first in range(0, len(sums), len(weights)):
        for image in range(len(out)):
            for k in range(image * width, (image + 1) * width):
                out[image] += sums[first + k] * weights[k]


@flat
def _all_maps(x, z, maps, slots, width, want_ntk, start, circular, out):
    """All maps of one image of x against one block of z, each through all layers.

    `out` [kinds depths windows images] takes pooled covariances, then pooled tangents; `slots` has
    for each layer its place among the depths, or -1.
    """
    pixels1, scale1, inverse1 = x
    columns = maps.column_weights.shape[2]
    entries = z.pixels.shape[1]
    repeats = 2 if circular else 1
    pixels2 = np.zeros((len(z.pixels), entries * repeats), F)
    scale2 = np.zeros((len(z.scale), entries * repeats), F)
    inverse2 = np.zeros((len(z.inverse), entries * repeats), F)
    s, t = np.zeros(entries, F), np.zeros(entries, F)
    open_left, open_right = np.zeros(entries, F), np.zeros(entries, F)
    covariance = np.zeros(entries + 2 * columns, F)
    tangent = np.zeros(entries + 2 * columns, F)
    sums = np.zeros(entries + 2 * PAD, F)
    pooled = np.zeros((out.shape[0], out.shape[1], out.shape[2], entries), F)
    identical = np.zeros(columns // width, np.bool_)
    _find_identical(pixels1, z.pixels, columns, width, identical)

    for c in range(len(maps.shifts)):
        shift = maps.shifts[c]
        _open_seams(width, shift, circular, open_left, open_right)
        _roll(z.pixels, width, shift, pixels2)
        _roll(z.scale, width, shift, scale2)
        _roll(z.inverse, width, shift, inverse2)
        pooled[:] = ZERO
        for d in range(len(maps.rows)):
            n = maps.rows[d] * columns
            first1, first2 = maps.row1[d] * columns, maps.row2[d] * columns
            meets_itself = shift == 0 and first1 == first2 and identical.any()
            if meets_itself:
                # The cosine is 1. A rounding of 1e-7 in it would cost 3e-4, so it is raised
                # to 2, which is cut to 1; powers of two come back exactly.
                _multiply_identical(F(2), identical, columns, width, inverse2)

            covariance[:] = ZERO
            tangent[:] = ZERO
            for channel in range(len(pixels1)):
                _product(
                    n, pixels1[channel, first1:], pixels2[channel, first2:], covariance[columns:]
                )
            _box(n, columns, width, circular, covariance, sums, open_left, open_right, s)
            for layer in range(len(slots)):
                i1, i2 = inverse1[layer, first1:], inverse2[layer, first2:]
                s1, s2 = scale1[layer, first1:], scale2[layer, first2:]
                covariance_live, tangent_live = covariance[columns:], tangent[columns:]
                if layer == 0:
                    _first_relu(n, start, s, i1, i2, s1, s2, covariance_live, tangent_live)
                elif want_ntk:
                    _relu(n, s, t, i1, i2, s1, s2, covariance_live, tangent_live)
                else:
                    _relu_of_nngp(n, s, i1, i2, s1, s2, covariance_live)
                if slots[layer] >= 0:
                    for w in range(len(maps.row_weights)):
                        weights = maps.row_weights[w, d]
                        if weights[0] == ZERO or maps.column_weights[w, c].max() == ZERO:
                            continue
                        _pool_rows(n, weights, covariance_live, pooled[0, slots[layer], w])
                        if want_ntk:
                            _pool_rows(n, weights, tangent_live, pooled[1, slots[layer], w])
                if layer + 1 < len(slots):
                    _box(n, columns, width, circular, covariance, sums, open_left, open_right, s)
                    if want_ntk:
                        _box(n, columns, width, circular, tangent, sums, open_left, open_right, t)
            if meets_itself:
                _multiply_identical(F(0.5), identical, columns, width, inverse2)
        for kind in range(out.shape[0]):
            for depth in range(out.shape[1]):
                for w in range(out.shape[2]):
                    weights = maps.column_weights[w, c]
                    _pool_columns(pooled[kind, depth, w], weights, width, out[kind, depth, w])


@parallel
def _all_pairs(x, z, maps, slots, width, want_ntk, start, circular, first, second, out):
    """Image first[q] of x against block second[q] of z, for all q."""
    columns = maps.column_weights.shape[2]
    images = columns // width
    entries = z.pixels.shape[2]
    for q in prange(len(first)):
        i, block = first[q], second[q]
        pixels = np.zeros((x.pixels.shape[1], entries), F)
        scale = np.zeros((x.scale.shape[1], entries), F)
        inverse = np.zeros((x.inverse.shape[1], entries), F)
        _tile(x.pixels[i], width, columns, pixels)
        _tile(x.scale[i], width, columns, scale)
        _tile(x.inverse[i], width, columns, inverse)
        values = np.zeros((out.shape[0], out.shape[1], out.shape[2], images))
        _all_maps(
            Images(pixels, scale, inverse),
            Images(z.pixels[block], z.scale[block], z.inverse[block]),
            maps, slots, width, want_ntk, start, circular, values,
        )  # fmt: skip
        out[:, :, :, i, block * images : (block + 1) * images] = values


def _blocks(images: np.ndarray, layers: int, padding: Padding, side: int) -> Images:
    """Images and their tables in blocks of `side`; images of zeros fill up the last block."""
    missing = -len(images) % side
    filled = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))

    def laid_out(array: np.ndarray) -> np.ndarray:
        _, channels, height, width = array.shape
        blocks = array.reshape(-1, side, channels, height, width).transpose(0, 2, 3, 1, 4)
        return np.ascontiguousarray(blocks).reshape(-1, channels, height * side * width)

    return Images(laid_out(filled), *map(laid_out, norms(filled, layers, padding)))


def _maps(shape: tuple[int, int], windows: Sequence[Window], padding: Padding, side: int) -> Maps:
    """The maps that some window gives weight to; windows nest, so the widest decides."""
    height, width = shape
    rows, columns = (axis_weights(size, windows, padding) for size in shape)
    i, j = np.arange(height), np.arange(width)
    shifted = np.stack([columns[:, j, (j - shift) % width] for shift in range(width)], axis=1)
    shifts = np.flatnonzero(shifted.any(axis=(0, 2)))
    column_weights = np.tile(shifted[:, shifts], side)

    if padding == "circular":
        offsets = np.arange(height)
        row1, row2, length = 0 * offsets, -offsets % height, 0 * offsets + height
    else:
        offsets = np.arange(1 - height, height)
        row1, row2, length = offsets.clip(0), (-offsets).clip(0), height - abs(offsets)
    # Rows beyond a map's length get any weight; they are not read.
    met = rows[:, (row1[:, None] + i) % height, (row2[:, None] + i) % height]
    seen = met[:, :, 0].any(axis=0)
    row_weights = np.repeat(met[:, seen], side * width, axis=2)
    return Maps(
        row1[seen],
        row2[seen],
        length[seen],
        shifts,
        np.ascontiguousarray(row_weights, F),
        np.ascontiguousarray(column_weights, F),
    )


def _pooled(
    x1: np.ndarray,
    x2: np.ndarray | None,
    mirror: bool,
    depths: Sequence[int],
    windows: Sequence[Window],
    want_ntk: bool,
    frozen_ends: bool,
    padding: Padding,
) -> np.ndarray:
    """Pooled covariances and, where wanted, tangents: [kinds depths windows n m], in float64."""
    others = x1 if x2 is None else x2
    n, m = len(x1), len(others)
    height, width = x1.shape[2:]
    side = max(1, min(ENTRIES // (height * width), m))
    layers = max(depths)
    slots = np.full(layers, -1)
    slots[np.array(depths) - 1] = np.arange(len(depths))
    x = _blocks(x1, layers, padding, 1)
    z = _blocks(others[..., ::-1] if mirror else others, layers, padding, side)

    first, second = np.indices((n, len(z.pixels))).reshape(2, -1)
    if x2 is None:
        above = first < (second + 1) * side
        first, second = first[above], second[above]
    out = np.zeros((1 + want_ntk, len(depths), len(windows), n, len(z.pixels) * side))
    maps = _maps((height, width), windows, padding, side)
    start = F(not frozen_ends)
    _all_pairs(x, z, maps, slots, width, want_ntk, start, padding == "circular", first, second, out)
    out = out[..., :m]
    if want_ntk and frozen_ends:
        out[1] -= out[0]
    if x2 is None:
        below = np.tri(n, k=-1, dtype=bool)
        out[..., below] = out.swapaxes(-1, -2)[..., below]
    return out


def cntk_gram(
    x1: np.ndarray,
    x2: np.ndarray | None = None,
    *,
    depths: Sequence[int],
    windows: Sequence[Window] = ("gap",),
    flips: Sequence[bool] = (False,),
    get: Sequence[str] = ("ntk",),
    frozen_ends: bool = False,
    padding: Padding = "zeros",
) -> np.ndarray:
    def pooled(mirror: bool, layers: list[int]) -> np.ndarray:
        return _pooled(x1, x2, mirror, layers, windows, "ntk" in get, frozen_ends, padding)

    return np.array(composed(pooled, depths, flips, get), x1.dtype)
