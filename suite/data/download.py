"""Fill the cache from publishers and their mirrors.

A file gets its name in the cache only once its digest is right.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from . import files
from .archives import unpack
from .files import MANIFEST, check_size, read, read_manifests
from .sets import Archive, DataError, DataSet, File

Say = Callable[[str], None]

CHUNK = 2**18
TIMEOUT_S = 30
EVERY_S = 5.0  # between two lines about one download


@dataclass
class Fetching:
    """One run of `fetch`.

    Attributes:
        say: is given a line about what is being done.
        failed: why a host could not be reached, by its name; it is not asked twice.
    """

    cache: Path
    work: Path
    say: Say
    failed: dict[str, str] = field(default_factory=dict)


def fetch_all(datasets: Sequence[DataSet], say: Say) -> None:
    """Bring every file of the data sets that is not here into the cache.

    Raises:
        DataError: with the reason of each mirror, after all that could be fetched was.
    """
    wanted = {}
    for dataset in datasets:
        missing = to_fetch(dataset)
        wanted[dataset.name] = missing
        if not missing:
            place = None if dataset.bundled else files.home(dataset)
            say(f"{dataset.name}: {place.where if place else 'bundled'}, nothing to fetch")
    if not any(wanted.values()):
        return
    cache = files.cache()
    with _working_folder(cache) as work:
        run = Fetching(cache, Path(work), say)
        problems = _fetch(run, wanted)
    if problems:
        shown = problems[:3]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more data sets")
        raise DataError("\n".join(shown))


def _working_folder(cache: Path) -> tempfile.TemporaryDirectory[str]:
    """Beside the files, so that a rename puts them there at once."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache)
    except OSError as e:
        raise DataError(f"{cache} cannot be written ({e.strerror}); set CLAIMBENCH_CACHE") from e


def to_fetch(dataset: DataSet) -> list[File]:
    """Files that are in no mirror and not right in the cache.

    Members without a digest of their own count as right only by a manifest, and come together.
    """
    if dataset.bundled or any(place.has(dataset) for place in files.mirror()):
        return []
    folder = files.cache()
    wrong = [file for file in dataset.files if not _right(dataset, file, folder)]
    archives = {file.archive for file in wrong if not file.sha256}
    return [file for file in dataset.files if file in wrong or file.archive in archives]


def _right(dataset: DataSet, file: File, folder: Path) -> bool:
    try:
        manifest = read_manifests(dataset, folder)
        read(file, folder, manifest)
    except DataError:
        return False
    return bool(file.sha256 or file.path in manifest)


def _fetch(run: Fetching, wanted: dict[str, list[File]]) -> list[str]:
    """First what a mirror has alone, then what is only in archives; gives what went wrong."""
    reasons: dict[str, str] = {}
    left: list[File] = []
    for number, (name, missing) in enumerate(wanted.items(), 1):
        if missing:
            run.say(f"[{number}/{len(wanted)}] {name}: {len(missing)} files")
        for file in missing:
            try:
                _download_file(run, file)
            except DataError as e:
                reasons[file.path] = str(e)
                left.append(file)
    for archive in dict.fromkeys(file.archive for file in left):
        if archive:
            members = [file for file in left if file.archive == archive]
            _unpack_archive(run, archive, members, reasons)
    failed = {
        name: next((reasons[file.path] for file in missing if file.path in reasons), None)
        for name, missing in wanted.items()
    }
    return [
        f"{name}: {reason}\nrepeat `claimbench data fetch {name}`, or name in CLAIMBENCH_DATA a "
        "folder that has the files"
        for name, reason in failed.items()
        if reason
    ]


def _download_file(run: Fetching, file: File) -> None:
    """A file from the first of its mirrors that has it right."""

    def right(path: Path) -> None:
        path.replace(target)
        read(file, run.work, {})

    target = run.work / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    _first_that_works(run, file.path, file.urls, file.largest, right)
    _place(run, [file])


def _place(run: Fetching, members: Iterable[File]) -> None:
    for file in members:
        target = run.cache / file.path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(run.work / file.path, target)
        except OSError as e:
            raise DataError(f"{target} cannot be written: {e.strerror}") from e


def _first_that_works(
    run: Fetching, name: str, urls: Sequence[str], largest: int, check: Callable[[Path], None]
) -> Path:
    """Download from one address after the other until `check` passes.

    Raises:
        DataError: with each address and why it did not serve.
    """
    reasons = []
    path = run.work / "download"
    for url in urls:
        host = urlsplit(url).netloc
        try:
            if host in run.failed:
                raise DataError(run.failed[host])
            _download(url, path, largest, run.say)
            check(path)
            return path
        except ConnectionError as e:
            run.failed[host] = reason = f"cannot be reached: {e}"
        except (DataError, OSError) as e:
            reason = str(e)
        reasons.append(f"  {url}: {reason}")
    raise DataError("\n".join([f"{name} cannot be fetched from any mirror", *reasons]))


@dataclass
class _Sink:
    """A file to download into, that counts."""

    stream: IO[bytes]
    largest: int
    report: Callable[[int], None]
    size: int = 0

    def write(self, chunk: bytes) -> int:
        self.size += len(chunk)
        if self.size > self.largest:
            raise DataError(f"sends more than the {self.largest} bytes expected")
        self.report(self.size)
        return self.stream.write(chunk)

    def flush(self) -> None:
        self.stream.flush()


def _download(url: str, path: Path, largest: int, say: Say) -> None:
    """One address into one file.

    Raises:
        ConnectionError: if the host cannot be reached.
        OSError: if it answers with an error, or breaks off.
        DataError: if it sends more than it may.
    """
    import pooch
    import requests

    get = pooch.HTTPDownloader(chunk_size=CHUNK, timeout=TIMEOUT_S)
    with path.open("wb") as stream:
        try:
            get(url, _Sink(stream, largest, _reporter(url, largest, say)), None)
        except (requests.ConnectionError, requests.Timeout) as e:
            raise ConnectionError(_innermost(e)) from e
        except requests.HTTPError as e:
            status = "unknown" if e.response is None else e.response.status_code
            raise OSError(f"HTTP status {status}") from e


def _innermost(error: BaseException) -> str:
    """What the system said, without the layers of libraries around it."""
    while error.__context__:
        error = error.__context__
    return str(error) or type(error).__name__


def _reporter(url: str, total: int, say: Say) -> Callable[[int], None]:
    """Tells of a long download how far it is and how long it may still take."""
    start = last = time.monotonic()

    def report(size: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY_S:
            last = now
            left = (now - start) * (total - size) / size
            say(
                f"  {url}: {size / 2**20:.0f} of at most {total / 2**20:.0f} MiB, {left:.0f} s left"
            )

    return report


def _unpack_archive(
    run: Fetching, archive: Archive, members: Sequence[File], reasons: dict[str, str]
) -> None:
    """Members into the cache, a folder whole or not at all; removes or replaces their reasons."""

    def right(path: Path) -> None:
        check_size(archive.path, path, archive.largest)
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if archive.sha256 and found != archive.sha256:
            size = path.stat().st_size
            raise DataError(f"{size} bytes with SHA-256 {found}, expected {archive.sha256}")

    run.say(f"{archive.path}: for {len(members)} files")
    try:
        path = _first_that_works(run, archive.path, archive.urls, archive.largest, right)
        unpack(archive, path, members, run.work)
    except DataError as e:
        for file in members:
            alone = f"{reasons[file.path]}\n" if file.urls else ""
            reasons[file.path] = f"{alone}{e}"
        return
    for _, group in groupby(members, lambda file: Path(file.path).parent):
        _place_folder(run, archive, list(group), reasons)


def _place_folder(
    run: Fetching, archive: Archive, members: list[File], reasons: dict[str, str]
) -> None:
    try:
        noted = {f.path: _digest_of_member(f, run.work, archive) for f in members}
    except DataError as e:
        reasons |= {file.path: str(e) for file in members}
        return
    _place(run, members)
    if any(file.sha256 is None for file in members):
        lines = [f"{digest}  {Path(path).name}\n" for path, digest in noted.items()]
        folder = Path(members[0].path).parent
        (run.work / folder / MANIFEST).write_text("".join(lines))
        os.replace(run.work / folder / MANIFEST, run.cache / folder / MANIFEST)
    for file in members:
        del reasons[file.path]


def _digest_of_member(file: File, work: Path, archive: Archive) -> str:
    if not (work / file.path).is_file():
        raise DataError(f"{archive.path}: there is no {file.member} in it")
    return hashlib.sha256(read(file, work, {})).hexdigest()
