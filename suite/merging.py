"""Merging: results folders made on several machines, or by several CI jobs, joined into one.

Every run writes a file of its own, so folders are joined file by file. A file of records becomes
the set of its lines, in order of time; of other JSON files that share a name and differ, the one
that finished last stands. That is a union, the same in whatever order and however often folders
are merged. Nothing is written before everything was read and found right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from . import locks, records, writing
from .answers import ALL_GOOD, INCONCLUSIVE, print_json
from .records import RecordError

Contents = Mapping[str, bytes]
"""What a results folder holds, by name of file."""

NOT_MERGED = "verdicts.json"  # what `list` remembers; it can always be made from the records


def merge(*folders: Contents) -> dict[str, bytes]:
    """The folders as one, every file of it in canonical form; see `contents` for what they hold."""
    names = sorted({name for folder in folders for name in folder})
    return {name: _joined(name, [f[name] for f in folders if name in f]) for name in names}


def _joined(name: str, versions: Sequence[bytes]) -> bytes:
    if _is_records(name):
        lines = {line for content in versions for line in _whole_lines(content)}
        return b"".join(line + b"\n" for line in sorted(lines, key=_moment))
    return max(versions, key=lambda content: (_finished(content), content))


def _is_records(name: str) -> bool:
    return name.endswith(".jsonl")


def _whole_lines(content: bytes) -> Iterable[bytes]:
    """Only a line that ends in a newline was written whole; a killed run may leave half a one."""
    return (line for line in content.split(b"\n")[:-1] if line.strip())


def _moment(line: bytes) -> tuple[str, bytes]:
    return json.loads(line)["provenance"]["started"], line


def _finished(content: bytes) -> str:
    found = json.loads(content)
    return str(found.get("finished", "")) if isinstance(found, dict) else ""


def contents(folder: Path) -> dict[str, bytes]:
    """The files of records and the other JSON files of a results folder, all found right.

    Raises:
        RecordError: for a line that is no record, and for a file that is not JSON.
    """
    records.read(folder)
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".jsonl"))
    found = {path.name: path.read_bytes() for path in paths if path.name != NOT_MERGED}
    for name, content in found.items():
        if not _is_records(name):
            _refuse_broken(folder / name, content)
    return found


def _refuse_broken(path: Path, content: bytes) -> None:
    try:
        json.loads(content)
    except ValueError as e:
        raise RecordError(f"{path}: not JSON ({e}); remove the file to go on") from None


def merge_results(folders: Sequence[Path], out: Path, as_json: bool) -> int:
    """Join folders into `out`, which counts as one of them if it is there; gives the exit code."""
    given = [contents(folder) for folder in folders]
    with locks.held(out, "--out"):
        before = contents(out)
        merged = merge(before, *given)
        for name, content in merged.items():
            if content != before.get(name):
                writing.write(out / name, content)
    total, known = _count(merged), _count(merge(before))
    files = sum(map(_is_records, merged))
    if as_json:
        figures = {"records": total, "files": files, "new": total - known}
        print_json({"out": str(out), **figures, "other_files": len(merged) - files})
    else:
        others = f"; {len(merged) - files} other files" if len(merged) > files else ""
        print(f"{out}: {total} records from {files} files, {total - known} new here{others}")
    return ALL_GOOD if merged else INCONCLUSIVE


def _count(merged: Contents) -> int:
    return sum(content.count(b"\n") for name, content in merged.items() if _is_records(name))
