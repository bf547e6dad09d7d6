"""Coates-Ng front end: two-sided thresholds of an image's correlation with whitened patches."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from .._dispatch import Backend, kernel
from .._refusals import unless_numba, unless_triton
from .filters import patch_filters

__all__ = ["coates_ng_features", "patch_filters"]


def _validate(images: np.ndarray, filters: np.ndarray, *, bias: float = 1.0) -> None:
    for name, array in (("images", images), ("filters", filters)):
        if array.ndim != 4:
            raise ValueError(
                f"coates_ng_features: {name} has shape {tuple(array.shape)}, wanted four axes"
            )
    _, c, h, w = images.shape
    k, channels, s, across = filters.shape
    if (channels, across) != (c, s):
        raise ValueError(
            f"coates_ng_features: filters has shape {tuple(filters.shape)}, wanted ({k}, {c}, s, s)"
        )
    if s > min(h, w):
        raise ValueError(f"coates_ng_features: filters of {s} x {s} on images of {h} x {w}")
    if images.dtype != filters.dtype:
        raise ValueError(
            f"coates_ng_features: images and filters are {images.dtype} and {filters.dtype}, "
            "wanted one dtype"
        )


def _unless_triton_forward(images: Any, filters: Any, **_: object) -> str | None:
    if reason := unless_triton("float32")(images):
        return reason
    if images.requires_grad or filters.requires_grad:
        return "it computes no gradient (the torch backend does)"
    return None


@kernel(
    _validate,
    numba=Backend("._numba", "numpy", refuses=unless_numba("float32", "float64")),
    triton=Backend("._triton", "torch", refuses=_unless_triton_forward),
    torch=Backend("._torch", "torch"),
)
def coates_ng_features(
    images: Float[np.ndarray, "n c h w"],
    filters: Float[np.ndarray, "k c s s"],
    *,
    bias: float = 1.0,
) -> Float[np.ndarray, "n two_k rows columns"]:
    r"""What each filter finds in each patch of an image, on either side of a threshold.

    With the valid correlation :math:`u_k(p) = \langle f_k, x_p \rangle` of filter k and the patch
    at position p, and the threshold b,

    .. math:: \max(u_k(p) - b, 0), \qquad \max(-u_k(p) - b, 0) .

    The patches of the images are taken as they are: `patch_filters` whitens its filters twice, so
    that the correlation is that of a whitened filter with a whitened patch.

    Args:
        images: dimensionless, in the dtype the result is wanted in.
        filters: square filters, such as those of `patch_filters`.
        bias: the threshold b, in units of the correlation.

    Returns:
        The k positive sides and then the k negative sides, on the (h - s + 1) x (w - s + 1)
        positions of a valid correlation.

    Raises:
        ValueError: for shapes or dtypes that do not fit.

    Source: Coates and Ng 2011 as used in section 6.2 of Li et al. 2019, arXiv:1911.00809.
    """
    s = filters.shape[2]
    patches = sliding_window_view(images, (s, s), axis=(2, 3))
    found = np.tensordot(filters, patches, axes=((1, 2, 3), (1, 4, 5))).swapaxes(0, 1)
    sides = np.concatenate([found, -found], axis=1)
    return np.maximum(sides - images.dtype.type(bias), 0)
