"""Tolerances that a repository sets in its pyproject.toml, in place of those in claim files.

A name is that of a table in a claim file, with the claim in front: `<claim>.metrics.<name>` in the
metric's unit, `<claim>.shapes.<label>` as a share of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from claimbench.suite.definitions import Claim, DefinitionError, Metric, Shape
from claimbench.suite.project import FILE, contents
from claimbench.suite.registry import unknown

TABLE = ("tool", "claimbench", "tolerances")
Part = Metric | Shape


class Overridden(NamedTuple):
    """Claims with their tolerances replaced, and what was replaced, in words."""

    claims: list[Claim]
    notes: list[str]


def overridden(claims: Sequence[Claim], folder: Path) -> Overridden:
    """The claims as the pyproject.toml of a folder wants them; as they are without one.

    Raises:
        DefinitionError: if the file is no TOML, or for a name or a value that cannot be.
    """
    wanted = _wanted(folder)
    known = {name: part.tolerance for claim in claims for name, part in _parts(claim).items()}
    for name in wanted:
        if name not in known:
            raise DefinitionError(f"{_where(folder)}: {unknown('tolerance', name, known)}")
    notes = [
        f"{FILE} sets the tolerance of {name} to {value}; the claim file says {known[name]:g}"
        for name, value in wanted.items()
    ]
    return Overridden([_replaced(claim, wanted, folder) for claim in claims], notes)


def _wanted(folder: Path) -> dict[str, Any]:
    found: Any = contents(folder)
    for key in TABLE:
        found = found.get(key, {}) if isinstance(found, dict) else {}
    return dict(_flat(found, ()))


def _flat(found: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Dotted keys make tables in TOML, and quoted ones do not; both name the same here."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _flat(value, (*keys, key))
    else:
        yield ".".join(keys), found


def _where(folder: Path) -> str:
    return f"{folder / FILE}, [{'.'.join(TABLE)}]"


def _parts(claim: Claim) -> dict[str, Part]:
    metrics = {f"{claim.id}.metrics.{name}": metric for name, metric in claim.metrics.items()}
    return metrics | {f"{claim.id}.shapes.{label}": shape for label, shape in claim.shapes.items()}


def _replaced(claim: Claim, wanted: Mapping[str, Any], folder: Path) -> Claim:
    def parts(kind: str, found: Mapping[str, Part]) -> dict[str, Part]:
        return {
            name: _with_tolerance(part, wanted, f"{claim.id}.{kind}.{name}", folder)
            for name, part in found.items()
        }

    metrics, shapes = parts("metrics", claim.metrics), parts("shapes", claim.shapes)
    return claim.model_copy(update={"metrics": metrics, "shapes": shapes})


def _with_tolerance(part: Part, wanted: Mapping[str, Any], name: str, folder: Path) -> Part:
    if name not in wanted:
        return part
    value = wanted[name]
    if isinstance(value, bool | str):
        raise DefinitionError(f"{_where(folder)}: {name} is {value!r}, wanted a number")
    try:
        return type(part).model_validate(part.model_dump() | {"tolerance": value})
    except ValidationError as e:
        said = e.errors()[0]["msg"]
        raise DefinitionError(f"{_where(folder)}: {name} is {value!r}: {said}") from None
