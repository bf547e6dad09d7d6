"""Records: what was run and what came out, one line of JSON a cell, never changed once written.

A results folder holds any number of `*.jsonl` files, one for each run; `merging` joins folders. A
record is whole in itself, so that a verdict can be remade from files years later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .definitions import Definition, Scalar, TierName

SCHEMA = 1


class RecordError(RuntimeError):
    """A results folder holds something that is not a record; the message names file and line."""


class Measured(Definition):
    """What a method reached at one point; see `evaluation.Score`."""

    at: dict[str, Scalar] = {}
    variant: dict[str, Scalar] = {}
    metrics: dict[str, float]
    items: dict[str, list[float]] = {}
    details: dict[str, Any] = {}


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
    backends: dict[str, str] = {}
    """Which backend ran each kernel that was called."""
    baseline: bool = False
    """The commit under test could not have changed this."""
    reused_from: str = ""
    """The commit at which this was measured, where that is not the provenance's."""
    error: str = ""
    """What went wrong; a record with an error has no scores."""
    provenance: Provenance


def append(record: Record, path: Path) -> None:
    """Add one line to a file, whole or not at all: a single write that other writers cannot cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = record.model_dump_json(exclude_defaults=True) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(folder: Path) -> list[Record]:
    """Every record of a results folder, oldest first."""
    return _in_order(path for path in folder.glob("*.jsonl"))


def baselines() -> list[Record]:
    """Records of expensive baselines that come with the suite."""
    folder = files(__package__) / "baselines"
    found = folder.iterdir() if folder.is_dir() else ()
    return _in_order(path for path in found if path.name.endswith(".jsonl"))


def _in_order(paths: Iterable[Traversable]) -> list[Record]:
    found = [record for path in paths for record in _records(path)]
    return sorted(found, key=lambda record: record.provenance.started)


def _records(path: Traversable) -> Iterator[Record]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        # Only a line that ends in a newline was written whole; a killed run may leave half a one.
        if number == len(lines) or not line.strip():
            continue
        try:
            content = json.loads(line)
            _refuse_newer(content, path, number)
            yield Record.model_validate(content)
        except (ValidationError, ValueError) as e:
            raise RecordError(
                f"{path}:{number}: not a record ({_first_line(e)}); remove the line to go on"
            ) from None


def _refuse_newer(content: Any, path: Traversable, number: int) -> None:
    version = content.get("schema_version", SCHEMA) if isinstance(content, dict) else SCHEMA
    if isinstance(version, int) and version > SCHEMA:
        raise RecordError(
            f"{path}:{number}: written by a newer claimbench (record schema {version}, this reads "
            f"up to {SCHEMA}); upgrade claimbench"
        )


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]
