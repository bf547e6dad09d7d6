"""How a backend behaves, beside the values that it gives: three calls, and what each must be.

The second call has the same arguments as the first, and the third the same arrays with other
contents. So a result that was kept, that was never written, that is not the caller's alone, or that
is another one each time shows, on whatever inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from . import _poison
from ._cases import as_numpy


class Fault(StrEnum):
    """What can be wrong with a backend."""

    RAISED = "raises an exception, or one that is no refusal"
    TYPE = "returns no plain array"
    DEVICE = "returns its result on another device"
    DTYPE = "returns another dtype"
    SHAPE = "returns another shape"
    INPUTS = "changes its inputs"
    ALIAS = "returns memory of its inputs"
    REUSED = "hands out memory that it has handed out before"
    UNWRITTEN = "leaves elements unwritten"
    UNSTEADY = "gives another result for the same inputs"
    KEPT = "gives a kept result for inputs that have changed"
    SURROUNDINGS = "changes what runs after it"
    VALUES = "is off by more than the bound"
    INVARIANT = "does not obey a relation of the function"


class Wrong(Exception):
    """A backend is at fault; the message completes "the backend ..."."""

    def __init__(self, fault: Fault, message: str):
        super().__init__(message)
        self.fault = fault


REFUSALS = (RuntimeError, TypeError, ValueError)  # NoBackend and torch's own are RuntimeErrors


class Refused(Exception):
    """A backend will not run these inputs, and need not."""


@dataclass(frozen=True)
class Wanted:
    """What a result has to be.

    Attributes:
        dtypes: any of them will do.
        arrays: "numpy" or "torch".
        may_refuse: whether raising one of `REFUSALS` is an answer.
    """

    shape: tuple[int, ...]
    dtypes: Sequence[str]
    arrays: str
    device: str
    may_refuse: bool


@dataclass(frozen=True)
class Inputs:
    """Arguments of a call, and their contents."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def contents(self) -> list[np.ndarray]:
        tensors = [t for module in self._modules().values() for t in module.state_dict().values()]
        return [as_numpy(array).copy() for array in [*self.args, *tensors]]

    def overwrite(self, other: Inputs) -> None:
        """Take the contents of others, in the same memory."""
        for mine, theirs in zip(self.args, other.args, strict=True):
            mine[...] = theirs
        for name, module in self._modules().items():
            module.load_state_dict(other.kwargs[name].state_dict())

    def _modules(self) -> dict[str, Any]:
        return {name: value for name, value in self.kwargs.items() if hasattr(value, "state_dict")}


def conduct(
    function: Callable[..., Any], inputs: Inputs, changed: Inputs, wanted: Wanted
) -> tuple[np.ndarray, np.ndarray]:
    """The result for `inputs`, and that for the same arrays with the contents of `changed`."""
    first = _call(function, inputs, wanted)
    kept = as_numpy(first).copy()
    if any(_overlap(first, array) for array in inputs.args):
        raise Wrong(Fault.ALIAS, "returned memory of its inputs")

    # Whatever it imports or compiles it has by now, so names may be bound to other functions.
    again = _call(function, inputs, wanted, by_name=True)
    if _overlap(first, again):
        raise Wrong(Fault.REUSED, "handed out the same memory in two calls")
    if not _same_bits(as_numpy(again), kept):
        raise Wrong(Fault.UNSTEADY, "gave two results for the same inputs")

    inputs.overwrite(changed)
    other = as_numpy(_call(function, inputs, wanted))
    if not _same_bits(as_numpy(first), kept):
        raise Wrong(Fault.REUSED, "changed an earlier result in a later call")
    return kept, other.copy()


def _call(
    function: Callable[..., Any], inputs: Inputs, wanted: Wanted, by_name: bool = False
) -> Any:
    """One result, in memory that was NaN, of inputs that it leaves alone."""
    before = inputs.contents()
    size = int(np.prod(wanted.shape)) * np.dtype(wanted.dtypes[0]).itemsize
    with ExitStack() as poison:
        poison.enter_context(_poison.allocated_is_nan(size, wanted.device))
        if by_name:
            poison.enter_context(_poison.named_empty_is_nan())
        result = attempt(lambda: function(*inputs.args, **inputs.kwargs), wanted.may_refuse)
    _hold_form(result, inputs, wanted)
    if not all(map(_same_bits, before, inputs.contents())):
        raise Wrong(Fault.INPUTS, "changed its inputs in place")
    if missing := _poison.unwritten(as_numpy(result)):
        total = int(np.prod(wanted.shape))
        raise Wrong(Fault.UNWRITTEN, f"left {missing} of {total} elements unwritten")
    return result


def attempt(call: Callable[[], Any], may_refuse: bool) -> Any:
    """What a call gives; what it raises is a refusal or a fault, and never the end of a check."""
    try:
        return call()
    except (Refused, Wrong):
        raise
    except (Exception, SystemExit) as raised:
        text = str(raised).strip().partition("\n")[0]
        said = type(raised).__name__ + (f": {text}" if text else "")
        if may_refuse and isinstance(raised, REFUSALS):
            raise Refused(said) from raised
        refusal = ", which is no refusal" if may_refuse else ""
        raise Wrong(Fault.RAISED, f"raised {said}{refusal}") from raised


def _hold_form(result: Any, inputs: Inputs, wanted: Wanted) -> None:
    plain = _plain_type(wanted.arrays)
    if type(result) is not plain:
        name = f"{plain.__module__}.{plain.__name__}"
        raise Wrong(Fault.TYPE, f"gave {type(result).__name__}, not a plain {name}")
    if wanted.arrays == "torch" and result.device != inputs.args[0].device:
        raise Wrong(Fault.DEVICE, f"gave a result on {result.device}, not {inputs.args[0].device}")
    dtype = str(result.dtype).removeprefix("torch.")
    if dtype not in wanted.dtypes:
        raise Wrong(Fault.DTYPE, f"gave {dtype}, not {' or '.join(wanted.dtypes)}")
    if (shape := tuple(result.shape)) != wanted.shape:
        raise Wrong(Fault.SHAPE, f"gave the shape {shape}, not {wanted.shape}")


def _plain_type(arrays: str) -> Any:
    if arrays == "numpy":
        return np.ndarray
    import torch

    return torch.Tensor


def _overlap(one: Any, other: Any) -> bool:
    (start, end), (first, last) = _extent(one), _extent(other)
    return start < last and first < end


def _extent(array: Any) -> tuple[int, int]:
    """First address and end of an array."""
    if isinstance(array, np.ndarray):
        return np.lib.array_utils.byte_bounds(array)
    steps = ((size - 1) * stride for size, stride in zip(array.shape, array.stride(), strict=True))
    start = array.data_ptr()
    return start, start + (sum(steps) + 1) * array.element_size() if array.numel() else start


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()
