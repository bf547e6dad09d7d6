"""Where in a claim file a key or an element stands: line and column.

TOML's standard reader keeps no positions, tree-sitter's grammar does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def position(source: bytes, loc: tuple[str | int, ...]) -> tuple[int, int]:
    """Line and column, from 1, of the key that `loc` leads to, or of the nearest one above it."""
    known = _positions(source)
    for end in range(len(loc), 0, -1):
        if loc[:end] in known:
            return known[loc[:end]]
    return 1, 1


@lru_cache(maxsize=4)
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
