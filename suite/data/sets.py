"""What a data set is: files with digests, and a function from their bytes to arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from ..evaluation import Data, Indices

LARGEST_FILE = 2**30
"""Bytes that a file may have of which the publisher's size is not known."""


LARGEST_VALUE = 1e15
"""Kernels multiply values with each other and add the products up, some of them in float32."""


class DataError(RuntimeError):
    """A data set is not here, or is not what its publisher released.

    The message names the file, what was expected, what was found and the command that mends it.
    """


@dataclass(frozen=True)
class Archive:
    """A tar file that holds published files.

    Attributes:
        path: name of the download.
        sha256: `None` where it is not known; each of its members then has its own.
        size: in bytes, where known.
        urls: mirrors, in the order in which they are tried.
    """

    path: str
    sha256: str | None
    size: int | None
    urls: tuple[str, ...]

    @property
    def largest(self) -> int:
        return self.size or LARGEST_FILE


@dataclass(frozen=True)
class File:
    """One published file.

    Attributes:
        path: relative to a mirror's folder and to the cache, the same in both.
        sha256: `None` only for a member of an archive that has a digest.
        size: in bytes as published, where known.
        urls: mirrors, in the order in which they are tried.
        unpacked_size: given for a gzip file, in bytes. `sha256` is then that of the decompressed
            bytes, because distributors compress anew.
        archive: what to download where no mirror has the file alone.
        member: its name in that archive.
    """

    path: str
    sha256: str | None
    size: int | None = None
    urls: tuple[str, ...] = ()
    unpacked_size: int | None = None
    archive: Archive | None = None
    member: str = ""

    def __post_init__(self) -> None:
        if not self.sha256 and not (self.archive and self.archive.sha256):
            raise ValueError(f"{self.path}: neither the file nor its archive has a digest")

    @property
    def largest(self) -> int:
        """Bytes beyond which the file is refused unread."""
        if self.size is None:
            return LARGEST_FILE
        return self.size if self.unpacked_size is None else 2 * self.size + 1024


Contents = Mapping[str, bytes]
"""By a file's path: its bytes, decompressed, with the right digest."""


@dataclass(frozen=True)
class DataSet:
    """A published data set.

    Attributes:
        publisher: the address of its page.
        bundled: comes with an installed package, so that it has no files of its own.
        loader: makes the arrays; raises `DataError` where the bytes are not what they must be.
        samples: of the complete set, where known without reading it.
    """

    name: str
    title: str
    licence: str
    citation: str
    publisher: str
    loader: Callable[[Contents], Data]
    files: tuple[File, ...] = ()
    bundled: bool = False
    samples: int | None = None


def make(
    name: str,
    x: Shaped[np.ndarray, "n ..."],
    y: Int[np.ndarray, " n"],
    splits: Mapping[str, Sequence[Indices]] | None = None,
) -> Data:
    """Arrays with the digest by which a record knows them."""
    kept = {split: tuple(parts) for split, parts in (splits or {}).items()}
    return Data(name, x, y, kept, _digest(x, y, kept))


def hold(data: Data) -> None:
    """Refuse arrays that no method could learn from, whoever made them.

    Equal features, equal samples and uneven classes are legal.

    Raises:
        DataError: with what is wrong.
    """
    x, y = data.x, data.y
    if len(x) != len(y) or len(x) < 2:
        raise DataError(f"{len(x)} samples and {len(y)} labels, wanted two or more of both")
    if x.ndim < 2 or x.dtype.kind not in "fiub" or 0 in x.shape:
        raise DataError(f"samples of shape {x.shape} and {x.dtype}, wanted a row of numbers each")
    if not all(abs(float(end)) <= LARGEST_VALUE for end in (x.min(), x.max())):
        raise DataError(f"a value is not finite or beyond {LARGEST_VALUE:g}")
    if y.dtype.kind not in "iu" or y.min() < (0 if y.ndim == 1 else -1):
        raise DataError(f"labels of {y.dtype} from {y.min()}, wanted classes from 0")
    if y.ndim == 1 and y.min() == y.max():
        raise DataError(f"all {len(y)} samples are of class {y[0]}, wanted two classes or more")
    for name, part in ((name, part) for name, parts in data.splits.items() for part in parts):
        if len(part) == 0 or part.min() < 0 or part.max() >= len(y):
            raise DataError(f"the split {name!r} names no sample, or one beyond {len(y) - 1}")


def _digest(x: np.ndarray, y: np.ndarray, splits: Mapping[str, Sequence[np.ndarray]]) -> str:
    """SHA-256 over dtype, shape and bytes of every array, in a fixed order."""
    total = hashlib.sha256()
    named = {"x": x, "y": y}
    for split in sorted(splits):
        named |= {f"{split}.{index}": part for index, part in enumerate(splits[split])}
    for label, array in named.items():
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        total.update(f"{label} {little.dtype.str} {little.shape}\n".encode())
        total.update(little.data)
    return total.hexdigest()
