"""Locks: one writer at a time in a folder, and a message that names it to the second.

The lock is the operating system's, on an open file: it ends with the process that holds it,
however that dies, so that none is ever stale. What the file says of its holder is for people.
"""

from __future__ import annotations

import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from . import writing
from .claim_commands import span
from .definitions import Definition

FILE = ".claimbench.lock"
LONGEST = 2**14
"""Bytes that are read of what a lock says of its holder."""


class Held(OSError):
    """Another process writes into the folder; the message names it and the way out."""


def _visible(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it could steer a terminal")
    return text


class Owner(Definition):
    """Who holds a lock, as its file says."""

    pid: Annotated[int, Field(ge=1)]
    host: Annotated[str, Field(max_length=255), AfterValidator(_visible)]
    command: Annotated[str, Field(max_length=1000), AfterValidator(_visible)]
    since: AwareDatetime
    ticks: Annotated[float, Field(ge=0)]
    """Seconds on the host's clock that nobody can set."""

    def __str__(self) -> str:
        age = self.age
        told = "the clock has been set since" if math.isnan(age) else f"for {span(age)}"
        return (
            f"`{self.command}` (process {self.pid} on {self.host}) has been writing there since "
            f"{self.since:%Y-%m-%d %H:%M:%S %Z}, {told}"
        )

    @property
    def age(self) -> float:
        """Seconds; NaN where clocks cannot tell."""
        if self.host == platform.node():
            seconds = time.monotonic() - self.ticks
        else:
            seconds = (datetime.now(UTC) - self.since).total_seconds()
        return seconds if seconds >= 0 else math.nan


@contextmanager
def held(folder: Path, option: str) -> Iterator[None]:
    """Write into a folder alone; it is made where it is not there.

    Args:
        option: the one that names another folder, for the messages.

    Raises:
        Held: at once, if another process is writing there.
        OSError: if the folder cannot be written.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _taken(path)
        try:
            _sign(handle)
        except OSError:
            _leave(path, handle)
            raise
    except Held as e:
        raise Held(
            f"{folder} is in use: {e}; wait until it has ended, or choose another folder with "
            f"{option}"
        ) from None
    except OSError as e:
        reason = "a file is in its place" if isinstance(e, FileExistsError) else e.strerror or e
        raise OSError(
            f"{folder} cannot be written ({reason}); choose another folder with {option}"
        ) from e
    try:
        yield
    finally:
        _leave(path, handle)


def _taken(path: Path) -> int:
    """The descriptor of a lock's file, locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        handle = os.open(path, flags, 0o666)
        try:
            taken = writing.lock(handle)
            if taken is False:
                raise Held(_owner(handle) or "another process, of which no more is known,")
            if writing.is_at(path, handle):  # else its last holder has just removed it
                if taken is None:
                    _tell_unlocked(path.parent)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _leave(path: Path, handle: int) -> None:
    with suppress(OSError):
        if writing.is_at(path, handle):
            path.unlink()
    os.close(handle)


def _tell_unlocked(folder: Path) -> None:
    print(
        f"claimbench: the file system of {folder} knows no locks; see to it that no other command "
        "writes there",
        file=sys.stderr,
    )


def _sign(handle: int) -> None:
    """Say who holds a lock; that this can be written and kept shows that records can."""
    owner = Owner(
        pid=os.getpid(),
        host=_shown(platform.node(), 255),
        command=_shown(shlex.join(["claimbench", *sys.argv[1:]]), 1000),
        since=datetime.now(UTC),
        ticks=time.monotonic(),
    )
    os.ftruncate(handle, 0)
    os.pwrite(handle, owner.model_dump_json().encode(), 0)
    os.fsync(handle)


def _shown(text: str, longest: int) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[:longest]


def _owner(handle: int) -> str | None:
    """What a lock's file says of its holder, if that is what is in it."""
    try:
        content = os.pread(handle, LONGEST, 0)
        return str(Owner.model_validate_json(content))
    except (OSError, ValidationError, ValueError):
        return None
