"""What a repository asks of claimbench: the table `[tool.claimbench]` of its pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from . import plain
from .definitions import DefinitionError
from .plain import shown

FILE = "pyproject.toml"


def root() -> Path:
    """The repository that asv was started for; elsewhere the working directory."""
    return Path(os.environ.get("ASV_CONF_DIR", "."))


def contents(folder: Path) -> dict[str, Any]:
    """What a folder's pyproject.toml holds; nothing where there is none.

    Raises:
        DefinitionError: if it cannot be read or is not TOML.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(plain.content(path).decode())
    except OSError as e:
        raise DefinitionError(f"{path}: cannot be read ({e.strerror or e})") from None
    except (ValueError, RecursionError) as e:
        raise DefinitionError(f"{path}: not TOML ({shown(str(e), 200)})") from None


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
        if not path.is_dir() or not path.resolve().is_relative_to(folder.resolve()):
            raise DefinitionError(
                f"{folder / FILE}, [tool.claimbench]: records names {shown(str(path), 200)}, which "
                "is no folder of the repository"
            )
    return folders


def _listed(folder: Path, key: str, what: str) -> list[str]:
    tool = contents(folder).get("tool")
    table = tool.get("claimbench") if isinstance(tool, dict) else None
    names = table.get(key) if isinstance(table, dict) else None
    if names is None:
        return []
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        found = shown(repr(names) if isinstance(names, str | list) else type(names).__name__)
        raise DefinitionError(
            f"{folder / FILE}, [tool.claimbench]: {key} is {found}, wanted a list of {what}"
        )
    return names
