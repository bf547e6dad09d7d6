"""Files that a measurement left as JSON of a known form: read, or refused with the way out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .asv_results import LARGEST, HistoryError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Form = TypeVar("Form")


def parsed(path: Path, form: TypeAdapter[Form], redo: str) -> Form:
    """What a file holds.

    Args:
        redo: the command that writes such a file; it ends with the file's name.

    Raises:
        HistoryError: for a file that is not of that form; it names the file.
    """
    from pydantic import ValidationError

    if path.stat().st_size > LARGEST:
        raise broken(path, "the file", f"larger than {LARGEST // 2**20} MiB", redo)
    try:
        return form.validate_json(path.read_bytes())
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise broken(path, where, first["msg"], redo) from None


def broken(path: Path, where: str, what: str, redo: str) -> HistoryError:
    return HistoryError(
        f"{path}: {where}: {what}; move it away, or make it anew with `{redo} {path.name}`"
    )
