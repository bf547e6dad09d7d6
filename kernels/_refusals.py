"""Reasons a backend gives for not running what it was given. Imports neither torch nor Triton.

A reason completes "ntk_gram cannot run on triton: ..." and tells the way out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from . import _compiled, _nvrtc


def dtype_name(x: Any) -> str:
    """`float32` of a NumPy array and of a torch tensor alike."""
    return str(x.dtype).removeprefix("torch.")


def unless_triton(*dtypes: str) -> Callable[..., str | None]:
    """Refuse where Triton cannot run: not installed, not of `dtypes`, or not on a GPU."""

    def refuses(x: Any, *_: object, **__: object) -> str | None:
        if find_spec("triton") is None:
            return "triton is not installed (pip install 'claimbench[triton]')"
        if (dtype := dtype_name(x)) not in dtypes:
            return f"it takes {' or '.join(dtypes)}, not {dtype}"
        if not x.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
            return f"it needs a GPU tensor, not one on {x.device} (TRITON_INTERPRET=1 emulates one)"
        return None

    return refuses


def unless_cuda(*dtypes: str, side: int) -> Callable[..., str | None]:
    """Refuse where NVRTC cannot compile, and what is no image on a GPU of up to `side` pixels."""

    def refuses(x: Any, *_: object, **__: object) -> str | None:
        if (dtype := dtype_name(x)) not in dtypes:
            return f"it takes {' or '.join(dtypes)}, not {dtype}"
        if not x.is_cuda:
            return f"it needs a GPU tensor, not one on {x.device}"
        height, width = x.shape[-2:]
        if max(height, width) > side:
            return f"it takes images of up to {side} x {side} pixels, not {height} x {width}"
        return _nvrtc.reason_missing()

    return refuses


def unless_numba(*dtypes: str) -> Callable[..., str | None]:
    """Refuse where numba is not installed or the arrays are not of `dtypes`."""

    def refuses(x: Any, *_: object, **__: object) -> str | None:
        if find_spec("numba") is None:
            return "numba is not installed (pip install 'claimbench[numba]')"
        if (dtype := dtype_name(x)) not in dtypes:
            return f"it takes {' or '.join(dtypes)}, not {dtype}"
        return None

    return refuses


def unless_compiled(*dtypes: str) -> Callable[..., str | None]:
    """Refuse where no C++ compiler was there to build it, or the arrays are not of `dtypes`."""

    def refuses(x: Any, *_: object, **__: object) -> str | None:
        if _compiled.library() is None:
            return "it was not compiled (install a C++ compiler, then claimbench again)"
        if (dtype := dtype_name(x)) not in dtypes:
            return f"it takes {' or '.join(dtypes)}, not {dtype}"
        return None

    return refuses
