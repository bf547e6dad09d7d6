"""Are claim files right? Everything wrong in all of them at once, each with file:line:column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from claimbench.kernels import KERNELS

from .data import DATASETS
from .definitions import Call, Claim, DefinitionError, Problem, build, claim_files, parse
from .project import followed, root
from .registry import load_plugins, unknown
from .vocabulary import REGISTRIES


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
        tables = parse(path)
    except DefinitionError as e:
        line, column = _toml_error_position(str(e))
        return [Complaint(name, line, column, "", str(e))]
    built = build(path, tables)
    problems = [*(built if isinstance(built, list) else ()), *references(tables)]
    if not problems and isinstance(built, Claim):
        return built
    source = path.read_bytes()
    unique = dict.fromkeys((loc, message) for loc, message in problems)
    complaints = [
        Complaint(name, *position(source, loc), ".".join(map(str, loc)), message)
        for loc, message in unique
    ]
    return sorted(complaints, key=lambda c: (c.line, c.column))


def _short(path: Traversable) -> str:
    """The path as a person in this folder would write it."""
    try:
        return str(Path(str(path)).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _toml_error_position(message: str) -> tuple[int, int]:
    """tomllib ends its messages in `(at line 3, column 7)`."""
    numbers = [int("".join(filter(str.isdigit, word)) or 0) for word in message.split()[-4:]]
    found = [number for number in numbers if number]
    return (found[0], found[1]) if len(found) == 2 else (1, 1)


# What a file names must exist. The tables may be wrong in form, so every step is careful.


def references(tables: Mapping[str, Any]) -> Iterator[Problem]:
    """Names in a file that nothing has, and calls that do not fit their functions."""
    if isinstance(name := tables.get("kernel"), str) and name not in KERNELS:
        yield ("kernel",), unknown("kernel", name, KERNELS)
    for section, (registry, given) in REGISTRIES.items():
        for label, call in _calls(tables.get(section)):
            if problem := registry.problem(call, given):
                yield (section, label, call.name), problem
            elif section == "rules":
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


def _known(
    tables: Mapping[str, Any], section: str, name: Any, where: tuple[str | int, ...]
) -> Iterator[Problem]:
    """A complaint if a section of the file has no such label."""
    labels = tables.get(section)
    if isinstance(labels, dict) and name not in labels:
        yield where, unknown(section.removesuffix("s"), name, labels)


def _data(table: Any, where: tuple[str | int, ...]) -> Iterator[Problem]:
    if isinstance(table, dict):
        for index, name in enumerate(_list(table.get("data"))):
            if name not in DATASETS:
                yield (*where, index), unknown("data set", name, DATASETS)


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
    papers = set(_list(source.get("data"))) if isinstance(source, dict) else set()
    asked = _list(tier.get("data"))
    others = [data for data in asked if not {data, _collection(str(data))} & papers]
    if others and not tier.get("stand_in"):
        yield (*where, "data"), f"{others[0]!r} is not the paper's; say so in {name}'s `stand_in`"
    yield from _replaced(tables, where, tier)


def _replaced(
    tables: Mapping[str, Any], where: tuple[str, ...], tier: dict[str, Any]
) -> Iterator[Problem]:
    """The tier's own arguments must belong to a label and fit its function."""
    for label, arguments in _tables(tier.get("set")):
        owners = [
            (registry, given, call)
            for section, (registry, given) in REGISTRIES.items()
            for known, call in _calls(tables.get(section))
            if known == label
        ]
        if not owners:
            yield (*where, "set", label), f"no method, protocol or rule has the label {label!r}"
        for registry, given, call in owners:
            replaced = Call(name=call.name, arguments=call.arguments | arguments)
            if problem := registry.problem(replaced, given):
                yield (*where, "set", label), problem


def _shape(kernel: Any, label: str, shape: dict[str, Any]) -> Iterator[Problem]:
    """The claim's kernel must take arrays of these shapes; nothing is computed to see it."""
    inputs, arguments = shape.get("inputs"), shape.get("arguments", {})
    if kernel not in KERNELS or not isinstance(inputs, dict) or not isinstance(arguments, dict):
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
    if call.name == "exponent" and not {"above", "below"} & call.arguments.keys():
        yield where, "wants `above` or `below`, or both"


def _selectors(value: Any) -> Iterator[Any]:
    """Labels of methods in a selector or a list of them."""
    for selector in value if isinstance(value, list) else [value]:
        yield selector.get("method") if isinstance(selector, dict) else selector


# Where in a file: TOML's standard reader keeps no positions, tree-sitter's grammar does.


def position(source: bytes, loc: tuple[str | int, ...]) -> tuple[int, int]:
    """Line and column, from 1, of the key that `loc` leads to, or of the nearest one above it."""
    known = _positions(source)
    for end in range(len(loc), 0, -1):
        if loc[:end] in known:
            return known[loc[:end]]
    return 1, 1


@cache
def _positions(source: bytes) -> dict[tuple[str | int, ...], tuple[int, int]]:
    """Where every key and every element of an array stands."""
    import tree_sitter_toml
    from tree_sitter import Language, Parser

    tree = Parser(Language(tree_sitter_toml.language())).parse(source)
    found: dict[tuple[str | int, ...], tuple[int, int]] = {}
    arrays: dict[tuple[str | int, ...], int] = {}
    for node in tree.root_node.children:
        if node.type == "pair":
            _pair(node, (), found)
        elif node.type in ("table", "table_array_element"):
            key = _key(node.children[1])
            if node.type == "table_array_element":
                arrays[key] = arrays.get(key, -1) + 1
                key = (*key, arrays[key])
            _note(key, node, found)
            for child in node.children:
                if child.type == "pair":
                    _pair(child, key, found)
    return found


def _key(node: Any) -> tuple[str | int, ...]:
    if node.type == "dotted_key":
        return tuple(part for child in node.children if child.type != "." for part in _key(child))
    return (node.text.decode().strip("\"'"),)


def _note(key: tuple[str | int, ...], node: Any, found: dict[Any, tuple[int, int]]) -> None:
    """A dotted key also tells where the tables on its way begin."""
    line, column = node.start_point
    for end in range(1, len(key) + 1):
        found.setdefault(key[:end], (line + 1, column + 1))


def _pair(node: Any, above: tuple[str | int, ...], found: dict[Any, tuple[int, int]]) -> None:
    key = (*above, *_key(node.children[0]))
    _note(key, node, found)
    _value(node.children[-1], key, found)


def _value(node: Any, key: tuple[str | int, ...], found: dict[Any, tuple[int, int]]) -> None:
    if node.type == "inline_table":
        for child in node.children:
            if child.type == "pair":
                _pair(child, key, found)
    elif node.type == "array":
        elements = [child for child in node.children if child.is_named and child.type != "comment"]
        for index, element in enumerate(elements):
            _note((*key, index), element, found)
            _value(element, (*key, index), found)
