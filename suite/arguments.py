"""Do the arguments of a call have the types that its function declares? Found out before it runs.

A value is held to the annotation strictly, as one of JSON: a whole number serves where a float is
declared, a list where any sequence is, and nothing else is converted. What an argument without an
annotation takes, only its function knows.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError


def misfits(
    function: Callable[..., Any], arguments: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Names of arguments of another type than declared, each with what is wanted."""
    declared = _declared(function)
    for name in arguments.keys() & declared.keys():
        try:
            declared[name].validate_json(json.dumps(arguments[name]), strict=True)
        except ValidationError as e:
            first = e.errors(include_url=False, include_input=False)[0]
            yield name, first["msg"].removeprefix("Input ")
        except (TypeError, ValueError):
            yield name, "should be text, a finite number, true, false, or lists and tables of them"


@cache
def _declared(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """What holds a value to each annotation; none for what pydantic cannot be asked of."""
    hints: dict[str, Any] = {}
    with suppress(Exception):  # a plug-in's annotations may name what is imported for checkers only
        hints = get_type_hints(function, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in hints and parameter.kind is not parameter.POSITIONAL_ONLY:
            with suppress(Exception):
                found[name] = TypeAdapter(hints[name])
    return found
