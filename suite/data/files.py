"""Where the files of a data set are, and whether they are what was published.

First the folder that CLAIMBENCH_DATA names, laid out as the publishers lay theirs out, then the
cache, which only `fetch` fills. The first that has every file of a data set serves it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .sets import DataError, DataSet, File

Where = Literal["bundled", "CLAIMBENCH_DATA", "cache", "not here"]

MANIFEST = "SHA256SUMS"
"""Beside members of an archive: their digests, noted when the archive's own was right."""

LARGEST_MANIFEST = 2**20


@dataclass(frozen=True)
class Place:
    """A folder that may hold data sets."""

    where: Where
    folder: Path

    def has(self, dataset: DataSet) -> bool:
        return all((self.folder / file.path).is_file() for file in dataset.files)

    def mend(self, dataset: DataSet) -> str:
        """What to do about a file here that is not right."""
        if self.where == "cache":
            return f"run `claimbench data fetch {dataset.name}`"
        return (
            f"replace it in {self.folder}, or unset CLAIMBENCH_DATA and run "
            f"`claimbench data fetch {dataset.name}`"
        )


def places() -> list[Place]:
    """The mirror where one is named, and the cache."""
    return [*mirror(), Place("cache", cache())]


def mirror() -> Iterator[Place]:
    if named := os.environ.get("CLAIMBENCH_DATA"):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise DataError(
                f"CLAIMBENCH_DATA is {named!r}, which is no folder; name a mirror of the data, "
                "or unset it to use the cache"
            )
        yield Place("CLAIMBENCH_DATA", folder)


def cache() -> Path:
    """CLAIMBENCH_CACHE, or what `pooch.os_cache("claimbench")` gives, without importing pooch."""
    if named := os.environ.get("CLAIMBENCH_CACHE"):
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("claimbench")


def home(dataset: DataSet) -> Place | None:
    """The first place with all files of a data set; `None` where there is none."""
    return next((place for place in places() if place.has(dataset)), None)


def require_home(dataset: DataSet) -> Place:
    """The place that serves a data set.

    Raises:
        DataError: if no place has all of its files.
    """
    if place := home(dataset):
        return place
    looked = places()
    missing = next(
        file.path for file in dataset.files if not (looked[0].folder / file.path).is_file()
    )
    raise DataError(
        f"{dataset.name}: {missing} is not in {' or '.join(str(p.folder) for p in looked)}; run "
        f"`claimbench data fetch {dataset.name}`, or name a mirror in CLAIMBENCH_DATA"
    )


def contents(dataset: DataSet, place: Place) -> dict[str, bytes]:
    """Every file of a data set, decompressed, its digest right.

    Raises:
        DataError: at the first that is missing, too large or altered; it does not say what mends.
    """
    manifest = read_manifests(dataset, place.folder)
    return {file.path: read(file, place.folder, manifest) for file in dataset.files}


def read(file: File, folder: Path, manifest: Mapping[str, str]) -> bytes:
    """A file's bytes, decompressed, its digest right.

    Args:
        manifest: digests of members, by path, for files that have none of their own.
    """
    path = folder / file.path
    check_size(file.path, path, file.largest)
    raw = path.read_bytes()
    content = raw if file.unpacked_size is None else _decompressed(file.path, raw, file)
    expected = file.sha256 or manifest.get(file.path)
    found = hashlib.sha256(content).hexdigest()
    if expected and found != expected:
        wanted = f"{size} bytes" if (size := file.unpacked_size or file.size) else "a file"
        raise DataError(
            f"{file.path}: {len(content)} bytes with SHA-256 {found}, "
            f"expected {wanted} with SHA-256 {expected}"
        )
    return content


def check_size(name: str, path: Path, largest: int) -> None:
    """Refuse what is no file, or is larger than it may be, before it is read."""
    if not path.is_file():
        raise DataError(f"{name}: not in {path.parent}")
    if (size := path.stat().st_size) > largest:
        raise DataError(f"{name}: {size} bytes, expected at most {largest}")


def _decompressed(name: str, raw: bytes, file: File) -> bytes:
    most = file.unpacked_size or 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            content = stream.read(most + 1)
    except (EOFError, OSError, zlib.error) as e:
        raise DataError(f"{name}: {len(raw)} bytes that are no whole gzip file ({e})") from e
    if len(content) > most:
        raise DataError(f"{name}: decompresses to more than the {most} bytes expected")
    return content


def read_manifests(dataset: DataSet, folder: Path) -> dict[str, str]:
    """Digests noted beside members of an archive, by a member's path."""
    found: dict[str, str] = {}
    for parent in {Path(file.path).parent for file in dataset.files if not file.sha256}:
        path = folder / parent / MANIFEST
        if not path.exists():
            continue
        check_size(f"{parent}/{MANIFEST}", path, LARGEST_MANIFEST)
        for line in path.read_text("utf-8", "replace").splitlines():
            match = re.fullmatch(r"([0-9a-f]{64})  ([\w.-]+)", line)
            if not match:
                raise DataError(f"{parent}/{MANIFEST}: {line[:40]!r} is no digest and file name")
            found[f"{parent.as_posix()}/{match[2]}"] = match[1]
    return found
