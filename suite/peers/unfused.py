"""The first published way to compute the CNTK, in our own words: layer by layer through memory.

For one pair of images after another, the covariances of all pairs of pixels are summed over the
nine shifts, written back, passed through the activation, written back, and so on. The tables of the
variances are given. On the CPU it is NumPy in float32, in place wherever that saves a pass; on a
GPU three kernels a layer through CuPy.

Source: the algorithm of the code released with Arora et al. 2019, arXiv:1904.11955.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.kernels.cntk._tables import Norms, norms
from claimbench.kernels.cntk._windows import axis_weights

from . import NotMeasured, four_dimensional
from .four_dimensional import shifts, wanted

if TYPE_CHECKING:
    from ..timing.runners import InProcess
    from ..timing.workloads import Workload

PI = np.float32(np.pi)


def adapt(workload: Workload, device: str) -> tuple[Workload, str]:
    if device == "cuda" and find_spec("cupy") is None:
        raise NotMeasured("cupy is not installed (pip install cupy-cuda13x)")
    return four_dimensional.adapt(workload, device)


def runner(workload: Workload, device: str) -> InProcess:
    from ..timing.runners import InProcess

    if device == "cuda":
        from .unfused_cuda import gram as on_gpu

        return InProcess(on_gpu, workload, "torch", device)
    return InProcess(gram, workload, "numpy", device)


def gram(
    x1: np.ndarray,
    x2: np.ndarray | None = None,
    *,
    depths: Sequence[int],
    windows: Sequence[Any] = ("gap",),
    flips: Sequence[bool] = (False,),
    get: Sequence[str] = ("ntk",),
    frozen_ends: bool = False,
    padding: str = "zeros",
) -> np.ndarray:
    """What `cntk_gram` gives, without mirrored images."""
    others = x1 if x2 is None else x2
    tables = [norms(x, max(depths), "zeros") for x in (x1, others)]
    weights = [axis_weights(size, windows, "zeros").astype("float32") for size in x1.shape[2:]]
    found = np.empty((1, len(get), len(depths), len(windows), len(x1), len(others)), x1.dtype)
    for i, x in enumerate(x1):
        for j, z in enumerate(others):
            of_pair = (
                Norms(tables[0].scale[i], tables[0].inverse[i]),
                Norms(tables[1].scale[j], tables[1].inverse[j]),
            )
            for level, final in _levels(x, z, of_pair, depths, frozen_ends):
                for place, process in wanted(level, depths, get):
                    found[0][place][:, i, j] = _pool(final[process], weights)
    return found


def _levels(
    x: np.ndarray,
    z: np.ndarray,
    tables: tuple[Norms, Norms],
    depths: Sequence[int],
    frozen_ends: bool,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """The kernels of each depth that is wanted, before the pooling."""
    s = _box(np.tensordot(x, z, axes=(0, 0)))
    t = np.zeros_like(s) if frozen_ends else s.copy()
    for level in range(max(depths)):
        inverse = np.multiply.outer(tables[0].inverse[level], tables[1].inverse[level])
        scale = np.multiply.outer(tables[0].scale[level], tables[1].scale[level])
        _activate(s, t, inverse, scale)
        if level + 1 in depths:
            yield level + 1, {"nngp": s, "ntk": t if frozen_ends else t + s}
        if level + 1 < max(depths):
            t += s
            s, t = _box(s), _box(t)


def _activate(s: np.ndarray, t: np.ndarray, inverse: np.ndarray, scale: np.ndarray) -> None:
    """Turn S into the covariance after the activation, and T into what it inherits, in place."""
    cosine = np.multiply(s, inverse, out=inverse)
    np.clip(cosine, -1, 1, out=cosine)
    kappa0 = np.arccos(cosine)
    np.subtract(PI, kappa0, out=kappa0)
    t *= kappa0
    t *= np.float32(1 / (9 * np.pi))
    np.multiply(cosine, kappa0, out=kappa0)
    cosine *= cosine
    np.subtract(1, cosine, out=cosine)
    np.sqrt(cosine, out=cosine)
    kappa0 += cosine
    kappa0 *= np.float32(1 / np.pi)
    np.multiply(kappa0, scale, out=s)


def _box(values: np.ndarray) -> np.ndarray:
    """Sum over the nine shifts of a pair of pixels: three along rows, then three along columns."""
    for axis in (0, 1):
        total = values.copy()
        for target, source in shifts(axis):
            total[target] += values[source]
        values = total
    return values


def _pool(values: np.ndarray, weights: Sequence[np.ndarray]) -> list[Any]:
    return [
        np.einsum("ijkl,ik,jl->", values, row, column, optimize=True)
        for row, column in zip(*weights, strict=True)
    ]
