"""How far each backend's entries are from the reference in float64, by size and by depth.

    CLAIMBENCH_DATA=<folder> nice python -m tests.experiments.numerics docs/measured/numerics.json

Images where no two patches are parallel are told from those where some are: at a cosine of 1 the
derivative of the arc cosine is infinite, and an angle is known to the root of the precision only.
The float64 of the reference itself is held against the processor's longer floats, on small images.
Networks without convolutions are given the same images as rows. Where CIFAR-10 is not here, its
part is left out. Every backend takes part that runs on a CPU.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from claimbench.kernels import KERNELS, checks
from claimbench.suite import provenance
from claimbench.suite.data import DataError, load
from claimbench.suite.evaluation import standardised

SIDES = (4, 8, 16, 32)
DEPTHS = (1, 2, 3, 5, 10, 20, 50)
DEEP = 8
"""Pixels a side up to which 50 layers are asked for: they stand where many images are compared."""
WINDOWS = (0, "gap")
PROCESSES = ("ntk", "nngp")
DISTINCT, PARALLEL = "distinct", "parallel"


def main(target: str) -> None:
    series = [one for side in SIDES for one in measured(side, DEPTHS)]
    content = {
        "schema_version": 1,
        "experiment": "errors of the kernels against float64",
        "commit": provenance.commit(),
        "started": provenance.now(),
        "machine": provenance.machine(),
        "libraries": provenance.libraries(),
        "load": os.getloadavg()[0],
        "series": series,
    }
    lines = ",\n  ".join(json.dumps(one) for one in series)
    head = json.dumps(content | {"series": []}, indent=1)
    Path(target).write_text(head.replace('"series": []', f'"series": [\n  {lines}\n ]') + "\n")
    print(table(content))


def measured(side: int, depths: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One series over the depths for each input, kernel, process, window and contender."""
    depths = [depth for depth in depths if depth <= 20 or side <= DEEP]
    for patches, sets in images(side).items():
        for name, x in sets.items():
            about = {"side": side, "patches": patches, "inputs": name, "depths": depths}
            asked = {"depths": depths, "windows": list(WINDOWS), "get": list(PROCESSES)}
            for contender, errors in _errors("cntk_gram", x, asked, side <= DEEP):
                by_axes = errors.reshape(len(PROCESSES), len(depths), len(WINDOWS), -1).max(-1)
                for (i, get), (j, window) in (
                    (process, pooling)
                    for process in enumerate(PROCESSES)
                    for pooling in enumerate(WINDOWS)
                ):
                    of = {"kernel": "cntk_gram", "get": get, "window": window}
                    yield about | of | contender | {"errors": _shown(by_axes[i, :, j])}
            if name == "identical":  # which a network without convolutions does not recognise
                about |= {"patches": PARALLEL}
            rows = x.reshape(len(x), -1)
            variants = {"variants": [(depth, 0) for depth in depths]}
            for contender, errors in _errors("ntk_gram", rows, variants, side <= DEEP):
                of = {"kernel": "ntk_gram", "get": "ntk", "window": None}
                yield about | of | contender | {"errors": _shown(errors.max(axis=(1, 2)))}


def images(side: int) -> dict[str, dict[str, np.ndarray]]:
    """Sets of a few images, by whether patches of different places or images are parallel."""
    rng = np.random.default_rng(0)
    soft = _standard(gaussian_filter(rng.normal(size=(4, 3, side, side)), (0, 0, 1, 1)))
    one, other = soft[:1], soft[1:2]
    noise = rng.normal(size=one.shape)
    pixels = np.zeros((2, 3, side, side))
    pixels[0, :, 1, 1] = pixels[1, :, -2, -2] = 1
    digits = load("digits").x[:4]
    return {
        DISTINCT: {
            **_photographs(side),
            "soft noise": soft,
            "identical": np.concatenate([one, one, other]),
        },
        PARALLEL: {
            "digits": _standard(_resized(digits, side)),
            "digits in a frame": _standard(_resized(np.pad(digits, _FRAME), side)),
            "scaled by 1e-3 and 1e3": np.concatenate([one, 1e-3 * one, 1e3 * one, 1e3 * other]),
            "nearly equal, 1e-3": np.concatenate([one, one + 1e-3 * noise]),
            "nearly equal, 1e-5": np.concatenate([one, one + 1e-5 * noise]),
            "constant": np.concatenate([np.full_like(one, 1), np.full_like(one, 2), other]),
            "one bright pixel": np.concatenate([pixels, other]),
        },
    }


_FRAME = ((0, 0), (0, 0), (4, 4), (4, 4))


def _photographs(side: int) -> dict[str, np.ndarray]:
    with suppress(DataError):
        return {"cifar10": _standard(_resized(load("cifar10").x[:4], side))}
    return {}


def _resized(x: np.ndarray, side: int) -> np.ndarray:
    """Smaller by averages, larger by lines between pixels: no two patches become equal."""
    old = x.shape[-1]
    if side < old:
        factor = old // side
        return x.reshape(*x.shape[:2], side, factor, side, factor).mean(axis=(3, 5))
    return zoom(x, (1, 1, side / old, side / old), order=1)


def _standard(x: np.ndarray) -> np.ndarray:
    return standardised(x.astype(np.float64), np.arange(len(x)))


def _errors(
    kernel: str, x: np.ndarray, arguments: Mapping[str, Any], with_float64: bool
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Relative errors of all entries, of every backend that runs here."""
    x = x.astype(np.float32)  # exact in all precisions that follow
    reference = KERNELS[kernel].reference
    truth = reference(x.astype(np.float64), **arguments)
    for backend in KERNELS[kernel].backends:
        found = _value(kernel, backend, x, arguments, "float32")
        if found is not None:
            yield {"backend": backend, "dtype": "float32"}, _relative(found, truth)
    if with_float64 and np.finfo(np.longdouble).eps < np.finfo(np.float64).eps:
        better = reference(x.astype(np.longdouble), **arguments)
        yield {"backend": "reference", "dtype": "float64"}, _relative(truth, better)


def _value(
    kernel: str, backend: str, x: np.ndarray, arguments: Mapping[str, Any], dtype: str
) -> np.ndarray | None:
    entry = KERNELS[kernel].backends[backend]
    if checks.missing(entry.arrays):
        return None
    args = checks.given(checks.Case("", (x,), {}), entry.arrays, dtype, "cpu")
    if KERNELS[kernel].refusal(backend, *args, **arguments):
        return None
    return checks.as_numpy(KERNELS[kernel].on(backend)(*args, **arguments))


def _relative(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """To the entry, but to no less than a hundredth of what the diagonal makes of it.

    The NTK of one hidden layer goes through 0; where the diagonal is 0, all must be.
    """
    root = np.sqrt(np.abs(np.diagonal(truth, axis1=-2, axis2=-1)))
    scale = np.maximum(np.abs(truth), 0.01 * root[..., :, None] * root[..., None, :])
    off = np.abs(found - truth)
    relative = np.divide(off, scale, out=np.zeros_like(off), where=scale > 0)
    return np.where((scale == 0) & (off > 0), np.inf, relative).astype(np.float64)


def _shown(errors: np.ndarray) -> list[float]:
    return [float(f"{error:.2g}") for error in errors]


def bound(
    record: Mapping[str, Any], kernel: str, get: str, patches: str, dtype: str, depth: int
) -> float:
    """Largest error up to a depth, rounded up to 1, 2 or 5 times a power of ten."""
    asked = {"kernel": kernel, "get": get, "patches": patches, "dtype": dtype}
    worst = max(
        error
        for one in record["series"]
        if asked.items() <= one.items()
        for layers, error in zip(one["depths"], one["errors"], strict=True)
        if layers <= depth
    )
    power = 10.0 ** math.floor(math.log10(worst))
    return next(float(f"{m * power:.0e}") for m in (1, 2, 5, 10) if worst <= m * power * (1 + 1e-9))


def table(record: Mapping[str, Any]) -> str:
    """The bounds, as docs/kernels.md shows them."""
    head = ["kernel", "patches", "precision", "5 layers", "20 layers", "50 layers"]
    rows = [head, ["---"] * 3 + ["---:"] * 3]
    for kernel, get in (("cntk_gram", "nngp"), ("cntk_gram", "ntk"), ("ntk_gram", "ntk")):
        for dtype in ("float32", "float64"):
            for patches in (DISTINCT, PARALLEL):
                bounds = [bound(record, kernel, get, patches, dtype, d) for d in (5, 20, 50)]
                what = f"`{kernel}`, {get}" if kernel == "cntk_gram" else f"`{kernel}`"
                rows.append(
                    [what, patches, dtype, *(f"{b:.0e}".replace("e-0", "e-") for b in bounds)]
                )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
