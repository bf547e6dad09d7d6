"""Are claim files right? Everything wrong in all of them at once, each with file:line:column.

A file may hold anything: the answer is a claim or complaints, soon, and nothing in it is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from claimbench.kernels import KERNELS

from . import plain
from .arguments import misfits
from .cells import overflow
from .data import DATASETS
from .definitions import (
    Call,
    Claim,
    DefinitionError,
    Problem,
    build,
    claim_files,
    content,
    parsed,
)
from .plain import shown
from .positions import position as position
from .project import followed, root
from .registry import Registry, load_plugins, unknown
from .vocabulary import REGISTRIES

MOST_COMPLAINTS = 100
"""About one file; whoever has more wants to begin with these."""

LONGEST_PATH = 4096
"""Characters; no system has longer ones."""


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong in a claim file; lines and columns count from 1."""

    path: str
    line: int
    column: int
    where: str
    message: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.path}:{self.line}:{self.column}: {where}{self.message}"


def load_claims(only: Iterable[str] = ()) -> list[Claim]:
    """The claims of the suite and of installed plug-ins, all of them right.

    Raises:
        DefinitionError: with a line for each thing that is wrong, or for an id that no claim has.
    """
    paths = all_claim_files()
    results = [check(path) for path in paths]
    complaints = [c for result in results if isinstance(result, list) for c in result]
    if complaints := [*complaints, *doubles(paths)]:
        raise DefinitionError("\n".join(map(str, complaints)))
    claims = {claim.id: claim for claim in results if isinstance(claim, Claim)}
    if missing := [name for name in only if name not in claims]:
        raise DefinitionError("\n".join(unknown("claim", name, claims) for name in missing))
    return [claims[name] for name in only] or list(claims.values())


def doubles(paths: Sequence[Traversable]) -> Iterator[Complaint]:
    """Two packages may bring claims of one name, and neither may hide the other."""
    first: dict[str, Traversable] = {}
    for path in paths:
        if (other := first.setdefault(path.name, path)) is not path:
            name = path.name.removesuffix(".toml")
            yield Complaint(_short(path), 1, 1, "", f"{_short(other)} is called {name!r} too")


def followed_claims() -> list[Claim]:
    """The claims that the repository at hand names in its pyproject.toml; all where it does not."""
    return load_claims(followed(root()))


@cache
def all_claim_files() -> list[Traversable]:
    """Our claim files, and those in the `claims/` folder beside each plug-in's module."""
    found = claim_files()
    for package in {plugin.__spec__.parent for plugin in load_plugins() if plugin.__spec__}:
        folder = files(package) / "claims" if package else None
        if folder and folder.is_dir():
            found += [path for path in folder.iterdir() if path.name.endswith(".toml")]
    return sorted(found, key=lambda path: path.name)


def check(path: Traversable) -> Claim | list[Complaint]:
    """The claim that a file defines, or everything that is wrong with it."""
    name = _short(path)
    try:
        source = content(path)
        tables = parsed(source)
    except DefinitionError as e:
        line, column = _toml_error_position(str(e))
        return [Complaint(name, line, column, "", str(e))]
    built = build(path, tables)
    problems = [*islice(_problems(built, tables), MOST_COMPLAINTS + 1)]
    if not problems and isinstance(built, Claim):
        problems = [*overflow(built)]
        if not problems:
            return built
    told = dict.fromkeys(problems[:MOST_COMPLAINTS])
    complaints = sorted(
        (_complaint(name, source, problem) for problem in told), key=lambda c: (c.line, c.column)
    )
    if len(problems) > MOST_COMPLAINTS:
        complaints.append(Complaint(name, 1, 1, "", "and more; these come first"))
    return complaints


def _problems(built: Claim | list[Problem], tables: dict[str, Any]) -> Iterator[Problem]:
    """What is odd in itself is told as that alone."""
    odd = dict(islice(plain.oddities(tables), MOST_COMPLAINTS + 1))
    others = chain(built if isinstance(built, list) else (), references(tables))
    yield from odd.items()
    yield from (problem for problem in others if problem[0] not in odd)


def _complaint(name: str, source: bytes, problem: Problem) -> Complaint:
    where, message = problem
    place = shown(".".join(map(str, where)), 200)
    return Complaint(name, *position(source, where), place, shown(message, 500))


def _short(path: Traversable) -> str:
    """The path as a person in this folder would write it."""
    try:
        return shown(str(Path(str(path)).relative_to(Path.cwd())), LONGEST_PATH)
    except ValueError:
        return shown(str(path), LONGEST_PATH)


def _toml_error_position(message: str) -> tuple[int, int]:
    """tomllib ends its messages in `(at line 3, column 7)`."""
    found = re.search(r"\(at line ([0-9]+), column ([0-9]+)\)$", message)
    return (int(found[1]), int(found[2])) if found else (1, 1)


# What a file names must exist. The tables may be wrong in form, so every step is careful.


def references(tables: Mapping[str, Any]) -> Iterator[Problem]:
    """Names in a file that nothing has, and calls that do not fit their functions."""
    if isinstance(name := tables.get("kernel"), str) and name not in KERNELS:
        yield ("kernel",), unknown("kernel", name, KERNELS)
    for section, (registry, given) in REGISTRIES.items():
        for label, call in _calls(tables.get(section)):
            wrong = [*_call(registry, call, given, (section, label, call.name))]
            yield from wrong
            if section == "rules" and not wrong:
                yield from _rule(tables, label, call)
    for name, tier in _tables(tables.get("tiers")):
        yield from _tier(tables, name, tier)
    for label, shape in _tables(tables.get("shapes")):
        yield from _shape(tables.get("kernel"), label, shape)
    for index, published in enumerate(_list(tables.get("published"))):
        if isinstance(published, dict) and "metric" in published:
            where = ("published", index, "metric")
            yield from _known(tables, "metrics", published["metric"], where)


def _tables(section: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(section, dict):
        yield from ((key, value) for key, value in section.items() if isinstance(value, dict))


def _calls(section: Any) -> Iterator[tuple[str, Call]]:
    for label, table in _tables(section):
        if len(table) == 1 and isinstance(arguments := next(iter(table.values())), dict):
            yield label, Call(name=next(iter(table)), arguments=arguments)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(value: Any) -> list[str]:
    return [name for name in _list(value) if isinstance(name, str)]


def _known(
    tables: Mapping[str, Any], section: str, name: Any, where: tuple[str | int, ...]
) -> Iterator[Problem]:
    """A complaint if a section of the file has no such label."""
    labels = tables.get(section)
    if isinstance(labels, dict) and not (isinstance(name, str) and name in labels):
        yield where, unknown(section.removesuffix("s"), name, labels)


def _data(table: Any, where: tuple[str | int, ...]) -> Iterator[Problem]:
    if isinstance(table, dict):
        names = _list(table.get("data"))
        for index, name in enumerate(names):
            if name in names[:index]:
                yield (*where, index), f"names {shown(repr(name))} a second time"
            if not (isinstance(name, str) and name in DATASETS):
                yield (*where, index), unknown("data set", name, DATASETS)


def _call(
    registry: Registry[Any], call: Call, given: int, where: tuple[str | int, ...]
) -> Iterator[Problem]:
    """A call must fit its function by the names of its arguments and by their types."""
    if problem := registry.problem(call, given):
        yield where, problem
        return
    for name, wanted in misfits(registry[call.name].function, call.arguments):
        yield (*where, name), f"{registry.noun} {call.name!r}: {name!r} {wanted}"


def _collection(name: str) -> str:
    """`uci` of `uci/iris`: the name of the collection that a data set belongs to."""
    return name.partition("/")[0]


def _tier(tables: Mapping[str, Any], name: str, tier: dict[str, Any]) -> Iterator[Problem]:
    where = ("tiers", name)
    yield from _data(tier, (*where, "data"))
    for section in REGISTRIES:
        for index, label in enumerate(_list(tier.get(section))):
            yield from _known(tables, section, label, (*where, section, index))
    only = tier.get("only")
    for label, protocols in only.items() if isinstance(only, dict) else ():
        yield from _known(tables, "methods", label, (*where, "only", label))
        for index, protocol in enumerate(_list(protocols)):
            yield from _known(tables, "protocols", protocol, (*where, "only", label, index))
    source = tables.get("source")
    papers = set(_names(source.get("data"))) if isinstance(source, dict) else set()
    asked = _names(tier.get("data"))
    others = [data for data in asked if not {data, _collection(data)} & papers]
    if others and not tier.get("stand_in"):
        other = shown(repr(others[0]))
        yield (*where, "data"), f"{other} is not the paper's; say so in {name}'s `stand_in`"
    yield from _replaced(tables, where, tier)
    yield from _left_out(tables, where, tier)


def _left_out(
    tables: Mapping[str, Any], where: tuple[str, ...], tier: dict[str, Any]
) -> Iterator[Problem]:
    """What a rule asks for, its tier must run."""
    if not (run := _names(tier.get("methods"))):
        return
    decide = _names(tier.get("rules"))
    for label, call in _calls(tables.get("rules")):
        asked = [s for key in SELECTORS for s in _selectors(call.arguments.get(key, []))]
        gone = [name for name in asked if isinstance(name, str) and name not in run]
        if gone and (label in decide or not decide):
            told = f"leave out {shown(gone[0])}, which the rule {shown(label)} asks for"
            yield (*where, "methods"), told


def _replaced(
    tables: Mapping[str, Any], where: tuple[str, ...], tier: dict[str, Any]
) -> Iterator[Problem]:
    """The tier's own arguments must belong to a label and fit its function."""
    owners: dict[str, list[tuple[Registry[Any], int, Call]]] = {}
    for section, (registry, given) in REGISTRIES.items():
        for label, call in _calls(tables.get(section)):
            owners.setdefault(label, []).append((registry, given, call))
    for label, arguments in _tables(tier.get("set")):
        if label not in owners:
            called = shown(repr(label))
            yield (*where, "set", label), f"no method, protocol or rule has the label {called}"
        for registry, given, call in owners.get(label, ()):
            replaced = Call(name=call.name, arguments=call.arguments | arguments)
            yield from _call(registry, replaced, given, (*where, "set", label))


def _shape(kernel: Any, label: str, shape: dict[str, Any]) -> Iterator[Problem]:
    """The claim's kernel must take arrays of these shapes; nothing is computed to see it."""
    inputs, arguments = shape.get("inputs"), shape.get("arguments", {})
    if (
        not isinstance(kernel, str)
        or kernel not in KERNELS
        or not isinstance(inputs, dict)
        or not isinstance(arguments, dict)
    ):
        return
    sizes = [tuple(size) for size in inputs.values() if _is_size(size)]
    if len(sizes) < len(inputs) or not sizes:
        return
    arrays = (np.broadcast_to(np.float32(0), size) for size in sizes)
    try:
        KERNELS[kernel].validate(*arrays, **arguments)
    except Exception as e:  # a file may hold any values, and a plug-in's kernel may raise anything
        said = (str(e) or type(e).__name__).replace("_validate() ", "")
        yield ("shapes", label), said if said.startswith(kernel) else f"{kernel}: {said}"


def _is_size(value: Any) -> bool:
    """What the schema would let through: whole numbers from 1 that an array can have."""
    return (
        isinstance(value, list)
        and len(value) <= MOST_AXES
        and all(type(n) is int and 1 <= n < 2**31 for n in value)
    )


MOST_AXES = 32
"""More no array has."""

SELECTORS = ("better", "worse", "of", "leader", "follower", "steadier", "than")
"""Arguments of rules that name methods."""


def _rule(tables: Mapping[str, Any], label: str, call: Call) -> Iterator[Problem]:
    """A rule's metrics and methods must be the file's own."""
    where = ("rules", label, call.name)
    for key in ("metric", "x", "y"):
        if key in call.arguments:
            yield from _known(tables, "metrics", call.arguments[key], (*where, key))
    for key in SELECTORS:
        for selector in _selectors(call.arguments.get(key, [])):
            yield from _known(tables, "methods", selector, (*where, key))
    for key, fact in _facts_asked(call):
        if fact not in (facts := _facts(tables)):
            yield (*where, key), unknown("axis", fact, facts)
    if call.name == "exponent" and not {"above", "below"} & call.arguments.keys():
        yield where, "wants `above` or `below`, or both"


def _facts_asked(call: Call) -> Iterator[tuple[str, str]]:
    """What a rule asks of a score beside its method, each with the argument that asks."""
    if isinstance(axis := call.arguments.get("axis"), str):
        yield "axis", axis
    for key in (*SELECTORS, "where"):
        asked = call.arguments.get(key)
        for table in asked if isinstance(asked, list) else [asked]:
            yield from ((key, fact) for fact in table) if isinstance(table, dict) else ()


def _facts(tables: Mapping[str, Any]) -> set[str]:
    """Labels that every score has, and the axes of the file's methods and protocols."""
    found = {"method", "protocol", "data"}
    for section in ("methods", "protocols"):
        registry, _ = REGISTRIES[section]
        for _, call in _calls(tables.get(section)):
            found.update(registry[call.name].axes if call.name in registry else ())
    return found


def _selectors(value: Any) -> Iterator[Any]:
    """Labels of methods in a selector or a list of them."""
    for selector in value if isinstance(value, list) else [value]:
        yield selector.get("method") if isinstance(selector, dict) else selector
