"""Pascal VOC 2007 out of small archives in the publisher's layout, made here with their digests."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from claimbench.suite import data
from claimbench.suite.data import DATASETS, DataError, voc
from claimbench.suite.protocols import few_shots
from claimbench.suite.registry import MissingExtra

from . import packing
from .packing import Tree, linked

Image = pytest.importorskip("PIL.Image", reason="Pillow comes with the extra voc")

NUMBERS = {"trainval": ("000005", "000012", "000017"), "test": ("000001", "000002")}
LISTS, IMAGES = f"{voc.ROOT}/ImageSets/Main", f"{voc.ROOT}/JPEGImages"
CAT = voc.CLASSES.index("cat")


def jpeg(width: int, height: int, white_from: int) -> bytes:
    """A black picture that is white from a column on."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, white_from:] = 255
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=95)
    return packed.getvalue()


def tree(part: str) -> Tree:
    """An archive's members; cat is 1, 0, -1, ... in the part's images, every other class -1."""
    numbers = NUMBERS[part]
    members = {f"{voc.ROOT}/Annotations/{numbers[0]}.xml": b"<annotation/>"}
    for name in voc.CLASSES:
        labels = (1, 0, -1) if name == "cat" else (-1, -1, -1)
        lines = [f"{n} {label:2d}\n" for n, label in zip(numbers, labels, strict=False)]
        members[f"{LISTS}/{name}_{part}.txt"] = "".join(lines).encode()
    members[f"{LISTS}/{part}.txt"] = "".join(f"{n}\n" for n in numbers).encode()
    # The order of the members is not that of the list.
    for at, number in reversed(list(enumerate(numbers))):
        members[f"{IMAGES}/{number}.jpg"] = jpeg(512, 256, 256 + 64 * at)
    return members


def tar(members: Tree, *more: tarfile.TarInfo) -> bytes:
    return packing.tar(members, packing.folder(voc.ROOT), *more)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CLAIMBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("CLAIMBENCH_CACHE", str(tmp_path / "cache"))
    data.load.cache_clear()
    yield tmp_path
    data.load.cache_clear()


def lay(mirror: Path, monkeypatch: pytest.MonkeyPatch, **archives: bytes) -> None:
    """Both archives, each with its own digest; `archives` replaces one by its part."""
    files = []
    for file, part in zip(voc.VOC2007.files, voc.PARTS, strict=True):
        content = archives.get(part) or tar(tree(part))
        (mirror / file.path).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append(replace(file, sha256=digest, size=len(content)))
    monkeypatch.setitem(DATASETS, "voc2007", replace(voc.VOC2007, files=tuple(files)))


def test_images_and_labels_stand_in_the_order_of_the_lists(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(mirror, monkeypatch)
    loaded = data.load("voc2007")
    assert (loaded.name, loaded.x.shape, loaded.x.dtype) == ("voc2007", (5, 3, 224, 224), np.uint8)
    assert (loaded.classes, loaded.y.shape) == (20, (5, 20))
    assert loaded.y[:, CAT].tolist() == [1, 0, -1, 1, 0]
    assert (np.delete(loaded.y, CAT, axis=1) == -1).all()
    assert loaded.memberships() is loaded.y
    assert [loaded.splits[part][0].tolist() for part in ("train", "test")] == [[0, 1, 2], [3, 4]]
    # Each picture keeps its size, its columns 144 to 367 are cut out, and so white begins at
    # column 112 of the first, and 64 columns later in each that follows.
    whites = (loaded.x[:, 0, 100] > 127).argmax(axis=1)
    assert whites.tolist() == [112, 176, 0, 112, 176]
    assert not loaded.x[2].any()


def test_the_shorter_side_is_scaled(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upright = tree("test") | {f"{IMAGES}/000001.jpg": jpeg(128, 300, 64)}
    lay(mirror, monkeypatch, test=tar(upright))
    columns = data.load("voc2007").x[3, 0, 100].astype(int)
    assert abs(columns[:108]).max() < 16  # scaled by two, the edge is in the middle
    assert columns[116:].min() > 239


def test_a_difficult_image_is_drawn_for_no_class(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(mirror, monkeypatch)
    loaded = data.load("voc2007")
    only_cats = replace(loaded, y=loaded.y[:, [CAT]])
    [part] = few_shots(only_cats, 0, k=[1])
    assert part.folds[0].train.tolist() == [0]


FIRST_LIST, CATS = f"{LISTS}/test.txt", f"{LISTS}/cat_test.txt"
PHOTO = f"{IMAGES}/000002.jpg"


def without(name: str) -> Tree:
    return {key: content for key, content in tree("test").items() if key != name}


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (tar(without(CATS)), f"there is no {CATS} in it"),
        (tar(without(FIRST_LIST)), f"there is no {FIRST_LIST} in it"),
        (tar(without(PHOTO)), f"there is no {PHOTO} in it"),
        (tar(tree("test") | {FIRST_LIST: b""}), "images are not the 0 of the part"),
        (tar(tree("test") | {CATS: b"000001 1\n"}), "its 1 images are not the 2 of the part"),
        (tar(tree("test") | {CATS: b"000002 1\n000001 1\n"}), "images are not the 2 of the part"),
        (tar(tree("test") | {CATS: b"000001 2\n000002 1\n"}), "'000001 2' is no image with 1, -1"),
        (tar(tree("test") | {CATS: b"000001\n000002 1\n"}), "'000001' is no image with 1, -1"),
        (tar(tree("test") | {PHOTO: b"no picture"}), f"{PHOTO}: no whole JPEG file"),
        (tar(tree("test") | {PHOTO: jpeg(512, 256, 0)[:-700]}), f"{PHOTO}: no whole JPEG file"),
        (tar(tree("test") | {PHOTO: jpeg(1025, 2, 0)}), r"\(1025, 2\) pixels, expected at most"),
        (tar(tree("test") | {PHOTO: bytes(2**22 + 1)}), "4194305 bytes, expected at most 4194304"),
        (tar(tree("test") | {"../../escape": b"x"}), r"member '../../escape' leads out of"),
        (tar(without(PHOTO), linked(PHOTO)), "000002.jpg' is no plain file"),
        (tar(tree("test"))[:5000], "no whole tar file|there is no"),
        (b"no archive", "no whole tar file"),
    ],
)
def test_an_archive_that_makes_no_sense_is_refused(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, packed: bytes, message: str
) -> None:
    lay(mirror, monkeypatch, test=packed)
    with pytest.raises(DataError, match=f"voc2007: VOCtest_06-Nov-2007.tar: .*({message})"):
        data.load("voc2007")


def test_an_altered_archive_is_refused(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(mirror, monkeypatch)
    (mirror / voc.PARTS["test"]).write_bytes(b"other")
    with pytest.raises(DataError, match=r"Nov-2007.tar: 5 bytes with SHA-256 .*expected"):
        data.load("voc2007")


def test_without_pillow_the_extra_is_named(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(mirror, monkeypatch)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"pip install 'claimbench\[voc\]'"):
        data.load("voc2007")
