"""Data sets: what is right loads, what is not says which file, what was expected, what mends it.

Trees in the publishers' layouts are made here, tiny, with their own digests; nothing is downloaded
but from a server on this machine.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from claimbench.suite import data
from claimbench.suite.data import (
    DATASETS,
    Archive,
    DataError,
    DataSet,
    File,
    archives,
    download,
    images,
    uci,
)
from claimbench.suite.definitions import DefinitionError

from . import packing
from .packing import Tree, linked

MIRROR = os.environ.get("CLAIMBENCH_DATA")
tar = partial(packing.tar, mode="w:gz")


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A mirror and a cache of the test's own, and nothing remembered from another."""
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("CLAIMBENCH_DATA", str(tmp_path / "mirror"))
    monkeypatch.setenv("CLAIMBENCH_CACHE", str(tmp_path / "cache"))
    data.load.cache_clear()
    yield
    data.load.cache_clear()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lay(folder: Path, tree: Tree) -> None:
    for path, content in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def everything_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


# A UCI set in the published layout: 12 samples, 2 features, 3 classes.

UCI_SIZES = uci.Sizes(samples=12, features=2, classes=3)
UCI_TREE: Tree = {
    "uci/tiny/tiny.txt": b"n_entradas= 2\nn_clases= 3\nn_arquivos= 1\nfich1= tiny_R.dat\n"
    b"n_patrons1= 12\n",
    "uci/tiny/tiny_R.dat": b"\tf1\tf2\tclase\n"
    + b"".join(b"%d\t%.2f\t-1.5\t%d\n" % (k + 1, k / 4, k % 3) for k in range(12)),
    "uci/tiny/conxuntos.dat": b"0 2 4 6 8 10 \n1 3 5 7 9 11 \n",
    "uci/tiny/conxuntos_kfold.dat": b"0 1 2 3 4 5 6 7 8 \n9 10 11 \n" * 4,
}


def uci_set(tree: Tree, **facts: object) -> DataSet:
    """A data set whose digests are those of the tree."""
    members = tuple(
        replace(uci.member("tiny", Path(path).name, sha256(content), len(content)), **facts)
        for path, content in tree.items()
    )
    return uci.data_set("tiny", UCI_SIZES, members)


@pytest.fixture
def tiny(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    lay(mirror, UCI_TREE)
    monkeypatch.setitem(DATASETS, "uci/tiny", uci_set(UCI_TREE))
    return DATASETS["uci/tiny"]


def test_a_uci_set_loads_with_its_splits(tiny: DataSet) -> None:
    loaded = data.load("uci/tiny")
    assert (loaded.name, loaded.x.shape, loaded.x.dtype) == ("uci/tiny", (12, 2), np.float64)
    np.testing.assert_array_equal(loaded.x[3], [0.75, -1.5])
    np.testing.assert_array_equal(loaded.y, np.arange(12) % 3)
    fit, validate = loaded.splits["selection"]
    assert (fit.tolist(), validate.tolist()) == ([0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11])
    assert [len(part) for part in loaded.splits["folds"]] == [9, 3] * 4


def test_the_digest_follows_every_array(tiny: DataSet) -> None:
    x, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 0])
    splits = {"folds": (np.array([0, 1]), np.array([2]))}
    digests = {
        data.make("a", x, y, splits).digest,
        data.make("a", x.astype(np.float32), y, splits).digest,
        data.make("a", x.reshape(3, 2, 1), y, splits).digest,
        data.make("a", x + 1, y, splits).digest,
        data.make("a", x, y + 1, splits).digest,
        data.make("a", x, y, {"folds": (np.array([0]), np.array([1, 2]))}).digest,
        data.make("a", x, y).digest,
    }
    assert len(digests) == 7
    assert data.make("b", x.copy(order="F"), y, splits).digest in digests


COUNTS, TABLE, SELECTION, KFOLD = UCI_TREE


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        (COUNTS, b"= 12", b"= 13", "n_patrons1 is 13, expected 12"),
        (COUNTS, b"n_clases= 3\n", b"", "n_clases is None, expected 3"),
        (TABLE, b"\t-1.5\t", b"\t", r"columns are \(12, 3\), expected \(12, 4\)"),
        (TABLE, b"4\t0.75\t-1.5\t0\n", b"", r"columns are \(11, 4\), expected \(12, 4\)"),
        (TABLE, b"4\t0.75", b"4\tx", "not a table of numbers"),
        (TABLE, b"4\t0.75\t", b"4\t", "not a table of numbers"),
        (TABLE, b"4\t0.75", b"4\tnan", "not finite, or samples are not numbered"),
        (TABLE, b"4\t0.75", b"5\t0.75", "not finite, or samples are not numbered"),
        (TABLE, b"4\t0.75\t-1.5\t0", b"4\t0.75\t-1.5\t3", "class 3, expected 0 to 2"),
        (TABLE, b"4\t0.75\t-1.5\t0", b"4\t0.75\t-1.5\t0.5", "class 0.5, expected 0 to 2"),
        (SELECTION, b"10 \n", b"12 \n", "line 1: sample 12, expected 0 to 11"),
        (SELECTION, b"0 2", b"-1 2", "line 1: sample -1, expected 0 to 11"),
        (SELECTION, b"0 2", b"1 2", "sample 1 is on line 1 and on line 2"),
        (SELECTION, b"0 2", b"2 2", "line 1 is empty or names a sample twice"),
        (SELECTION, b"0 2", b"a 2", "line 1 is not a list of sample numbers"),
        (SELECTION, b"0 2", b"9" * 30 + b" 2", "line 1 is not a list of sample numbers"),
        (SELECTION, b"1 3 5 7 9 11", b"", "line 2 is empty"),
        (KFOLD, b"9 10 11 \n0", b"0", "5 lines, expected 8"),
    ],
)
def test_a_uci_file_that_makes_no_sense_is_refused(
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    old: bytes,
    new: bytes,
    message: str,
) -> None:
    assert old in UCI_TREE[path]
    tree = UCI_TREE | {path: UCI_TREE[path].replace(old, new)}
    lay(mirror, tree)
    monkeypatch.setitem(DATASETS, "uci/tiny", uci_set(tree))
    with pytest.raises(DataError, match=f"uci/tiny: {path}: .*{message}.*; replace it in"):
        data.load("uci/tiny")


# Files that are not what was published.


def test_an_altered_file_is_refused_with_both_digests(tiny: DataSet, mirror: Path) -> None:
    altered = UCI_TREE[TABLE].replace(b"0.75", b"0.76")
    (mirror / TABLE).write_bytes(altered)
    size = len(altered)
    expected = sha256(UCI_TREE[TABLE])
    with pytest.raises(
        DataError,
        match=f"{TABLE}: {size} bytes with SHA-256 {sha256(altered)}, "
        f"expected {size} bytes with SHA-256 {expected}; replace it in .* or unset CLAIMBENCH_DATA",
    ):
        data.load("uci/tiny")
    states = {row.path: row.state for row in data.verify(["uci/tiny"])}
    assert states == dict.fromkeys(UCI_TREE, "ok") | {TABLE: "altered"}


def test_a_truncated_file_is_refused(tiny: DataSet, mirror: Path) -> None:
    (mirror / TABLE).write_bytes(UCI_TREE[TABLE][:-9])
    size = len(UCI_TREE[TABLE])
    with pytest.raises(DataError, match=f"{TABLE}: {size - 9} bytes .* expected {size} bytes"):
        data.load("uci/tiny")


def test_a_file_that_is_too_large_is_not_read(
    tiny: DataSet, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (mirror / COUNTS).open("r+b") as file:
        file.truncate(10 * 2**30)  # sparse: no such room is needed
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(DataError, match=f"{COUNTS}: 10737418240 bytes, expected at most"):
        data.load("uci/tiny")


def test_a_missing_file_names_the_command_that_fetches_it(tiny: DataSet, mirror: Path) -> None:
    (mirror / KFOLD).unlink()
    with pytest.raises(
        DataError, match=f"uci/tiny: {KFOLD} is not in .*; run `claimbench data fetch uci/tiny`"
    ):
        data.load("uci/tiny")
    states = {row.path: row.state for row in data.verify(["uci/tiny"])}
    assert states == dict.fromkeys(UCI_TREE, "ok") | {KFOLD: "missing"}
    assert [source.path for source in data.missing_files("uci/tiny")] == list(UCI_TREE)


def test_a_mirror_that_is_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMBENCH_DATA", "/no/such/folder")
    with pytest.raises(DataError, match="CLAIMBENCH_DATA is '/no/such/folder', which is no folder"):
        data.load("uci/iris")


def test_the_cache_serves_what_the_mirror_lacks(tiny: DataSet, mirror: Path, cache: Path) -> None:
    (mirror / KFOLD).unlink()
    lay(cache, UCI_TREE)
    assert len(data.load("uci/tiny").y) == 12
    data.load.cache_clear()
    (cache / TABLE).write_bytes(b"x")
    with pytest.raises(DataError, match=r"1 bytes .*; run `claimbench data fetch uci/tiny`"):
        data.load("uci/tiny")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(DefinitionError, match=r"no data set is called 'uci/irish'.*'uci/iris'"):
        data.load("uci/irish")
    with pytest.raises(DefinitionError, match="did you mean 'cifar10'"):
        data.fetch(["cifar-10"])


def test_a_name_has_one_owner(tiny: DataSet) -> None:
    with pytest.raises(ValueError, match="two data sets are called 'uci/tiny'"):
        data.add(tiny)


def test_a_file_needs_a_digest() -> None:
    with pytest.raises(ValueError, match="neither the file nor its archive has a digest"):
        File("a.bin", sha256=None)


# CIFAR-10 in files of three records.


def cifar_file(labels: list[int]) -> bytes:
    pixels = bytes(k % 256 for k in range(3072))
    return b"".join(bytes([label]) + pixels for label in labels)


CIFAR_TREE: Tree = {path: cifar_file([k, 9, 0]) for k, path in enumerate(images.CIFAR_FILES)}


@pytest.fixture
def small_cifar(monkeypatch: pytest.MonkeyPatch) -> DataSet:
    monkeypatch.setattr(images, "CIFAR_RECORDS", 3)
    files = tuple(replace(file, size=3 * 3073) for file in images.CIFAR10.files)
    monkeypatch.setitem(DATASETS, "cifar10", replace(images.CIFAR10, files=files))
    return DATASETS["cifar10"]


def test_cifar_is_training_then_test_images_from_0_to_1(small_cifar: DataSet, mirror: Path) -> None:
    lay(mirror, CIFAR_TREE)
    loaded = data.load("cifar10")
    assert (loaded.name, loaded.x.shape, loaded.x.dtype) == ("cifar10", (18, 3, 32, 32), np.float32)
    assert loaded.y.tolist() == [0, 9, 0, 1, 9, 0, 2, 9, 0, 3, 9, 0, 4, 9, 0, 5, 9, 0]
    assert [part.tolist() for part in loaded.splits["train"]] == [list(range(15))]
    assert [part.tolist() for part in loaded.splits["test"]] == [[15, 16, 17]]
    assert (loaded.x.min(), loaded.x.max()) == (0, 1)
    # Green, second row, third column: byte 1024 + 32 + 2 of the pixels.
    assert loaded.x[0, 1, 1, 2] == np.float32((1024 + 34) % 256) / np.float32(255)


def test_a_known_prefix_of_cifar_has_its_own_name(
    small_cifar: DataSet, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = {path: content[:3073] for path, content in CIFAR_TREE.items()}
    digests = tuple(sha256(content) for content in tree.values())
    monkeypatch.setitem(images.CIFAR_PREFIXES, "cifar10[prefix 5+1]", digests)
    lay(mirror, tree)
    loaded = data.load("cifar10")
    assert (loaded.name, len(loaded.y)) == ("cifar10[prefix 5+1]", 6)
    assert {row.state for row in data.verify(["cifar10"])} == {"ok"}
    row = next(row for row in data.rows() if row.name == "cifar10")
    assert (row.where, row.part, row.samples) == ("CLAIMBENCH_DATA", True, None)


def test_an_unknown_prefix_of_cifar_is_refused(small_cifar: DataSet, mirror: Path) -> None:
    lay(mirror, CIFAR_TREE)
    cut = images.CIFAR_FILES[2]
    (mirror / cut).write_bytes(CIFAR_TREE[cut][:3073])
    with pytest.raises(
        DataError, match=f"{cut}: 3073 bytes with SHA-256 .*, expected 9219 bytes.*4660"
    ):
        data.load("cifar10")
    states = {row.path: row.state for row in data.verify(["cifar10"])}
    assert states == dict.fromkeys(CIFAR_TREE, "ok") | {cut: "altered"}


def test_a_label_of_cifar_beyond_9_is_refused(small_cifar: DataSet, mirror: Path) -> None:
    lay(mirror, CIFAR_TREE)
    (mirror / images.CIFAR_FILES[5]).write_bytes(cifar_file([1, 10, 2]))
    with pytest.raises(
        DataError, match=r"test_batch.bin: record 1 has label 10, expected 0 to 9; replace"
    ):
        data.load("cifar10")


def test_a_manifest_holds_what_no_digest_does(small_cifar: DataSet, mirror: Path) -> None:
    lay(mirror, CIFAR_TREE)
    lines = [f"{sha256(c)}  {Path(path).name}\n" for path, c in CIFAR_TREE.items()]
    manifest = mirror / images.CIFAR_FOLDER / "SHA256SUMS"
    manifest.write_text("".join(lines))
    assert data.load("cifar10").name == "cifar10"
    data.load.cache_clear()
    (mirror / images.CIFAR_FILES[0]).write_bytes(cifar_file([1, 9, 0]))
    with pytest.raises(DataError, match=r"data_batch_1.bin: 9219 bytes with SHA-256 .* expected"):
        data.load("cifar10")
    manifest.write_text("../../x\n")
    with pytest.raises(DataError, match=r"SHA256SUMS: '../../x' is no digest and file name"):
        data.load("cifar10")


# Fashion-MNIST with three training and two test images.


def idx(magic: int, shape: tuple[int, ...], body: bytes) -> bytes:
    return magic.to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in shape) + body


def fashion_tree() -> Tree:
    """Decompressed."""
    names = [Path(file.path).stem for file in images.FASHION_MNIST.files]
    contents = [
        idx(0x803, (3, 28, 28), bytes([255]) * 3 * 784),
        idx(0x801, (3,), bytes([0, 9, 5])),
        idx(0x803, (2, 28, 28), bytes(2 * 784)),
        idx(0x801, (2,), bytes([1, 2])),
    ]
    return dict(zip(names, contents, strict=True))


def lay_fashion(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tree: Tree, compressed: Tree | None = None
) -> None:
    """Files with the digests of `tree`; `compressed` replaces what is on the disk."""
    files = []
    for name, content in tree.items():
        path = f"fashion-mnist/{name}.gz"
        packed = gzip.compress(content, mtime=0)
        lay(folder, {path: (compressed or {}).get(name, packed)})
        files.append(File(path, sha256(content), len(packed), unpacked_size=len(content)))
    dataset = replace(images.FASHION_MNIST, files=tuple(files))
    monkeypatch.setitem(DATASETS, "fashion_mnist", dataset)


def test_fashion_mnist_loads_whatever_compressed_it(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = fashion_tree()
    other = {name: gzip.compress(content, 1, mtime=1) for name, content in tree.items()}
    lay_fashion(mirror, monkeypatch, tree, other)
    loaded = data.load("fashion_mnist")
    assert (loaded.x.shape, loaded.x.dtype) == ((5, 1, 28, 28), np.float32)
    assert loaded.y.tolist() == [0, 9, 5, 1, 2]
    assert loaded.x.mean(axis=(1, 2, 3)).tolist() == [1, 1, 1, 0, 0]
    assert [part.tolist() for part in loaded.splits["test"]] == [[3, 4]]


PIXELS, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (PIXELS, idx(0x801, (3, 28, 28), b""), "magic number 0x00000801, expected 0x00000803"),
        (PIXELS, b"", "magic number 0x, expected 0x00000803"),
        (PIXELS, idx(0x803, (3,), b""), "0 bytes after the header"),
        (PIXELS, idx(0x803, (3, 28, 28), b"12"), "2 bytes after the header, expected 2352"),
        (PIXELS, idx(0x803, (2**32 - 1,) * 3, b"12"), "2 bytes after the header, expected 79"),
        (LABELS, idx(0x801, (2,), b"\0\1"), "2 labels, expected 3 as of images"),
        (LABELS, idx(0x801, (3,), b"\0\1\12"), "record 2 has label 10, expected 0 to 9"),
    ],
)
def test_an_idx_file_that_makes_no_sense_is_refused(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, message: str
) -> None:
    lay_fashion(mirror, monkeypatch, fashion_tree() | {name: content})
    with pytest.raises(DataError, match=f"{name}.gz: {message}"):
        data.load("fashion_mnist")


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (gzip.compress(fashion_tree()[LABELS], mtime=0)[:-9], "no whole gzip file"),
        (b"\x1f\x8bnonsense", "no whole gzip file"),
        (b"not gzip at all", "no whole gzip file"),
        (
            gzip.compress(fashion_tree()[LABELS][:-1], mtime=0),
            "10 bytes with SHA-256 .* expected 11 bytes",
        ),
        (gzip.compress(bytes(2**20), mtime=0), "decompresses to more than the 11 bytes expected"),
        (bytes(2**20), "1048576 bytes, expected at most"),
    ],
)
def test_a_gzip_file_that_is_not_whole_is_refused(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, packed: bytes, message: str
) -> None:
    lay_fashion(mirror, monkeypatch, fashion_tree(), {LABELS: packed})
    with pytest.raises(DataError, match=f"{LABELS}.gz: .*{message}"):
        data.load("fashion_mnist")


# What scikit-learn brings.


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("iris", (150, 4), 3),
        ("wine", (178, 13), 3),
        ("breast_cancer", (569, 30), 2),
        ("digits", (1797, 1, 8, 8), 10),
    ],
)
def test_bundled_sets_need_no_files(name: str, shape: tuple[int, ...], classes: int) -> None:
    loaded = data.load(name)
    assert (loaded.name, loaded.x.shape, loaded.classes) == (name, shape, classes)
    assert data.missing_files(name) == []
    assert DATASETS[name].samples == len(loaded.y)
    if name == "digits":
        assert (loaded.x.dtype, loaded.x.min(), loaded.x.max()) == (np.float32, 0, 1)
    else:
        np.testing.assert_allclose(loaded.x.mean(axis=0), 0, atol=1e-14)
        np.testing.assert_allclose(loaded.x.std(axis=0, ddof=1), 1, rtol=1e-14)


# Downloads, from a server on this machine.


class Host(ThreadingHTTPServer):
    """Answers with what `pages` holds for an address, or with 404."""

    def __init__(self) -> None:
        self.pages: Tree = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Answer(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.pages.get(self.path.lstrip("/"))
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """`uci/tiny`, to be had file by file from the second of two mirrors."""
    host.pages |= {f"good/{path}": content for path, content in UCI_TREE.items()}
    members = tuple(
        replace(
            file,
            urls=(host.url(f"bad/{file.path}"), host.url(f"good/{file.path}")),
            archive=None,
        )
        for file in uci_set(UCI_TREE).files
    )
    monkeypatch.setitem(DATASETS, "uci/tiny", uci.data_set("tiny", UCI_SIZES, members))
    return host


fetch = partial(data.fetch, progress=lambda _: None)


@pytest.mark.parametrize("bad", [None, b"altered", b"x" * 2**20])
def test_when_a_mirror_fails_the_next_serves(remote: Host, cache: Path, bad: bytes | None) -> None:
    if bad is not None:
        remote.pages |= {f"bad/{path}": bad for path in UCI_TREE}
    with pytest.raises(DataError, match="run `claimbench data fetch uci/tiny`"):
        data.load("uci/tiny")
    lines: list[str] = []
    data.fetch(["uci/tiny"], lines.append)
    assert lines == ["[1/1] uci/tiny: 4 files"]
    assert everything_in(cache) == sorted(UCI_TREE)
    assert len(data.load("uci/tiny").y) == 12
    assert next(row.where for row in data.rows() if row.name == "uci/tiny") == "cache"

    asked = len(remote.asked)
    data.fetch(["uci/tiny"], lines.append)
    assert (len(remote.asked), lines[1]) == (asked, "uci/tiny: cache, nothing to fetch")


def test_when_all_mirrors_fail_each_has_its_reason(remote: Host, cache: Path) -> None:
    remote.pages = {f"good/{path}": content for path, content in UCI_TREE.items()}
    remote.pages[f"good/{TABLE}"] += b"?"
    remote.pages[f"bad/{TABLE}"] = b"short"
    with pytest.raises(DataError) as caught:
        fetch(["uci/tiny"])
    first, bad, good, last = str(caught.value).splitlines()
    assert first == f"uci/tiny: {TABLE} cannot be fetched from any mirror"
    assert f"bad/{TABLE}: {TABLE}: 5 bytes with SHA-256 {sha256(b'short')}, expected" in bad
    assert "sends more than the" in good
    assert last.startswith("repeat `claimbench data fetch uci/tiny`")
    # What was right is kept, what was not is nowhere.
    assert everything_in(cache) == sorted(set(UCI_TREE) - {TABLE})
    assert [file.path for file in data.missing_files("uci/tiny")] == [TABLE]


def test_a_host_that_is_down_is_asked_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(url: str, *_: object) -> None:
        asked.append(url)
        raise ConnectionError("refused")

    monkeypatch.setattr(download, "_download", refuse)
    with pytest.raises(DataError) as caught:
        fetch(["fashion_mnist", "cifar10", *[name for name in DATASETS if "uci/" in name]])
    assert len(asked) == len({url.split("/")[2] for url in asked}) == 6
    assert "cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz: cannot be reached: refused" in str(
        caught.value
    )
    assert str(caught.value).endswith("and 89 more data sets")
    assert everything_in(cache) == []


def test_a_reason_is_what_the_system_said(remote: Host) -> None:
    gone = remote.url("")
    remote.pages.clear()
    with pytest.raises(DataError, match=rf"bad/{COUNTS}: HTTP status 404\n"):
        fetch(["uci/tiny"])
    remote.server_close()
    remote.shutdown()
    with pytest.raises(DataError, match=rf"{gone}bad/{COUNTS}: cannot be reached: .*refused\n"):
        fetch(["uci/tiny"])


def test_an_altered_file_in_the_cache_is_fetched_again(remote: Host, cache: Path) -> None:
    lay(cache, UCI_TREE | {TABLE: b"altered"})
    fetch(["uci/tiny"])
    assert remote.asked == [f"/bad/{TABLE}", f"/good/{TABLE}"]
    assert (cache / TABLE).read_bytes() == UCI_TREE[TABLE]


def test_nothing_is_fetched_that_the_mirror_has(tiny: DataSet, cache: Path) -> None:
    lines: list[str] = []
    data.fetch(["uci/tiny", "iris"], lines.append)
    assert lines == [
        "uci/tiny: CLAIMBENCH_DATA, nothing to fetch",
        "iris: bundled, nothing to fetch",
    ]
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_named(
    remote: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CLAIMBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=r"file/cache cannot be written .*; set CLAIMBENCH_CACHE"):
        fetch(["uci/tiny"])


# Archives.


def serve_cifar(host: Host, monkeypatch: pytest.MonkeyPatch, packed: bytes) -> None:
    host.pages["c.tar.gz"] = packed
    archive = Archive("c.tar.gz", sha256(packed), len(packed), (host.url("c.tar.gz"),))
    files = tuple(replace(file, archive=archive) for file in DATASETS["cifar10"].files)
    monkeypatch.setitem(DATASETS, "cifar10", replace(DATASETS["cifar10"], files=files))


def test_cifar_comes_out_of_its_archive_with_a_manifest(
    small_cifar: DataSet, host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar(host, monkeypatch, tar(CIFAR_TREE | {"cifar-10-batches-bin/readme.html": b"x"}))
    assert [source.path for source in data.missing_files("cifar10")] == ["c.tar.gz"]
    fetch(["cifar10"])
    manifest = f"{images.CIFAR_FOLDER}/SHA256SUMS"
    assert everything_in(cache) == sorted([*CIFAR_TREE, manifest])
    assert data.load("cifar10").name == "cifar10"

    data.load.cache_clear()
    (cache / images.CIFAR_FILES[1]).write_bytes(cifar_file([1, 1, 1]))
    with pytest.raises(DataError, match=r"data_batch_2.bin: .*run `claimbench data fetch cifar10`"):
        data.load("cifar10")
    fetch(["cifar10"])
    assert data.load("cifar10").y.tolist()[3:6] == [1, 9, 0]


FIRST = images.CIFAR_FILES[0]


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (tar(CIFAR_TREE | {"../../escape": b"x"}), r"member '../../escape' leads out of"),
        (tar(CIFAR_TREE | {"/tmp/escape": b"x"}), r"member '/tmp/escape' leads out of"),
        (tar(CIFAR_TREE | {FIRST: bytes(9220)}), "has 9220 bytes, expected at most 9219"),
        (tar(CIFAR_TREE, linked(FIRST)), "data_batch_1.bin' is no plain file"),
        (tar(dict(list(CIFAR_TREE.items())[1:])), f"there is no {FIRST} in it"),
        (tar(CIFAR_TREE)[:200], "no whole tar file"),
        (b"no archive", "no whole tar file"),
    ],
)
def test_a_hostile_or_broken_archive_leaves_nothing(
    small_cifar: DataSet,
    host: Host,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    packed: bytes,
    message: str,
) -> None:
    serve_cifar(host, monkeypatch, packed)
    with pytest.raises(DataError, match=f"cifar10: c.tar.gz: .*{message}"):
        fetch(["cifar10"])
    assert everything_in(tmp_path) == []


def test_an_archive_that_unpacks_without_end_is_refused(
    small_cifar: DataSet, host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar(host, monkeypatch, tar({"zeros": bytes(2**20)} | CIFAR_TREE))
    monkeypatch.setattr(archives, "LARGEST_ARCHIVE", 2**20)
    with pytest.raises(DataError, match=r"c.tar.gz: unpacks to over 1048576 bytes"):
        fetch(["cifar10"])
    assert everything_in(cache) == []


def test_an_archive_that_leads_back_into_itself_is_refused(
    small_cifar: DataSet, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, back = tarfile.TarInfo("first"), tarfile.TarInfo("back")
    back.size = -512
    headers = [info.tobuf(tarfile.GNU_FORMAT) for info in (first, back)]
    serve_cifar(host, monkeypatch, gzip.compress(b"".join(headers) + bytes(1024)))
    # Newer versions of tarfile refuse it themselves.
    with pytest.raises(DataError, match=r"c.tar.gz: (unpacks to over|no whole tar file)"):
        fetch(["cifar10"])


def test_an_archive_with_another_digest_is_refused(
    small_cifar: DataSet, host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_cifar(host, monkeypatch, tar(CIFAR_TREE))
    host.pages["c.tar.gz"] = host.pages["c.tar.gz"][:-1]
    with pytest.raises(DataError, match=r"c.tar.gz: \d+ bytes with SHA-256 .*, expected"):
        fetch(["cifar10"])
    assert everything_in(cache) == []


def test_the_uci_archive_serves_where_single_files_do_not(
    host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest is not known: each member is held against its own, a set whole or not at all."""
    host.pages["data.tar.gz"] = tar(
        {path.replace("uci/", "./"): content for path, content in UCI_TREE.items()}
        | {path.replace("uci/tiny", "other"): b"altered" for path in UCI_TREE}
    )
    archive = Archive("data.tar.gz", None, None, (host.url("data.tar.gz"),))
    tiny = uci_set(UCI_TREE, urls=(), archive=archive)
    others = tuple(
        replace(
            file,
            path=file.path.replace("tiny", "other"),
            member=file.member.replace("tiny/", "other/"),
            urls=(host.url("gone"),),
        )
        for file in tiny.files
    )
    monkeypatch.setitem(DATASETS, "uci/tiny", tiny)
    monkeypatch.setitem(DATASETS, "uci/other", replace(tiny, name="uci/other", files=others))
    with pytest.raises(DataError, match=r"uci/other: uci/other/\w+.txt: 7 bytes with SHA-256"):
        fetch(["uci/other", "uci/tiny"])
    assert host.asked.count("/data.tar.gz") == 1
    assert everything_in(cache) == sorted(UCI_TREE)


# The whole registry.


def test_every_data_set_says_whose_it_is() -> None:
    for dataset in DATASETS.values():
        assert dataset.title, dataset.name
        assert dataset.licence, dataset.name
        assert dataset.citation, dataset.name
        assert dataset.publisher.startswith("http"), dataset.name
        assert dataset.bundled == (not dataset.files), dataset.name
    assert sum(name.startswith("uci/") for name in DATASETS) == 90


def test_rows_say_where_each_data_set_is(tiny: DataSet) -> None:
    where = {row.name: row.where for row in data.rows()}
    assert list(where) == list(DATASETS)
    assert where["iris"] == "bundled"
    assert where["uci/tiny"] == "CLAIMBENCH_DATA"
    assert where["uci/iris"] == where["cifar10"] == "not here"
    sizes = {row.name: row.size for row in data.rows()}
    assert sizes["cifar10"] == 170_052_171


def test_verify_without_names_looks_at_what_is_here(tiny: DataSet, mirror: Path) -> None:
    assert [row.path for row in data.verify()] == list(UCI_TREE)
    (mirror / TABLE).unlink()
    assert [row.state for row in data.verify()] == ["ok", "missing", "ok", "ok"]


def test_importing_loads_no_optional_library() -> None:
    heavy = "{'sklearn', 'pooch', 'requests', 'torch', 'pandas'}"
    code = f"import sys, claimbench.suite.data; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# The published files, where a mirror has them.

needs_mirror = pytest.mark.skipif(MIRROR is None, reason="CLAIMBENCH_DATA names no mirror")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMBENCH_DATA", str(MIRROR))


@needs_mirror
@pytest.mark.parametrize("name", [name for name in DATASETS if name.startswith("uci/")])
def test_published_uci_set(published: None, name: str) -> None:
    loaded = data.load(name)
    everything = np.arange(DATASETS[name].samples or 0)
    assert len(loaded.x) == len(loaded.y) == len(everything)
    assert np.array_equal(np.unique(loaded.y), np.arange(loaded.classes))
    # Standardised, and written with six digits.
    np.testing.assert_allclose(loaded.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(loaded.x.std(axis=0, ddof=1), 1, rtol=1e-5)
    for parts in loaded.splits.values():
        for pair in zip(parts[::2], parts[1::2], strict=True):
            assert np.array_equal(np.sort(np.concatenate(pair)), everything)
    for test in loaded.splits["folds"][1::2]:
        assert len(test) == pytest.approx(len(everything) / 4, abs=1.5)


@needs_mirror
@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist"])
def test_published_images(published: None, name: str) -> None:
    if data.missing_files(name):
        pytest.skip(f"the mirror has no {name}")
    loaded = data.load(name)
    assert loaded.name in (name, *images.CIFAR_PREFIXES)
    assert (loaded.x.dtype, loaded.x.min(), loaded.x.max()) == (np.float32, 0, 1)
    assert loaded.classes == 10
    assert {row.state for row in data.verify([name])} == {"ok"}


@needs_mirror
def test_bundled_tables_are_standardised_as_the_published_ones(published: None) -> None:
    """Two sources of one table, standardised by two programs, one of which writes six digits."""
    ours, theirs = data.load("wine"), data.load("uci/wine")
    np.testing.assert_array_equal(ours.y, theirs.y)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=0, atol=5.001e-6)


@needs_mirror
def test_the_two_irises_differ_in_two_samples(published: None) -> None:
    """UCI's file has samples 35 and 38 wrong, as its page says; scikit-learn's has them mended."""
    difference = np.abs(data.load("iris").x - data.load("uci/iris").x)
    # What else differs does so because mean and variance do.
    assert np.argwhere(difference > 0.05).tolist() == [[34, 3], [37, 1], [37, 2]]
