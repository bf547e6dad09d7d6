"""asv's own files, written as asv 0.6 writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from claimbench.suite.definitions import Claim

COLUMNS = [
    "result",
    "params",
    "version",
    "started_at",
    "duration",
    "stats_ci_99_a",
    "stats_ci_99_b",
    "stats_q_25",
    "stats_q_75",
    "stats_number",
    "stats_repeat",
    "samples",
    "profile",
]
NAME = "benchmarks.kernels.NtkGram"


def row(**columns: Any) -> list[Any]:
    """A row by position, its trailing nulls cut."""
    values = [columns.get(name) for name in COLUMNS]
    while values and values[-1] is None:
        values.pop()
    return values


def write_benchmarks(folder: Path, **replaced: Any) -> None:
    entry = {"kernel": "ntk_gram", "param_names": ["backend", "shape"], "type": "time"}
    content = {f"{NAME}.{f}": entry for f in ("time_kernel", "track_error")}
    other = {"kernel": "no kernel", "param_names": ["method"], "type": "track"}
    content |= {"benchmarks.claims.track_toy": other, "version": 2} | replaced
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.json").write_text(json.dumps(content))


def write_results(
    folder: Path,
    commit: str,
    times: list[float | None] | None,
    errors: list[float | None] | None = None,
    backends: tuple[str, ...] = ("numba",),
    shapes: tuple[str, ...] = ("toy.block",),
    machine: str = "box",
    **columns: Any,
) -> Path:
    """The results of one commit on one machine: times and errors by (backend, shape)."""
    params = [[repr(b) for b in backends], [repr(s) for s in shapes]]
    results = {f"{NAME}.time_kernel": row(result=times, params=params, version="1", **columns)}
    if errors is not None:
        results[f"{NAME}.track_error"] = row(result=errors, params=params, version="1")
    gone = {"benchmarks.claims.track_gone": [[0.1], [["'x'"]]]}
    return write_file(folder / machine, commit, results | gone)


def write_file(
    folder: Path,
    commit: str,
    results: dict[str, list[Any]],
    date: datetime = datetime(2026, 1, 1, tzinfo=UTC),
) -> Path:
    """A file in the folder of a machine, with a row for each benchmark."""
    machine = {"machine": folder.name, "cpu": "Fast", "ram": "8GB"}
    content = {
        "version": 2,
        "commit_hash": commit,
        "env_name": "py3.11-numpy",
        "date": int(1000 * date.timestamp()),
        "params": machine | {"python": "3.11", "numpy": "2"},
        "python": "3.11",
        "requirements": {"numpy": "2"},
        "env_vars": {},
        "result_columns": COLUMNS,
        "results": results,
        "durations": {},
    }
    path = folder / f"{commit[:8]}-py3.11-numpy.json"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps(machine | {"version": 1}))
    path.write_text(json.dumps(content))
    return path


def with_shape(tables: dict[str, Any], **replaced: Any) -> Claim:
    """A claim that also times its kernel on one block."""
    block = {"tier": "smoke", "inputs": {"x1": [4, 2]}, "tolerance": 0.25} | replaced
    return Claim.model_validate(tables | {"id": "toy", "shapes": {"block": block}})
