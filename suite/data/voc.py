"""Pascal VOC 2007, its classification task: photographs in each of which several things may be.

The publisher's two tar files are read as they are, in memory, and nothing of them is written out.
`ImageSets/Main/<class>_<part>.txt` says of every image of a part whether it shows the class: 1, -1
or, where it shows only specimens that are hard to recognise, 0, which is not counted either way.

The images become one array by the transformation usual for nets trained on ImageNet: the shorter
side is scaled to 256 pixels and the middle 224 x 224 are cut out. That array has 1.5 GB, and to
make it takes some 4 GB of memory. Versions of a JPEG library may differ in a pixel's last bit, and
the digest of the data with them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from ..evaluation import Data
from ..registry import MissingExtra
from .archives import members
from .sets import Contents, DataError, DataSet, File, make

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
ROOT = "VOCdevkit/VOC2007"
MIRRORS = (
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2007",
    "https://pjreddie.com/media/files",
)
PARTS = {"trainval": "VOCtrainval_06-Nov-2007.tar", "test": "VOCtest_06-Nov-2007.tar"}

SHORTER, SIDE = 256, 224  # pixels: what the shorter side becomes, and what is cut out
LARGEST_MEMBER = 2**22  # bytes; photographs have some 100,000
LARGEST_SIDE = 1024  # pixels; photographs have at most 500

Labels = Int[np.ndarray, "n classes"]


def _voc2007(contents: Contents) -> Data:
    """Images (n, 3, 224, 224) in uint8, `trainval` then `test`; y (n, 20) holds 1, -1 and 0."""
    images, labels = zip(
        *(_part(part, path, contents[path]) for part, path in PARTS.items()), strict=True
    )
    order = np.arange(sum(map(len, labels)))
    train = len(labels[0])
    splits = {"train": (order[:train],), "test": (order[train:],)}
    return make("voc2007", np.concatenate(images), np.concatenate(labels), splits)


def _part(part: str, path: str, content: bytes) -> tuple[UInt8[np.ndarray, "n 3 h w"], Labels]:
    """Images and labels of one archive, in the order of `<part>.txt`."""
    lists = f"{ROOT}/ImageSets/Main/"
    asked = {f"{lists}{name}.txt" for name in (part, *(f"{c}_{part}" for c in CLASSES))}
    texts: dict[str, str] = {}
    pixels: dict[str, UInt8[np.ndarray, "3 h w"]] = {}

    def wanted(name: str) -> bool:
        return name in asked or bool(re.fullmatch(rf"{ROOT}/JPEGImages/\w+\.jpg", name))

    for name, member in members(path, content, wanted, LARGEST_MEMBER):
        if name in asked:
            texts[name] = member.decode("ascii", "replace")
        else:
            number = name.rpartition("/")[2].removesuffix(".jpg")
            pixels[number] = _pixels(f"{path}: {name}", member)
    if missing := sorted(asked - texts.keys()):
        raise DataError(f"{path}: there is no {missing[0]} in it")
    numbers = texts[f"{lists}{part}.txt"].split()
    labels = [_labels(path, f"{lists}{c}_{part}.txt", texts, numbers) for c in CLASSES]
    return _stacked(path, numbers, pixels), np.stack(labels, axis=1)


def _labels(
    path: str, name: str, texts: Mapping[str, str], numbers: Sequence[str]
) -> Int[np.ndarray, " n"]:
    """What a class's list says of each image; it must be of the same images in the same order."""
    where = f"{path}: {name}"
    rows = [line.split() for line in texts[name].splitlines()]
    if wrong := [row for row in rows if len(row) != 2 or row[1] not in {"1", "-1", "0"}]:
        raise DataError(f"{where}: {' '.join(wrong[0])!r} is no image with 1, -1 or 0")
    if [row[0] for row in rows] != list(numbers):
        raise DataError(f"{where}: its {len(rows)} images are not the {len(numbers)} of the part")
    return np.array([int(row[1]) for row in rows], dtype=np.int64)


def _stacked(
    path: str, numbers: Sequence[str], pixels: Mapping[str, UInt8[np.ndarray, "3 h w"]]
) -> UInt8[np.ndarray, "n 3 h w"]:
    if missing := [number for number in numbers if number not in pixels]:
        raise DataError(f"{path}: there is no {ROOT}/JPEGImages/{missing[0]}.jpg in it")
    if not numbers:
        raise DataError(f"{path}: its list of images is empty")
    return np.stack([pixels[number] for number in numbers])


def _pixels(where: str, content: bytes) -> UInt8[np.ndarray, "3 h w"]:
    """A JPEG file, its shorter side scaled, its middle cut out."""
    reader = _reader()
    try:
        with reader.open(io.BytesIO(content), formats=["JPEG"]) as image:
            if max(image.size) > LARGEST_SIDE:
                raise DataError(f"{where}: {image.size} pixels, expected at most {LARGEST_SIDE}")
            scale = SHORTER / min(image.size)
            width, height = (max(round(scale * side), SHORTER) for side in image.size)
            left, top = (width - SIDE) // 2, (height - SIDE) // 2
            scaled = image.convert("RGB").resize((width, height), reader.Resampling.BILINEAR)
            middle = scaled.crop((left, top, left + SIDE, top + SIDE))
    except DataError:
        raise
    except Exception as e:  # Pillow raises of hostile bytes whatever its parts do
        raise DataError(f"{where}: no whole JPEG file ({e})") from e
    return np.asarray(middle, dtype=np.uint8).transpose(2, 0, 1)


def _reader() -> Any:
    """Pillow's module of images.

    Raises:
        MissingExtra: if Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as e:
        raise MissingExtra("voc2007 is in JPEG files; pip install 'claimbench[voc]'") from e
    return Image


def _archive(part: str, sha256: str, size: int) -> File:
    name = PARTS[part]
    return File(name, sha256, size, tuple(f"{mirror}/{name}" for mirror in MIRRORS))


VOC2007 = DataSet(
    name="voc2007",
    title="Pascal VOC 2007, classification: 5,011 and 4,952 photographs, 20 classes",
    licence="photographs from Flickr, under its terms of use",
    citation="Everingham et al., The Pascal VOC challenge, IJCV 88, 2010",
    publisher="http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
    loader=_voc2007,
    # The publisher gives no digests; these stand in the list of TensorFlow Datasets (voc.txt).
    files=(
        _archive(
            "trainval",
            "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
            460_032_000,
        ),
        _archive(
            "test",
            "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
            451_020_800,
        ),
    ),
    samples=9_963,
)
