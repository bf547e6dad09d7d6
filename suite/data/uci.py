"""The UCI collection of Fernandez-Delgado et al.: 90 small tables with published splits.

A set has four files: `<set>.txt` counts, `<set>_R.dat` holds the standardised table (a header; then
the sample's number, its features, its class), `conxuntos.dat` the two halves between which
hyper-parameters are selected, `conxuntos_kfold.dat` training and test samples, four times. Samples
count from 1 in the table and from 0 in the splits.

The four test parts are drawn independently: they overlap, and together hold about two thirds of
the samples. It is repeated hold-out, called four-fold cross-validation by its publishers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import numpy as np
from jaxtyping import Float, Int

from ..evaluation import Data, Indices
from .sets import Archive, Contents, DataError, DataSet, File, make

ARCHIVE = Archive(
    path="data.tar.gz",
    sha256=None,
    size=None,
    urls=("http://persoal.citius.usc.es/manuel.fernandez.delgado/papers/jmlr/data.tar.gz",),
)
MIRRORS = (
    "https://raw.githubusercontent.com/moonlightlane/RNTK_UCI"
    "/e483852a3e20fb1e00fa6c27e010fdcb98365441/data",
)
"""Folders that hold the unpacked archive. One set from there is kilobytes, the archive 195 MB."""

FOLDS = 4


@dataclass(frozen=True)
class Sizes:
    """What the files of a set must agree with."""

    samples: int
    features: int
    classes: int


def data_sets() -> Iterator[DataSet]:
    """The sets that `uci.txt` lists."""
    blocks: list[list[list[str]]] = []
    for line in (files(__package__) / "uci.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            blocks.append([])
        blocks[-1].append(line.split())
    for (name, *counts), *listed in blocks:
        members = tuple(member(name, file, sha256, int(size)) for sha256, size, file in listed)
        yield data_set(name, Sizes(*map(int, counts)), members)


def data_set(name: str, sizes: Sizes, members: tuple[File, ...]) -> DataSet:
    return DataSet(
        name=f"uci/{name}",
        title=f"UCI {name}: {sizes.samples} samples, {sizes.features} features, "
        f"{sizes.classes} classes",
        licence="CC BY 4.0 (UCI)",
        citation="Fernandez-Delgado et al., JMLR 15, 2014; testbed of arXiv:1910.01663",
        publisher="http://persoal.citius.usc.es/manuel.fernandez.delgado/papers/jmlr/",
        loader=partial(_load, name, sizes),
        files=members,
        samples=sizes.samples,
    )


def member(name: str, file: str, sha256: str, size: int) -> File:
    return File(
        path=f"uci/{name}/{file}",
        sha256=sha256,
        size=size,
        urls=tuple(f"{mirror}/{name}/{file}" for mirror in MIRRORS),
        archive=ARCHIVE,
        member=f"{name}/{file}",
    )


def _load(name: str, sizes: Sizes, contents: Contents) -> Data:
    """Features (n, p) in float64, as published: each standardised over all samples.

    Splits: `selection` is (fit, validate); `folds` is (train, test) four times, eight arrays.
    """
    folder = f"uci/{name}"
    _check_counts(f"{folder}/{name}.txt", contents, sizes)
    x, y = _table(f"{folder}/{name}_R.dat", contents, sizes)
    selection = _splits(f"{folder}/conxuntos.dat", contents, 2, sizes.samples)
    folds = _splits(f"{folder}/conxuntos_kfold.dat", contents, 2 * FOLDS, sizes.samples)
    return make(folder, x, y, {"selection": selection, "folds": folds})


def _check_counts(path: str, contents: Contents, sizes: Sizes) -> None:
    lines = contents[path].decode("ascii", "replace").splitlines()
    found = {key.strip(): value.strip() for key, _, value in (s.partition("=") for s in lines)}
    for key, expected in (
        ("n_patrons1", sizes.samples),
        ("n_entradas", sizes.features),
        ("n_clases", sizes.classes),
    ):
        if found.get(key) != str(expected):
            raise DataError(f"{path}: {key} is {found.get(key)}, expected {expected}")


def _table(
    path: str, contents: Contents, sizes: Sizes
) -> tuple[Float[np.ndarray, "n p"], Int[np.ndarray, " n"]]:
    lines = contents[path].decode("ascii", "replace").splitlines()[1:]
    try:
        table = np.array([line.split("\t") for line in lines], dtype=np.float64)
    except ValueError as e:
        raise DataError(f"{path}: not a table of numbers: {e}") from e
    shape = (sizes.samples, sizes.features + 2)
    if table.shape != shape:
        raise DataError(f"{path}: rows and columns are {table.shape}, expected {shape}")
    number, x, y = table[:, 0], table[:, 1:-1], table[:, -1]
    if not (np.isfinite(x).all() and np.array_equal(number, np.arange(1, len(table) + 1))):
        raise DataError(f"{path}: a feature is not finite, or samples are not numbered from 1")
    if wrong := sorted(set(y.tolist()) - set(range(sizes.classes))):
        raise DataError(f"{path}: class {wrong[0]:g}, expected 0 to {sizes.classes - 1}")
    return x.copy(), y.astype(np.int64)


def _splits(path: str, contents: Contents, count: int, samples: int) -> tuple[Indices, ...]:
    """Pairs of lines, each a set of samples; no sample is on both lines of a pair."""
    lines = contents[path].decode("ascii", "replace").splitlines()
    if len(lines) != count:
        raise DataError(f"{path}: {len(lines)} lines, expected {count}")
    parts = tuple(_indices(path, row, line, samples) for row, line in enumerate(lines, 1))
    for row in range(0, count, 2):
        if len(both := np.intersect1d(parts[row], parts[row + 1])):
            raise DataError(
                f"{path}: sample {both[0]} is on line {row + 1} and on line {row + 2}, "
                "which must share none"
            )
    return parts


def _indices(path: str, row: int, line: str, samples: int) -> Indices:
    try:
        indices = np.array(line.split(), dtype=np.int64)
    except (ValueError, OverflowError) as e:
        raise DataError(f"{path}: line {row} is not a list of sample numbers: {e}") from e
    outside = indices[(indices < 0) | (indices >= samples)]
    if len(outside):
        raise DataError(f"{path}: line {row}: sample {outside[0]}, expected 0 to {samples - 1}")
    if len(indices) == 0 or len(np.unique(indices)) != len(indices):
        raise DataError(f"{path}: line {row} is empty or names a sample twice")
    return indices
