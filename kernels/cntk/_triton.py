"""CNTK on a GPU: one program carries one map through all layers in registers.

As in the numba backend, pairs of pixels of different offset never mix, so each program takes one
pair of images and one cyclic offset (down, right): pixel (i, j) of x meets pixel (i - down,
j - right) of z, modulo the size. Of zero padding the four offsets down, down - height, right,
right - width then share a tile, divided by a seam that no value crosses.

A program writes what its map adds to each output; they are summed afterwards in float64, in the
same order every time. The box is sums of shifted tiles: on tensor cores it would need three terms
to keep float32, and those cost more than eight additions.
"""

# Compiled functions have no annotations: numba and Triton infer their types.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-decorators=False, disallow-untyped-calls=False

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from ._activation import P, Q
from ._composition import composed
from ._tables import norms
from ._windows import Padding, Window, axis_weights

PARTS = 2**26  # floats of partial sums held at once, 256 MB
WARPS = 4  # a 32 x 32 tile then has 8 values of each map in a thread, and nothing spills

P0, P1, P2, P3, P4, P5, P6 = (tl.constexpr(p) for p in P)
Q0, Q1, Q2, Q3, Q4, Q5 = (tl.constexpr(q) for q in Q)


@triton.jit
def _p(u):
    return (((((P6 * u + P5) * u + P4) * u + P3) * u + P2) * u + P1) * u + P0


@triton.jit
def _q(u):
    return ((((Q5 * u + Q4) * u + Q3) * u + Q2) * u + Q1) * u + Q0


@triton.jit
def _neighbours(k, size, seam, CIRCULAR: tl.constexpr):
    """Positions before and behind each one, and whether a value comes from there."""
    before = tl.where(k == 0, size - 1, k - 1)
    behind = tl.where(k >= size - 1, 0, k + 1)
    open_before = k < size
    open_behind = k < size
    if not CIRCULAR:
        open_before &= (k != 0) & (k != seam)
        open_behind &= (k != size - 1) & (k != seam - 1)
    return before, behind, open_before.to(tl.float32), open_behind.to(tl.float32)


@triton.jit
def _box(values, above, below, open_above, open_below, left, right, open_left, open_right):
    sums = values + open_above * tl.gather(values, above, 0)
    sums += open_below * tl.gather(values, below, 0)
    total = sums + open_left * tl.gather(sums, left, 1)
    return total + open_right * tl.gather(sums, right, 1)


@triton.jit
def _cntk_fwd_kernel(
    pixels1_ptr,  # [n channels height width]
    scale1_ptr,  # [n layers height width]
    inverse1_ptr,
    pixels2_ptr,
    scale2_ptr,
    inverse2_ptr,
    pairs_ptr,  # [pairs 3]: image of x, image of z, whether they are identical
    offsets_ptr,  # [offsets 2]: down, right
    rows_ptr,  # [windows height height]
    columns_ptr,  # [windows width width]
    slots_ptr,  # [layers]: place among the depths, or -1
    parts_ptr,  # [pairs offsets kinds depths windows]
    height,
    width,
    channels,
    layers,
    depths,
    windows,
    offsets,
    start,
    WANT_NTK: tl.constexpr,
    CIRCULAR: tl.constexpr,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
):
    """One pair of images, one cyclic offset, every layer, every output."""
    pair = tl.program_id(0).to(tl.int64)
    offset = tl.program_id(1)
    x = tl.load(pairs_ptr + 3 * pair)
    z = tl.load(pairs_ptr + 3 * pair + 1)
    identical = tl.load(pairs_ptr + 3 * pair + 2)
    down = tl.load(offsets_ptr + 2 * offset)
    right = tl.load(offsets_ptr + 2 * offset + 1)
    size = height * width

    i1 = tl.arange(0, TILE_H)[:, None]
    j1 = tl.arange(0, TILE_W)[None, :]
    i2 = tl.where(i1 < down, i1 - down + height, i1 - down)
    j2 = tl.where(j1 < right, j1 - right + width, j1 - right)
    inside = (i1 < height) & (j1 < width)
    at1 = i1 * width + j1  # [TILE_H, TILE_W]
    at2 = i2 * width + j2

    above, below, open_above, open_below = _neighbours(i1, height, down, CIRCULAR)
    before, behind, open_left, open_right = _neighbours(j1, width, right, CIRCULAR)
    # A gather wants an index for each value; tiles may be larger than the image.
    everywhere = tl.zeros((TILE_H, TILE_W), tl.int32)
    above = tl.minimum(above, TILE_H - 1) + everywhere
    below = tl.minimum(below, TILE_H - 1) + everywhere
    before = tl.minimum(before, TILE_W - 1) + everywhere
    behind = tl.minimum(behind, TILE_W - 1) + everywhere

    covariance = tl.zeros((TILE_H, TILE_W), tl.float32)
    for channel in range(channels):
        value1 = tl.load(pixels1_ptr + (x * channels + channel) * size + at1, inside, 0.0)
        value2 = tl.load(pixels2_ptr + (z * channels + channel) * size + at2, inside, 0.0)
        covariance += value1 * value2
    tangent = covariance * start

    # Of identical images the cosine at offset 0 is 1, where a rounding of 1e-7 would cost 3e-4:
    # 0 in place of 1 in u = 1 - c makes u negative, and it is cut to 0.
    one = tl.where((identical != 0) & (down == 0) & (right == 0), 0.0, 1.0)
    parts_ptr += (pair * offsets + offset) * (1 + WANT_NTK) * depths * windows
    for layer in range(layers):
        s = _box(
            covariance, above, below, open_above, open_below, before, behind, open_left, open_right
        )
        at_layer1 = (x * layers + layer) * size + at1
        at_layer2 = (z * layers + layer) * size + at2
        inverse = tl.load(inverse1_ptr + at_layer1, inside, 0.0)
        inverse *= tl.load(inverse2_ptr + at_layer2, inside, 0.0)
        scale = tl.load(scale1_ptr + at_layer1, inside, 0.0)
        scale *= tl.load(scale2_ptr + at_layer2, inside, 0.0)

        # Only the first layer has negative cosines; the general form costs 3 operations more.
        c = s * inverse
        u = tl.maximum(one - tl.abs(c), 0.0)
        r = tl.sqrt(u)
        covariance = scale * (1.0 - u + tl.minimum(c, 0.0) + u * r * _q(u))
        if WANT_NTK:
            t = _box(
                tangent, above, below, open_above, open_below, before, behind, open_left, open_right
            )
            rp = r * _p(u)
            tangent = t * tl.where(c < 0, rp, 1.0 - rp) * (1 / 9) + covariance

        slot = tl.load(slots_ptr + layer)
        if slot >= 0:
            for window in range(windows):
                row = tl.load(
                    rows_ptr + (window * height + i1) * height + i2, i1 < height, 0.0
                )  # [TILE_H, 1]
                column = tl.load(
                    columns_ptr + (window * width + j1) * width + j2, j1 < width, 0.0
                )  # [1, TILE_W]
                weight = row * column
                part = slot * windows + window
                tl.store(parts_ptr + part, tl.sum(tl.sum(covariance * weight, 1), 0))
                if WANT_NTK:
                    part += depths * windows
                    tl.store(parts_ptr + part, tl.sum(tl.sum(tangent * weight, 1), 0))


def _offsets(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Cyclic offsets [offsets 2] that the windows give weight to; windows nest."""

    def seen(weights: np.ndarray) -> np.ndarray:
        i = np.arange(weights.shape[-1])
        size = len(i)
        return np.array([d for d in i if weights[:, i, (i - d) % size].any()])

    down, right = np.meshgrid(seen(rows), seen(columns), indexing="ij")
    return np.stack([down.ravel(), right.ravel()], axis=1)


def _pairs(x1: Tensor, x2: Tensor, symmetric: bool) -> Tensor:
    """Pairs [pairs 3] to compute: both indices, and whether the images are identical."""
    n, m = len(x1), len(x2)
    if symmetric:
        i, j = torch.triu_indices(n, n, device=x1.device)
    else:
        i, j = torch.cartesian_prod(
            torch.arange(n, device=x1.device), torch.arange(m, device=x1.device)
        ).T
    _, label = torch.unique(torch.cat([x1, x2]).flatten(1), dim=0, return_inverse=True)
    identical = label[:n][i] == label[n:][j]
    return torch.stack([i, j, identical.to(i.dtype)], dim=1)


def _tables(images: Tensor, layers: int, padding: Padding) -> Iterator[Tensor]:
    yield images.contiguous()
    for table in norms(images.cpu().numpy(), layers, padding):
        yield torch.from_numpy(table).to(images.device)


def _pooled(
    x1: Tensor,
    x2: Tensor,
    symmetric: bool,
    depths: Sequence[int],
    windows: Sequence[Window],
    want_ntk: bool,
    frozen_ends: bool,
    padding: Padding,
) -> Tensor:
    """Pooled covariances and, where wanted, tangents: [kinds depths windows n m], in float64."""
    _, channels, height, width = x1.shape
    layers = max(depths)
    slots = [depths.index(layer) if layer in depths else -1 for layer in range(1, layers + 1)]
    rows, columns = (axis_weights(size, windows, padding) for size in (height, width))
    offsets = _offsets(rows, columns)

    def put(values: object, dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=x1.device)

    images1, images2 = (list(_tables(x, layers, padding)) for x in (x1, x2))
    fixed = (
        put(offsets, torch.int32),
        put(rows, torch.float32),
        put(columns, torch.float32),
        put(slots, torch.int32),
    )
    outputs = (1 + want_ntk, len(depths), len(windows))
    gram = torch.empty(*outputs, len(x1), len(x2), dtype=torch.float64, device=x1.device)
    chunk = max(1, PARTS // (len(offsets) * math.prod(outputs)))
    for pairs in _pairs(x1, x2, symmetric).split(chunk):
        parts = torch.empty(len(pairs), len(offsets), *outputs, device=x1.device)
        _cntk_fwd_kernel[(len(pairs), len(offsets))](
            *images1,
            *images2,
            pairs.contiguous(),
            *fixed,
            parts,
            height=height,
            width=width,
            channels=channels,
            layers=layers,
            depths=len(depths),
            windows=len(windows),
            offsets=len(offsets),
            start=float(not frozen_ends),
            WANT_NTK=want_ntk,
            CIRCULAR=padding == "circular",
            TILE_H=triton.next_power_of_2(height),
            TILE_W=triton.next_power_of_2(width),
            num_warps=WARPS,
            enable_fp_fusion=True,
        )
        i, j, _ = pairs.T
        values = parts.sum(1, dtype=torch.float64).movedim(0, -1)
        gram[..., i, j] = values
        if symmetric:
            gram[..., j, i] = values
    if want_ntk and frozen_ends:
        gram[1] -= gram[0]
    return gram


def cntk_gram(
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    depths: Sequence[int],
    windows: Sequence[Window] = ("gap",),
    flips: Sequence[bool] = (False,),
    get: Sequence[str] = ("ntk",),
    frozen_ends: bool = False,
    padding: Padding = "zeros",
) -> Tensor:
    others = x1 if x2 is None else x2

    def pooled(mirror: bool, layers: list[int]) -> Tensor:
        z = others.flip(-1) if mirror else others
        return _pooled(x1, z, x2 is None, layers, windows, "ntk" in get, frozen_ends, padding)

    return torch.stack(composed(pooled, depths, flips, get)).to(x1.dtype)
