"""What a claim file may be made of, whatever it says: bounded in size and depth, of plain values.

A file may come from anyone. What is refused here would take all memory or hours to look at, could
not be written as JSON, or could steer the terminal that shows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Any

from .inert import inert

LARGEST = 2**18
"""Bytes of a claim file; the largest of ours has a fifth."""

DEEPEST = 16
"""Tables and arrays inside each other; ours have at most seven."""

LONGEST = 80
"""Characters that a message quotes of what a file holds."""

_KEY = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DOTTED = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_KEY}[ \t]*\.[ \t]*){{{DEEPEST}}}{_KEY}[ \t]*[=\].]")


def content(path: Traversable) -> bytes:
    """The bytes of a file that may be a claim's.

    Raises:
        ValueError: if it is too large, or holds keys that take hours to follow.
        OSError: if it cannot be read; a device or a pipe is not, for it might have no end.
    """
    if not path.is_file():
        raise FileNotFoundError(2, "No such file, or no plain file")
    with path.open("rb") as file:
        found: bytes = file.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 2**10} KiB")
    # The standard reader takes the square of a dotted key's length in time and memory.
    if _DOTTED.search(found.decode("utf-8", "replace")):
        raise ValueError(f"a key of more than {DEEPEST} parts")
    return found


def too_deep(value: Any) -> bool:
    """Whether tables and arrays lie deeper in each other than a claim's; never recursive itself."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


Where = tuple[str | int, ...]


def oddities(value: Any, where: Where = ()) -> Iterator[tuple[Where, str]]:
    """Values and keys that JSON or a terminal cannot take, each with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if odd := _odd_text(key):
                yield (*where, key), f"its name {odd}"
            yield from oddities(inner, (*where, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from oddities(inner, (*where, index))
    elif odd := _odd(value):
        yield where, odd


def _odd(value: Any) -> str | None:
    if isinstance(value, str):
        return _odd_text(value)
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else "a whole number of more than 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "not a finite number"
    return "a date or time, for which claims have no use; put it in quotes"


def _odd_text(text: str) -> str | None:
    if text.isprintable():
        return None
    wrong = next((c for c in text if not (c.isprintable() or c in "\n\t\N{NO-BREAK SPACE}")), None)
    return wrong and f"holds the invisible character U+{ord(wrong):04X}"


def shown(text: str, longest: int = LONGEST) -> str:
    """Text as a message quotes it: inert, on one line, and cut where it is long."""
    cut = text if len(text) <= longest else f"{text[: longest - 3]}..."
    return inert(cut).replace("\n", "\\n")
