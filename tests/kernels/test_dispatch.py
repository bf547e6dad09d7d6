"""How a kernel chooses a backend, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from claimbench.kernels import (
    KERNELS,
    Backend,
    Kernel,
    NoBackend,
    backends_used,
    ntk_gram,
    shapes,
    using,
)


def _validate(x: np.ndarray, *, power: int = 1) -> None:
    if power < 1:
        raise ValueError(f"mean_power: power is {power}, wanted at least 1")


def mean_power(x: np.ndarray, *, power: int = 1) -> np.ndarray:
    """Reference."""
    return (x**power).mean(keepdims=True)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel whose first backend takes odd powers only; its backends are told apart by dtype."""

    def odd_only(x: np.ndarray, *, power: int = 1) -> str | None:
        return None if power % 2 else f"it takes odd powers, not {power}"

    backends = {
        "odd": Backend("unused", "numpy", refuses=odd_only),
        "other": Backend("unused", "torch"),
    }
    made = Kernel(mean_power, backends, _validate)
    on = made.on
    monkeypatch.setattr(made, "on", lambda name: on("reference" if name == "odd" else name))
    yield made
    del KERNELS[made.name]


def chosen(kernel: Kernel, x: np.ndarray, **kwargs: int) -> dict[str, str]:
    with backends_used() as used:
        kernel(x, **kwargs)
    return used


X = np.array([1.0, 2.0])


def test_takes_the_first_backend_that_refuses_nothing(kernel: Kernel) -> None:
    assert chosen(kernel, X, power=3) == {"mean_power": "odd"}
    assert chosen(kernel, X, power=2) == {"mean_power": "reference"}


def test_asked_for_by_name_it_runs_or_raises(kernel: Kernel) -> None:
    with using("reference"):
        assert chosen(kernel, X, power=3) == {"mean_power": "reference"}
    with (
        using("odd"),
        pytest.raises(NoBackend, match="mean_power cannot run on odd: it takes odd powers, not 2"),
    ):
        kernel(X, power=2)
    with (
        using("other"),
        pytest.raises(NoBackend, match="cannot run on other: it takes torch arrays, not numpy"),
    ):
        kernel(X)


def test_using_ends_with_its_block(kernel: Kernel) -> None:
    with using("reference"), using(None):
        assert chosen(kernel, X) == {"mean_power": "odd"}
    assert chosen(kernel, X) == {"mean_power": "odd"}


def test_unknown_backend_is_named_with_a_suggestion(kernel: Kernel) -> None:
    with (
        using("referense"),
        pytest.raises(NoBackend, match="no backend 'referense'; did you mean 'reference'"),
    ):
        kernel(X)
    with using("cuda"), pytest.raises(NoBackend, match="it has odd, other, reference"):
        kernel(X)


def test_says_of_every_backend_why_it_does_not_run(kernel: Kernel) -> None:
    with pytest.raises(NoBackend, match=r"odd: .*; other: .*; reference: it takes numpy arrays"):
        kernel([1.0])


def test_arguments_are_validated_before_a_backend_is_chosen(kernel: Kernel) -> None:
    with using("no_such"), pytest.raises(ValueError, match="power is 0, wanted at least 1"):
        kernel(X, power=0)


def test_backends_used_sees_only_its_block_and_every_kernel(kernel: Kernel) -> None:
    kernel(X)
    with backends_used() as used:
        assert used == {}
        with using("reference"):
            kernel(X)
            ntk_gram(X[:, None], variants=[(1, 0)])
    kernel(X)
    assert used == {"mean_power": "reference", "ntk_gram": "reference"}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_describes_itself(name: str) -> None:
    kernel = KERNELS[name]
    assert kernel.__name__ == name
    assert kernel.__doc__
    assert list(kernel.backends)[-1] == "reference"


def test_importing_the_kernels_imports_no_backend() -> None:
    code = (
        "import sys, claimbench.kernels\n"
        "assert not {'numba', 'torch', 'triton'} & set(sys.modules), 'a backend was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_kernel_that_is_a_plain_module_has_no_shapes_of_its_own(kernel: Kernel) -> None:
    assert shapes.standard(kernel.name) == {}
    assert shapes.sweep(kernel.name) == {}
    assert shapes.work(kernel.name, {"x": (3,)}, {}, itemsize=4) is None
