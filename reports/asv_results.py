"""Kernel times from the files that asv writes.

asv keeps one JSON file for each machine, commit and environment; a row of it is a list by position
whose trailing nulls are cut, a cell that failed is `null` and one that was skipped is `NaN`.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from claimbench.suite.definitions import Scalar
from claimbench.suite.plain import shown

# Another repository's folder of benchmarks has a module `kernels` as ours has.
KERNEL_BENCHMARK = re.compile(r"(?:\w+\.)*kernels\.(\w+)\.(time_kernel|track_error)")

Status = Literal["ok", "failed", "skipped"]


LARGEST = 256 * 2**20
"""Bytes of a file of asv's; a larger one might take all memory to read."""


class HistoryError(RuntimeError):
    """asv's results hold something that is not asv's; the message names the file."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One kernel's time on one backend and shape at one commit, as asv measured it.

    Attributes:
        claim: id of the claim that the shape is of.
        seconds: asv's median; `None` where the status is not `ok`.
        low, high: asv's quartiles of the samples.
        samples: seconds for one call each; empty where asv was not asked to record them.
        error: relative error of the backend's result; `None` where none could be had.
        version: of the benchmark; times of two versions do not compare.
        tolerance: what the benchmark itself declares, for a shape that no claim file has.
        hardware: asv's description of the machine.
        committed: when the commit was made.
    """

    commit: str
    machine: str
    environment: str
    kernel: str
    backend: str
    claim: str
    shape: str
    seconds: float | None
    low: float | None = None
    high: float | None = None
    samples: tuple[float, ...] = ()
    error: float | None = None
    version: str = ""
    tolerance: float | None = None
    status: Status = "ok"
    hardware: Mapping[str, Scalar] = field(default_factory=dict)
    committed: datetime | None = None


class _Benchmark(BaseModel):
    """What we read of a benchmark's entry in `benchmarks.json`."""

    kernel: str
    param_names: list[str]
    tolerance: float | None = None


class _Results(BaseModel):
    """What we read of a results file."""

    version: Literal[2]
    commit_hash: str
    env_name: str
    date: float
    params: dict[str, Scalar | None]
    requirements: dict[str, Any] = {}
    result_columns: list[str]
    results: dict[str, list[Any]]


class _Row(BaseModel):
    """One benchmark in a results file, by column; a column holds a value for each cell."""

    params: list[list[str]]
    result: list[float | None] | None = None
    version: str | None = None
    stats_q_25: list[float | None] | None = None
    stats_q_75: list[float | None] | None = None
    samples: list[list[float] | None] | None = None


class _Cell(NamedTuple):
    value: float | None
    low: float | None
    high: float | None
    samples: tuple[float, ...]


_NOTHING = _Cell(None, None, None, ())


def timings(asv_results: Path) -> list[Timing]:
    """Every kernel time in a folder of asv's results, machine by machine."""
    paths = [p for p in sorted(asv_results.glob("*/*.json")) if p.name != "machine.json"]
    if not paths:
        return []
    benchmarks = _benchmarks(asv_results / "benchmarks.json")
    return [timing for path in paths for timing in _timings(path, benchmarks)]


def _benchmarks(path: Path) -> dict[str, _Benchmark]:
    try:
        content = _content(path)
        if content.get("version") != 2:
            raise ValueError(f"schema {content.get('version')!r} where 2 is known")
        return {
            name: _Benchmark.model_validate(entry)
            for name, entry in content.items()
            if KERNEL_BENCHMARK.fullmatch(name)
        }
    except (OSError, ValueError) as e:
        raise _broken(path, e) from None


def _timings(path: Path, benchmarks: Mapping[str, _Benchmark]) -> list[Timing]:
    try:
        file = _Results.model_validate(_content(path))
        rows = {
            name: _Row.model_validate(dict(zip(file.result_columns, row, strict=False)))
            for name, row in file.results.items()
            if name in benchmarks
        }
        return [t for name in rows for t in _of_benchmark(path, file, rows, name, benchmarks[name])]
    except (OSError, ValueError) as e:
        raise _broken(path, e) from None


def _content(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST // 2**20} MiB")
    content = from_json(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def _broken(path: Path, error: Exception) -> HistoryError:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
    else:
        reason = str(error).partition("\n")[0]
    told = shown(reason, 300)
    return HistoryError(f"{path}: not a results file of asv ({told}); remove it or run asv again")


def _of_benchmark(
    path: Path, file: _Results, rows: Mapping[str, _Row], name: str, benchmark: _Benchmark
) -> Iterator[Timing]:
    """The timings of one benchmark; none for the benchmark of the error beside it."""
    stem, _, function = name.rpartition(".")
    if function != "time_kernel":
        return
    errors = rows.get(f"{stem}.track_error")
    error_of = _cells(errors) if errors else {}
    hardware, committed = _hardware(file), _moment(file.date)
    if gone := {"backend", "shape"} - set(benchmark.param_names):
        raise ValueError(f"{min(gone)} is no parameter of {stem} in benchmarks.json")
    for params, cell in _cells(rows[name]).items():
        named = dict(zip(benchmark.param_names, map(_literal, params), strict=True))
        claim, shape = _halves(named["shape"])
        status = _status(cell.value)
        measured = cell if status == "ok" else _NOTHING
        error = error_of.get(params, _NOTHING).value
        yield Timing(
            commit=file.commit_hash,
            machine=path.parent.name,
            environment=file.env_name,
            kernel=benchmark.kernel,
            backend=named["backend"],
            claim=claim,
            shape=shape,
            seconds=measured.value,
            low=_finite(measured.low),
            high=_finite(measured.high),
            samples=measured.samples,
            error=_finite(error),
            version=rows[name].version or "",
            tolerance=benchmark.tolerance,
            status=status,
            hardware=hardware,
            committed=committed,
        )


def _moment(milliseconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError) as e:
        raise ValueError(f"date: {e}") from None


def _cells(row: _Row) -> dict[tuple[str, ...], _Cell]:
    """A row's cells by their parameters."""
    keys = list(product(*row.params))
    empty = [None] * len(keys)
    columns = (row.result, row.stats_q_25, row.stats_q_75, row.samples)
    filled = [column if column is not None else empty for column in columns]
    if any(len(column) != len(keys) for column in filled):
        raise ValueError(f"a column has not the {len(keys)} values that its parameters ask for")
    return {
        key: _Cell(value, low, high, tuple(filter(math.isfinite, samples or ())))
        for key, value, low, high, samples in zip(keys, *filled, strict=True)
    }


# Whatever the machine and commit, parameters are the same few: one object each for all of them.
@cache
def _halves(name: str) -> tuple[str, str]:
    claim, _, shape = name.partition(".")
    return claim, shape


@cache
def _literal(text: str) -> str:
    """A parameter as it was before asv wrote its `repr`; what is no literal is only text."""
    try:
        return str(ast.literal_eval(text))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return text


def _status(value: float | None) -> Status:
    if value is None or math.isinf(value):
        return "failed"
    return "skipped" if math.isnan(value) else "ok"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _hardware(file: _Results) -> dict[str, Scalar]:
    """asv's parameters of a result, less those that name its environment."""
    return {
        key: value
        for key, value in file.params.items()
        if value is not None and key != "python" and key not in file.requirements
    }
