"""The maps of the text in C++, `_cpu.cpp`; which maps there are is decided here."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from .. import _compiled
from ._activation import P, Q
from ._windows import Padding, Window, axis_weights

SIZES = (
    "n", "m", "channels", "height", "width", "layers", "depths", "windows",
    "row_reach", "column_reach", "symmetric", "circular", "frozen_ends", "nngp", "ntk", "parts",
)  # fmt: skip
ARRAYS = ("x", "z", "row_weights", "column_weights", "slots", "p_over_9", "q", "out")
FEW_PAIRS = 2000  # their maps are dealt out in parts, since pairs alone would not occupy all cores
PARTS = 8
SMALL = 1e6  # entries over all layers: less takes no longer than starting a thread


class _Problem(ctypes.Structure):
    """What `_images.h` calls so."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in ARRAYS),
    ]


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
    layers = sorted(set(depths))
    order = [layers.index(depth) for depth in depths]

    def pooled(mirror: bool) -> np.ndarray:
        others = x1 if x2 is None else x2
        z = others[..., ::-1] if mirror else others
        return _pooled(x1, z, x2 is None, layers, windows, get, frozen_ends, padding)[:, order]

    plain = pooled(mirror=False)
    flipped = (plain + pooled(mirror=True)) / 2 if any(flips) else plain
    grams = []
    for flip in flips:
        values = flipped if flip else plain
        grams.append([values[0 if process == "nngp" else -1] for process in get])
    return np.array(grams, x1.dtype)


def _pooled(
    x: np.ndarray,
    z: np.ndarray,
    symmetric: bool,
    layers: Sequence[int],
    windows: Sequence[Window],
    get: Sequence[str],
    frozen_ends: bool,
    padding: Padding,
) -> np.ndarray:
    """What is asked for of "nngp" and "ntk", in this order: [kinds depths windows n m], float64."""
    n, m, shape = len(x), len(z), x.shape[2:]
    rows, columns = (axis_weights(size, windows, padding).astype(np.float32) for size in shape)
    slots = np.full(layers[-1], -1)
    slots[np.array(layers) - 1] = np.arange(len(layers))
    reaches = [max(_reach(size, window) for window in windows) for size in shape]
    kinds = len({*get})
    parts = PARTS if n * m < FEW_PAIRS else 1
    out = np.empty((parts, kinds, len(layers), len(windows), n, m))
    arrays = {
        "x": np.ascontiguousarray(x),
        "z": np.ascontiguousarray(z),
        "row_weights": rows,
        "column_weights": columns,
        "slots": slots.astype(np.int64),
        "p_over_9": np.array(P, np.float32) / np.float32(9),
        "q": np.array(Q, np.float32),
        "out": out,
    }
    problem = _Problem(
        n=n, m=m, channels=x.shape[1], height=shape[0], width=shape[1], layers=layers[-1],
        depths=len(layers), windows=len(windows),
        row_reach=reaches[0], column_reach=reaches[1],
        symmetric=symmetric, circular=padding == "circular", frozen_ends=frozen_ends,
        nngp="nngp" in get, ntk="ntk" in get, parts=parts,
        **{name: array.ctypes.data for name, array in arrays.items()},
    )  # fmt: skip
    if _compiled.library().cntk_gram_float32(ctypes.byref(problem), _compiled.threads()) != 0:
        raise MemoryError("cntk_gram")
    total = out.sum(axis=0)
    if symmetric:
        below = np.tri(n, k=-1, dtype=bool)
        total[..., below] = total.swapaxes(-1, -2)[..., below]
    return total


def _reach(size: int, window: Window) -> int:
    """The largest offset between two positions that one window sees."""
    return size - 1 if window == "gap" else min(2 * window, size - 1)
