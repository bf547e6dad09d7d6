"""Inputs that backends are tried on, and how they come: dtype, array library, layout, contents.

A kernel's cases stand beside it, in its folder's `cases.py`: `cases()` lists them, and `drawn(rng)`
makes one of a random shape, so that no backend can know all that it will be asked.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from ._dispatch import KERNELS

Layout = Literal["plain", "fortran", "gaps", "reversed"]
LAYOUTS: tuple[Layout, ...] = ("fortran", "gaps", "reversed")
"""How arrays may lie in memory: axes in the opposite order, with room between the elements of a
row, and with negative strides, which torch does not have."""


Modules = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Case:
    """Inputs that every backend of a kernel is tried on.

    Attributes:
        label: names the case in a test id and in a report; no spaces.
        args: float64 arrays, given to a backend in its own dtype.
        kwargs: the kernel's keyword arguments.
        modules: those of them that are torch modules: each is made anew, by its function, and
            given to a backend in the dtype of the arrays.
        layout: how the arrays lie in memory when a backend gets them.
    """

    label: str
    args: tuple[np.ndarray, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    modules: Modules = field(default_factory=dict)
    layout: Layout = "plain"


def cases(kernel: str) -> list[Case]:
    """The cases that stand beside a kernel."""
    return list(_beside(kernel).cases())


def drawn(kernel: str, seed: int) -> list[Case]:
    """A case of random shape and contents, in every layout; its labels tell the seed."""
    make = getattr(_beside(kernel), "drawn", None)
    if make is None:
        return []
    case: Case = replace(make(np.random.default_rng(seed)), label=f"drawn-{seed}")
    others = [replace(case, label=f"{case.label}-{name}", layout=name) for name in LAYOUTS]
    return [case, *others]


def _beside(kernel: str) -> Any:
    return importlib.import_module(".cases", KERNELS[kernel].reference.__module__)


def whole(case: Case) -> Case:
    """The case rounded to even whole numbers, four to a unit so that few of them are 0."""
    return replace(case, args=tuple(2 * np.rint(2 * a) for a in case.args))


def changed(case: Case) -> Case:
    """Other contents of the same shapes: arrays back to front and halved, modules halved."""
    return replace(
        case,
        args=tuple(np.flip(a) / 2 for a in case.args),
        modules={name: _halved(make) for name, make in case.modules.items()},
    )


def _halved(make: Callable[[], Any]) -> Callable[[], Any]:
    def made() -> Any:
        module = make()
        for parameter in module.parameters():
            parameter.data.mul_(0.5)
        return module

    return made


def missing(arrays: str) -> str | None:
    """Why there can be no such arrays here, or `None`."""
    if arrays == "torch" and find_spec("torch") is None:
        return "torch is not installed (pip install 'claimbench[torch]')"
    return None


def given(case: Case, arrays: str, dtype: str, device: str) -> list[Any]:
    """A case's arrays as a backend takes them."""
    return [_laid_out(a.astype(dtype), case.layout, arrays, device) for a in case.args]


def _laid_out(array: np.ndarray, layout: Layout, arrays: str, device: str) -> Any:
    if layout == "fortran":
        return _reverse_axes(_on(np.ascontiguousarray(array.T), arrays, device))
    if layout == "gaps":
        # A backend that walks on regardless of strides reads what lies in the gaps.
        spread = np.repeat(array, 2, axis=-1)
        spread[..., 1::2] = np.nan if array.dtype.kind == "f" else 99
        return _on(spread, arrays, device)[..., ::2]
    if layout == "reversed" and arrays == "numpy":
        return np.flip(np.flip(array).copy())
    return _on(array, arrays, device)


def _on(array: np.ndarray, arrays: str, device: str) -> Any:
    if arrays == "numpy":
        return array
    import torch

    return torch.from_numpy(array).to(device)


def _reverse_axes(array: Any) -> Any:
    """The transpose of a NumPy array and of a torch tensor alike."""
    for axis in range(array.ndim // 2):
        array = array.swapaxes(axis, -1 - axis)
    return array


def keywords(case: Case, dtype: str, device: str) -> dict[str, Any]:
    """A case's keyword arguments as a backend takes them; modules are of no whole numbers."""
    if not case.modules:
        return case.kwargs
    import torch

    precision = dtype if dtype.startswith("float") else "float32"
    to = {"dtype": getattr(torch, precision), "device": device}
    return case.kwargs | {name: make().to(**to) for name, make in case.modules.items()}


def as_numpy(result: Any) -> np.ndarray:
    return np.asarray(result if isinstance(result, np.ndarray) else result.detach().cpu())
