"""Backends agree with the reference on whatever shapes, options and scales hypothesis thinks of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from claimbench.kernels import KERNELS, ntk_variants
from claimbench.kernels.checks import DTYPES, Case, Reference, Trial, agrees, is_emulated
from claimbench.kernels.empirical.cases import Tokens, seeded

SIZES = st.sampled_from([1, 2, 3, 5, 7, 12])
SCALES = st.integers(-6, 6).map(lambda power: 10.0**power)


def some(values: list[Any]) -> SearchStrategy[list[Any]]:
    """One or more of them, in any order."""
    return st.permutations(values).flatmap(
        lambda order: st.integers(1, len(values)).map(lambda count: order[:count])
    )


@st.composite
def ntk_gram(draw: DrawFn) -> Case:
    n, m, p = draw(SIZES), draw(SIZES), draw(SIZES)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x1, x2 = (draw(SCALES) * rng.normal(size=(rows, p)) for rows in (n, m))
    kwargs = {"variants": draw(some(ntk_variants(3))), "c_sigma": draw(st.sampled_from([1.0, 2]))}
    return Case("property", (x1, x2) if draw(st.booleans()) else (x1,), kwargs)


@st.composite
def cntk_gram(draw: DrawFn) -> Case:
    n, m = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shape = draw(st.integers(1, 3)), *(draw(st.sampled_from([1, 2, 3, 5])) for _ in "hw")
    # Images of one number have a cosine of 1 or -1, where float32 loses the angle (docs: Trust).
    assume(np.prod(shape) > 1)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x1, x2 = (draw(SCALES) * rng.normal(size=(images, *shape)) for images in (n, m))
    kwargs = {
        "depths": draw(some([1, 2, 4])),
        "windows": draw(some([0, 1, 3, "gap"])),
        "flips": draw(some([False, True])),
        "get": draw(some(["ntk", "nngp"])),
        "frozen_ends": draw(st.booleans()),
        "padding": draw(st.sampled_from(["zeros", "circular"])),
    }
    return Case("property", (x1, x2) if draw(st.booleans()) else (x1,), kwargs)


@st.composite
def coates_ng_features(draw: DrawFn) -> Case:
    n, c, k, s = (draw(st.integers(1, 4)) for _ in range(4))
    h, w = s + draw(SIZES), s + draw(SIZES)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    scale = draw(SCALES)
    images, filters = scale * rng.normal(size=(n, c, h, w)), rng.normal(size=(k, c, s, s))
    return Case(
        "property", (images, filters), {"bias": scale * draw(st.sampled_from([-1, 0, 0.5]))}
    )


@st.composite
def saliency_mask(draw: DrawFn) -> Case:
    b, f, c, cell = (draw(st.integers(1, 4)) for _ in range(4))
    h, w = draw(SIZES), draw(SIZES)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weights = draw(SCALES) * rng.normal(size=(b, -(-h // cell), -(-w // cell)))
    scale = draw(SCALES)
    images, fillers = (scale * rng.normal(size=(b, *more, c, h, w)) for more in ((), (f,)))
    return Case("property", (images, weights, fillers), {"scale": cell})


@st.composite
def empirical_ntk_gram(draw: DrawFn) -> Case:
    n, m, tokens, width = draw(SIZES), draw(SIZES), draw(SIZES), draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x1, x2 = (rng.normal(size=(samples, tokens, 4)) for samples in (n, m))
    outputs = st.sampled_from(["trace", "pseudo", "class", "full"])
    kwargs = {"output": draw(outputs), "by_layer": draw(st.booleans())}
    modules = {"module": seeded(lambda: Tokens(width), (tokens, 4))}
    return Case("property", (x1, x2) if draw(st.booleans()) else (x1,), kwargs, modules)


STRATEGIES = {
    make.__name__: make
    for make in (ntk_gram, cntk_gram, coates_ng_features, saliency_mask, empirical_ntk_gram)
}


def test_every_kernel_has_a_strategy() -> None:
    assert set(STRATEGIES) == set(KERNELS)


@pytest.mark.parametrize("name", STRATEGIES)
def test_backends_agree_on_anything(name: str, device: str) -> None:
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STRATEGIES[name](), st.sampled_from(DTYPES))
    def holds(case: Case, dtype: str) -> None:
        kernel = KERNELS[name]
        trial = Trial(case, dtype, Reference(kernel, case))
        for backend in kernel.backends:
            if backend != "reference" and not is_emulated(backend):
                assert not agrees(kernel, backend, trial, device).problem

    holds()
