"""Is a backend right? One rule, used by the tests and by `claimbench kernels check`.

The truth is the reference in float64. A backend may be off by at most twice what the reference
itself is off by in the backend's dtype, so no tolerance here is a number that somebody chose.

Each case is three calls, watched for more than their values; `_conduct.py` has the list. A kernel's
`cases.py` has its cases, and its `invariants.py` relations that hold whatever code computes it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from itertools import chain
from typing import Any, Literal

import numpy as np

from ._cases import (
    Case,
    Modules,
    as_numpy,
    cases,
    changed,
    drawn,
    given,
    keywords,
    missing,
    whole,
)
from ._conduct import Fault, Inputs, Refused, Wanted, Wrong, attempt, conduct
from ._dispatch import KERNELS, Kernel
from ._surroundings import surroundings

__all__ = [
    "DTYPES", "Case", "Fault", "Finding", "Invariant", "Reference", "Trial", "agrees", "as_numpy",
    "cases", "check", "check_all", "given", "invariants", "is_emulated", "keywords", "missing",
    "obeys", "relative_error", "trials",
]  # fmt: skip

FLOOR = 4  # units of rounding: lets a backend differ where the reference happens to be exact
DTYPES = ("float32", "float64")
WHOLE = "int64"
MULTIPLES = [1 + k / 9 for k in range(1, 9)]  # round otherwise, and keep what is equal equal


@dataclass(frozen=True)
class Finding:
    """What came of one case, or of one invariant, on one backend in one dtype.

    Attributes:
        error: largest absolute error relative to the largest entry of the truth; `None` where the
            case did not run to a result of the right shape and dtype.
        bound: what `error` may be.
        fault: the name of what is wrong here; empty where nothing is.
        problem: the same in words; empty where nothing is.
        refused: why the backend did not run this; empty where it ran.
    """

    kernel: str
    backend: str
    case: str
    dtype: str
    kind: Literal["case", "invariant"] = "case"
    error: float | None = None
    bound: float | None = None
    fault: str = ""
    problem: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Invariant:
    """A relation that a kernel obeys whatever code computes it: two sides that are equal.

    Attributes:
        sides: takes a function that runs the backend on float64 arrays, and a random generator;
            returns both sides.
        roundings: on the way to one entry. Their errors are taken to add up as a random walk, so
            the sides may differ by `FLOOR` times the square root of this, in units of rounding;
            0 asks for equal bits.
    """

    label: str
    sides: Callable[[Callable[..., np.ndarray], np.random.Generator], tuple[Any, Any]]
    roundings: float


def invariants(kernel: str) -> list[Invariant]:
    """The relations that stand beside a kernel; none where it has no `invariants.py`."""
    package = KERNELS[kernel].reference.__module__
    if find_spec(".invariants", package) is None:
        return []
    return list(importlib.import_module(".invariants", package).invariants())


def relative_error(actual: np.ndarray, truth: np.ndarray) -> float:
    """Largest absolute error over the largest entry of the truth; infinite where there is a NaN."""
    error = np.abs(actual - truth).max() / (np.abs(truth).max() or 1.0)
    return float("inf") if np.isnan(error) else float(error)


class Reference:
    """What the reference says of a case, and of the same with other contents, worked out once."""

    def __init__(self, kernel: Kernel[..., Any], case: Case):
        self.kernel, self.case = kernel, replace(case, layout="plain")
        self.changed = changed(self.case)
        self._errors: dict[str, float] = {}

    @cached_property
    def truths(self) -> tuple[np.ndarray, np.ndarray]:
        return self._value(self.case, "float64"), self._value(self.changed, "float64")

    def allows(self, error: float, dtype: str) -> tuple[bool, float]:
        """Whether a backend may be off by so much, and the bound that says so.

        A reference that happens to round well on these very inputs is no measure: where a backend
        seems wrong, the reference is tried on multiples of the inputs as well.
        """
        bound = self._bound(dtype, [])
        if error > bound:
            bound = self._bound(dtype, MULTIPLES)
        return error <= bound, bound

    def _bound(self, dtype: str, multiples: Sequence[float]) -> float:
        """Twice the reference's own error, and a floor.

        In float64 the truth is off as well, and the reference's own error is taken to be that in
        float32, in units of rounding. Whole numbers, where not refused, are held to float32.
        """
        precision = "float32" if dtype in (WHOLE, "float64") else dtype
        others = [self._error_at(factor, precision) for factor in multiples]
        units = max([self._own_error(precision), *others]) / _eps(precision)
        if dtype == "float64":
            return ((1 + 2) * units + FLOOR) * _eps(dtype)
        return (2 * units + FLOOR) * _eps(precision)

    def _own_error(self, dtype: str) -> float:
        if dtype not in self._errors:
            pairs = zip((self.case, self.changed), self.truths, strict=True)
            errors = [relative_error(self._value(case, dtype), truth) for case, truth in pairs]
            self._errors[dtype] = max(errors)
        return self._errors[dtype]

    def _error_at(self, factor: float, dtype: str) -> float:
        case = replace(self.case, args=tuple(factor * a for a in self.case.args))
        return relative_error(self._value(case, dtype), self._value(case, "float64"))

    def _value(self, case: Case, dtype: str) -> np.ndarray:
        args = given(case, self.kernel.backends["reference"].arrays, dtype, "cpu")
        return as_numpy(self.kernel.reference(*args, **keywords(case, dtype, "cpu")))


def _eps(dtype: str) -> float:
    return float(np.finfo(dtype).eps)


@dataclass(frozen=True)
class Trial:
    """A case as it is put to backends: in a dtype, beside what the reference says of it."""

    case: Case
    dtype: str
    reference: Reference


def check(kernel: Kernel[..., Any], backend: str, case: Case, dtype: str, device: str) -> Finding:
    """Hold one backend against the reference on one case."""
    return agrees(kernel, backend, Trial(case, dtype, Reference(kernel, case)), device)


def agrees(kernel: Kernel[..., Any], backend: str, trial: Trial, device: str) -> Finding:
    """Hold one backend against what the reference says of a case."""
    case, dtype, reference = trial.case, trial.dtype, trial.reference
    found = Finding(kernel.name, backend, case.label, dtype)
    # Other dtypes and layouts may be refused, by kernel or backend; never answered wrong.
    may_refuse = dtype not in DTYPES or case.layout != "plain"

    def judged() -> Finding:
        inputs, other = (_inputs(kernel, backend, c, dtype, device) for c in (case, changed(case)))
        if may_refuse:
            attempt(lambda: kernel.validate(*inputs.args, **inputs.kwargs), may_refuse)
        function = attempt(lambda: kernel.on(backend), may_refuse=False)
        wanted = Wanted(
            reference.truths[0].shape,
            DTYPES if dtype == WHOLE else (dtype,),
            kernel.backends[backend].arrays,
            device,
            may_refuse,
        )
        results = conduct(function, inputs, other, wanted)
        errors = list(map(relative_error, results, reference.truths))
        allowed, bound = reference.allows(max(errors), dtype)
        if not allowed and errors[0] <= bound and np.array_equal(*results):
            raise Wrong(Fault.KEPT, "gave an earlier result again after its inputs had changed")
        return _judged(found, max(errors), bound, Fault.VALUES)

    return _watched(found, kernel, judged)


def _inputs(kernel: Kernel[..., Any], backend: str, case: Case, dtype: str, device: str) -> Inputs:
    """A case as the backend takes it, which it may refuse."""
    if reason := missing(kernel.backends[backend].arrays):
        raise Refused(reason)
    args = given(case, kernel.backends[backend].arrays, dtype, device)
    kwargs = keywords(case, dtype, device)
    if reason := attempt(lambda: kernel.refusal(backend, *args, **kwargs), may_refuse=False):
        raise Refused(reason)
    return Inputs(args, kwargs)


def obeys(
    kernel: Kernel[..., Any], backend: str, invariant: Invariant, dtype: str, device: str, seed: int
) -> Finding:
    """Hold one backend against one relation of its kernel."""
    found = Finding(kernel.name, backend, invariant.label, dtype, "invariant")

    def run(*arrays: np.ndarray, modules: Modules | None = None, **kwargs: Any) -> np.ndarray:
        case = Case(invariant.label, arrays, kwargs, modules or {})
        inputs = _inputs(kernel, backend, case, dtype, device)
        result = kernel.on(backend)(*inputs.args, **inputs.kwargs)
        return as_numpy(result).astype(np.float64)

    def judged() -> Finding:
        rng = np.random.default_rng(seed)
        sides = attempt(lambda: invariant.sides(run, rng), may_refuse=False)
        bound = FLOOR * float(np.sqrt(invariant.roundings)) * _eps(dtype)
        return _judged(found, relative_error(*sides), bound, Fault.INVARIANT)

    return _watched(found, kernel, judged)


def _judged(found: Finding, error: float, bound: float, fault: Fault) -> Finding:
    found = replace(found, error=error, bound=bound)
    if error <= bound:
        return found
    return replace(found, fault=fault.name, problem=f"off by {error:.1e}, more than {bound:.1e}")


def _watched(found: Finding, kernel: Kernel[..., Any], judge: Callable[[], Finding]) -> Finding:
    """What `judge` finds, or what the backend did on the way that it must not do."""
    with surroundings(kernel) as changes:
        try:
            finding = judge()
        except Refused as refusal:
            finding = replace(found, refused=str(refusal))
        except Wrong as wrong:
            finding = replace(found, fault=wrong.fault.name, problem=str(wrong))
    if changes and not finding.problem:
        return replace(found, fault=Fault.SURROUNDINGS.name, problem="; ".join(changes))
    return finding


def check_all(
    kernels: list[str],
    backend: str | None = None,
    device: str = "cpu",
    dtypes: Sequence[str] = DTYPES,
    seed: int = 0,
) -> Iterator[Finding]:
    """All that is asked of the named kernels, on one backend or on all.

    The reference, which cases are held against, is held to the invariants. `seed` draws what no
    backend can know beforehand: a case of random shape, and the inputs of invariants.
    """
    for name in kernels:
        kernel = KERNELS[name]
        asked = [backend] if backend else list(kernel.backends)
        if reason := missing(kernel.backends["reference"].arrays):
            yield from (Finding(name, chosen, "", "", refused=reason) for chosen in asked)
            continue
        listed, unforeseen = trials(name, dtypes, seed)
        for chosen in asked:
            if chosen not in kernel.backends:
                yield Finding(name, chosen, "", "", refused="the kernel has no such backend")
                continue
            if chosen != "reference":
                for trial in listed if is_emulated(chosen) else listed + unforeseen:
                    yield agrees(kernel, chosen, trial, device)
            for invariant in [] if is_emulated(chosen) else invariants(name):
                for dtype in dtypes:
                    yield obeys(kernel, chosen, invariant, dtype, device, seed)


def is_emulated(backend: str) -> bool:
    """An emulated GPU takes seconds for what a GPU does in microseconds: listed cases must do."""
    return backend == "triton" and os.environ.get("TRITON_INTERPRET") == "1"


def trials(kernel: str, dtypes: Sequence[str], seed: int) -> tuple[list[Trial], list[Trial]]:
    """The listed cases, and what `seed` draws, in dtypes too that may be refused."""
    listed = [_trials(kernel, [case], dtypes) for case in cases(kernel)]
    random = drawn(kernel, seed)
    unforeseen = [_trials(kernel, random, dtypes), _trials(kernel, random[:1], ["float16"])]
    unforeseen.append(_trials(kernel, list(map(whole, random[:1])), [WHOLE]))
    return list(chain(*listed)), list(chain(*unforeseen))


def _trials(kernel: str, same: Sequence[Case], dtypes: Sequence[str]) -> list[Trial]:
    """Cases that differ in nothing but their layout share what the reference says."""
    if not same:
        return []
    reference = Reference(KERNELS[kernel], same[0])
    return [Trial(case, dtype, reference) for case in same for dtype in dtypes]
