from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def unwritten_memory_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that leaves part of its output unwritten fails, rather than passing by luck.

    What numba compiles allocates on its own and is not reached.
    """
    if find_spec("numba") is not None:
        _compile_without_poison(monkeypatch)
    for name in ("empty", "empty_like"):
        allocate = getattr(np, name)
        monkeypatch.setattr(np, name, _poisoned(allocate, lambda a: a.dtype.kind == "f"))
    if find_spec("torch") is not None:
        import torch

        for name in ("empty", "empty_like"):
            allocate = getattr(torch, name)
            monkeypatch.setattr(torch, name, _poisoned(allocate, torch.is_floating_point))


def _poisoned(
    allocate: Callable[..., Any], is_floating: Callable[[Any], bool]
) -> Callable[..., Any]:
    def allocate_nan(*args: Any, **kwargs: Any) -> Any:
        array = allocate(*args, **kwargs)
        if is_floating(array):
            array[...] = float("nan")
        return array

    return allocate_nan


def _compile_without_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba knows `numpy.empty` by identity, so it has to find the real one while it compiles."""
    from numba.core.dispatcher import Dispatcher

    compile_ = Dispatcher.compile
    real = {name: getattr(np, name) for name in ("empty", "empty_like")}

    def compile_clean(self: Any, *args: Any) -> Any:
        with pytest.MonkeyPatch.context() as undone:
            for name, allocate in real.items():
                undone.setattr(np, name, allocate)
            return compile_(self, *args)

    monkeypatch.setattr(Dispatcher, "compile", compile_clean)
