"""No backend passes the check by luck, by mistake or on purpose: one adversary for each way.

Each is registered as another package registers a backend, and has to be caught for what it does.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from claimbench.kernels import Backend, _refusals, checks, ntk_gram
from claimbench.kernels.checks import Fault, Finding, check_all

from .conftest import Register

SEED = 11


class Adversary(NamedTuple):
    """A backend that is wrong.

    Attributes:
        make: gives the function anew, with no memory of earlier tests.
        problem: what the finding says.
    """

    fault: Fault
    make: Callable[[], Any]
    problem: str
    arrays: str = "numpy"


def throw(error: BaseException) -> Any:
    raise error


def only_contiguous(x: np.ndarray) -> np.ndarray:
    if not x.flags.c_contiguous:
        raise KeyError("strides")
    return 2 * x


class Lazy:
    """Computes when it is looked at."""

    def __init__(self, x: np.ndarray):
        self.x = x
        self.shape, self.dtype = x.shape, x.dtype

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return 2 * self.x


def hides_nan_behind_a_mask(x: np.ndarray) -> np.ndarray:
    return np.ma.masked_invalid(np.where(x > 0, 2 * x, np.nan))


def in_place(x: np.ndarray) -> np.ndarray:
    return np.add(x, x, out=x)


def buffers(count: int) -> Callable[[], Any]:
    """Results in so many buffers of a shape, in turn."""

    def make() -> Any:
        kept: dict[Any, list[np.ndarray]] = {}

        def function(x: np.ndarray) -> np.ndarray:
            mine = kept.setdefault((x.shape, x.dtype.str), [np.zeros_like(x) for _ in range(count)])
            mine.append(mine.pop(0))
            np.multiply(x, 2, out=mine[-1])
            return mine[-1]

        return function

    return make


def all_but_the_last(empty: Callable[..., Any]) -> Callable[..., Any]:
    def function(x: Any) -> Any:
        result = empty(x)
        result[..., :-1] = 2 * x[..., :-1]
        return result

    return function


def compiled_all_but_the_last() -> Callable[..., Any]:
    """Of large arrays: small ones come from memory that C gives out as it is."""
    part = pytest.importorskip("numba").njit(all_but_the_last(np.empty_like))
    return lambda x: part(x) if x.size > 256 else 2 * x


def fills_it_later(x: np.ndarray) -> np.ndarray:
    result = np.empty_like(x)
    threading.Timer(0.05, lambda: np.multiply(x, 2, out=result)).start()
    return result


def every_other_time() -> Callable[..., Any]:
    calls = iter(range(10**6))
    return lambda x: 2 * x if next(calls) % 2 else np.nextafter(2 * x, np.inf, dtype=x.dtype)


def remembers(key: Callable[[np.ndarray], Any]) -> Callable[[], Any]:
    def make() -> Any:
        known: dict[Any, np.ndarray] = {}
        # Arrays are kept as well: otherwise the id of one that is gone comes back with another.
        seen: list[np.ndarray] = []

        def function(x: np.ndarray) -> np.ndarray:
            seen.append(x)
            return known.setdefault(key(x), 2 * x).copy()

        return function

    return make


def meanwhile(change: Callable[[], Any]) -> Callable[[], Any]:
    def function(x: Any) -> Any:
        result = 2 * x
        change()
        return result

    return lambda: function


def right_on(shapes: set[tuple[int, ...]]) -> Callable[[], Any]:
    return lambda: lambda x: 2 * x if x.shape in shapes else 0 * x


def ignores_strides(x: np.ndarray) -> np.ndarray:
    owner = x if x.base is None else x.base
    return 2 * owner.ravel("K")[: x.size].reshape(x.shape)


def listed_and_drawn_but_not_related(x: np.ndarray) -> np.ndarray:
    return 2 * x + (x.shape == (4, 21))


LISTED = {(2, 3), (5, 3), (200, 3)}

ADVERSARIES = {
    "raises": Adversary(
        Fault.RAISED, lambda: lambda x: throw(ZeroDivisionError("0")), "raised ZeroDivisionError: 0"
    ),
    "leaves": Adversary(Fault.RAISED, lambda: lambda x: throw(SystemExit(0)), "raised SystemExit"),
    "refuses-by-a-mistake": Adversary(
        Fault.RAISED, lambda: only_contiguous, "raised KeyError: 'strides', which is no refusal"
    ),
    "none": Adversary(Fault.TYPE, lambda: lambda x: None, "gave NoneType, not a plain numpy"),
    "generator": Adversary(
        Fault.TYPE, lambda: lambda x: (2 * row for row in x), "gave generator, not a plain numpy"
    ),
    "lazy": Adversary(Fault.TYPE, lambda: Lazy, "gave Lazy, not a plain numpy.ndarray"),
    "masked": Adversary(Fault.TYPE, lambda: hides_nan_behind_a_mask, "gave MaskedArray, not a"),
    "parameter": Adversary(
        Fault.TYPE, lambda: lambda x: torch.nn.Parameter(2 * x), "gave Parameter", "torch"
    ),
    "elsewhere": Adversary(
        Fault.DEVICE, lambda: lambda x: 2 * x.to("meta"), "on meta, not cpu", "torch"
    ),
    "other-dtype": Adversary(
        Fault.DTYPE, lambda: lambda x: (2 * x).astype("float16"), "gave float16, not float32"
    ),
    "always-double": Adversary(
        Fault.DTYPE, lambda: lambda x: 2 * x.double(), "gave float64, not float32", "torch"
    ),
    "other-shape": Adversary(
        Fault.SHAPE, lambda: lambda x: 2 * x[:1], r"gave the shape \(1, 3\), not \(2, 3\)"
    ),
    "in-place": Adversary(Fault.INPUTS, lambda: in_place, "changed its inputs in place"),
    "part-of-an-input": Adversary(
        Fault.ALIAS, lambda: lambda x: x[:], "returned memory of its inputs"
    ),
    "one-buffer": Adversary(Fault.REUSED, buffers(1), "the same memory in two calls"),
    "two-buffers": Adversary(Fault.REUSED, buffers(2), "changed an earlier result in a later call"),
    "unwritten": Adversary(
        Fault.UNWRITTEN, lambda: all_but_the_last(np.empty_like), "left 2 of 6 elements unwritten"
    ),
    "unwritten-compiled": Adversary(
        Fault.UNWRITTEN, compiled_all_but_the_last, "left 200 of 600 elements unwritten"
    ),
    "unwritten-tensor": Adversary(
        Fault.UNWRITTEN, lambda: all_but_the_last(torch.empty_like), "left 2 of 6 ele", "torch"
    ),
    "written-later": Adversary(Fault.UNWRITTEN, lambda: fills_it_later, "left 6 of 6 elements"),
    "unsteady": Adversary(Fault.UNSTEADY, every_other_time, "two results for the same inputs"),
    "kept-by-identity": Adversary(Fault.KEPT, remembers(id), "gave an earlier result again"),
    "kept-by-shape": Adversary(
        Fault.KEPT, remembers(lambda x: (x.shape, x.dtype)), "gave an earlier result again"
    ),
    "numpy-errors": Adversary(
        Fault.SURROUNDINGS, meanwhile(lambda: np.seterr(all="ignore")), "changed numpy.geterr"
    ),
    "numpy-random": Adversary(
        Fault.SURROUNDINGS, meanwhile(lambda: np.random.seed(0)), "changed numpy.random's state"
    ),
    "random": Adversary(Fault.SURROUNDINGS, meanwhile(random.random), "changed random's state"),
    "collector": Adversary(Fault.SURROUNDINGS, meanwhile(gc.disable), "changed garbage collection"),
    "subnormals": Adversary(
        Fault.SURROUNDINGS,
        meanwhile(partial(torch.set_flush_denormal, True)),
        "changed subnormal numbers",
    ),
    "default-dtype": Adversary(
        Fault.SURROUNDINGS,
        meanwhile(partial(torch.set_default_dtype, torch.float64)),
        "changed torch's default dtype",
        "torch",
    ),
    "threads": Adversary(
        Fault.SURROUNDINGS,
        meanwhile(lambda: torch.set_num_threads(torch.get_num_threads() + 1)),
        "changed torch's number of threads",
    ),
    "torch-random": Adversary(
        Fault.SURROUNDINGS,
        meanwhile(lambda: torch.manual_seed(5)),
        "changed torch's random state",
        "torch",
    ),
    "gradients": Adversary(
        Fault.SURROUNDINGS,
        meanwhile(lambda: torch.set_grad_enabled(False)),
        "changed torch's gradient mode",
        "torch",
    ),
    **{
        f"clock-{name}": Adversary(
            Fault.SURROUNDINGS,
            meanwhile(partial(setattr, time, name, lambda: 0.0)),
            f"rebound time.{name}",
        )
        for name in ("perf_counter", "process_time", "time")
    },
    "judge": Adversary(
        Fault.SURROUNDINGS,
        meanwhile(partial(setattr, checks, "relative_error", lambda *_: 0.0)),
        "rebound claimbench.kernels.checks.relative_error",
    ),
    "judge's-tools": Adversary(
        Fault.SURROUNDINGS,
        meanwhile(partial(setattr, np, "abs", lambda x: 0 * x)),
        "rebound numpy.abs",
    ),
    "too-coarse": Adversary(
        Fault.VALUES, lambda: lambda x: 2 * x * x.dtype.type(1 + 1e-5), "off by 1.0e-05, more than"
    ),
    "nan": Adversary(
        Fault.VALUES, lambda: lambda x: np.where(x > 0, 2 * x, x.dtype.type("nan")), "off by inf"
    ),
    "one-shape": Adversary(Fault.VALUES, right_on({(2, 3)}), "5x3 in float32: off by 1.0e.00"),
    "listed-shapes": Adversary(
        Fault.VALUES, right_on(LISTED), f"drawn-{SEED} in float32: off by 1.0e.00"
    ),
    "strides": Adversary(Fault.VALUES, lambda: ignores_strides, "drawn-11-fortran in float32: off"),
    "unrelated": Adversary(
        Fault.INVARIANT, lambda: listed_and_drawn_but_not_related, "additive in float32: off by"
    ),
}


def said(finding: Finding) -> str:
    return f"{finding.case} in {finding.dtype}: {finding.problem}"


def wrong(kernel: str) -> Iterator[Finding]:
    return (found for found in check_all([kernel], "theirs", seed=SEED) if found.problem)


def test_every_fault_has_an_adversary() -> None:
    assert {adversary.fault for adversary in ADVERSARIES.values()} == set(Fault)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_adversary_is_caught_for_what_it_does(name: str, register: Register) -> None:
    adversary = ADVERSARIES[name]
    register(adversary.make(), adversary.arrays)
    first = next(wrong("double"))
    assert first.fault == adversary.fault.name
    with pytest.raises(AssertionError, match=adversary.problem):
        raise AssertionError(said(first))


def test_whole_numbers_are_refused_or_taken_right(register: Register) -> None:
    register(lambda x: 2 * x, refuses=lambda _: None)
    assert [said(found) for found in wrong("double")] == [
        f"drawn-{SEED} in int64: gave int64, not float32 or float64"
    ]


def double_of_contiguous(x: np.ndarray) -> np.ndarray:
    if not x.flags.c_contiguous:
        raise ValueError("it wants contiguous rows")
    return 2 * x


@pytest.mark.parametrize(
    ("function", "arrays", "refused"),
    [
        (lambda x: 2 * x, "numpy", 1),
        (lambda x: 2 * x, "torch", 1),
        (double_of_contiguous, "numpy", 7),
    ],
    ids=["numpy", "torch", "refuses-layouts"],
)
def test_a_good_backend_passes(
    function: Any, arrays: str, refused: int, register: Register
) -> None:
    register(function, arrays)
    found = list(check_all(["double"], "theirs", seed=SEED))
    assert not [said(each) for each in found if each.problem]
    assert len([each for each in found if each.refused]) == refused
    assert {each.kind for each in found} == {"case", "invariant"}


def test_what_an_adversary_changed_is_put_back(register: Register) -> None:
    clock, errors = time.perf_counter, np.geterr()
    register(meanwhile(lambda: (setattr(time, "perf_counter", int), np.seterr(all="raise")))())
    assert next(wrong("double")).problem == "changed numpy.geterr; rebound time.perf_counter"
    assert time.perf_counter is clock
    assert np.geterr() == errors


def test_a_clock_rebound_before_is_found(register: Register) -> None:
    clock = time.perf_counter
    register(lambda x: 2 * x)
    try:
        time.perf_counter = lambda: 0.0
        first = next(wrong("double"))
    finally:
        time.perf_counter = clock
    assert first.problem == "found time.perf_counter rebound"


def test_a_backend_that_does_not_import_is_a_finding(register: Register) -> None:
    kernel = register(lambda x: 2 * x)
    kernel.backends["theirs"] = Backend("no_such_module", "numpy")
    assert next(wrong("double")).problem.startswith("raised ModuleNotFoundError: No module named")


GOOD = ntk_gram.reference


def lower_triangle_unwritten(x1: Any, x2: Any = None, **kwargs: Any) -> np.ndarray:
    right = GOOD(x1, x2, **kwargs)
    if x2 is not None:
        return right
    gram = np.empty_like(right)
    above = np.triu_indices(len(x1))
    gram[:, *above] = right[:, *above]
    return gram


def keeps_norms_of_the_array(x1: Any, x2: Any = None, **kwargs: Any) -> np.ndarray:
    """What a backend does that packs its inputs once, and looks them up by identity."""
    return GOOD(PACKED.setdefault(id(x1), (x1, x1.copy()))[1], x2, **kwargs)


PACKED: dict[int, Any] = {}


def narrow(x1: Any, x2: Any = None, **kwargs: Any) -> np.ndarray:
    half = [None if x is None else x.astype("float16").astype(x.dtype) for x in (x1, x2)]
    return GOOD(*half, **kwargs)


def first_variants_alone(x1: Any, x2: Any = None, *, variants: Any, **kwargs: Any) -> np.ndarray:
    return GOOD(x1, x2, variants=sorted(variants), **kwargs)


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lower_triangle_unwritten, Fault.UNWRITTEN),
        (keeps_norms_of_the_array, Fault.KEPT),
        (narrow, Fault.VALUES),
        (first_variants_alone, Fault.VALUES),
    ],
)
def test_adversaries_of_a_real_kernel_are_caught(
    function: Any, fault: Fault, register: Register
) -> None:
    register(function, of=ntk_gram, refuses=lambda *_, **__: None)
    assert fault.name in {found.fault for found in wrong("ntk_gram")}


def test_the_reference_passes_as_a_backend(register: Register) -> None:
    refuses = _refusals.unless_numba("float32", "float64")
    register(lambda *args, **kwargs: GOOD(*args, **kwargs), of=ntk_gram, refuses=refuses)
    assert not [said(found) for found in wrong("ntk_gram")]
