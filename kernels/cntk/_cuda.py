"""CNTK on an NVIDIA GPU: one warp carries one map through all layers in registers.

As in the other backends, pairs of pixels of different offset never mix, so the tensor of a pair of
images falls into maps. A map has a lane for each column and two registers for each row, from the
first layer to the last. One block of warps takes one pair of images, walks its maps, and adds up
in float64, in an order that is always the same.

Here are the tables that the warps read. What they compute with them is in `cuda/`: CUDA C++ that
knows the size of the images when it is compiled. A CPU can run it too, lane by lane.

- Row i of x meets row (i - down) mod height of z, and columns likewise, so that four offsets of
  zero padding share a map, divided by seams that no value crosses.
- Narrow images leave lanes free, so a pack of several column offsets shares a warp.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .. import _nvrtc
from ._activation import P, Q
from ._composition import composed
from ._windows import Padding, Window, axis_weights

FOLDER = Path(__file__).parent / "cuda"
LANES = 32
WARPS = 12  # of a block that has a multiprocessor to itself: 168 registers each, and none spilt
WARPS_UNSTAGED = 4  # of a block among others
PAIRS = 2**16  # of images in one launch, about a second of the largest

Launch = Callable[[ctypes.Structure, int, int, int], None]


class Job(ctypes.Structure):
    """The argument of the kernel; maps.h has the same fields, with their shapes."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in (
            "pixels1", "pixels2", "inverse1", "inverse2", "positions", "factors", "downs", "rows",
            "columns", "seen", "slots", "gram",
        )),
        *((name, ctypes.c_int) for name in (
            "first", "n", "m", "symmetric", "channels", "layers", "depths", "windows",
            "row_offsets", "packs", "frozen_ends",
        )),
    ]  # fmt: skip


class Options(NamedTuple):
    """What a kernel is compiled for.

    Attributes:
        staged: how many tables of a pair are copied to shared memory: none, that of z, or both.
    """

    height: int
    width: int
    want_ntk: bool
    circular: bool
    staged: int


class Maps(NamedTuple):
    """The maps that some window gives weight to, and what a lane does in each pack of columns."""

    downs: np.ndarray  # [row_offsets]
    rows: np.ndarray  # [windows row_offsets height]
    positions: np.ndarray  # [packs 4 lanes]: column of x, column of z, lane to the left, the right
    factors: np.ndarray  # [packs 3 lanes]: open to the left, to the right, at shift 0
    columns: np.ndarray  # [windows packs lanes]
    seen: np.ndarray  # [windows row_offsets packs]


def source(options: Options) -> str:
    """Everything that the headers leave open, for whichever compiler reads it before them."""

    def over_9(coefficients: Sequence[float]) -> str:
        return ", ".join(f"{c / 9:.9g}f" for c in coefficients)

    defined = {name.upper(): int(value) for name, value in options._asdict().items()}
    polynomials = {"P_OVER_9": over_9(P), "Q_OVER_9": over_9(Q)}
    limits = {"THREADS": LANES * WARPS}
    macros = {**defined, **polynomials, **limits}
    return "".join(f"#define {name} {value}\n" for name, value in macros.items())


@cache
def _kernel(options: Options, device: torch.device) -> Launch:
    text = source(options) + '#include "gram.cu"\n'
    return _nvrtc.kernel(text, "gram", FOLDER, device.index)


def _shared_memory(device: torch.device) -> int:
    return _nvrtc.shared_memory(device.index)


def _met(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cyclic offsets with weight in some window, and weights [windows offsets size] along them."""
    i = np.arange(weights.shape[-1])
    along = weights[:, i, (i - i[:, None]) % len(i)]
    offsets = np.flatnonzero(along.any(axis=(0, 2)))
    return offsets, along[:, offsets]


def _maps(shape: tuple[int, int], windows: Sequence[Window], padding: Padding) -> Maps:
    height, width = shape
    downs, rows = _met(axis_weights(height, windows, padding))
    shifts, columns = _met(axis_weights(width, windows, padding))

    side = LANES // width  # column offsets in a pack
    packs = -(-len(shifts) // side)
    lane = np.arange(LANES)
    group, j = lane // width, lane % width
    offset = group + side * np.arange(packs)[:, None]  # [packs lanes], as all below
    # Lanes to spare do what the first offset's do, with weight 0, so that they too stay finite.
    used = (group < side) & (offset < len(shifts))
    offset = np.where(used, offset, side * np.arange(packs)[:, None])
    first = np.where(used, lane - j, 0)
    left, right = (first + (j + step) % width for step in (-1, 1))
    shift = shifts[offset]
    open_left = used & (j != 0) & (j != shift)
    open_right = used & (j != width - 1) & (j != shift - 1)
    column1 = np.broadcast_to(j, shift.shape)

    column_weights = np.where(used, columns[:, offset, j], 0)
    seen = rows.any(-1, keepdims=True) & np.expand_dims(column_weights.any(-1), 1)
    return Maps(
        downs,
        rows,
        np.stack([column1, (j - shift) % width, left, right], axis=1),
        np.stack([open_left, open_right, shift == 0], axis=1),
        column_weights,
        seen,
    )


def _inverse(images: Tensor, layers: int, padding: Padding) -> Tensor:
    """1 / deviation [n layers height width] of every layer; infinite next to a patch of zeros.

    There the reciprocal of the product is 0, which is the covariance. Variances obey the linear
    recursion of `_tables`, in float64, since their errors would add up over layers.
    """
    images = images.detach()
    shape = (len(images), layers, *images.shape[2:])
    table = torch.empty(shape, dtype=images.dtype, device=images.device)
    mode = "circular" if padding == "circular" else "constant"
    variance = images.double().square().sum(1, keepdim=True)
    for layer in range(layers):
        padded = functional.pad(variance, (1, 1, 1, 1), mode)
        variance = functional.avg_pool2d(padded, 3, stride=1, divisor_override=1)
        table[:, layer] = variance[:, 0].rsqrt()
        variance = variance / 9
    return table


def _staged(tables: int, tasks: int, outputs: int, limit: int) -> tuple[int, int, int]:
    """How many tables to copy to shared memory, by how many warps, and the bytes a block takes.

    `tables` is the size in bytes of the table of x, and half of that of z. A copy reads about what
    one map reads, so it has to serve many.
    """

    def plan(warps: int, staged: int) -> tuple[int, int, int]:
        fit = max(1, min(warps, tasks, limit // (8 * outputs)))
        return staged, fit, 8 * fit * outputs + tables * (0, 2, 3)[staged]

    if tasks >= 4 * WARPS:
        for staged in (2, 1):
            if plan(WARPS, staged)[2] <= limit:
                return plan(WARPS, staged)
    return plan(WARPS_UNSTAGED, 0)


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
    """Both kernels, or the covariance alone: [kinds depths windows n m]."""
    _, channels, height, width = x1.shape
    layers, n, m = max(depths), len(x1), len(x2)
    maps = _maps((height, width), windows, padding)
    slots = [depths.index(layer) if layer in depths else -1 for layer in range(1, layers + 1)]

    def put(values: object, dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(values, dtype=dtype).contiguous().to(x1.device, non_blocking=True)

    # What the job points to has to stay alive until it is launched; later calls wait in the stream.
    inverse2 = _inverse(x2, layers, padding)
    outputs = (1 + want_ntk, len(depths), len(windows))
    gram = torch.empty(*outputs, n, m, dtype=x1.dtype, device=x1.device)
    tensors = {
        "pixels1": x1.contiguous(),
        "pixels2": x2.contiguous(),
        "inverse1": _inverse(x1, layers, padding),
        "inverse2": torch.cat([inverse2, inverse2], dim=2),
        "positions": put(maps.positions, torch.int32),
        "factors": put(maps.factors, torch.float32),
        "downs": put(maps.downs, torch.int32),
        "rows": put(maps.rows, torch.float32),
        "columns": put(maps.columns, torch.float32),
        "seen": put(maps.seen, torch.int32),
        "slots": put(slots, torch.int32),
        "gram": gram,
    }
    tasks = maps.seen[0].size
    table = 4 * layers * height * width
    staged, warps, shared = _staged(table, tasks, math.prod(outputs), _shared_memory(x1.device))
    launch = _kernel(Options(height, width, want_ntk, padding == "circular", staged), x1.device)
    at_once = max(1, PAIRS // max(1, m))
    for first in range(0, n if m else 0, at_once):
        job = Job(
            **{name: tensor.data_ptr() for name, tensor in tensors.items()},
            first=first, n=n, m=m, symmetric=symmetric, channels=channels, layers=layers,
            depths=len(depths), windows=len(windows), row_offsets=len(maps.downs),
            packs=len(maps.positions), frozen_ends=frozen_ends,
        )  # fmt: skip
        launch(job, min(at_once, n - first) * m, LANES * warps, shared)
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

    return torch.stack(composed(pooled, depths, flips, get))
