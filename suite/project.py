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
    return _listed(folder, "claims", "ids")


def kept(folder: Path) -> list[Path]:
    """Folders with records that a repository keeps, which a report shows beside its results.

    Raises:
        DefinitionError: if `records` is anything but a list of names, or one is no folder.
    """
    folders = [folder / name for name in _listed(folder, "records", "folders")]
    for path in folders:
        if not path.is_dir():
            raise DefinitionError(
                f"{folder / FILE}, [tool.claimbench]: records names {path}, which is no folder"
            )
    return folders


def _listed(folder: Path, key: str, what: str) -> list[str]:
    table = contents(folder).get("tool", {}).get("claimbench", {})
    names = table.get(key) if isinstance(table, dict) else None
    if names is None:
        return []
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise DefinitionError(
            f"{folder / FILE}, [tool.claimbench]: {key} is {names!r}, wanted a list of {what}"
        )
    return names
