"""Data sets: who publishes them, where their files are, and how they become arrays.

`load` never downloads. It reads the folder that CLAIMBENCH_DATA names, else the cache that `fetch`
fills, and checks every file against its digest each time.

    sets.py      what a data set is made of
    bundled.py   data sets that come with scikit-learn
    uci.py       the 90 UCI sets
    images.py    CIFAR-10 and Fashion-MNIST
    voc.py       Pascal VOC 2007
    files.py     where files are, and whether they are right
    download.py  mirrors and the cache
    archives.py  what is taken out of a tar file, and what is refused
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ..definitions import DefinitionError
from ..evaluation import Data
from ..registry import load_plugins, unknown
from .bundled import BUNDLED
from .files import Place, Where, contents, home, places, read, read_manifests, require_home
from .images import CIFAR10, FASHION_MNIST
from .sets import Archive, Contents, DataError, DataSet, File, hold, make
from .uci import data_sets as uci_data_sets
from .voc import VOC2007

__all__ = [
    "DATASETS",
    "Archive",
    "Contents",
    "Data",
    "DataError",
    "DataSet",
    "File",
    "Row",
    "VerifyRow",
    "add",
    "fetch",
    "load",
    "make",
    "missing_files",
    "rows",
    "verify",
]

DATASETS: dict[str, DataSet] = {}
"""By name, in the order in which they are listed."""


def add(dataset: DataSet) -> None:
    """Register a data set; a package that adds some is named by an entry point `claimbench`."""
    if dataset.name in DATASETS:
        raise ValueError(f"two data sets are called {dataset.name!r}")
    DATASETS[dataset.name] = dataset


for _dataset in (*BUNDLED, CIFAR10, FASHION_MNIST, VOC2007, *uci_data_sets()):
    add(_dataset)


def find(name: str) -> DataSet:
    """The data set of that name, looked for in installed plug-ins too."""
    if name not in DATASETS:
        load_plugins()
    if name not in DATASETS:
        raise DefinitionError(unknown("data set", name, DATASETS))
    return DATASETS[name]


@cache
def load(name: str) -> Data:
    """The arrays of a data set that is here; the same object each time, so change none in place.

    Raises:
        DefinitionError: if no data set has that name.
        DataError: if a file of it is missing, or is not what was published.
    """
    dataset = find(name)
    place = None if dataset.bundled else require_home(dataset)
    try:
        loaded = dataset.loader(contents(dataset, place) if place else {})
        hold(loaded)
    except DataError as e:
        raise DataError(f"{name}: {e}" + (f"; {place.mend(dataset)}" if place else "")) from e
    return loaded


def fetch(names: Iterable[str], progress: Callable[[str], None] | None = None) -> None:
    """Download what is not here into the cache.

    Args:
        progress: is given a line about what is being done; by default it goes to standard error.

    Raises:
        DefinitionError: if no data set has one of the names.
        DataError: with the reason of each mirror, after all that could be fetched was.
    """
    from .download import fetch_all

    try:
        fetch_all([find(name) for name in dict.fromkeys(names)], progress or _say)
    finally:
        load.cache_clear()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def missing_files(name: str) -> list[File | Archive]:
    """What `fetch` would have to download for a data set, each with its size where known."""
    dataset = find(name)
    if dataset.bundled or home(dataset):
        return []
    folder = places()[-1].folder
    gone = [file for file in dataset.files if not (folder / file.path).is_file()]
    sources = (file if file.urls or not file.archive else file.archive for file in gone)
    return list(dict.fromkeys(sources))


@dataclass(frozen=True)
class Row:
    """A data set as a list shows it.

    Attributes:
        samples: of the complete set; `None` where it is not known, or only a part is here.
        size: bytes of its files here, else bytes to download where known.
        part: what is here is a prefix of the published set.
    """

    name: str
    title: str
    samples: int | None
    size: int | None
    licence: str
    where: Where
    part: bool = False


def rows() -> list[Row]:
    """Every data set, in order; sizes are looked at, files are not read."""
    load_plugins()
    return [_row(dataset) for dataset in DATASETS.values()]


def _row(dataset: DataSet) -> Row:
    facts = dataset.name, dataset.title
    if dataset.bundled:
        return Row(*facts, dataset.samples, 0, dataset.licence, "bundled")
    if place := home(dataset):
        sizes = {file: (place.folder / file.path).stat().st_size for file in dataset.files}
        part = any(not file.sha256 and size != file.size for file, size in sizes.items())
        samples = None if part else dataset.samples
        return Row(*facts, samples, sum(sizes.values()), dataset.licence, place.where, part)
    wanted = [source.size for source in missing_files(dataset.name)]
    size = None if None in wanted else sum(filter(None, wanted))
    return Row(*facts, dataset.samples, size, dataset.licence, "not here")


@dataclass(frozen=True)
class VerifyRow:
    """A file, held against its digest.

    Attributes:
        detail: what was expected and what was found, and what mends it; empty where all is well.
    """

    data_set: str
    path: str
    state: Literal["ok", "missing", "altered"]
    detail: str = ""


def verify(names: Iterable[str] = ()) -> list[VerifyRow]:
    """Every file of the named data sets, or of all of which something is here."""
    load_plugins()
    chosen = [find(name) for name in names]
    return [row for dataset in chosen or _partly_here() for row in _verified(dataset)]


def _partly_here() -> Iterator[DataSet]:
    looked = places()
    for dataset in DATASETS.values():
        if any((p.folder / file.path).exists() for p in looked for file in dataset.files):
            yield dataset


def _verified(dataset: DataSet) -> Iterator[VerifyRow]:
    if dataset.bundled:
        return
    place = home(dataset) or places()[0]
    found = [_verified_file(dataset, file, place) for file in dataset.files]
    if all(row.state == "ok" for row in found) and any(not f.sha256 for f in dataset.files):
        found = list(_verified_content(dataset, place, found))
    yield from found


def _verified_file(dataset: DataSet, file: File, place: Place) -> VerifyRow:
    if not (place.folder / file.path).exists():
        detail = f"not in {place.folder}; run `claimbench data fetch {dataset.name}`"
        return VerifyRow(dataset.name, file.path, "missing", detail)
    try:
        read(file, place.folder, read_manifests(dataset, place.folder))
    except DataError as e:
        return VerifyRow(dataset.name, file.path, "altered", f"{e}; {place.mend(dataset)}")
    return VerifyRow(dataset.name, file.path, "ok")


def _verified_content(
    dataset: DataSet, place: Place, found: list[VerifyRow]
) -> Iterator[VerifyRow]:
    """Files without a digest are right when they load; the message begins with the wrong one."""
    try:
        dataset.loader(contents(dataset, place))
    except DataError as e:
        for row in found:
            wrong = str(e).startswith(f"{row.path}:")
            detail = f"{e}; {place.mend(dataset)}"
            yield VerifyRow(row.data_set, row.path, "altered", detail) if wrong else row
    else:
        yield from found
