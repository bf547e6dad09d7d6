"""Neural tangent kernel (NTK) of a fully connected ReLU network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from .._dispatch import Backend, kernel
from .._refusals import unless_compiled, unless_numba, unless_triton

Variant = tuple[int, int]
"""(depth, fixed): number of hidden layers, and how many of the first layers are not trained."""


def ntk_variants(depth: int) -> list[Variant]:
    """Every variant of up to `depth` hidden layers: 15 of them for the depth of 4 of the UCI study.

    They stand in the order in which that study tries them: by depth, then by fixed layers.
    """
    return [(d, fixed) for d in range(depth + 1) for fixed in range(d + 1)]


def _validate(
    x1: np.ndarray, x2: np.ndarray | None = None, *, variants: Sequence[Variant], c_sigma: float = 2
) -> None:
    for name, x in (("x1", x1), ("x2", x2)):
        if x is not None and (x.ndim != 2 or x.shape[1] != x1.shape[1]):
            raise ValueError(f"ntk_gram: {name} has shape {tuple(x.shape)}, wanted (samples, p)")
    if not variants:
        raise ValueError("ntk_gram: no variant is asked for; ntk_variants(depth) gives all")
    for depth, fixed in variants:
        if not 0 <= fixed <= depth:
            raise ValueError(
                f"ntk_gram: variant ({depth}, {fixed}) wants 0 <= fixed <= depth hidden layers"
            )


@kernel(
    _validate,
    cpu=Backend("._cpu", "numpy", refuses=unless_compiled("float32", "float64")),
    numba=Backend("._numba", "numpy", refuses=unless_numba("float32", "float64")),
    triton=Backend("._triton", "torch", refuses=unless_triton("float32")),
    torch=Backend("._torch", "torch"),
)
def ntk_gram(
    x1: Float[np.ndarray, "n p"],
    x2: Float[np.ndarray, "m p"] | None = None,
    *,
    variants: Sequence[Variant],
    c_sigma: float = 2.0,
) -> Float[np.ndarray, "variants n m"]:
    r"""Gram matrices of the NTK of bias-free ReLU networks of infinite width, from one pass.

    With :math:`\rho_{ij} = \|x_i\| \|x'_j\|`, :math:`u = \Sigma^{l-1} / \rho` and
    :math:`\Sigma^0 = x x'^\top`,

    .. math::
        \Sigma^l = \rho \, \kappa_1(u), \qquad
        \Theta^l_f = [l \ge f] \, \Sigma^l + \Theta^{l-1}_f \kappa_0(u), \qquad \Theta^{-1}_f = 0,

    where the first :math:`f` layers are fixed at their initial values. :math:`f = 0` trains all of
    them and is the NTK proper; depth 0 is the linear kernel.

    Args:
        x1: inputs, one a row; dimensionless, in the dtype the result is wanted in.
        x2: inputs to compare them with; `x1` itself where left out, and then the diagonal is exact.
        variants: pairs (depth, fixed) in the order wanted; see `ntk_variants`.
        c_sigma: normalisation of the activation. A value c multiplies the Gram matrix of depth d by
            (c/2)**d: 2 keeps variances, the released UCI code has 1.

    Returns:
        One Gram matrix for each variant; for (d, 0) and c_sigma = 2 its diagonal is
        (d + 1) :math:`\|x\|^2`.

    Raises:
        ValueError: for shapes that do not fit, or a variant with fixed > depth.

    Source: Jacot et al. 2018, arXiv:1806.07572; fixed layers as in section 3 of Arora et al. 2020,
    arXiv:1910.01663, and its released code; kappa_0 and kappa_1 are the arc-cosine kernels of Cho
    and Saul 2009.
    """
    same = x2 is None
    x2 = x1 if x2 is None else x2
    deepest = max(depth for depth, _ in variants)
    rho = np.linalg.norm(x1, axis=1)[:, None] * np.linalg.norm(x2, axis=1)
    sigma = x1 @ x2.T
    theta = {fixed: np.zeros_like(sigma) for _, fixed in variants}
    gram = np.empty((len(variants), *sigma.shape), sigma.dtype)
    for level in range(deepest + 1):
        if level > 0:
            u = np.clip(np.divide(sigma, rho, out=np.zeros_like(rho), where=rho > 0), -1, 1)
            if same:
                # Next to 1 the arc cosine turns a rounding of 1e-16 into one of 1e-8.
                np.fill_diagonal(u, 1)
            kappa0 = 1 - np.arccos(u) / np.pi
            kappa1 = u * kappa0 + np.sqrt(1 - u * u) / np.pi
            sigma = rho * kappa1
            theta = {fixed: value * kappa0 for fixed, value in theta.items()}
        for fixed in theta:
            if fixed <= level:
                theta[fixed] = theta[fixed] + sigma
        for index, (depth, fixed) in enumerate(variants):
            if depth == level:
                gram[index] = theta[fixed] * (c_sigma / 2) ** depth
    return gram
