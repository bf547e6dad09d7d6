"""What a repository asks of claimbench: the table `[tool.claimbench]` of its pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from .definitions import DefinitionError

FILE = "pyproject.toml"


def root() -> Path:
    """The repository that asv was started for; elsewhere the working directory."""
    return Path(os.environ.get("ASV_CONF_DIR", "."))


def contents(folder: Path) -> dict[str, Any]:
    """What a folder's pyproject.toml holds; nothing where there is none.

    Raises:
        DefinitionError: if it is not TOML.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_bytes().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise DefinitionError(f"{path}: not TOML ({e})") from None


def followed(folder: Path) -> list[str]:
    """Ids of the claims that a repository follows; empty where it names none and follows all.

    Raises:
        DefinitionError: if `claims` is anything but a list of names.
    """
    table = contents(folder).get("tool", {}).get("claimbench", {})
    claims = table.get("claims") if isinstance(table, dict) else None
    if claims is None:
        return []
    if not isinstance(claims, list) or not claims or not all(isinstance(c, str) for c in claims):
        raise DefinitionError(
            f"{folder / FILE}, [tool.claimbench]: claims is {claims!r}, wanted a list of ids"
        )
    return claims
