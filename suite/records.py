"""Records: what was run and what came out, one line of JSON a cell, never changed once written.

A results folder holds any number of `*.jsonl` files, one for each run; `merging` joins folders. A
record is whole in itself, so that a verdict can be remade from files years later.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from . import provenance, writing
from .definitions import Definition, Scalar, TierName

SCHEMA = 1
SECONDS = len("2026-01-31T23:59:59")
"""Characters of a moment, up to its seconds."""

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)(\d\d)(\d\d)-")

LONGEST = 64 * 2**20
"""Bytes of a line; a longer one is no record, and reading it might take all memory."""

EMPTY: Any = Field(default_factory=dict)
"""A dictionary of its own: pydantic copies one given as default, for a third of all its time."""


class RecordError(RuntimeError):
    """A results folder holds something that is not a record; the message names file and line."""


class Measured(Definition):
    """What a method reached at one point; see `evaluation.Score`."""

    at: dict[str, Scalar] = EMPTY
    variant: dict[str, Scalar] = EMPTY
    metrics: dict[str, float]
    items: dict[str, list[float]] = EMPTY
    details: dict[str, Any] = EMPTY


class Provenance(Definition):
    """Where, when and with what a record was made."""

    commit: str
    """Commit of the code under test, `-dirty` behind it where files were changed; or a version."""
    code: str
    """SHA-256 over the sources that can change the result: kernels, method and protocol."""
    started: str
    """UTC, ISO 8601."""
    machine: dict[str, Scalar]
    """What must be equal for times to be comparable: host, processor, cores, memory, system."""
    device: str
    """What the method ran on: `cpu` or the name of the GPU."""
    threads: int
    load: float
    """Load average of the last minute when the cell began."""
    libraries: dict[str, str]
    """Version of each library that can matter, by distribution."""


class Record(Definition):
    """One method of one claim in one trial, run once."""

    schema_version: int = SCHEMA
    claim: str
    tier: TierName
    method: str
    protocol: str
    data: str
    """Label of the data set in the claim."""
    data_name: str = ""
    """What was really loaded, such as `cifar10[prefix 4660+846]`."""
    data_digest: str = ""
    trial: int
    """Which of the tier's trials, from 0; it seeds the split and the method."""
    cell: str
    """Digest of everything in the definition that says how this was run."""
    scores: tuple[Measured, ...] = ()
    seconds: float
    """Wall time of the method; data and split are not in it."""
    cpu_seconds: float
    """Processor time of the process in the same stretch."""
    backends: dict[str, str] = EMPTY
    """Which backend ran each kernel that was called."""
    baseline: bool = False
    """The commit under test could not have changed this."""
    reused_from: str = ""
    """The commit at which this was measured, where that is not the provenance's."""
    error: str = ""
    """What went wrong; a record with an error has no scores."""
    provenance: Provenance


def append(record: Record, path: Path) -> None:
    """Add one line to a file, whole or not at all.

    Raises:
        OSError: if the disk is full, or whatever else is wrong; the file is as it was.
    """
    writing.add_line(path, record.model_dump_json(exclude_defaults=True).encode() + b"\n")


def new_file(folder: Path, known: Iterable[Record]) -> Path:
    """The file of a run that begins: one a run, so that folders merge without conflict.

    Its name says when, by a clock that stands still while the machine's is behind what is in the
    folder: who sets a clock back must not make the newest records look old.

    Args:
        known: the records of the folder.
    """
    times = [record.provenance.started for record in known] + [_begun(p) for p in _paths(folder)]
    stamp = max(provenance.now()[:SECONDS], _second_after(max(times, default="")))
    return folder / f"{stamp.replace(':', '')}-{os.getpid()}.jsonl"


def _second_after(moment: str) -> str:
    """The next whole second; nothing where a moment is none."""
    try:
        return (datetime.fromisoformat(moment[:SECONDS]) + timedelta(seconds=1)).isoformat()
    except (OverflowError, ValueError):
        return ""


def _begun(path: Traversable) -> str:
    """When the run began that a file is of, as its name says; nothing where it does not."""
    found = _NAME.match(path.name)
    return "{}T{}:{}:{}".format(*found.groups()) if found else ""


def read(folder: Path) -> list[Record]:
    """Every record of a results folder, oldest first."""
    return _in_order(line for path in _paths(folder) for line in _lines(path))


def baselines() -> list[Record]:
    """Records of expensive baselines that come with the suite."""
    folder = files(__package__) / "baselines"
    found = folder.iterdir() if folder.is_dir() else ()
    paths = (path for path in found if path.name.endswith(".jsonl"))
    return _in_order(line for path in paths for line in _lines(path))


class Archive(Mapping[str, list[Record]]):
    """The records of some folders by commit, read from their files when they are asked for.

    The records of a thousand commits are more than memory should hold; where they stand is not.

    Raises:
        RecordError: at once for a line that does not say its origin, else when its commit is
            asked for.
    """

    def __init__(self, *folders: Path):
        self._starts: dict[str, dict[Path, list[int]]] = {}
        self._origins: Origins = {}
        for path in (path for folder in folders for path in _paths(folder)):
            for line in _lines(path):
                head = _head(line)
                _count(self._origins, head)
                files_of = self._starts.setdefault(head.provenance.commit, {})
                files_of.setdefault(path, []).append(line.start)

    def __getitem__(self, commit: str) -> list[Record]:
        """The records of a commit, oldest first."""
        places = self._starts[commit].items()
        return _in_order(line for path, starts in places for line in _lines(path, starts))

    def __iter__(self) -> Iterator[str]:
        return iter(self._starts)

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def origins(self) -> list[Origin]:
        return list(self._origins.values())


Archived = Mapping[str, Sequence[Record]]
"""Records by commit: an archive's, or any others."""


def by_commit(records: Archived | Iterable[Record]) -> Archived:
    if isinstance(records, Mapping):
        return records
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.provenance.commit, []).append(record)
    return found


@dataclass
class Origin:
    """Where records come from that differ in their dates and in the load alone.

    Attributes:
        provenance: that of one of them.
        started: when the first and the last were begun.
        load: the least and the greatest.
    """

    tier: str
    provenance: Provenance
    count: int
    started: tuple[str, str]
    load: tuple[float, float]


def origins(records: Archived | Iterable[Record]) -> list[Origin]:
    """Where the records come from, each place once."""
    if isinstance(records, Archive):
        return records.origins
    found: Origins = {}
    for commit in by_commit(records).values():
        for record in commit:
            _count(found, record)
    return list(found.values())


Origins = dict[tuple[object, ...], Origin]


def _count(found: Origins, record: Record | _Head) -> None:
    made, tier = record.provenance, record.tier
    where = (*made.machine.items(), made.device, made.threads, *made.libraries.items())
    known = found.get((made.commit, tier, *where))
    if known is None:
        ends = (made.started, made.started), (made.load, made.load)
        found[made.commit, tier, *where] = Origin(tier, made, 1, *ends)
        return
    known.count += 1
    (first, last), (least, most) = known.started, known.load
    known.started = min(first, made.started), max(last, made.started)
    known.load = min(least, made.load), max(most, made.load)


class _Head(BaseModel):
    """Of a record, what must be known before it is read."""

    tier: TierName
    provenance: Provenance


class Line(NamedTuple):
    """A line that was written whole, and where in its file it starts."""

    path: Traversable
    start: int
    content: bytes


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def _lines(path: Traversable, starts: Iterable[int] | None = None) -> Iterator[Line]:
    """The lines of a file, or those of them that start where it is said."""
    try:
        with path.open("rb") as file:
            if starts is None:
                yield from _all_lines(path, file)
            for start in starts or ():
                file.seek(start)
                yield Line(path, start, file.readline(LONGEST))
    except OSError as e:
        raise RecordError(
            f"{path}: a file of records that cannot be read ({e.strerror or e}); mend it or move "
            "it away"
        ) from None


def _all_lines(path: Traversable, file: IO[bytes]) -> Iterator[Line]:
    start = 0
    while content := file.readline(LONGEST):
        # Only a line that ends in a newline was written whole; a killed run may leave half a one.
        if content.endswith(b"\n") and content.strip():
            yield Line(path, start, content)
        if len(content) == LONGEST and not content.endswith(b"\n"):
            size = f"longer than {LONGEST // 2**20} MiB"
            raise _broken(Line(path, start, b""), size)
        start += len(content)


def _in_order(lines: Iterable[Line]) -> list[Record]:
    """By time; in one file never against the order of its lines, whatever was done to the clock."""
    made: list[tuple[str, Record]] = []
    latest: dict[Traversable, str] = {}
    for line in lines:
        record = _record(line)
        before = latest.get(line.path) or _begun(line.path)
        latest[line.path] = max(before, record.provenance.started)
        made.append((latest[line.path], record))
    return [record for _, record in sorted(made, key=itemgetter(0))]


def _head(line: Line) -> _Head:
    try:
        return _Head.model_validate_json(line.content)
    except ValidationError:
        _record(line)  # which says all that is wrong
        raise


def _record(line: Line) -> Record:
    try:
        content = from_json(line.content)
        _refuse_newer(content, line)
        return Record.model_validate(content)
    except ValueError as e:
        raise _broken(line, _first_line(e)) from None


def _refuse_newer(content: Any, line: Line) -> None:
    version = content.get("schema_version", SCHEMA) if isinstance(content, dict) else SCHEMA
    if isinstance(version, int | float) and version > SCHEMA:
        raise RecordError(
            f"{line.path}:{_number(line)}: written by a newer claimbench (record schema {version}, "
            f"this reads up to {SCHEMA}); upgrade claimbench"
        )
    if version != SCHEMA:
        raise ValueError(f"schema_version: {version!r} where {SCHEMA} is known")


def _broken(line: Line, what: str) -> RecordError:
    where = f"{line.path}:{_number(line)}"
    return RecordError(f"{where}: not a record ({what}); remove the line to go on")


def _number(line: Line) -> int:
    """The number of a line, counted only where somebody must be told."""
    with line.path.open("rb") as file:
        return 1 + file.read(line.start).count(b"\n")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:200].replace("\n", " ")
        return f"{where}: {first['msg']}"
    return str(error).partition("\n")[0]
