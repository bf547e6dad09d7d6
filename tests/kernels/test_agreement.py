"""Every backend of every kernel agrees with the reference, by the rule of `checks`."""

from __future__ import annotations

import numpy as np
import pytest

from claimbench.kernels import KERNELS, Backend, Kernel
from claimbench.kernels.checks import Case, cases, check

AGREEMENTS = [
    pytest.param(kernel, backend, case, id=f"{name}-{backend}-{case.label}")
    for name, kernel in KERNELS.items()
    for backend in kernel.backends
    if backend != "reference"
    for case in cases(name)
]


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_has_cases(name: str) -> None:
    labels = [case.label for case in cases(name)]
    assert labels
    assert len(set(labels)) == len(labels)
    assert not any(" " in label for label in labels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kernel", "backend", "case"), AGREEMENTS)
def test_backend_agrees_with_reference(
    kernel: Kernel, backend: str, case: Case, dtype: str, device: str
) -> None:
    finding = check(kernel, backend, case, dtype, device)
    if finding.refused:
        pytest.skip(f"{backend}: {finding.refused}")
    assert not finding.problem


def double(x: np.ndarray) -> np.ndarray:
    """A kernel that is easily got wrong on purpose."""
    return 2 * x


@pytest.mark.parametrize(
    ("defect", "problem"),
    [
        (lambda x: 2 * x * (1 + 1e-5), "off by 1.0e-05, more than"),
        (lambda x: np.where(x > 0, 2 * x, np.nan), "off by inf"),
        (lambda x: (2 * x).astype("float16"), "of float16, not"),
        (lambda x: 2 * x[:1], "gave .1, 3. of float32, not .2, 3."),
        (lambda x: np.add(x, x, out=x), "changed its inputs in place"),
    ],
    ids=["too-coarse", "nan", "other-dtype", "other-shape", "in-place"],
)
def test_check_finds_what_is_wrong(
    defect: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Backend("unused", "numpy")
    monkeypatch.setattr("claimbench.kernels._dispatch.KERNELS", {})
    kernel = Kernel(double, {"wrong": backend}, validate=lambda *_, **__: None)
    monkeypatch.setattr(kernel, "on", lambda _: defect)
    case = Case("one", (np.array([[1.0, -2.0, 3.0], [0.5, -0.1, 0.0]]),))
    finding = check(kernel, "wrong", case, "float32", "cpu")
    assert not finding.refused
    with pytest.raises(AssertionError, match=problem):
        assert not finding.problem, finding.problem
