"""CIFAR-10 (binary version) and Fashion-MNIST (IDX), read without unpickling anything.

A prefix of CIFAR-10 is taken only where it is one that this module knows, and then it bears another
name, so that no record can show it as the whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8

from ..evaluation import Data
from .sets import Archive, Contents, DataError, DataSet, File, make

CIFAR_RECORD = 1 + 3 * 32 * 32  # bytes: a label, then the red, green and blue planes
CIFAR_RECORDS = 10_000  # a file
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_FILES = tuple(
    f"{CIFAR_FOLDER}/{name}.bin"
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")
)
CIFAR_PREFIXES = {
    "cifar10[prefix 4660+846]": (
        "b0f27afee5ca668579a2e93ee3681e063ff732dc2df61078190ed27754426fbb",
        "d8be2e394f486275122ee559eafeb27c7b361cd515e8b22af157135d0c8bdcb1",
        "ff9dc9eb2d46ee4901a27a6a8bb2eb17e81a34f029c976d4731066200935a780",
        "9a0ce4a95c35e50eb9c7dbf3066b5edec5f9c1f0c409be6168393b488b7944e7",
        "fdda7fa3b14c06a9fd2ca26f99a341480beed33e5eabfe0339bb04f209281f36",
        "7a6b65454614904e75805388c6c869be5921ba19464232b1d871dc44f4d54402",
    )
}
"""By the name that a record must give: SHA-256 of each file of `CIFAR_FILES`."""

FASHION = "fashion-mnist"
FASHION_MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
)
IDX_IMAGES, IDX_LABELS = 0x803, 0x801  # unsigned bytes in three dimensions, in one


def scaled(pixels: UInt8[np.ndarray, ...]) -> Float32[np.ndarray, ...]:
    """0 to 255 becomes 0 to 1."""
    return np.divide(pixels, np.float32(255), dtype=np.float32)


def _concatenated(
    name: str, pixels: Sequence[UInt8[np.ndarray, "n c h w"]], y: Sequence[np.ndarray], train: int
) -> Data:
    """Training images, then test images; the splits `train` and `test` say which are which."""
    labels = np.concatenate(y).astype(np.int64)
    order = np.arange(len(labels))
    splits = {"train": (order[:train],), "test": (order[train:],)}
    return make(name, scaled(np.concatenate(pixels)), labels, splits)


def _cifar10(contents: Contents) -> Data:
    """Images (n, 3, 32, 32) in float32, 0 to 1; labels 0 to 9."""
    name = _cifar_name(contents)
    batches = [_cifar_records(path, contents[path]) for path in CIFAR_FILES]
    pixels = [batch[:, 1:].reshape(-1, 3, 32, 32) for batch in batches]
    train = sum(len(batch) for batch in batches[:-1])
    return _concatenated(name, pixels, [batch[:, 0] for batch in batches], train)


def _cifar_name(contents: Contents) -> str:
    """`cifar10` where every file is whole, a prefix's own name where it is a known one."""
    whole = CIFAR_RECORDS * CIFAR_RECORD
    short = [path for path in CIFAR_FILES if len(contents[path]) != whole]
    if not short:
        return "cifar10"
    found = tuple(hashlib.sha256(contents[path]).hexdigest() for path in CIFAR_FILES)
    for name, digests in CIFAR_PREFIXES.items():
        if found == digests:
            return name
    at = CIFAR_FILES.index(short[0])
    raise DataError(
        f"{short[0]}: {len(contents[short[0]])} bytes with SHA-256 {found[at]}, expected {whole} "
        f"bytes (or all files of a known prefix: {', '.join(CIFAR_PREFIXES)})"
    )


def _cifar_records(path: str, content: bytes) -> UInt8[np.ndarray, "n 3073"]:
    records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR_RECORD)
    _check_labels(path, records[:, 0])
    return records


def _check_labels(path: str, labels: UInt8[np.ndarray, " n"]) -> None:
    wrong = np.flatnonzero(labels > 9)
    if len(wrong):
        raise DataError(f"{path}: record {wrong[0]} has label {labels[wrong[0]]}, expected 0 to 9")


def _fashion_mnist(contents: Contents) -> Data:
    """Images (70000, 1, 28, 28) in float32, 0 to 1; labels 0 to 9."""
    images, labels = [], []
    for part in ("train", "t10k"):
        pixels = idx(f"{FASHION}/{part}-images-idx3-ubyte.gz", contents, IDX_IMAGES)
        path = f"{FASHION}/{part}-labels-idx1-ubyte.gz"
        classes = idx(path, contents, IDX_LABELS)
        if len(pixels) != len(classes):
            raise DataError(f"{path}: {len(classes)} labels, expected {len(pixels)} as of images")
        _check_labels(path, classes)
        images.append(pixels[:, None])
        labels.append(classes)
    return _concatenated("fashion_mnist", images, labels, len(labels[0]))


def idx(path: str, contents: Contents, magic: int) -> UInt8[np.ndarray, "n ..."]:
    """An IDX file: a magic number of which the last byte counts dimensions, those, the bytes."""
    content = contents[path]
    if content[:4] != magic.to_bytes(4, "big"):
        raise DataError(f"{path}: magic number 0x{content[:4].hex()}, expected 0x{magic:08x}")
    rank = magic & 0xFF
    header, body = content[4 : 4 + 4 * rank], content[4 + 4 * rank :]
    shape = [int.from_bytes(header[at : at + 4], "big") for at in range(0, 4 * rank, 4)]
    if len(header) < 4 * rank or len(body) != math.prod(shape):
        raise DataError(f"{path}: {len(body)} bytes after the header, expected {math.prod(shape)}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _fashion_file(name: str, sha256: str, size: int, unpacked_size: int) -> File:
    return File(
        path=f"{FASHION}/{name}.gz",
        sha256=sha256,
        size=size,
        urls=tuple(f"{mirror}/{name}.gz" for mirror in FASHION_MIRRORS),
        unpacked_size=unpacked_size,
    )


CIFAR_ARCHIVE = Archive(
    path="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    size=170_052_171,
    urls=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
    ),
)

CIFAR10 = DataSet(
    name="cifar10",
    title="CIFAR-10, binary version: 50,000 and 10,000 colour images of 32 x 32",
    licence="none stated by the publisher",
    citation="Krizhevsky, Learning multiple layers of features from tiny images, 2009",
    publisher="https://www.cs.toronto.edu/~kriz/cifar.html",
    loader=_cifar10,
    files=tuple(
        File(path, None, CIFAR_RECORDS * CIFAR_RECORD, archive=CIFAR_ARCHIVE, member=path)
        for path in CIFAR_FILES
    ),
    samples=60_000,
)

FASHION_MNIST = DataSet(
    name="fashion_mnist",
    title="Fashion-MNIST: 60,000 and 10,000 grey images of 28 x 28",
    licence="MIT",
    citation="Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747",
    publisher="https://github.com/zalandoresearch/fashion-mnist",
    loader=_fashion_mnist,
    files=(
        _fashion_file(
            "train-images-idx3-ubyte",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            26_421_880,
            47_040_016,
        ),
        _fashion_file(
            "train-labels-idx1-ubyte",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            29_515,
            60_008,
        ),
        _fashion_file(
            "t10k-images-idx3-ubyte",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            4_422_102,
            7_840_016,
        ),
        _fashion_file(
            "t10k-labels-idx1-ubyte",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            5_148,
            10_008,
        ),
    ),
    samples=70_000,
)
