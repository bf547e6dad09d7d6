"""Take expected files out of an archive that nobody vouches for.

What comes out is written by us under names that we know: tarfile extracts nothing, so a hostile
archive can neither leave its folder nor fill the disk.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from .sets import Archive, DataError, File

LARGEST_ARCHIVE = 8 * 2**30
"""Bytes that all members of an archive may have together."""


def unpack(archive: Archive, path: Path, members: Sequence[File], work: Path) -> None:
    """Write those members of a tar file that are expected, and nothing else.

    Raises:
        DataError: if the archive is broken, or holds what no publisher would put in it.
    """
    expected = {file.member: file for file in members}
    total = 0
    try:
        with tarfile.open(path, "r:gz") as tar:
            for entry in tar:
                total += entry.size
                # A negative size would lead tarfile back to where it was, for ever.
                if entry.size < 0 or total > LARGEST_ARCHIVE:
                    raise DataError(f"{archive.path}: unpacks to over {LARGEST_ARCHIVE} bytes")
                name = _safe_name(archive, entry.name)
                if file := expected.pop(name, None):
                    _write(archive, tar, entry, file, work)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as e:
        raise DataError(f"{archive.path}: no whole tar file ({e})") from e


def _safe_name(archive: Archive, name: str) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"{archive.path}: member {name!r} leads out of the archive's folder")
    return name.removeprefix("./")


def _write(
    archive: Archive, tar: tarfile.TarFile, entry: tarfile.TarInfo, file: File, work: Path
) -> None:
    stream = tar.extractfile(entry) if entry.isreg() else None
    if stream is None:
        raise DataError(f"{archive.path}: member {entry.name!r} is no plain file")
    if entry.size > file.largest:
        raise DataError(
            f"{archive.path}: member {entry.name!r} has {entry.size} bytes, "
            f"expected at most {file.largest}"
        )
    target = work / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(stream.read())
