"""Convolutional neural tangent kernel (CNTK) and CNN Gaussian process (CNN-GP)."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from .._dispatch import Backend, kernel
from .._refusals import dtype_name, unless_compiled, unless_cuda, unless_numba, unless_triton
from ._windows import Padding, Window, axis_weights

Process = Literal["ntk", "nngp"]


def _validate_images(x1: np.ndarray, x2: np.ndarray | None) -> None:
    for name, x in (("x1", x1), ("x2", x2)):
        if x is None:
            continue
        if x.ndim != 4 or 0 in x.shape[1:]:
            raise ValueError(
                f"cntk_gram: {name} has shape {tuple(x.shape)}, wanted (images, channels, height, "
                "width) with at least one channel and one pixel"
            )
        if x.shape[1:] != x1.shape[1:]:
            raise ValueError(
                f"cntk_gram: {name} has images of shape {tuple(x.shape[1:])}, wanted those of x1, "
                f"{tuple(x1.shape[1:])}"
            )
        if not dtype_name(x).startswith("float") or x.dtype != x1.dtype:
            raise ValueError(
                f"cntk_gram: {name} is of {dtype_name(x)}, wanted one floating dtype for both "
                f"(x1 is of {dtype_name(x1)})"
            )


def _validate(
    x1: np.ndarray,
    x2: np.ndarray | None = None,
    *,
    depths: Sequence[int],
    windows: Sequence[Window] = ("gap",),
    flips: Sequence[bool] = (False,),
    get: Sequence[Process] = ("ntk",),
    frozen_ends: bool = False,
    padding: Padding = "zeros",
) -> None:
    _validate_images(x1, x2)
    asked = {"depths": depths, "windows": windows, "flips": flips, "get": get}
    for name, values in asked.items():
        if isinstance(values, str) or not len(values):
            raise ValueError(f"cntk_gram: {name} is {values!r}, wanted a list of at least one")
    for depth in depths:
        if not isinstance(depth, Integral) or depth < 1:
            raise ValueError(f"cntk_gram: depth {depth!r} in depths, wanted a whole number >= 1")
    for window in windows:
        if window != "gap" and (not isinstance(window, Integral) or window < 0):
            raise ValueError(
                f"cntk_gram: window {window!r} in windows, wanted a half-width >= 0 or 'gap'"
            )
    for process in get:
        if process not in get_args(Process):
            raise ValueError(f"cntk_gram: {process!r} in get, wanted 'ntk' or 'nngp'")
    if padding not in get_args(Padding):
        raise ValueError(f"cntk_gram: padding is {padding!r}, wanted 'zeros' or 'circular'")


@kernel(
    _validate,
    cpu=Backend("._cpu", "numpy", refuses=unless_compiled("float32")),
    numba=Backend("._numba", "numpy", refuses=unless_numba("float32")),
    cuda=Backend("._cuda", "torch", refuses=unless_cuda("float32", side=32)),
    triton=Backend("._triton", "torch", refuses=unless_triton("float32")),
)
def cntk_gram(
    x1: Float[np.ndarray, "n channels height width"],
    x2: Float[np.ndarray, "m channels height width"] | None = None,
    *,
    depths: Sequence[int],
    windows: Sequence[Window] = ("gap",),
    flips: Sequence[bool] = (False,),
    get: Sequence[Process] = ("ntk",),
    frozen_ends: bool = False,
    padding: Padding = "zeros",
) -> Float[np.ndarray, "flips get depths windows n m"]:
    r"""Gram matrices of convolutional ReLU networks of infinite width, all from one pass.

    A hidden layer is a 3 x 3 convolution without bias, stride 1, then ReLU. For images x and z let
    S and T hold one value for each pair (p, q) of a pixel of x and a pixel of z, and let

    .. math::
        \mathrm{box}(A)[p, q] = \sum_{\delta \in \{-1, 0, 1\}^2} A[p + \delta, q + \delta].

    With :math:`A^0[p, q] = \sum_c x_c[p] \, z_c[q]`, :math:`S^1 = \mathrm{box}(A^0)` and
    :math:`T^1 = S^1`, or 0 where the first layer is not trained,

    .. math::
        A^l &= \tfrac19 \rho^l \, \kappa_1(S^l / \rho^l), \qquad
        B^l = T^l \, \tfrac19 \kappa_0(S^l / \rho^l) + A^l, \\
        S^{l+1} &= \mathrm{box}(A^l), \qquad T^{l+1} = \mathrm{box}(B^l),

    where :math:`\rho^l[p, q]^2` is the product of the variances :math:`S^l(x, x)[p, p]` and
    :math:`S^l(z, z)[q, q]`, which obey :math:`S^{l+1} = \mathrm{box}(S^l) / 9`. At depth l the
    "nngp" is pooled :math:`A^l`; the "ntk" is pooled :math:`B^l`, or pooled :math:`B^l - A^l`
    where the last layer is not trained.

    Values are normalised as in the released code: the input is not divided by its number of
    channels, nor the first convolution by 9. A cosine next to a patch of zeros is taken as 0, which
    has no effect, since all that it multiplies is 0.

    Args:
        x1: images, dimensionless, in the dtype the result is wanted in.
        x2: images to compare them with; `x1` itself where left out, at half the work.
        depths: numbers of hidden layers, each at least 1, in any order. The `--depth d` of the
            released code counts the fully connected layer too: it is `depths=[d - 1]`.
        windows: how the last hidden layer is pooled. A half-width c averages over windows of
            2c + 1 pixels a side (LAP) and then sums over positions, so 0 is the vanilla CNTK, the
            sum over p = q; "gap" is the mean over all pairs (p, q).
        flips: True averages with the mirror images F of `x2`, left to right:
            (K(x, z) + K(x, Fz)) / 2.
        get: "ntk" for the CNTK, "nngp" for the CNN-GP.
        frozen_ends: the first and the last layer stay at their initial values, as under `--fix yes`
            of the released code. No effect on "nngp"; the "ntk" of depth 1 is then 0, because
            nothing is trained.
        padding: what a convolution and a pooling window see outside the image.

    Returns:
        One Gram matrix for each combination of the sequences asked for.

    Raises:
        ValueError: for shapes or dtypes that do not fit, or values that are not named above.

    Source: Arora et al. 2019, arXiv:1904.11955, section 4 and its appendix, and the released code
    (ruosongwang/CNTK); LAP and flips: Li et al. 2019, arXiv:1911.00809, sections 4 and 5.
    """
    others = x1 if x2 is None else x2
    rows, columns = (axis_weights(size, windows, padding) for size in x1.shape[2:])
    weights = rows.astype(x1.dtype), columns.astype(x1.dtype)
    gram = np.empty(
        (len(flips), len(get), len(depths), len(windows), len(x1), len(others)), x1.dtype
    )
    for i, x in enumerate(x1):
        for j, z in enumerate(others):
            if x2 is None and j < i:
                gram[..., i, j] = gram[..., j, i]
                continue
            value = {}
            for flip in {False} | set(map(bool, flips)):
                image = z[:, :, ::-1] if flip else z
                value[flip] = _pair(x, image, weights, depths, get, frozen_ends, padding)
            for f, flip in enumerate(flips):
                gram[f, ..., i, j] = (value[False] + value[True]) / 2 if flip else value[False]
    return gram


def _pair(
    x: Float[np.ndarray, "channels height width"],
    z: Float[np.ndarray, "channels height width"],
    weights: tuple[Float[np.ndarray, "windows height height"], Float[np.ndarray, "windows w w"]],
    depths: Sequence[int],
    get: Sequence[Process],
    frozen_ends: bool,
    padding: Padding,
) -> Float[np.ndarray, "get depths windows"]:
    """Both kernels of one pair of images, from the four-dimensional tensors over pixel pairs."""
    values = np.empty((len(get), len(depths), len(weights[0])), x.dtype)
    variance1, variance2 = (_box((image * image).sum(0), padding) for image in (x, z))
    s = _box(np.tensordot(x, z, axes=(0, 0)), padding)
    t = np.zeros_like(s) if frozen_ends else s
    for level in range(1, max(depths) + 1):
        rho = np.multiply.outer(np.sqrt(variance1), np.sqrt(variance2))
        cosine = np.divide(s, rho, out=np.zeros_like(rho), where=rho > 0).clip(-1, 1)
        if np.array_equal(x, z):
            # Next to 1 the arc cosine turns a rounding of 1e-16 into one of 1e-8.
            np.fill_diagonal(cosine.reshape(x[0].size, x[0].size), 1)
        kappa0 = 1 - np.arccos(cosine) / np.pi
        kappa1 = cosine * kappa0 + np.sqrt(1 - cosine * cosine) / np.pi

        covariance = rho * kappa1 / 9
        inherited = t * kappa0 / 9
        tangent = inherited + covariance
        final = {"nngp": covariance, "ntk": inherited if frozen_ends else tangent}
        for index, depth in enumerate(depths):
            if depth == level:
                values[:, index] = [_pool(final[process], *weights) for process in get]

        s, t = _box(covariance, padding), _box(tangent, padding)
        variance1, variance2 = _box(variance1, padding) / 9, _box(variance2, padding) / 9
    return values


def _box(values: np.ndarray, padding: Padding) -> np.ndarray:
    """Sum over the nine shifts of each pixel (two axes), or of both of a pair (four axes)."""
    height, width = values.shape[:2]
    padded = np.pad(values, 1, mode="wrap" if padding == "circular" else "constant")
    total = np.zeros_like(values)
    for down in range(3):
        for right in range(3):
            shifted = (slice(down, down + height), slice(right, right + width))
            total += padded[shifted * (values.ndim // 2)]
    return total


def _pool(
    values: Float[np.ndarray, "h w h w"],
    rows: Float[np.ndarray, "windows h h"],
    columns: Float[np.ndarray, "windows w w"],
) -> Float[np.ndarray, " windows"]:
    pooled = [
        np.einsum("ijkl,ik,jl->", values, row, column, optimize=True)
        for row, column in zip(rows, columns, strict=True)
    ]
    return np.array(pooled)
