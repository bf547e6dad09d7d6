"""Checks of kernels in processes that are held: one for each backend, and what it answers.

A plug-in's module is code as well, so even the list of backends is asked of such a process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from claimbench.kernels import KERNELS
from claimbench.kernels.checks import Finding, check_all

from . import isolation
from .definitions import DefinitionError
from .inert import inert
from .isolation import Ended, Limits
from .registry import load_plugins, unknown

ENDED = "ENDED"
"""The fault of a finding that says why there are no others: no result is wrong, there is none."""

MOST_KERNELS = 1000

OUT_OF_MEMORY = "MemoryError", "can't allocate memory", "Cannot allocate memory"

Name = Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]
Text = Annotated[str, Field(max_length=2000), AfterValidator(inert)]


class Answer(BaseModel):
    """A finding as a process may tell it; the process ran strange code, and may tell anything."""

    model_config = ConfigDict(strict=True, extra="forbid")
    kernel: Name
    backend: Name
    case: Text
    dtype: Text
    kind: Literal["case", "invariant"]
    error: float | None
    bound: float | None
    fault: Text
    problem: Text
    refused: Text

    @model_validator(mode="after")
    def _adds_up(self) -> Answer:
        good = not self.problem and not self.refused
        if good and not (
            self.error is not None and self.bound is not None and self.error <= self.bound
        ):
            raise ValueError("a good result has an error, and it is within the bound")
        return self


class Backends(BaseModel):
    """The names of a kernel and of its backends."""

    model_config = ConfigDict(strict=True, extra="forbid")
    kernel: Name
    backends: Annotated[list[Name], Field(max_length=100)]


@dataclass(frozen=True)
class Check:
    """What is asked of every backend, and what its process may use."""

    device: str
    seed: int
    limits: Limits
    tell: Callable[[str], None]

    def ask(self, **task: Any) -> Iterator[Any]:
        return isolation.answers(__name__, task, self.limits, self.tell)


def check_isolated(kernels: Sequence[str], backend: str | None, check: Check) -> Iterator[Finding]:
    """What `checks.check_all` finds, and a finding for each backend whose process did not end well.

    Raises:
        DefinitionError: where there is no kernel of a name.
    """
    known, reason = _listed(check)
    if reason:
        yield _ended("plug-ins", "all", reason)
    for name in kernels:
        if name not in known:
            raise DefinitionError(unknown("kernel", name, known))
    pairs = [(n, b) for n in kernels or known for b in ([backend] if backend else known[n])]
    for place, (name, chosen) in enumerate(pairs, start=1):
        print(f"[{place}/{len(pairs)}] {name} on {chosen}", file=sys.stderr)
        yield from _checked(name, chosen, check, plugins=not reason)


def _listed(check: Check) -> tuple[dict[str, list[str]], str]:
    """Backends by kernel, ours at least; and why those of plug-ins are not among them."""
    known = {name: list(kernel.backends) for name, kernel in KERNELS.items()}
    try:
        for content in check.ask(do="list"):
            told = Backends.model_validate(content)
            known[told.kernel] = list(dict.fromkeys(known.get(told.kernel, []) + told.backends))
            if len(known) > MOST_KERNELS:
                raise Ended(f"named more than {MOST_KERNELS} kernels")
    except ValidationError:
        return known, "named backends in a form that is not that of names"
    except Ended as ended:
        return known, str(ended)
    return known, ""


def _checked(kernel: str, backend: str, check: Check, plugins: bool) -> Iterator[Finding]:
    asked = {"kernel": kernel, "backend": backend, "device": check.device, "seed": check.seed}
    seen = set()
    last = "before the first check"
    try:
        for content in check.ask(do="check", plugins=plugins, **asked):
            found = Finding(**Answer.model_validate(content).model_dump())
            key = found.kind, found.case, found.dtype
            if (found.kernel, found.backend) != (kernel, backend) or key in seen:
                raise Ended("answered what was not asked, or twice")
            seen.add(key)
            last = f"after {found.case} in {found.dtype}"
            yield _without_memory(found, check.limits)
        if not seen:
            raise Ended("answered nothing")
    except ValidationError as e:
        problem = e.errors(include_url=False, include_input=False)[0]["msg"]
        yield _ended(kernel, backend, f"gave an answer of another form ({problem}), {last}")
    except Ended as ended:
        yield _ended(kernel, backend, f"{ended}, {last}")


def _ended(kernel: str, backend: str, reason: str) -> Finding:
    return Finding(kernel, backend, "", "", fault=ENDED, problem=reason)


def _without_memory(found: Finding, limits: Limits) -> Finding:
    """What the limit has prevented is no wrong result."""
    if limits.memory_gib is None or not any(word in found.problem for word in OUT_OF_MEMORY):
        return found
    reason = f"more than {limits.memory_gib:g} GiB of address space was wanted (--memory)"
    return replace(found, fault=ENDED, problem=reason)


def _answer(task: dict[str, Any]) -> Iterator[Any]:
    """In the process that is held."""
    if task["do"] == "list":
        load_plugins()
        for name, kernel in KERNELS.items():
            yield {"kernel": name, "backends": list(kernel.backends)}
        return
    if task["plugins"]:
        load_plugins()
    for found in check_all([task["kernel"]], task["backend"], task["device"], seed=task["seed"]):
        yield asdict(found)


if __name__ == "__main__":
    isolation.serve(_answer)
