"""Data that nobody should publish: refused with one message, or used as they are where legal.

What a broken or altered file of each format is answered with stands in `test_data.py` and
`test_voc.py`; here are archives made to harm, arrays that make no sense, and legal oddities.
"""

from __future__ import annotations

import gzip
import io
import pickle
import random
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimbench.suite import data as data_sets
from claimbench.suite.data import DATASETS, DataError, DataSet, File, archives, images, make, voc
from claimbench.suite.data.archives import members, unpack
from claimbench.suite.data.sets import Archive, hold
from claimbench.suite.definitions import Call
from claimbench.suite.evaluation import Data, Trial, standardised
from claimbench.suite.protocols import UnfitData, few_shots, holdout, nested_folds, published_folds
from claimbench.suite.vocabulary import method

# Archives.


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as out:
        for entry, content in entries:
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return held.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, to
    return made


def taken(content: bytes) -> dict[str, bytes]:
    return dict(members("a.tar", content, lambda name: True, 2**16))


@pytest.mark.parametrize(
    "kind",
    [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
     tarfile.DIRTYPE],
)  # fmt: skip
def test_only_plain_files_are_taken(kind: bytes) -> None:
    content = packed((entry("first"), b"x"), (entry("a", kind, "/etc/hostname"), b""))
    with pytest.raises(DataError, match=r"a.tar: member 'a' is no plain file"):
        taken(content)


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "./../a", "//a"])
def test_a_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="leads out of the archive's folder"):
        taken(packed((entry(name), b"x")))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path, kind: bytes) -> None:
    """A few bytes of gzip hold gigabytes of zeros, and tarfile reads such a header at once."""
    header = entry("a", kind)
    header.size = 2**34
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(2**20)))
    with pytest.raises(DataError, match=f"a.tar.gz: a header of {2**34} bytes"):
        unpack(Archive("a.tar.gz", None, None, ()), path, [], tmp_path)


def test_members_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    with pytest.raises(DataError, match=r"a.tar: holds more than 3 members"):
        taken(packed(*((entry(str(n)), b"") for n in range(4))))


def test_a_disk_that_is_full_is_no_broken_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(packed((entry("m"), b"x"))))
    archive = Archive("a.tar.gz", "0" * 64, None, ())
    wanted = File("folder/m", None, archive=archive, member="m")
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(DataError, match="folder/m cannot be written"):
        unpack(archive, path, [wanted], tmp_path)


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "q"}


def spoilt(rng: random.Random) -> bytes:
    """A right archive with some bytes of its headers changed, their checksums mended."""
    long = entry("d" * 150 + "/b")
    sparse = entry("s")
    sparse.pax_headers = SPARSE | {"GNU.sparse.realsize": "600"}
    content = bytearray(packed((sparse, b"2\n0\n1\n5\n6\n" + b"z" * 600), (long, b"y" * 700)))
    for _ in range(rng.randrange(1, 5)):
        at = 512 * rng.randrange(len(content) // 512) + rng.choice((*range(100, 160), 0, 345))
        content[at] = rng.choice((*b"xgLKS7-09\x00\x80\xff", rng.randrange(256)))
    for at in range(0, len(content), 512):
        if content[at + 257 : at + 262] == b"ustar":
            fields = content[at : at + 148] + b" " * 8 + content[at + 156 : at + 512]
            content[at + 148 : at + 156] = b"%06o\0 " % sum(fields)
    return bytes(content[: rng.choice((len(content), rng.randrange(len(content))))])


def test_any_archive_is_taken_or_refused() -> None:
    rng, refused = random.Random(3), 0
    for _ in range(400):
        refused += bool(message := refusal(taken, spoilt(rng)))
        assert not message or message.startswith("a.tar: ")
    assert 100 < refused < 400


def refusal(read: Callable[..., object], *arguments: object) -> str:
    """What a reader says against its input; nothing where it takes it."""
    try:
        read(*arguments)
    except DataError as e:
        return str(e)
    return ""


@given(st.binary(max_size=1500))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_bytes_are_an_image_or_refused(content: bytes) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    with pytest.raises(DataError, match=r"a.jpg: no whole JPEG file"):
        voc._pixels("a.jpg", b"\xff\xd8\xff" + content)


@given(st.binary(max_size=40), st.sampled_from([images.IDX_IMAGES, images.IDX_LABELS]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_bytes_are_an_idx_file_or_refused(content: bytes, magic: int) -> None:
    message = refusal(images.idx, "a", {"a": magic.to_bytes(4, "big") + content}, magic)
    assert not message or message.startswith("a: ")


# Arrays.

X = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]])
Y = np.array([0, 1, 0, 1])


def changed(x: np.ndarray, value: float) -> np.ndarray:
    found = x.copy()
    found[1, 1] = value
    return found


@pytest.mark.parametrize(
    ("x", "y", "splits", "wanted"),
    [
        (changed(X, np.nan), Y, {}, "a value is not finite or beyond 1e\\+15"),
        (changed(X, np.inf), Y, {}, "a value is not finite"),
        (changed(X, -np.inf), Y, {}, "a value is not finite"),
        (changed(X, 1e308), Y, {}, "beyond 1e\\+15"),
        (changed(X, -1e308), Y, {}, "beyond 1e\\+15"),
        (X, np.zeros(4, int), {}, "all 4 samples are of class 0, wanted two classes or more"),
        (X[:1], Y[:1], {}, "1 samples and 1 labels, wanted two or more"),
        (X[:0], Y[:0], {}, "0 samples"),
        (X, Y[:3], {}, "4 samples and 3 labels"),
        (X, Y - 1, {}, "labels of int64 from -1"),
        (X, Y.astype(float), {}, "labels of float64"),
        (X[:, 0], Y, {}, "wanted a row of numbers each"),
        (X[:, :0], Y, {}, r"samples of shape \(4, 0\)"),
        (X.astype(str), Y, {}, "wanted a row of numbers"),
        (X.astype(object), Y, {}, "wanted a row of numbers"),
        (X, Y, {"train": (np.array([4]),)}, "the split 'train' names no sample, or one beyond 3"),
        (X, Y, {"train": (np.array([-1]),)}, "the split 'train'"),
        (X, Y, {"train": (np.array([], int),)}, "names no sample"),
    ],
)
def test_arrays_that_make_no_sense_are_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, x: np.ndarray, y: np.ndarray, splits: Any, wanted: str
) -> None:
    made = Data("odd", x, y, splits, "0")
    bundled = DataSet("odd", "t", "l", "c", "p", lambda _: made, bundled=True)
    monkeypatch.setitem(DATASETS, "odd", bundled)
    data_sets.load.cache_clear()
    with pytest.raises(DataError, match=f"^odd: .*{wanted}"):
        data_sets.load("odd")


def test_what_every_bundled_set_has_is_held_right() -> None:
    for dataset in DATASETS.values():
        if dataset.bundled:
            hold(data_sets.load(dataset.name))


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_in_a_files_place_is_read_as_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The python version of CIFAR-10 is pickles: of the size of a whole file they are labels."""
    sprung = tmp_path / "sprung"
    pickled = pickle.dumps(Trap(sprung))
    monkeypatch.setattr(images, "CIFAR_RECORDS", 3)
    whole = 3 * images.CIFAR_RECORD
    for path in images.CIFAR_FILES:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(pickled.ljust(whole, b"\xff"))
    monkeypatch.setenv("CLAIMBENCH_DATA", str(tmp_path))
    data_sets.load.cache_clear()
    with pytest.raises(DataError, match="record 0 has label 128, expected 0 to 9"):
        data_sets.load("cifar10")
    (tmp_path / images.CIFAR_FILES[0]).write_bytes(pickled)
    with pytest.raises(DataError, match=r"data_batch_1.bin: \d+ bytes"):
        data_sets.load("cifar10")
    assert not sprung.exists()


# What cannot be drawn.


def uneven(counts: Sequence[int]) -> Data:
    y = np.repeat(np.arange(len(counts)), counts)
    return make("toy", np.zeros((len(y), 2)), y)


@pytest.mark.parametrize(
    ("draw", "counts", "wanted"),
    [
        (lambda data: nested_folds(data, 0, inner=10**9), [20, 20], "cut into 1000000000 folds"),
        (lambda data: published_folds(data, 0), [1, 1], "2 samples cannot be cut into 4 folds"),
        (lambda data: published_folds(data, 0), [7, 1], "training samples of one class"),
        (lambda data: few_shots(data, 0, k=[10**12]), [9, 9], "has no 1000000000000 training"),
        (lambda data: holdout(data, 0, train=10**12, test=1), [9, 9], "train = 1000000000000"),
        (lambda data: holdout(data, 0, train=2, test=10**12), [9, 9], "test = 1000000000000"),
        (lambda data: holdout(data, 0, train=2, test=1), [40, 0, 1], "of one class, wanted two"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_error(
    draw: Callable[[Data], object], counts: Sequence[int], wanted: str
) -> None:
    with pytest.raises(UnfitData, match=wanted):
        draw(uneven(counts))


@pytest.mark.parametrize(
    "protocol",
    [
        "few_samples]\nn = [-3]\ntest = 1",
        "few_samples]\nn = [3]\ntest = 0",
        "few_samples]\nn = [3]\ntest = 3\ninner = 1",
        "few_shots]\nk = [0]",
        "holdout]\ntrain = -5\ntest = 5",
        "holdout]\ntrain = 5\ntest = 5\nclasses = 1",
        "nested_folds]\ninner = 1",
        "nested_folds]\npairs = 0",
    ],
)
def test_what_no_data_could_give_is_told_by_check(protocol: str) -> None:
    from .test_fuzz import complaints, spoilt

    text = spoilt("[protocols.paper.published_folds]", f"[protocols.paper.{protocol}")
    [complaint] = complaints(text)
    assert "should be" in complaint.message


# Legal oddities: constant features, equal samples with equal and with other labels, uneven classes.


def odd_table() -> Data:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6))
    x[:, 1], x[:, 2], x[:, 3] = 0.1, 0.0, 1e3
    x[20:] = x[:20]
    y = np.arange(40) % 3 // 2
    return make("odd", standardised(x, np.arange(40)), y)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6 + 0.1, -1e-9, 0.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_is_not_divided_by_its_rounding_error(value: float, dtype: type) -> None:
    x = np.full((1001, 2), value, dtype)
    x[-1, 0] *= 1 + 1e-3
    found = standardised(x, np.arange(1000))
    assert np.abs(found).max() <= np.abs(value) * 2e-3


def odd_images() -> Data:
    rng = np.random.default_rng(0)
    x = rng.random((24, 1, 8, 8)).astype(np.float32)
    x[:, :, :, 0] = 0.5
    x[12:] = x[:12]
    x[3], x[4] = 0.25, 0.75
    return make("odd", x, np.arange(24) % 2)


TABLES = {
    "ntk_svm": {"depth": 1, "c": [1.0]},
    "gaussian_svm": {"gamma": [0.1], "c": [1.0]},
    "polynomial_svm": {"degrees": [2], "scales": [0.1], "c": [1.0]},
    "linear_svm": {"c": [1.0]},
    "random_forest": {"trees": 3},
    "feature_machine": {},
    "ntk_descent": {"depth": 1, "steps": 5, "rate": 0.1},
    "dense_network": {"init": "he", "width": 8, "depths": [1], "rates": [0.1],
                      "batch_norm": [True], "epochs": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_constant_features_and_equal_samples_are_legal(name: str) -> None:
    table = odd_table()
    hold(table)
    assert np.isfinite(table.x).all()
    draw = holdout(table, 0, train=15, test=15) if "steps" in TABLES[name] else None
    run(name, TABLES[name], table, draw or nested_folds(table, 0))


def test_flat_and_equal_images_are_legal() -> None:
    flat = odd_images()
    hold(flat)
    arguments = {"get": ["ntk"], "depth": [2], "window": ["gap", 1], "flip": [False, True],
                 "ridge": 1e-4, "unit_diagonal": True}  # fmt: skip
    run("cntk_regression", arguments, flat, holdout(flat, 0, train=8, test=8))


def run(name: str, arguments: dict[str, Any], data: Data, parts: Any) -> None:
    modules = method[name].needed(Call(name=name, arguments=arguments))
    for module, _ in modules:
        pytest.importorskip(module, reason=f"{module} is not installed")
    scores = list(method.run(Call(name=name, arguments=arguments), Trial(data, parts, 0)))
    assert scores
    for score in scores:
        for value in score.metrics.values():
            assert 0 <= value <= 1 or "mse" in score.metrics


def test_a_set_that_is_altered_names_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrays that make no sense out of right files name the data set and the way out."""
    made = Data("odd", changed(X, np.nan), Y, {}, "0")
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
    empty = File("odd.bin", digest, 0)
    dataset = DataSet("odd", "t", "l", "c", "p", lambda _: made, (empty,))
    monkeypatch.setitem(DATASETS, "odd", replace(dataset))
    (tmp_path / "odd.bin").touch()
    monkeypatch.setenv("CLAIMBENCH_DATA", str(tmp_path))
    data_sets.load.cache_clear()
    with pytest.raises(DataError, match=r"^odd: a value is not finite .*; replace it in"):
        data_sets.load("odd")
