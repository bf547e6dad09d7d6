"""Gram matrices of the neural tangent kernel in NumPy, in arrays that serve at every depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ntk_gram(
    x1: np.ndarray,
    x2: np.ndarray | None = None,
    *,
    variants: Sequence[tuple[int, int]],
    c_sigma: float = 2.0,
) -> np.ndarray:
    """The kernel `ntk_gram` of claimbench, whose docstring has the formula."""
    others = x1 if x2 is None else x2
    rho = np.outer(np.linalg.norm(x1, axis=1), np.linalg.norm(others, axis=1))
    sigma = x1 @ others.T
    theta = {fixed: np.zeros_like(sigma) for _, fixed in variants}
    gram = np.empty((len(variants), *sigma.shape), sigma.dtype)
    for level in range(max(depth for depth, _ in variants) + 1):
        if level:
            _through_relu(sigma, rho, theta, same=x2 is None)
        for fixed in theta:
            if fixed <= level:
                theta[fixed] += sigma
        for index, (depth, fixed) in enumerate(variants):
            if depth == level:
                np.multiply(theta[fixed], (c_sigma / 2) ** depth, out=gram[index])
    return gram


def _through_relu(
    sigma: np.ndarray, rho: np.ndarray, theta: dict[int, np.ndarray], *, same: bool
) -> None:
    """One hidden layer: `sigma` and each of `theta` become those of the next, where they are."""
    np.divide(sigma, rho, out=sigma, where=rho > 0)
    u = np.clip(sigma, -1, 1, out=sigma)
    if same:
        np.fill_diagonal(u, 1)
    kappa0 = np.arccos(u)
    kappa0 /= -np.pi
    kappa0 += 1
    for values in theta.values():
        values *= kappa0
    kappa0 *= u
    u *= u
    np.sqrt(np.subtract(1, u, out=u), out=u)
    u /= np.pi
    u += kappa0
    u *= rho
