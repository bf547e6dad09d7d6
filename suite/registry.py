"""Names that a claim file may use, and the functions that they stand for.

A third party adds names by an entry point in the group `claimbench` that names a module: importing
it runs its decorators. A `claims/` folder beside that module is read as ours is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import product
from math import prod
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar

from .definitions import Call, DefinitionError, Scalar
from .plain import LONGEST, shown

P = ParamSpec("P")
R = TypeVar("R")


Needs = tuple[tuple[str, str], ...]

SHOWN = 12  # names that a message lists before it stops


class MissingExtra(RuntimeError):
    """Something optional is not installed; the message has the line that installs it."""


class PluginError(RuntimeError):
    """A module that an installed package names for us cannot be imported."""


@dataclass(frozen=True)
class Entry(Generic[R]):
    """A registered function and what the runner must know of it.

    Attributes:
        axes: arguments that take a list in a claim file; each value is measured by itself.
        needs: pairs (module, extra): modules that must be importable, with what installs them; a
            function of the call's arguments where these decide.
        libraries: distributions whose version may change what a baseline reaches.
        baseline: the commit under test cannot change what this reaches, so that its records are
            kept and used again.
        tiled: it computes a Gram matrix large enough that workers may share its tiles.
        version: raised by hand when the function's code changes what it reaches.
    """

    function: Callable[..., R]
    axes: tuple[str, ...] = ()
    needs: Needs | Callable[[Mapping[str, Any]], Needs] = ()
    libraries: tuple[str, ...] = ()
    baseline: bool = False
    tiled: bool = False
    version: int = 1

    def needed(self, call: Call) -> Needs:
        return self.needs(call.arguments) if callable(self.needs) else self.needs


class Registry(Generic[R]):
    """Functions of one kind; the instance is the decorator that registers one by its name."""

    def __init__(self, noun: str):
        self.noun = noun
        self._entries: dict[str, Entry[R]] = {}

    def __call__(self, **facts: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
        def register(function: Callable[P, R]) -> Callable[P, R]:
            name = function.__name__
            if name in self._entries:
                raise ValueError(f"two {self.noun}s are called {name!r}")
            self._entries[name] = Entry(function, **facts)
            return function

        return register

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __getitem__(self, name: str) -> Entry[R]:
        if name not in self._entries:
            raise DefinitionError(unknown(self.noun, name, self))
        return self._entries[name]

    def problem(self, call: Call, given: int) -> str | None:
        """What is wrong with a call when it is held against its function; runs nothing.

        `given` is the number of positional arguments that the suite itself passes.
        """
        try:
            entry = self[call.name]
            _signature(entry.function).bind(*[None] * given, **call.arguments)
        except DefinitionError as e:
            return str(e)
        except TypeError as e:
            return f"{self.noun} {call.name!r}: {e}"
        for axis in entry.axes:
            if not _is_list(call.arguments.get(axis, [0])):
                return f"{self.noun} {call.name!r}: {axis!r} is an axis and wants a list of values"
        return None

    def run(self, call: Call, *args: Any) -> R:
        return self[call.name].function(*args, **call.arguments)

    def points(self, call: Call) -> list[dict[str, Scalar]]:
        """The combinations of axis values that a call is measured at."""
        axes = self._axes(call)
        return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]

    def count(self, call: Call) -> int:
        """How many points there are; they may be too many to list."""
        return prod(map(len, self._axes(call).values()))

    def _axes(self, call: Call) -> dict[str, list[Scalar]]:
        """Values of each axis that a call gives."""
        axes = self[call.name].axes
        return {axis: call.arguments[axis] for axis in axes if axis in call.arguments}


_signature = cache(inspect.signature)


def _is_list(values: Any) -> bool:
    return isinstance(values, list | tuple) and len(values) > 0


def unknown(noun: str, name: object, known: Iterator[str] | Any) -> str:
    """The message for a name that nothing has, with the nearest that something has."""
    names = sorted(known)
    some = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    if not isinstance(name, str):
        return f"wanted the name of a {noun}; there are {some or 'none'}"
    # A file may hold a name of any length, and the search takes the square of it.
    near = get_close_matches(name[:LONGEST], names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {some or 'none'}"
    return f"no {noun} is called {shown(repr(name))}; {hint}"


def load_plugins() -> list[ModuleType]:
    """Import the modules that installed packages name in the entry-point group `claimbench`.

    Raises:
        PluginError: if one cannot be imported, for without it something would be missing unseen.
    """
    return [_loaded(point) for point in entry_points(group="claimbench")]


def _loaded(point: EntryPoint) -> ModuleType:
    try:
        module: ModuleType = point.load()
    except Exception as e:
        raise PluginError(
            f"{point.value}, the entry point {point.name!r} in the group claimbench, cannot be "
            f"imported ({type(e).__name__}: {e}); mend its package or uninstall it"
        ) from e
    return module
