"""The recursion in C++, `_cpu.cpp`; inner products and norms are NumPy's."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from .. import _compiled
from . import Variant
from ._arc_cosine import coefficients
from ._places import places

SIZES = ("n", "m", "levels", "fixed_counts", "symmetric")
ARRAYS = ("sigma", "norm1", "norm2", "fixed", "outputs", "factor", "p", "q", "gram")


class _Problem(ctypes.Structure):
    """What `_cpu.cpp` calls so."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in ARRAYS),
    ]


def ntk_gram(
    x1: np.ndarray,
    x2: np.ndarray | None = None,
    *,
    variants: Sequence[Variant],
    c_sigma: float = 2.0,
) -> np.ndarray:
    others = x1 if x2 is None else x2
    wanted = places(variants)
    levels = len(wanted.outputs)
    gram = np.empty((wanted.count, len(x1), len(others)), x1.dtype)
    p, q = coefficients(x1.dtype)
    arrays = {
        "sigma": np.ascontiguousarray(x1 @ others.T),
        "norm1": np.linalg.norm(x1, axis=1),
        "norm2": np.linalg.norm(others, axis=1),
        "fixed": wanted.fixed,
        "outputs": wanted.outputs,
        "factor": ((c_sigma / 2) ** np.arange(levels)).astype(x1.dtype),
        "p": p,
        "q": q,
        "gram": gram,
    }
    problem = _Problem(
        n=len(x1),
        m=len(others),
        levels=levels,
        fixed_counts=len(wanted.fixed),
        symmetric=x2 is None,
        **{name: array.ctypes.data for name, array in arrays.items()},
    )
    run = getattr(_compiled.library(), f"ntk_gram_{x1.dtype.name}")
    if run(ctypes.byref(problem), _compiled.threads()) != 0:
        raise MemoryError("ntk_gram")
    return wanted.in_order(gram)
