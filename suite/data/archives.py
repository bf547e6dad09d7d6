"""Take expected files out of an archive that nobody vouches for.

What is written is written by us under names that we know: tarfile extracts nothing, so a hostile
archive can neither leave its folder nor fill the disk.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .sets import Archive, DataError, File

LARGEST_ARCHIVE = 8 * 2**30
"""Bytes that all members of an archive may have together."""

MOST_MEMBERS = 100_000
"""Each takes memory, whatever its size; Pascal VOC has 15,000."""

LARGEST_HEADER = 2**16
"""Bytes of a long name or of other facts about a member, which tarfile reads at once."""


class _Entry(tarfile.TarInfo):
    """A member's header, refused before what belongs to it is read where that is too much."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> Any:
        entry = super().frombuf(buf, encoding, errors)
        if entry.size > LARGEST_HEADER and not (entry.isreg() or entry.isdir()):
            raise DataError(f"a header of {entry.size} bytes")
        return entry


@contextmanager
def _opened(path: str, **source: Any) -> Iterator[tarfile.TarFile]:
    """A tar file, whatever goes wrong with it told as one error that names it."""
    try:
        with tarfile.open(**source, tarinfo=_Entry) as tar:
            yield tar
    except DataError as e:
        raise DataError(f"{path}: {e}") from e
    except Exception as e:  # tarfile raises of hostile bytes whatever its parts do
        raise DataError(f"{path}: no whole tar file ({e})") from e


def unpack(archive: Archive, path: Path, members: Sequence[File], work: Path) -> None:
    """Write those members of a tar file that are expected, and nothing else.

    Raises:
        DataError: if the archive is broken, or holds what no publisher would put in it.
    """
    expected = {file.member: file for file in members}
    with _opened(archive.path, name=path, mode="r:gz") as tar:
        for name, entry in _entries(tar):
            if file := expected.pop(name, None):
                _write(work / file.path, _content(tar, entry, file.largest))


def _write(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except OSError as e:
        raise DataError(f"{target} cannot be written: {e.strerror}") from e


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
    with _opened(path, fileobj=io.BytesIO(content), mode="r:") as tar:
        for name, entry in _entries(tar):
            if wanted(name):
                yield name, _content(tar, entry, largest)


def _entries(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """What is in an archive by name, while names stay inside it and sizes within bounds."""
    total = 0
    for count, entry in enumerate(tar):
        total += entry.size
        # A negative size would lead tarfile back to where it was, for ever.
        if entry.size < 0 or total > LARGEST_ARCHIVE:
            raise DataError(f"unpacks to over {LARGEST_ARCHIVE} bytes")
        if count >= MOST_MEMBERS:
            raise DataError(f"holds more than {MOST_MEMBERS} members")
        yield _safe_name(entry.name), entry


def _safe_name(name: str) -> str:
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"member {name!r} leads out of the archive's folder")
    return name.removeprefix("./")


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo, largest: int) -> bytes:
    stream = tar.extractfile(entry) if entry.isreg() else None
    if stream is None:
        raise DataError(f"member {entry.name!r} is no plain file")
    if entry.size > largest:
        raise DataError(f"member {entry.name!r} has {entry.size} bytes, expected at most {largest}")
    return stream.read()
