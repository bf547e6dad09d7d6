"""Facts about the Coates-Ng front end that hold whatever code computes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from claimbench.kernels import NoBackend, coates_ng_features, patch_filters, using


def images(n: int, c: int, h: int, w: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, c, h, w))


def test_a_filter_of_one_pixel_thresholds_the_image_on_both_sides() -> None:
    x = images(2, 1, 4, 5)
    features = coates_ng_features(x, np.ones((1, 1, 1, 1)), bias=0.5)
    np.testing.assert_array_equal(features[:, :1], np.maximum(x - 0.5, 0))
    np.testing.assert_array_equal(features[:, 1:], np.maximum(-x - 0.5, 0))


def test_without_a_threshold_the_sides_differ_by_the_correlation() -> None:
    x, filters = images(2, 3, 6, 7), images(4, 3, 3, 3)
    positive, negative = np.split(coates_ng_features(x, filters, bias=0.0), 2, axis=1)
    corner = (x[:, None, :, :3, :3] * filters).sum(axis=(2, 3, 4))
    assert positive.shape == (2, 4, 4, 5)
    np.testing.assert_allclose((positive - negative)[:, :, 0, 0], corner, rtol=1e-12)
    np.testing.assert_array_equal(positive * negative, 0)


def test_torch_backend_has_the_gradient_of_the_correlation() -> None:
    x = torch.from_numpy(images(2, 2, 5, 6)).requires_grad_()
    filters = torch.from_numpy(images(3, 2, 3, 3)).requires_grad_()
    with using("torch"):
        assert torch.autograd.gradcheck(
            lambda *arrays: coates_ng_features(*arrays, bias=0.1), (x, filters)
        )


def test_triton_refuses_what_wants_a_gradient() -> None:
    x = torch.zeros(1, 1, 3, 3, requires_grad=True)
    reason = coates_ng_features.refusal("triton", x, torch.zeros(1, 1, 2, 2))
    assert reason is not None
    assert coates_ng_features.choose(x, torch.zeros(1, 1, 2, 2)) == "torch"


def test_filters_are_whitened_twice_and_mirrored() -> None:
    x, eps = images(9, 2, 6, 6), 0.01
    filters = patch_filters(x, count=500, size=3, seed=0, zca_bias=eps, bank=500)
    assert filters.shape == (1000, 2, 3, 3)
    np.testing.assert_array_equal(filters[500:], filters[:500, :, :, ::-1])

    flat = filters[:500].reshape(500, -1)
    # With F = P (C + eps I)^-1 and C = P^T P / N, undoing the whitening gives unit patches back:
    # F^T F / N = (C + eps I)^-1 C (C + eps I)^-1 has the eigenvalues c / (c + eps)^2 of C's c.
    ours = np.linalg.eigvalsh(flat.T @ flat / 500)
    assert ours.min() == pytest.approx(0, abs=1e-9)  # patches have zero mean
    assert ours.max() < 1 / (4 * eps)
    undone = np.linalg.lstsq(flat, np.eye(500), rcond=1e-10)[0].T
    assert np.linalg.matrix_rank(undone) == 17


def test_filters_of_a_flat_image_are_zero() -> None:
    filters = patch_filters(np.full((1, 1, 5, 5), 0.1), 4, 3, seed=0, zca_bias=0.1, bank=10)
    np.testing.assert_array_equal(filters, 0)


def test_filters_are_the_same_for_a_seed() -> None:
    x = images(3, 1, 8, 8).astype(np.float32)
    first, again, other = (patch_filters(x, 5, 3, seed, 1e-3, bank=50) for seed in (0, 0, 1))
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("x", "filters", "message"),
    [
        (images(1, 1, 3, 3)[0], images(1, 1, 2, 2), "images has shape .* wanted four axes"),
        (images(1, 2, 3, 3), images(1, 1, 2, 2), r"wanted \(1, 2, s, s\)"),
        (images(1, 1, 3, 3), images(1, 1, 2, 3), r"wanted \(1, 1, s, s\)"),
        (images(1, 1, 3, 3), images(1, 1, 4, 4), "filters of 4 x 4 on images of 3 x 3"),
        (images(1, 1, 3, 3), images(1, 1, 2, 2).astype("float32"), "wanted one dtype"),
    ],
)
def test_says_what_does_not_fit(x: np.ndarray, filters: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coates_ng_features(x, filters)


def test_asked_for_triton_with_a_gradient_it_raises() -> None:
    x = torch.zeros(1, 1, 3, 3, requires_grad=True)
    with using("triton"), pytest.raises(NoBackend, match="cannot run on triton"):
        coates_ng_features(x, torch.zeros(1, 1, 2, 2))
