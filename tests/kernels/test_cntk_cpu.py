"""CNTK in C++ at every instruction set that this CPU has, and what its lanes and threads bring."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from claimbench.kernels import _compiled, cntk_gram, using
from claimbench.kernels.checks import Case, cases, check

MOST_LANES = 16
EVERYTHING: dict[str, Any] = {
    "depths": [3, 1],
    "windows": [1, 0, "gap"],
    "flips": [False, True],
    "get": ["ntk", "nngp"],
}


@pytest.fixture(params=_compiled.LEVELS)
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every call of the test runs on the library of one instruction set."""
    library = _compiled.library(request.param)
    if library is None:
        pytest.skip(f"{request.param}: not built, or not of this CPU")
    monkeypatch.setattr(_compiled, "library", lambda: library)
    return request.param


def images(n: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype("float32")


def on_cpu(*x: np.ndarray, **kwargs: Any) -> np.ndarray:
    with using("cpu"):
        return cntk_gram(*x, **kwargs)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.label) for case in cases("cntk_gram")])
def test_agrees_with_the_reference(case: Case) -> None:
    finding = check(cntk_gram, "cpu", case, "float32", "cpu")
    assert (finding.refused, finding.problem) == ("", "")


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize("frozen_ends", [False, True])
@pytest.mark.parametrize(
    ("n", "m"), [(1, 1), (2, 3), (1, MOST_LANES + 1), (MOST_LANES + 1, 1), (2, MOST_LANES), (4, 4)]
)
def test_any_number_of_images_fills_the_lanes(
    n: int, m: int, frozen_ends: bool, padding: str
) -> None:
    """One image moved into all lanes, several in some of them, the two sides changed about."""
    args = (images(n, 2, 3, 4).astype("float64"), images(m, 2, 3, 4, seed=1).astype("float64"))
    kwargs = {**EVERYTHING, "frozen_ends": frozen_ends, "padding": padding}
    finding = check(cntk_gram, "cpu", Case("lanes", args, kwargs), "float32", "cpu")
    assert (finding.refused, finding.problem) == ("", "")


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("padding", ["zeros", "circular"])
def test_half_of_a_symmetric_matrix_is_the_full_product(padding: str) -> None:
    x = images(2 * MOST_LANES + 3, 1, 4, 3)
    half = on_cpu(x, **EVERYTHING, padding=padding)
    full = on_cpu(x, x, **EVERYTHING, padding=padding)
    np.testing.assert_array_equal(np.triu(half), np.triu(full))


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("x", [(images(3, 1, 9, 8), images(18, 1, 9, 8)), (images(19, 1, 9, 8),)])
def test_threads_give_the_bits_of_one(
    x: tuple[np.ndarray, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    kwargs: dict[str, Any] = {"depths": [8, 2], "windows": ["gap", 2], "flips": [True]}
    grams = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        grams.append(on_cpu(*x, **kwargs))
    np.testing.assert_array_equal(grams[1], grams[0])
    np.testing.assert_array_equal(grams[2], grams[0])


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("depth", [13, 100])
@pytest.mark.parametrize("window", [0, "gap"])
def test_an_image_among_others_meets_itself_exactly(depth: int, window: Any) -> None:
    """Whatever lane it is in; else a rounding of 1e-7 in its cosine would cost 3e-4 (vanilla)."""
    z = images(MOST_LANES + 3, 1, 5, 5)
    x = z[[1, MOST_LANES + 1]]
    kwargs: dict[str, Any] = {"depths": [depth], "windows": [window], "get": ["ntk", "nngp"]}
    truth = cntk_gram.reference(x.astype("float64"), **kwargs)[0, :, 0, 0]
    for gram in (on_cpu(x, z, **kwargs), on_cpu(z, x, **kwargs).swapaxes(-1, -2)):
        itself = gram[0, :, 0, 0, [0, 1], [1, MOST_LANES + 1]].T
        # Off the map of offset 0, kappa_0 is a polynomial: 2.8e-8 for each layer, on that part.
        rtol = 2e-7 if window == 0 else 1e-6
        np.testing.assert_allclose(itself, truth.diagonal(axis1=-2, axis2=-1), rtol=rtol)


def test_images_may_be_views_of_any_order() -> None:
    x, z = images(2, 3, 6, 5), images(3, 3, 6, 5, seed=1)
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    every_second = np.repeat(z, 2, axis=0)[::2]
    expected = on_cpu(x, z, **EVERYTHING)
    np.testing.assert_array_equal(on_cpu(channels_last, every_second, **EVERYTHING), expected)


@pytest.mark.parametrize(("n", "m"), [(0, 2), (2, 0), (0, None)])
def test_no_images_have_an_empty_gram(n: int, m: int | None) -> None:
    x = [images(k, 1, 3, 3) for k in (n, m) if k is not None]
    gram = on_cpu(*x, **EVERYTHING)
    assert gram.shape == (2, 2, 2, 3, n, n if m is None else m)


OUT_OF_MEMORY = """
import resource
import numpy as np
from claimbench.kernels import cntk_gram, using

x = np.ones((20, 1, 1, 1), "float32")
with using("cpu"):
    cntk_gram(x, depths=[1])
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + 200 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        cntk_gram(x, depths=[10**6])
    except MemoryError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(_compiled.library() is None, reason="not compiled")
def test_want_of_memory_is_an_exception() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("cntk_gram\n", "")
