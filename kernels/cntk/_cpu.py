"""The maps of the text in C++, `_cpu.cpp`; which maps there are is decided here."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from .. import _compiled
from ._activation import P, Q
from ._composition import composed
from ._windows import Padding, Window, axis_weights

SIZES = (
    "n", "m", "channels", "height", "width", "layers", "depths", "windows",
    "row_reach", "column_reach", "symmetric", "circular", "frozen_ends", "nngp", "ntk", "parts",
)  # fmt: skip
ARRAYS = ("x", "z", "row_weights", "column_weights", "slots", "p_over_9", "q", "out")
FEW_PAIRS = 1000  # leave cores idle, unless the maps of a pair are dealt out in parts
PARTS = 8
SMALL = 1e6  # entries of maps over all layers: more is worth starting a thread


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
    library, threads = _compiled.library(), _compiled.threads()
    assert library is not None  # or the call would have been refused
    return on(
        library, threads, x1, x2, depths=depths, windows=windows, flips=flips, get=get,
        frozen_ends=frozen_ends, padding=padding,
    )  # fmt: skip


def on(
    library: ctypes.CDLL,
    threads: int,
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
    """The kernel by one library, on so many threads."""
    others = x1 if x2 is None else x2

    def pooled(mirror: bool, layers: list[int]) -> np.ndarray:
        z = others[..., ::-1] if mirror else others
        asked = (layers, windows, get, frozen_ends, padding)
        if x2 is not None and _waste(library, len(z)) > _waste(library, len(x1)):
            # K(x, z) = K(z, x), and the images of one side fill the lanes of vectors.
            return _pooled(library, threads, z, x1, False, *asked).swapaxes(-1, -2)
        return _pooled(library, threads, x1, z, x2 is None, *asked)

    return np.array(composed(pooled, depths, flips, get), x1.dtype)


def _waste(library: ctypes.CDLL, images: int) -> float:
    """How many times the lanes that `images` images fill are needed for them."""
    lanes = library.cntk_gram_lanes()
    return -(-images // lanes) * lanes / images if images else 1


def _pooled(
    library: ctypes.CDLL,
    threads: int,
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
    n, m, (height, width) = len(x), len(z), x.shape[2:]
    weights = [axis_weights(size, windows, padding) for size in (height, width)]
    reach1, reach2 = (max(_reach(size, window) for window in windows) for size in (height, width))
    slots = np.full(layers[-1], -1)
    slots[np.array(layers) - 1] = np.arange(len(layers))
    parts = min(PARTS, reach1 + 1) if n * m < FEW_PAIRS else 1
    out = np.empty((parts, len({*get}), len(layers), len(windows), n, m))
    first = np.ascontiguousarray(x, np.float32)
    arrays: dict[str, np.ndarray] = {
        "x": first,
        "z": first if x is z else np.ascontiguousarray(z, np.float32),
        "row_weights": weights[0].astype(np.float32),
        "column_weights": weights[1].astype(np.float32),
        "slots": slots.astype(np.int64),
        "p_over_9": np.array(P, np.float32) / np.float32(9),
        "q": np.array(Q, np.float32),
        "out": out,
    }
    problem = _Problem(
        n=n, m=m, channels=x.shape[1], height=height, width=width, layers=layers[-1],
        depths=len(layers), windows=len(windows), row_reach=reach1, column_reach=reach2,
        symmetric=symmetric, circular=padding == "circular", frozen_ends=frozen_ends,
        nngp="nngp" in get, ntk="ntk" in get, parts=parts,
        **{name: array.ctypes.data for name, array in arrays.items()},
    )  # fmt: skip
    entries = n * m * height * width * (2 * reach1 + 1) * (2 * reach2 + 1) * layers[-1]
    code = library.cntk_gram_float32(ctypes.byref(problem), threads if entries > SMALL else 1)
    if code:
        raise MemoryError("cntk_gram") if code == 1 else ValueError("cntk_gram: unsound arguments")
    with np.errstate(invalid="ignore", over="ignore"):  # nobody wrote below the diagonal
        total = out.sum(axis=0)
    if symmetric:
        below = np.tri(n, k=-1, dtype=bool)
        total[..., below] = total.swapaxes(-1, -2)[..., below]
    return total


def _reach(size: int, window: Window) -> int:
    """The largest offset between two positions that one window sees."""
    return size - 1 if window == "gap" else min(2 * window, size - 1)
