"""The command `gram`: a Gram matrix of a data set, planned, computed, read through, written out."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from claimbench.kernels import KERNELS, using

from . import data as data_sets
from . import locks, writing
from .answers import ALL_GOOD, print_json, print_table
from .data_commands import use_mirror
from .definitions import DefinitionError
from .devices import device_of
from .evaluation import standardised
from .gram import GramFunction, Grams, Matrix, Workplace, axes_of, gram, plan_of, sweep, working
from .registry import load_plugins, unknown
from .runner import GRAMS
from .workers import open_pool

ROWS = 512
"""Of a matrix that are held at once."""


def compute_gram(
    name: str,
    kernel: str,
    arguments: str,
    *,
    samples: int | None,
    dtype: str,
    plan_only: bool,
    backend: str | None,
    device: str,
    jobs: int,
    scheduler: str | None,
    results: Path,
    data: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    use_mirror(data)
    load_plugins()
    x = _samples(name, samples, dtype)
    function = _function(kernel, arguments, x)
    console = Console(stderr=True)
    tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    with (
        closing(open_pool(jobs, scheduler, device)) as pool,
        using(backend),
        locks.held(results, "--results"),
    ):
        function = replace(function, device=device_of(pool, device))
        sweep(results / GRAMS)
        with working(Workplace(pool, results / GRAMS, tell, stored_seconds=0)):
            if plan_only:
                print(plan_of(function, x))
                return ALL_GOOD
            rows = _read_through(gram(function, x), function, out)
    _print(rows, as_json)
    return ALL_GOOD


def _samples(name: str, count: int | None, dtype: str) -> np.ndarray:
    """The first so many of a data set, standardised among themselves."""
    found = data_sets.load(name).x
    if count is not None and count > len(found):
        raise DefinitionError(f"--samples {count}: {name} has {len(found)}")
    some = found[:count]
    return standardised(some.astype(np.float64), np.arange(len(some))).astype(dtype)


def _function(kernel: str, text: str, x: np.ndarray) -> GramFunction:
    """The function that a command line describes.

    Raises:
        DefinitionError: if there is no such kernel, or these are not arguments of it.
    """
    if kernel not in KERNELS:
        raise DefinitionError(unknown("kernel", kernel, KERNELS))
    given = _table(text)
    parameters = inspect.signature(KERNELS[kernel].reference).parameters
    try:
        axes = {axis: _values(axis, given, parameters) for axis in axes_of(kernel)}
        fixed = {name: value for name, value in given.items() if name not in axes}
        KERNELS[kernel].validate(x[:1], **axes, **fixed)
    except (TypeError, ValueError) as e:
        raise DefinitionError(f"--with {text!r}: {e}") from None
    return GramFunction(kernel, axes, fixed)


def _table(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = tomllib.loads(f"given = {{{text}}}")["given"]
    except tomllib.TOMLDecodeError as e:
        raise DefinitionError(
            f"--with {text!r}: not TOML ({e}); write it as depths = [5, 8], windows = ['gap']"
        ) from None
    return found


def _values(
    axis: str, given: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]
) -> list[Any]:
    default = parameters[axis].default
    values = given.get(axis, None if default is inspect.Parameter.empty else list(default))
    if not isinstance(values, list) or not values:
        raise ValueError(f"{axis} is {values!r}, wanted a list of at least one value")
    return [tuple(value) if isinstance(value, list) else value for value in values]


def _read_through(grams: Grams, function: GramFunction, out: Path | None) -> list[dict[str, Any]]:
    """Read every tile once, which looks at its checksum, and tell what each matrix is."""
    rows = []
    for index, variant in enumerate(function.variants):
        name = "-".join(f"{axis}={value}".replace(" ", "") for axis, value in variant.items())
        digest = _digest(grams[index], None if out is None else out / f"{name}.npy")
        rows.append({"variant": variant, "shape": grams.shape, "sha256": digest})
    return rows


def _digest(matrix: Matrix, path: Path | None) -> str:
    """SHA-256 of the values, row by row; they also go to a file, whole or not at all."""
    if path is None:
        return _streamed(matrix, lambda part: None)
    with writing.whole_file(path) as file:
        kind = np.lib.format.dtype_to_descr(matrix[:1, :1].dtype)
        header = {"descr": kind, "fortran_order": False, "shape": matrix.shape}
        np.lib.format.write_array_header_1_0(file, header)
        return _streamed(matrix, file.write)


def _streamed(matrix: Matrix, take: Callable[[memoryview], object]) -> str:
    """Give out the values row by row, and tell their SHA-256."""
    hashed = sha256()
    for start in range(0, matrix.shape[0], ROWS):
        band = np.ascontiguousarray(matrix[start : start + ROWS, :])
        hashed.update(band.data)
        take(band.data)
    return hashed.hexdigest()


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("variant", "shape", "SHA-256 of the values"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        variant = ", ".join(f"{axis} {value}" for axis, value in row["variant"].items())
        table.add_row(variant, " x ".join(map(str, row["shape"])), row["sha256"])
    print_table(table)
