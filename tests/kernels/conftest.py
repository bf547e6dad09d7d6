"""A kernel of one line, and backends for it from elsewhere, as another package registers them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from claimbench.kernels import KERNELS, Backend, Kernel, _cases, _poison, checks
from claimbench.kernels.checks import Case, Invariant

Register = Callable[..., Kernel[..., Any]]


@pytest.fixture(autouse=True)
def unwritten_memory_is_nan() -> Iterator[None]:
    """So that no test passes by what memory happened to hold."""
    with _poison.allocated_is_nan(64, "cpu"):
        yield


def double(x: np.ndarray) -> np.ndarray:
    """A kernel that is easily got wrong on purpose."""
    return 2 * x


def _listed() -> list[Case]:
    rng = np.random.default_rng(0)
    return [Case(f"{n}x3", (rng.normal(size=(n, 3)),)) for n in (2, 5, 200)]


def _drawn(rng: np.random.Generator) -> Case:
    return Case("drawn", (rng.normal(size=rng.integers(6, 20, size=2)),))


def _is_additive(run: Callable[..., np.ndarray], rng: np.random.Generator) -> tuple[Any, Any]:
    x, y = rng.normal(size=(2, 4, 21))
    return run(x + y), run(x) + run(y)


def _refuses_whole_numbers(x: Any) -> str | None:
    return None if "float" in str(x.dtype) else "it takes floating dtypes"


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Register a function as the backend `theirs` of the kernel `double`."""
    beside = _cases._beside
    ours = SimpleNamespace(cases=_listed, drawn=_drawn)
    additive = Invariant("additive", _is_additive, 3)
    listed = checks.invariants
    monkeypatch.setattr(_cases, "_beside", lambda k: ours if k == "double" else beside(k))
    monkeypatch.setattr(checks, "invariants", lambda k: [additive] if k == "double" else listed(k))
    monkeypatch.setitem(KERNELS, "double", None)
    kernel = Kernel(double, {}, validate=lambda _: None)

    def registered(
        function: Any,
        arrays: Literal["numpy", "torch"] = "numpy",
        refuses: Callable[..., str | None] = _refuses_whole_numbers,
        of: Kernel[..., Any] = kernel,
    ) -> Kernel[..., Any]:
        module = ModuleType("their_module")
        setattr(module, of.name, function)
        monkeypatch.setitem(sys.modules, "their_module", module)
        monkeypatch.setitem(of.backends, "theirs", Backend("their_module", arrays, refuses))
        return of

    return registered
