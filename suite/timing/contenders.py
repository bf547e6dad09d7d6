"""Who takes part: the reference, every backend that accepts the shape, every peer.

A contender is ready when it is compiled, warm and held against the reference in float64 on the very
inputs. What cannot take part has a reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal, NamedTuple

import numpy as np

from claimbench.kernels import KERNELS, checks

from ..peers import WHOLE, NotMeasured, Peer, peers_of
from .runners import InProcess, Runner
from .workloads import Workload

Kind = Literal["reference", "backend", "peer"]

SAME = 1e-2
"""Relative error beyond which a peer computes something else than the kernel. The largest seen of
one that does compute it is 7e-4, in float32 on the diagonal."""

GROWING = (1, 4, 16, 64, 256, 1024, WHOLE)
"""Sizes that the reference is tried with."""


@dataclass(frozen=True)
class Absent:
    """Who has no time, and why.

    Attributes:
        wrong: it ran, and what it gave is wrong.
    """

    kernel: str
    shape: str
    contender: str
    kind: Kind
    reason: str
    wrong: bool = False


@dataclass(frozen=True)
class Entrant:
    """A contender that may take part.

    Attributes:
        parts: what it is tried with, small to large. A peer is measured where a pair is fastest,
            the reference at the largest that does not take too long.
        start: gives its runner.
        note: how what it computes differs from what was asked for.
    """

    name: str
    kind: Kind
    parts: Sequence[Workload]
    start: Callable[[], Runner]
    note: str = ""


@dataclass
class Contender:
    """An entrant made ready, with what its turns took.

    Attributes:
        call_s: seconds of a call, as far as one call tells.
    """

    entrant: Entrant
    runner: Runner
    part: Workload
    call_s: float
    error: float
    peak_bytes: int | None


def entrants(workload: Workload, device: str, with_peers: bool) -> Iterator[Entrant | Absent]:
    """All of them, the reference first: others are held against it."""
    kernel = KERNELS[workload.kernel]
    for backend in sorted(kernel.backends, key=lambda name: name != "reference"):
        yield _backend(workload, backend, device)
    if with_peers:
        for peer in peers_of(workload.kernel):
            yield _peer(workload, peer, device)


def _absent(workload: Workload, name: str, kind: Kind, reason: str, wrong: bool = False) -> Absent:
    return Absent(workload.kernel, workload.name, name, kind, reason, wrong)


def _backend(workload: Workload, backend: str, device: str) -> Entrant | Absent:
    kernel = KERNELS[workload.kernel]
    arrays = kernel.backends[backend].arrays
    if reason := checks.missing(arrays):
        return _absent(workload, backend, "backend", reason)
    if backend == "reference":
        start = partial(InProcess, kernel.reference, workload, arrays, "cpu")
        return Entrant(backend, "reference", parts(workload, GROWING), start)
    if checks.is_emulated(backend):
        return _absent(workload, backend, "backend", "it is emulated, which says nothing of a GPU")
    if device == "cuda" and arrays == "numpy":
        return _absent(workload, backend, "backend", "it runs on the CPU")
    case = workload.case(workload.arrays(0))
    args = checks.given(case, arrays, workload.dtype, device)
    keywords = checks.keywords(case, workload.dtype, device)
    if reason := kernel.refusal(backend, *args, **keywords):
        return _absent(workload, backend, "backend", reason)
    if problem := wrong_case(workload.kernel, backend, workload.dtype, device):
        return _absent(workload, backend, "backend", problem, wrong=True)
    start = partial(InProcess, kernel.on(backend), workload, arrays, device)
    return Entrant(backend, "backend", [workload], start)


@cache
def wrong_case(kernel: str, backend: str, dtype: str, device: str) -> str:
    """The first of the kernel's cases in which a backend is wrong, or nothing."""
    for finding in checks.check_all([kernel], backend, device, dtypes=(dtype,)):
        if finding.problem:
            return f"{finding.case}: {finding.problem}"
    return ""


def _peer(workload: Workload, peer: Peer, device: str) -> Entrant | Absent:
    try:
        module = peer.load()
        adapted, note = module.adapt(workload, device)
    except (NotMeasured, ImportError) as e:
        return _absent(workload, peer.name, "peer", str(e))
    start = partial(module.runner, adapted, device)
    return Entrant(peer.name, "peer", parts(adapted, peer.batches), start, note)


def parts(workload: Workload, batches: Sequence[int]) -> list[Workload]:
    """The blocks of so many of x1 and x2, without repetition."""
    if not workload.divisible:
        return [workload]
    found: list[Workload] = []
    for batch in batches:
        part = workload.part(batch, batch) if batch != WHOLE else workload
        if part not in found:
            found.append(part)
    return found


class Truth:
    """The reference on what it can afford, in float64 and in the dtype that is measured."""

    def __init__(self, part: Workload):
        self.part = part
        self.known: dict[str, np.ndarray] = {}

    def _on(self, workload: Workload, dtype: str) -> np.ndarray:
        asked = replace(self.part, arguments=workload.arguments, dtype=dtype)
        key = json.dumps([asked.arguments, dtype], default=str)
        if key not in self.known:
            kernel = KERNELS[asked.kernel]
            arrays = kernel.backends["reference"].arrays
            runner = InProcess(kernel.reference, asked, arrays, "cpu")
            self.known[key] = runner.result(asked.arrays(0))
        return self.known[key]

    def error(self, result: np.ndarray, workload: Workload) -> float:
        """Relative error of what was computed on a workload's inputs of seed 0."""
        return _relative_error(result, self._on(workload, "float64"), workload.divisible)

    def bound(self, workload: Workload) -> float:
        """What `error` of a backend may be; the rule of `kernels.checks`."""
        plain = self._on(workload, workload.dtype)
        own = checks.relative_error(plain, self._on(workload, "float64"))
        return 2 * own + checks.FLOOR * float(np.finfo(workload.dtype).eps)


def _relative_error(result: np.ndarray, truth: np.ndarray, divisible: bool) -> float:
    if divisible:
        n, m = (min(sizes) for sizes in zip(result.shape[-2:], truth.shape[-2:], strict=True))
        result, truth = result[..., :n, :m], truth[..., :n, :m]
    if result.shape != truth.shape:
        raise NotMeasured(f"it gave {result.shape} where the reference gives {truth.shape}")
    return checks.relative_error(result, truth)


def ready(entrant: Entrant, truth: Truth | None, longest_s: float) -> Contender:
    """Compile, warm up, find the part that suits it, and hold it against the truth.

    Args:
        truth: `None` for the reference, which is its own.
        longest_s: seconds of one call that are not to be exceeded where a smaller part will do.

    Raises:
        NotMeasured: where what it gives is not what the kernel is.
    """
    runner = entrant.start()
    try:
        tried = _settle(entrant, runner, longest_s)
        truth = truth or Truth(tried.part)
        error = truth.error(tried.result, tried.part)
        bound = truth.bound(tried.part) if entrant.kind == "backend" else SAME
        if not error <= bound:
            raise NotMeasured(f"off by {error:.1e}, more than {bound:.1e}")
    except BaseException:
        runner.close()
        raise
    return Contender(entrant, runner, tried.part, tried.call_s, error, tried.peak_bytes)


class Tried(NamedTuple):
    """A part that was warmed up with one call, then called once more."""

    part: Workload
    result: np.ndarray
    call_s: float
    peak_bytes: int | None

    @property
    def item_s(self) -> float:
        return self.call_s / self.part.items


def _try(part: Workload, runner: Runner) -> Tried:
    arrays = part.arrays(0)
    result = runner.result(arrays)
    return Tried(part, result, *runner.trial(arrays))


def _settle(entrant: Entrant, runner: Runner, longest_s: float) -> Tried:
    """The part that suits it, of those whose call is not too long."""
    best: Tried | None = None
    for part in entrant.parts:
        if best and best.item_s * part.items > longest_s:
            break
        tried = _try(part, runner)
        if best is None or entrant.kind == "reference" or tried.item_s < best.item_s:
            best = tried
    assert best is not None, "an entrant has at least one part"
    return best
