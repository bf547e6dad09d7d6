"""One kernel, several backends.

A kernel is a function whose body is its reference. A backend is a module beside it that holds a
function of the same name and signature; it is imported only when it is chosen.

    kernel(x, ...)  ->  validate  ->  choose: first backend, in declared order, that refuses nothing
                                      or the one that `using("name")` asks for, which runs or raises
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, Literal, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[str, Kernel[..., Any]] = {}
_used: ContextVar[dict[str, str] | None] = ContextVar("used", default=None)
_asked: ContextVar[str | None] = ContextVar("asked", default=None)


class NoBackend(RuntimeError):
    """No backend runs these arguments, or not the one asked for; the message has the reasons."""


@contextmanager
def backends_used() -> Iterator[dict[str, str]]:
    """Collect the backend that runs each kernel called in the block."""
    used: dict[str, str] = {}
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)


def ran_elsewhere(kernel: str, backend: str) -> None:
    """Tell `backends_used` of a kernel that another process called for this one."""
    if (used := _used.get()) is not None:
        used[kernel] = backend


def backend_asked() -> str | None:
    """The backend that `using` asks for here; it must be said to other processes."""
    return _asked.get()


@contextmanager
def using(backend: str | None) -> Iterator[None]:
    """Ask for one backend by name, for every kernel called in the block; `None` leaves it open."""
    token = _asked.set(backend)
    try:
        yield
    finally:
        _asked.reset(token)


@dataclass(frozen=True)
class Backend:
    """Where a backend lives, and what it will run.

    Attributes:
        module: import path; a leading dot means beside the kernel.
        arrays: the arrays it takes and returns.
        refuses: takes the kernel's arguments; returns the reason it cannot run them, or `None`.
    """

    module: str
    arrays: Literal["numpy", "torch"]
    refuses: Callable[..., str | None] = lambda *_, **__: None


class Kernel(Generic[P, R]):
    """A function that more than one backend can compute."""

    def __init__(
        self,
        reference: Callable[P, R],
        backends: dict[str, Backend],
        validate: Callable[..., None],
    ):
        functools.update_wrapper(self, reference)
        self.name = reference.__name__
        self.reference = reference
        self.validate = validate
        self.backends = {**backends}
        self.backends.setdefault("reference", Backend(reference.__module__, "numpy"))
        KERNELS[self.name] = self

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        self.validate(*args, **kwargs)
        asked = _asked.get()
        if asked is None:
            backend = self.choose(*args, **kwargs)
        elif reason := self.refusal(asked, *args, **kwargs):
            raise NoBackend(f"{self.name} cannot run on {asked}: {reason}")
        else:
            backend = asked
        ran_elsewhere(self.name, backend)
        return self.on(backend)(*args, **kwargs)

    def choose(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The first backend, in declared order, that accepts these arguments."""
        refusals = {}
        for backend in self.backends:
            refusals[backend] = self.refusal(backend, *args, **kwargs)
            if refusals[backend] is None:
                return backend
        reasons = "; ".join(f"{backend}: {reason}" for backend, reason in refusals.items())
        raise NoBackend(f"{self.name} cannot run on any backend ({reasons})")

    def refusal(self, backend: str, *args: P.args, **kwargs: P.kwargs) -> str | None:
        """Why `backend` cannot run these arguments, or `None`."""
        declared = self._backend(backend)
        given = type(args[0]).__module__.partition(".")[0]
        if given != declared.arrays:
            return f"it takes {declared.arrays} arrays, not {given}"
        return declared.refuses(*args, **kwargs)

    def on(self, backend: str) -> Callable[P, R]:
        """The implementation on `backend`, which never falls back to another."""
        if backend == "reference":
            return self.reference
        module = importlib.import_module(self._backend(backend).module, self.reference.__module__)
        implementation: Callable[P, R] = getattr(module, self.name)
        return implementation

    def _backend(self, name: str) -> Backend:
        if name not in self.backends:
            near = get_close_matches(name, self.backends, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self.backends)}"
            raise NoBackend(f"{self.name} has no backend {name!r}; {hint}")
        return self.backends[name]


def kernel(
    validate: Callable[..., None], **backends: Backend
) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Declare a function a kernel; its backends stand in order of preference.

    The function itself is the backend `reference`, the last, and takes NumPy arrays unless a
    backend of that name is declared.

    `validate` takes the kernel's arguments and raises `ValueError` where they have no meaning, so
    that every backend may rely on them.
    """
    return lambda reference: Kernel(reference, backends, validate)
