"""NTK in C++ at every instruction set that this CPU has, and the polynomials that numba shares."""

from __future__ import annotations

import numpy as np
import pytest

from claimbench.kernels import _compiled, ntk_gram, ntk_variants, using
from claimbench.kernels.checks import Case, cases, check
from claimbench.kernels.ntk import _arc_cosine

DTYPES = ["float32", "float64"]
SIZE = 530  # rows: two stretches of float32, three of float64, the last of them cut


@pytest.fixture(params=_compiled.LEVELS)
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every call of the test runs on the library of one instruction set."""
    library = _compiled.library(request.param)
    if library is None:
        pytest.skip(f"{request.param}: not built, or not of this CPU")
    monkeypatch.setattr(_compiled, "library", lambda: library)
    return request.param


def integers(dtype: str) -> np.ndarray:
    """Rows whose inner products are exact, in whatever order they are summed."""
    return np.random.default_rng(0).integers(-3, 4, size=(SIZE, 5)).astype(dtype)


def on_cpu(*x: np.ndarray) -> np.ndarray:
    with using("cpu"):
        return ntk_gram(*x, variants=ntk_variants(3))


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [pytest.param(case, id=case.label) for case in cases("ntk_gram")])
def test_agrees_with_the_reference(case: Case, dtype: str) -> None:
    finding = check(ntk_gram, "cpu", case, dtype, "cpu")
    assert (finding.refused, finding.problem) == ("", "")


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_symmetric_matrix_is_the_full_product_and_symmetric(dtype: str) -> None:
    x = integers(dtype)
    symmetric, full = on_cpu(x), on_cpu(x, x)
    np.testing.assert_array_equal(symmetric, symmetric.swapaxes(1, 2))
    # The diagonal is exact in one of them alone.
    symmetric[:, range(SIZE), range(SIZE)] = full[:, range(SIZE), range(SIZE)] = 0
    np.testing.assert_array_equal(symmetric, full)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_give_the_bits_of_one(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = on_cpu(integers(dtype)), on_cpu(integers(dtype), integers(dtype) + 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    together = on_cpu(integers(dtype)), on_cpu(integers(dtype), integers(dtype) + 1)
    for one, three in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, three)


@pytest.mark.usefixtures("level")
def test_a_missing_value_spoils_its_row_and_no_other() -> None:
    x = integers("float64")
    x[2, 1] = np.nan
    spoilt = np.isnan(on_cpu(x, integers("float64")))
    assert spoilt[:, 2].all()
    assert not np.delete(spoilt, 2, axis=1).any()


def test_says_what_is_missing_where_nothing_was_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compiled, "library", lambda: None)
    reason = ntk_gram.refusal("cpu", integers("float32"), variants=[(1, 0)])
    assert reason == "it was not compiled (install a C++ compiler, then claimbench again)"


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no longer here")
@pytest.mark.parametrize(
    ("dtype", "error0", "error1"), [("float32", 2.8e-8, 8.0e-9), ("float64", 4.3e-17, 3.1e-17)]
)
def test_polynomials_are_as_near_as_their_text_says(
    dtype: str, error0: float, error1: float
) -> None:
    v = np.linspace(0, 1, 10_001, dtype=np.longdouble)[1:]
    r = np.sqrt(v)
    # arccos(1 - v), without the cancellation of 1 - v.
    angle = 2 * np.arcsin(r / np.sqrt(np.longdouble(2)))
    pi = 4 * np.arctan(np.longdouble(1))
    kappa0 = 1 - angle / pi
    kappa1 = (1 - v) * kappa0 + r * np.sqrt(2 - v) / pi
    p, q = (np.polyval(terms[dtype][::-1], v) for terms in (_arc_cosine.P, _arc_cosine.Q))
    assert np.abs(1 - r * p - kappa0).max() <= error0
    assert np.abs(1 - v + v * r * q - kappa1).max() <= error1
