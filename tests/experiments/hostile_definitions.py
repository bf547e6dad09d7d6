"""Claim files that nobody should send: right ones, spoilt in their tables, in their text, in both.

`draw` gives a file's name and its bytes from a random generator alone, so that a seed and a count
say which files were tried.
"""

from __future__ import annotations

import copy
import json
import random
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import claimbench.suite
from claimbench.suite.definitions import claim_files

Table = dict[str, Any]


class Raw(str):
    """A value that is written into the file as it stands."""


def _seeds() -> Iterator[Table]:
    """The template many times, as it is small and quick to try; of long lists the beginning."""
    template = Path(claimbench.suite.__path__[0]) / "claim_template.toml"
    for path in [template] * 92 + [Path(str(path)) for path in claim_files()]:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        yield {k: v[:3] if isinstance(v, list) else v for k, v in tables.items()}


TABLES = list(_seeds())
STRINGS = [
    "", " ", "iris", "no_such", "__class__", "__init__", "__builtins__", "self", "trial", "data",
    "../x", "/etc/passwd", "a/b", "..", "C:\\x", "a\x00b", "\x1b[2J", "\u202egnp\u2066", "\ufeff",
    "\u2028", "\U0010ffff", "e" + "\u0301" * 40, "[/red]", "[bold]", "{0.__class__}", "%s%n",
    "$(id)",
    "!!python/object/apply:os.system ['id']", "__import__('os').system('id')", "nan", "1e999",
    "https://x", "javascript:alert(1)", "9" * 30, "a" * 300, "smoke", "higher", "trials", "\n",
    "\t", "aeiou" * 30, "\u00b2", "\u0661",
]  # fmt: skip
NUMBERS = [
    0, -1, 1, 2, 3, 7, 100, 10**6, 10**12, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 
    2**64, 10**30, -(10**18), 0.0, -0.0, 0.5, -0.5, 1e-320, 1e308, -1e308, 1e15,
]  # fmt: skip
RAW = [
    "nan", "inf", "-inf", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "1979-05-27T00:32:00",
    "9999-12-31T23:59:59.999999-23:59", "0x" + "f" * 40, "0x" + "f" * 6000, "9" * 5000, "1e400",
    "[]", "{}", "[[]]", "[{}]", "{ a = {} }", "{ a = { b = {} } }", "[1, 'a', true, {}]",
    "1979-02-30", "1_0", "0b1", "''", "'''x'''", "{ method = [] }", "{ method = {} }",
    "{ method = 'ntk_svm' }",
]  # fmt: skip
KEYS = [
    "id", "__class__", "__dict__", "model_config", "model_fields", "title", "data", "set", "only",
    "trials", "arguments", "name", "a b", "", "\u202e", "../x", "ntk_svm", "random_forest", "smoke",
    "full", "quick", "tiers", "superiority", "correlation", "exponent", "crossing", "steadiness",
    "few_samples", "holdout", "few_shots", "nested_folds", "published_split", "gaussian_svm",
    "shapes", "where", "over", "margin", "metric", "self", "trial", "evidence", "n", "test", "k",
    "axis",
]  # fmt: skip
NAMES = ["toy", "toy", "toy", "__class__", "..", "a b", "", "\u202e", "x" * 250, "A", "1", "a\n"]
TOKENS = [
    "=", ".", ",", "[", "]", "[[", "]]", "{", "}", '"', "'", '"""', "'''", "\n", "\r\n", "\r", "#",
    " ", "\t", "\\", "\\u0000", "\\u202e", "\\uD800", "\\U00110000", "\x00", "\x7f", "\ufeff", "a",
    "true", "1", "+1", "-", "_", "1.", ".1", "1e5", "nan", "inf", "0x", "1979-05-27", "07:32",
    "title", "tiers", "tiers.smoke", "methods", "a.b.c", "data = ['iris']\n", "[tiers.smoke]\n",
    "[[published]]\n",
]  # fmt: skip


def draw(rng: random.Random) -> tuple[str, bytes]:
    """A file's name without its suffix, and its content."""
    name = rng.choice(NAMES)
    kind = rng.random()
    if kind < 0.03:
        return name, _tokens(rng)
    place = rng.randrange(len(SEEDS))
    content = SEEDS[place]
    if kind < 0.75:
        tables = json.loads(PACKED[place])
        changes = rng.choice((SPOILS, GENTLE, SPOILS + GENTLE))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
            rng.choice(changes)(rng, tables)
        content = written(tables, rng).encode("utf-8", "surrogatepass")
    if kind > 0.65:
        for _ in range(rng.choice((1, 1, 2, 4))):
            content = rng.choice(TEXT_CHANGES)(rng, content)
    return name, content


def _tokens(rng: random.Random) -> bytes:
    return "".join(rng.choice(TOKENS) for _ in range(rng.randrange(40))).encode()


# Changes of tables. A place is a container and a key or an index of it.

Place = tuple[Any, Any]


def _places(value: Any) -> Iterator[Place]:
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def _place(rng: random.Random, tables: Table) -> Place:
    """Every level is as likely as the one below it, or long lists would be all that is changed."""
    inside: Any = tables
    found: Place = tables, None
    while isinstance(inside, dict | list) and inside:
        key = rng.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        found = inside, key
        inside = inside[key]
        if rng.random() < 0.25:
            break
    return found


def _value(rng: random.Random) -> Any:
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(STRINGS)
    if kind < 0.6:
        return rng.choice(NUMBERS)
    if kind < 0.8:
        return Raw(rng.choice(RAW))
    if kind < 0.85:
        return rng.random() < 0.5
    if kind < 0.999:
        return [_value(rng) for _ in range(rng.randrange(3))]
    return _vast(rng)


def _vast(rng: random.Random) -> Any:
    """Much of something, in a small file or in a large one."""
    many = rng.choice((50, 120, 300, 3_000))
    return rng.choice(
        (
            Raw("[" * many + "]" * many),
            Raw("{ a = " * many + "1" + "}" * many),
            Raw("[" + "1," * 10 * many + "]"),
            Raw("[" + "'iris'," * 3 * many + "]"),
            Raw("{ " + ".".join(["a"] * 3 * many) + " = 1 }"),
            "a" * 20 * many,
            "\u202e" * many,
        )
    )


def _replace(rng: random.Random, tables: Table) -> None:
    inside, key = _place(rng, tables)
    if key is not None:
        inside[key] = _value(rng)


def _exchange(rng: random.Random, tables: Table) -> None:
    """A value from elsewhere in the file."""
    (inside, key), (other, at) = _place(rng, tables), _place(rng, tables)
    if key is not None and at is not None:
        inside[key] = copy.deepcopy(other[at])


def _drop(rng: random.Random, tables: Table) -> None:
    inside, key = _place(rng, tables)
    if key is not None:
        del inside[key]


def _rename(rng: random.Random, tables: Table) -> None:
    inside, key = _place(rng, tables)
    if isinstance(inside, dict) and key is not None:
        misspelt = key[:-1] if rng.random() < 0.3 else key + rng.choice("sx_A \u0301")
        inside[rng.choice((misspelt, rng.choice(KEYS)))] = inside.pop(key)


def _add(rng: random.Random, tables: Table) -> None:
    inside, _ = _place(rng, tables)
    if isinstance(inside, dict):
        inside[rng.choice(KEYS)] = _value(rng)
    else:
        inside.insert(rng.randrange(len(inside) + 1), _value(rng))


def _wrap(rng: random.Random, tables: Table) -> None:
    inside, key = _place(rng, tables)
    if key is not None:
        wrapped = {rng.choice(KEYS): inside[key]}
        inside[key] = wrapped if rng.random() < 0.5 else [inside[key]] * rng.choice((1, 2))


def _unwrap(rng: random.Random, tables: Table) -> None:
    inside, key = _place(rng, tables)
    value = None if key is None else inside[key]
    if isinstance(value, dict | list) and value:
        inside[key] = next(iter(value.values() if isinstance(value, dict) else value))


def _repeat(rng: random.Random, tables: Table) -> None:
    lists = [(i, k) for i, k in _places(tables) if isinstance(i[k], list) and i[k]]
    if lists:
        inside, key = rng.choice(lists)
        inside[key] = (inside[key] * rng.choice((2, 2, 2, 3, 40)))[:2_000]


def _scale(rng: random.Random, tables: Table) -> None:
    numbers = [(i, k) for i, k in _places(tables) if type(i[k]) in (int, float)]
    if numbers:
        inside, key = rng.choice(numbers)
        change: Callable[[Any], Any] = rng.choice(
            (
                lambda x: -x,
                lambda x: x + 1,
                lambda x: x * 10**9,
                float,
                str,
                lambda x: x / 3,
                lambda x: x * 10**12,
                lambda x: 0,
            )
        )
        inside[key] = change(inside[key])


# Changes after which a file may well still be right, and says something new.

FREE = {"title", "notes", "about", "paper", "authors", "locator", "statement", "unit", "stand_in"}
"""Keys of text that may say anything."""


def _retell(rng: random.Random, tables: Table) -> None:
    texts = [(inside, key) for inside, key in _places(tables) if key in FREE]
    if texts:
        inside, key = rng.choice(texts)
        inside[key] = rng.choice(STRINGS)


def _resize(rng: random.Random, tables: Table) -> None:
    numbers = [(inside, key) for inside, key in _places(tables) if type(inside[key]) is int]
    if numbers:
        inside, key = rng.choice(numbers)
        inside[key] = rng.choice((1, 2, 3, 5, 10, 60, 1000, 20_000, 10**6, 10**12, 2**62))


def _lengthen(rng: random.Random, tables: Table) -> None:
    """An axis with many values, or a list of many labels."""
    lists = [(i, k) for i, k in _places(tables) if isinstance(i[k], list) and i[k]]
    if lists:
        inside, key = rng.choice(lists)
        if type(inside[key][0]) in (int, float):
            inside[key] = [*range(1, rng.choice((2, 5, 40, 400, 4_000)))]
        else:
            rng.shuffle(inside[key])


def _graft(rng: random.Random, tables: Table) -> None:
    """A method, protocol, rule, metric, shape or tier of another claim, under a label of this."""
    section = rng.choice(("methods", "protocols", "rules", "metrics", "shapes", "tiers"))
    ours, theirs = _inner(tables, section), rng.choice(TABLES).get(section)
    if ours and theirs:
        label = rng.choice([*ours, "other", "_", "x" * 101])
        ours[label] = copy.deepcopy(rng.choice(list(theirs.values())))


def _lessen(rng: random.Random, tables: Table) -> None:
    """A tier with fewer or other things."""
    tiers = [tier for tier in _inner(tables, "tiers").values() if isinstance(tier, dict)]
    if not tiers:
        return
    tier = rng.choice(tiers)
    section = rng.choice(("methods", "protocols", "rules", "only", "set"))
    if section == "only":
        tier["only"] = {"ntk_svm": [*_inner(tables, "protocols")][: rng.randrange(2)]}
        return
    labels = [*_inner(tables, section)] or ["ntk_svm"]
    chosen = rng.sample(labels, rng.randrange(len(labels) + 1))
    tier[section] = {label: {} for label in chosen} if section == "set" else chosen


def _inner(tables: Table, section: str) -> Table:
    found = tables.get(section)
    return found if isinstance(found, dict) else {}


SPOILS = [_replace, _replace, _exchange, _drop, _rename, _add, _wrap, _unwrap, _repeat, _scale]
GENTLE = [_retell, _resize, _lengthen, _graft, _lessen]


# Changes of text.


def _span(rng: random.Random, content: bytes) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 1, 4, 30, 300)))


def _cut(rng: random.Random, content: bytes) -> bytes:
    start, end = _span(rng, content)
    return content[:start] + content[end:]


def _double(rng: random.Random, content: bytes) -> bytes:
    start, end = _span(rng, content)
    return content[:end] + content[start:end] + content[end:]


def _insert(rng: random.Random, content: bytes) -> bytes:
    start, _ = _span(rng, content)
    return content[:start] + rng.choice(TOKENS).encode() + content[start:]


def _overwrite(rng: random.Random, content: bytes) -> bytes:
    start, end = _span(rng, content)
    return (
        content[:start]
        + bytes(rng.randrange(256) for _ in range(min(4, end - start)))
        + content[end:]
    )


def _truncate(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _splice(rng: random.Random, content: bytes) -> bytes:
    other = rng.choice(SEEDS)
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other)) :]


def _lines(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines + rng.choice(([], [lines[first]])))


def _recode(rng: random.Random, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    return rng.choice(
        (
            text.encode("utf-16"),
            text.encode("latin-1", "replace"),
            b"\xef\xbb\xbf" + content,
            content.replace(b"\n", b"\r\n"),
            content.replace(b"\n", b"\r"),
            content + b"\x00" * rng.choice((1, 1000)),
            content.replace(b'"', b"'"),
            content.replace(b'"', b'"""'),
            b"",
            b"\n" * 1000,
            content + b"\ntitle = '\xff'",
        )
    )


TEXT_CHANGES = [_cut, _double, _insert, _insert, _overwrite, _truncate, _splice, _lines, _recode]


# TOML, written so that a value may be anything.


def written(tables: Table, rng: random.Random | None = None) -> str:
    """Tables as TOML: values first, then a table each, at random some of them on one line."""
    lines: list[str] = []
    _section((), tables, lines, rng)
    return "\n".join(lines) + "\n"


def _section(
    path: Sequence[str], table: Table, lines: list[str], rng: random.Random | None
) -> None:
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    if rng and rng.random() < 0.02:
        inner = {}
    if path:
        lines.append(f"[{'.'.join(map(_key, path))}]")
    lines.extend(
        f"{_key(key)} = {inline(value)}" for key, value in table.items() if key not in inner
    )
    for key, value in inner.items():
        _section((*path, key), value, lines, rng)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()
    return key if bare else _string(key)


def _string(text: str) -> str:
    if text.isprintable() and not {"\\", '"'} & set(text):
        return f'"{text}"'
    marks = {"\\": "\\\\", '"': '\\"'}
    return '"' + "".join(marks.get(c, c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 2**16 else f"\\U{ord(character):08x}"


def inline(value: Any) -> str:
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {inline(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return repr(value)


SEEDS = [written(tables).encode() for tables in TABLES]
PACKED = [json.dumps(tables) for tables in TABLES]
