"""Facts about the NTK that hold whatever code computes it."""

from __future__ import annotations

import numpy as np
import pytest

from claimbench.kernels import ntk_gram, ntk_variants, using


def rows(n: int, p: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, p))


def test_depth_0_is_the_linear_kernel() -> None:
    x, y = rows(5, 3), rows(4, 3) + 1
    np.testing.assert_allclose(ntk_gram(x, y, variants=[(0, 0)])[0], x @ y.T, rtol=1e-14)


def test_one_hidden_layer_by_hand() -> None:
    """At right angles kappa_0 is 1/2 and kappa_1 is 1/pi; opposite inputs give 0."""
    x = np.array([[1.0, 0.0]])
    y = np.array([[0.0, 2.0], [-3.0, 0.0]])
    gram = ntk_gram(x, y, variants=[(1, 0), (1, 1)])
    np.testing.assert_allclose(gram[:, 0], [[2 / np.pi, 0], [2 / np.pi, 0]], atol=1e-15)


def test_infinite_width_is_the_limit_of_a_wide_network() -> None:
    """The gradients of one hidden layer of 400,000 units, by hand; 1% is four standard errors."""
    x = rows(2, 3)
    rng = np.random.default_rng(1)
    width = 400_000
    hidden, out = rng.normal(size=(3, width)), rng.normal(size=width)
    before = x @ hidden
    active = (before > 0).astype(float)
    scale = 2 / width
    trained_out = scale * np.maximum(before, 0) @ np.maximum(before, 0).T
    trained_hidden = scale * (active * out) @ (active * out).T * (x @ x.T)
    gram = ntk_gram(x, variants=[(1, 0), (1, 1)])
    atol = 0.01 * gram[0].max()
    np.testing.assert_allclose(trained_hidden + trained_out, gram[0], atol=atol)
    np.testing.assert_allclose(trained_out, gram[1], atol=atol)


def test_fixed_layers_only_take_away() -> None:
    """Training a layer adds a Gram matrix that is positive semi-definite."""
    x = rows(12, 3)
    trained = ntk_gram(x, variants=[(3, fixed) for fixed in range(4)])
    for added in trained[:-1] - trained[1:]:
        assert np.linalg.eigvalsh(added).min() > -1e-12 * added.max()


def test_variants_of_one_pass_are_those_of_separate_ones() -> None:
    x = rows(6, 3)
    together = ntk_gram(x, variants=ntk_variants(4))
    for variant, gram in zip(ntk_variants(4), together, strict=True):
        np.testing.assert_array_equal(ntk_gram(x, variants=[variant])[0], gram)


def test_there_are_fifteen_variants_up_to_depth_4() -> None:
    assert len(ntk_variants(4)) == 15
    assert ntk_variants(1) == [(0, 0), (1, 0), (1, 1)]


def test_is_symmetric_and_positive_definite_on_distinct_directions() -> None:
    x = rows(40, 6)
    gram = ntk_gram(x, variants=[(3, 0)])[0]
    np.testing.assert_allclose(gram, gram.T, rtol=1e-12)
    assert np.linalg.eigvalsh(gram).min() > 0


@pytest.mark.parametrize("backend", ["cpu", "numba", "reference"])
def test_inputs_of_zeros_give_zero(backend: str) -> None:
    if reason := ntk_gram.refusal(backend, rows(1, 1), variants=[(1, 0)]):
        pytest.skip(reason)
    with using(backend):
        assert not ntk_gram(np.zeros((2, 3)), rows(4, 3), variants=ntk_variants(2)).any()


@pytest.mark.parametrize(
    ("x1", "x2", "variants", "message"),
    [
        (rows(3, 2)[0], None, [(1, 0)], r"x1 has shape \(2,\), wanted \(samples, p\)"),
        (rows(3, 2), rows(3, 4), [(1, 0)], r"x2 has shape \(3, 4\)"),
        (rows(3, 2), None, [], "no variant is asked for"),
        (rows(3, 2), None, [(1, 2)], r"variant \(1, 2\) wants 0 <= fixed <= depth"),
    ],
)
def test_arguments_without_meaning_are_refused(
    x1: np.ndarray, x2: np.ndarray | None, variants: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ntk_gram(x1, x2, variants=variants)
