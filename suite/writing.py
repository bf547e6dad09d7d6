"""Writing: a file is as it was before or as it should be, and never anything in between.

That holds for a process that is killed, for a full disk and for two that write at the same time.
What is not finished yet lies beside its target under a name that begins with `PREFIX`, locked by
the process that makes it; the system drops that lock when the process dies, so that the next to
write there knows what was left behind, and removes it.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

PREFIX = ".claimbench-"
BLOCK = 2**16
ATTEMPTS = 10

# NFS has no lock on what is open for reading alone, which is how a folder is opened.
_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def add_line(path: Path, line: bytes) -> None:
    """Add a line at the end of a file, whole or not at all, and on the disk when this returns.

    The half of a line that a killed process left there goes first: nobody reads it, and with more
    behind it, it would be a broken one.

    Raises:
        OSError: if that cannot be done; the file is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as file:
            lock(file.fileno(), wait=True)
            start = _end_of_lines(file)
            try:
                if start < os.fstat(file.fileno()).st_size:
                    file.truncate(start)
                _write_all(file, line)
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(start)
                raise
    except OSError as e:
        raise failed(path, e, "what was in it before is still there") from e


def _end_of_lines(file: FileIO) -> int:
    """Where the last whole line of a file ends."""
    end = os.fstat(file.fileno()).st_size
    while end:
        start = max(end - BLOCK, 0)
        file.seek(start)
        if (newline := (file.read(end - start) or b"").rfind(b"\n")) >= 0:
            return start + newline + 1
        end = start
    return 0


def _write_all(file: FileIO, content: bytes) -> None:
    """A full disk takes a part, and says so only when it is asked to take the rest."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def write(path: Path, content: str | bytes) -> None:
    """Replace a file; who reads meanwhile finds it as it was or as it will be.

    Raises:
        OSError: if that cannot be done; the file is as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            target.write_bytes(data)  # a device or a pipe, which nothing could replace
            return
    except OSError as e:
        raise failed(path, e, "it is as it was") from e
    with whole_file(target) as file:
        file.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of another when all is written, or goes when that fails.

    Raises:
        OSError: if it cannot be written; what was there is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _unfinished(path.parent, _new_file) as part:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
    except OSError as e:
        raise failed(path, e, "it is as it was") from e


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder whose files go to another when all is done, and nowhere when it fails.

    Raises:
        OSError: if it cannot be written; `out` is as it was.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _unfinished(out, Path.mkdir) as made:
            yield made
            paths = sorted(made.rglob("*"))
            # Folders first: to move a file takes no more room, so that a full disk shows here.
            for path in (path for path in paths if path.is_dir()):
                (out / path.relative_to(made)).mkdir(parents=True, exist_ok=True)
            for path in (path for path in paths if not path.is_dir()):
                path.replace(out / path.relative_to(made))
    except OSError as e:
        raise failed(out, e, "what was in it before is still there") from e


def failed(path: Path, error: OSError, state: str) -> OSError:
    """One message: what cannot be written, why, what is there now, and the way out."""
    where = f": {error.filename}" if error.filename and error.filename != str(path) else ""
    return OSError(
        f"{path} cannot be written ({error.strerror or error}{where}); {state}; mend that and "
        "repeat the command"
    )


@contextmanager
def _unfinished(folder: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Something new in a folder that is ours, and gone afterwards unless it was moved away."""
    _sweep(folder)
    for _ in range(ATTEMPTS):
        made = folder / f"{PREFIX}{secrets.token_hex(8)}"
        make(made)
        with _locked(made) as ours:
            if ours is False:
                continue  # somebody has swept it away already
            try:
                yield made
            finally:
                _remove(made)
            return
    raise OSError(f"what is begun under {folder} is taken away by another process")


def _new_file(path: Path) -> None:
    path.touch(exist_ok=False)


def _sweep(folder: Path) -> None:
    """Remove what processes that are gone have left unfinished."""
    for path in folder.glob(f"{PREFIX}*"):
        with _locked(path) as ours:
            if ours:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[bool | None]:
    """Whether the lock of what is at a path is ours in here; `None` where there are no locks."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        taken = lock(handle)
        yield taken and is_at(path, handle)
    finally:
        os.close(handle)


def is_at(path: Path, handle: int) -> bool:
    """Whether an open file is still the one at its path: a lock guards that name only then."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def lock(handle: int, wait: bool = False) -> bool | None:
    """Whether the lock of an open file is ours; `None` where the file system knows no locks."""
    try:
        return lock_descriptor(handle, blocking=wait)
    except OSError as e:
        if e.errno in _NO_LOCKS:
            return None
        raise
