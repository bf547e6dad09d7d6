"""Every backend of every kernel agrees with the reference and obeys its kernel's invariants."""

from __future__ import annotations

from typing import Any

import pytest

from claimbench.kernels import KERNELS, Kernel
from claimbench.kernels.checks import (
    DTYPES,
    Finding,
    Invariant,
    Trial,
    agrees,
    cases,
    invariants,
    is_emulated,
    obeys,
    trials,
)

SEED = 0


def agreements() -> list[Any]:
    found = []
    for name, kernel in KERNELS.items():
        listed, unforeseen = trials(name, DTYPES, SEED)
        for backend in kernel.backends:
            if backend != "reference":
                asked = listed if is_emulated(backend) else listed + unforeseen
                found += [_parameter(kernel, backend, t.case.label, t.dtype, t) for t in asked]
    return found


def relations() -> list[Any]:
    return [
        _parameter(kernel, backend, invariant.label, dtype, invariant, dtype)
        for name, kernel in KERNELS.items()
        for backend in kernel.backends
        if not is_emulated(backend)
        for invariant in invariants(name)
        for dtype in DTYPES
    ]


def _parameter(kernel: Kernel, backend: str, label: str, dtype: str, *asked: object) -> Any:
    name = f"{kernel.name}-{backend}-{label}-{dtype}"
    return pytest.param(kernel, backend, *asked, id=name)


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_has_cases_with_names_of_their_own(name: str) -> None:
    for labels in ([c.label for c in cases(name)], [i.label for i in invariants(name)]):
        assert labels
        assert len(set(labels)) == len(labels)
        assert not any(" " in label for label in labels)


@pytest.mark.parametrize(("kernel", "backend", "trial"), agreements())
def test_backend_agrees_with_reference(
    kernel: Kernel, backend: str, trial: Trial, device: str
) -> None:
    hold(agrees(kernel, backend, trial, device))


@pytest.mark.parametrize(("kernel", "backend", "invariant", "dtype"), relations())
def test_backend_obeys_invariants(
    kernel: Kernel, backend: str, invariant: Invariant, dtype: str, device: str
) -> None:
    hold(obeys(kernel, backend, invariant, dtype, device, SEED))


def hold(finding: Finding) -> None:
    if finding.refused:
        pytest.skip(f"{finding.backend}: {finding.refused}")
    assert not finding.problem
