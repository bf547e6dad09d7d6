"""Take expected files out of an archive that nobody vouches for.

What is written is written by us under names that we know: tarfile extracts nothing, so a hostile
archive can neither leave its folder nor fill the disk.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .sets import Archive, DataError, File

LARGEST_ARCHIVE = 8 * 2**30
"""Bytes that all members of an archive may have together."""

BROKEN = tarfile.TarError, EOFError, OSError, zlib.error
"""What the standard library raises of an archive that is not whole."""


def unpack(archive: Archive, path: Path, members: Sequence[File], work: Path) -> None:
    """Write those members of a tar file that are expected, and nothing else.

    Raises:
        DataError: if the archive is broken, or holds what no publisher would put in it.
    """
    expected = {file.member: file for file in members}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for name, entry in _entries(archive.path, tar):
                if file := expected.pop(name, None):
                    target = work / file.path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(_content(archive.path, tar, entry, file.largest))
    except BROKEN as e:
        raise DataError(f"{archive.path}: no whole tar file ({e})") from e


def members(
    path: str, content: bytes, wanted: Callable[[str], bool], largest: int
) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of those members of a tar file in memory that are wanted, in its order.

    Args:
        path: what messages call the archive.
        largest: bytes that a member may have.

    Raises:
        DataError: if the archive is broken, or holds what no publisher would put in it.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for name, entry in _entries(path, tar):
                if wanted(name):
                    yield name, _content(path, tar, entry, largest)
    except BROKEN as e:
        raise DataError(f"{path}: no whole tar file ({e})") from e


def _entries(path: str, tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """What is in an archive by name, while names stay inside it and sizes within bounds."""
    total = 0
    for entry in tar:
        total += entry.size
        # A negative size would lead tarfile back to where it was, for ever.
        if entry.size < 0 or total > LARGEST_ARCHIVE:
            raise DataError(f"{path}: unpacks to over {LARGEST_ARCHIVE} bytes")
        yield _safe_name(path, entry.name), entry


def _safe_name(path: str, name: str) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"{path}: member {name!r} leads out of the archive's folder")
    return name.removeprefix("./")


def _content(path: str, tar: tarfile.TarFile, entry: tarfile.TarInfo, largest: int) -> bytes:
    stream = tar.extractfile(entry) if entry.isreg() else None
    if stream is None:
        raise DataError(f"{path}: member {entry.name!r} is no plain file")
    if entry.size > largest:
        raise DataError(
            f"{path}: member {entry.name!r} has {entry.size} bytes, expected at most {largest}"
        )
    return stream.read()
