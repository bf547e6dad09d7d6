"""Words: how a number, an interval or a foreign text reads. Imports no array library."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

DASH = "\N{EN DASH}"
NOTHING = f"{DASH} none"
NO_VALUE = f"{DASH} no value"

BASIS = {
    "paper": "read in the paper",
    "quoted": "quoted by another text",
    "reproduced": "measured by us with the authors' protocol",
    "memory_high": "recalled, to be checked (fairly sure)",
    "memory_medium": "recalled, to be checked",
    "memory_low": "recalled, to be checked (unsure)",
}

_UNSHOWABLE = {"Cc", "Cf", "Cn", "Cs", "Co", "Zl", "Zp"}


def inert(text: str) -> str:
    """A text whose invisible characters are spelt out.

    A right-to-left override would let a name rearrange what stands beside it, and SVG has no way
    to say a control character.
    """
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in _UNSHOWABLE and character not in "\n\t"
    return f"\N{LEFT CEILING}U+{ord(character):04X}\N{RIGHT CEILING}" if hidden else character


def finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 4) -> str:
    """A number to so many significant digits."""
    if value is None or not math.isfinite(value):
        return NO_VALUE
    return _minus(f"{value:.{digits}g}")


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def value(amount: float | None, unit: str) -> str:
    """A measured value in its unit; fractions read as percent."""
    if amount is None or not math.isfinite(amount):
        return NO_VALUE
    if unit == "fraction":
        return _minus(f"{100 * amount:.2f}%")
    if unit == "seconds":
        return seconds(amount)
    return number(amount)


def effect(amount: float | None, unit: str) -> str:
    """A difference with its sign and unit; fractions differ by points."""
    text = signed(amount, unit)
    return text if text == NO_VALUE else f"{text} {unit_of_effect(unit)}"


def signed(amount: float | None, unit: str) -> str:
    if amount is None or not math.isfinite(amount):
        return NO_VALUE
    if unit == "fraction":
        return _minus(f"{100 * amount:+.2f}")
    return _minus(f"{amount:+.3g}" if abs(amount) < 1000 else f"{amount:+,.0f}")


def unit_of_effect(unit: str) -> str:
    return "points" if unit == "fraction" else unit


def interval(low: float, high: float, n: int, unit: str) -> str:
    """A 95% interval, or why there is none."""
    if math.isfinite(low) and math.isfinite(high):
        return f"[{signed(low, unit)},\N{NO-BREAK SPACE}{signed(high, unit)}]"
    return "one trial, no interval" if n == 1 else "no interval"


def spread(low: float | None, high: float | None, unit: str) -> str:
    """A range of values without a sign."""
    if not finite(low) or not finite(high):
        return NOTHING
    return f"{value(low, unit)} to {value(high, unit)}"


def count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def seconds(amount: float | None) -> str:
    if amount is None or not math.isfinite(amount):
        return NO_VALUE
    for limit, scale, name in _SCALES:
        if abs(amount) < limit:
            return f"{number(amount * scale, 3)} {name}"
    return f"{number(amount / 3600, 3)} h"


_SCALES = (
    (1e-6, 1e9, "ns"),
    (1e-3, 1e6, "\N{MICRO SIGN}s"),
    (1, 1e3, "ms"),
    (120, 1, "s"),
    (7200, 1 / 60, "min"),
)


def times(ratio: float | None) -> str:
    if ratio is None or not math.isfinite(ratio):
        return NO_VALUE
    shown = number(ratio, 3) if ratio < 1000 else f"{ratio:,.0f}"
    return f"{shown}\N{MULTIPLICATION SIGN}"


def p_value(p: float) -> str:
    if not math.isfinite(p):
        return NO_VALUE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def facts(table: Mapping[str, Any]) -> str:
    """Names and values, such as the axes of a score."""
    return ", ".join(f"{key} = {plain(found)}" for key, found in table.items())


def plain(found: Any) -> str:
    """An argument of a claim file as a reader would write it."""
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, float):
        return number(found)
    if isinstance(found, Mapping):
        return facts(found)
    if isinstance(found, list | tuple):
        return ", ".join(f"({plain(f)})" if isinstance(f, Mapping) else plain(f) for f in found)
    return str(found)


def first_paragraph(docstring: str | None) -> str:
    return " ".join((docstring or "").strip().partition("\n\n")[0].split())


def slug(name: str) -> str:
    """A name as part of a file name; one that had to change carries its digest."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80]
    if safe == name:
        return name
    return f"{safe[:40]}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"
