"""Is a backend right? One rule, used by the tests and by `claimbench kernels check`.

The truth is the reference in float64. A backend may be off by at most twice what the reference
itself is off by in the backend's dtype, so no tolerance here is a number that somebody chose.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._dispatch import KERNELS, Kernel

FLOOR = 4  # units of rounding: lets a backend differ where the reference happens to be exact


@dataclass(frozen=True)
class Case:
    """Inputs that every backend of a kernel is tried on.

    Attributes:
        label: names the case in a test id and in a report; no spaces.
        args: float64 arrays, given to a backend in its own dtype.
        kwargs: the kernel's keyword arguments.
        modules: those of them that are torch modules: each is made anew, by its function, and
            given to a backend in the dtype of the arrays.
    """

    label: str
    args: tuple[np.ndarray, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, Callable[[], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What came of one case on one backend in one dtype.

    Attributes:
        error: largest absolute error relative to the largest entry of the truth; `None` where the
            case did not run to a result of the right shape and dtype.
        bound: what `error` may be.
        problem: why the backend is wrong here; empty where it is right.
        refused: why the backend did not run this; empty where it ran.
    """

    kernel: str
    backend: str
    case: str
    dtype: str
    error: float | None = None
    bound: float | None = None
    problem: str = ""
    refused: str = ""


def cases(kernel: str) -> list[Case]:
    """The cases that stand beside a kernel, in its folder's `cases.py`."""
    module = importlib.import_module(".cases", KERNELS[kernel].reference.__module__)
    listed: list[Case] = list(module.cases())
    return listed


def relative_error(actual: np.ndarray, truth: np.ndarray) -> float:
    """Largest absolute error over the largest entry of the truth; infinite where there is a NaN."""
    error = np.abs(actual - truth).max() / (np.abs(truth).max() or 1.0)
    return float("inf") if np.isnan(error) else float(error)


def given(case: Case, arrays: str, dtype: str, device: str) -> list[Any]:
    """A case's arrays as a backend takes them."""
    plain = [a.astype(dtype) for a in case.args]
    if arrays == "numpy":
        return plain
    import torch

    return [torch.from_numpy(a).to(device) for a in plain]


def keywords(case: Case, dtype: str, device: str) -> dict[str, Any]:
    """A case's keyword arguments as a backend takes them."""
    if not case.modules:
        return case.kwargs
    import torch

    to = {"dtype": getattr(torch, dtype), "device": device}
    return case.kwargs | {name: make().to(**to) for name, make in case.modules.items()}


def as_numpy(result: Any) -> np.ndarray:
    return np.asarray(result if isinstance(result, np.ndarray) else result.detach().cpu())


def _reference(kernel: Kernel[..., Any], case: Case, dtype: str) -> np.ndarray:
    args = given(case, kernel.backends["reference"].arrays, dtype, "cpu")
    return as_numpy(kernel.reference(*args, **keywords(case, dtype, "cpu")))


def check(kernel: Kernel[..., Any], backend: str, case: Case, dtype: str, device: str) -> Finding:
    """Hold one backend against the reference on one case."""
    name = (kernel.name, backend, case.label, dtype)
    args = given(case, kernel.backends[backend].arrays, dtype, device)
    kwargs = keywords(case, dtype, device)
    if reason := kernel.refusal(backend, *args, **kwargs):
        return Finding(*name, refused=reason)

    truth, plain = (_reference(kernel, case, precision) for precision in ("float64", dtype))
    before = [as_numpy(a).copy() for a in args]
    actual = as_numpy(kernel.on(backend)(*args, **kwargs))

    if (actual.dtype, actual.shape) != (np.dtype(dtype), truth.shape):
        wanted = f"{truth.shape} of {dtype}"
        return Finding(*name, problem=f"gave {actual.shape} of {actual.dtype}, not {wanted}")
    if any(not np.array_equal(b, as_numpy(a)) for b, a in zip(before, args, strict=True)):
        return Finding(*name, problem="changed its inputs in place")
    error = relative_error(actual, truth)
    bound = 2 * relative_error(plain, truth) + FLOOR * float(np.finfo(dtype).eps)
    problem = "" if error <= bound else f"off by {error:.1e}, more than {bound:.1e}"
    return Finding(*name, error=error, bound=bound, problem=problem)


def check_all(
    kernels: list[str],
    backend: str | None = None,
    device: str = "cpu",
    dtypes: tuple[str, ...] = ("float32", "float64"),
) -> Iterator[Finding]:
    """Every case of the named kernels, on one backend or on all but the reference."""
    for name in kernels:
        kernel = KERNELS[name]
        for chosen in [backend] if backend else [b for b in kernel.backends if b != "reference"]:
            for case in cases(name):
                for dtype in dtypes:
                    yield check(kernel, chosen, case, dtype, device)
