"""Filters that are whitened random patches of the images themselves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def patch_filters(
    images: Float[np.ndarray, "n c h w"],
    count: int,
    size: int,
    seed: int,
    zca_bias: float,
    bank: int = 100_000,
) -> Float[np.ndarray, "two_count c size size"]:
    r"""Random patches of zero mean and unit norm, whitened twice, and their mirror images.

    With the patches p of a bank as rows of P and :math:`C = P^\top P / N`, not centred, a filter is
    :math:`p \, (C + \epsilon I)^{-1}`: ZCA for the patch, and once more for the image patches that
    it will be correlated with.

    Args:
        images: training images.
        count: patches that become filters: the first of the bank.
        seed: of the positions that patches are drawn at, with replacement.
        zca_bias: the epsilon above, added to the eigenvalues of C; patches have unit norm.
        bank: patches that C is computed from; at least `count` are drawn.

    Returns:
        The filters and then, in the same order, their mirror images.

    Source: section 6.2 of Li et al. 2019, arXiv:1911.00809, and the code it follows, `nondeep` of
    Recht et al. 2019; the epsilon of the paper is not known (1e-3 there).
    """
    patches = _unit(_random_patches(images, max(bank, count), size, np.random.default_rng(seed)))
    flat = patches.reshape(len(patches), -1)
    covariance = flat.T @ flat / len(flat)
    covariance[np.diag_indices_from(covariance)] += zca_bias
    filters = np.linalg.solve(covariance, flat[:count].T).T.reshape(-1, *patches.shape[1:])
    return np.concatenate([filters, filters[..., ::-1]]).astype(images.dtype)


def _random_patches(
    images: np.ndarray, count: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    n, _, h, w = images.shape
    which = rng.integers(n, size=count)
    top, left = rng.integers(h - size + 1, size=count), rng.integers(w - size + 1, size=count)
    rows = top[:, None, None] + np.arange(size)[:, None]
    columns = left[:, None, None] + np.arange(size)
    return images[which[:, None, None], :, rows, columns].transpose(0, 3, 1, 2).astype(float)


def _unit(patches: np.ndarray) -> np.ndarray:
    """Each patch less its mean, over its norm; a patch of one colour becomes 0."""
    centred = patches - patches.mean(axis=(1, 2, 3), keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=(1, 2, 3), keepdims=True))
    # The mean of a flat patch is off by rounding; that must not be blown up to unit norm.
    flat = norm <= 1e-10 * np.abs(patches).max()
    return np.where(flat, 0, centred / np.where(flat, 1, norm))
