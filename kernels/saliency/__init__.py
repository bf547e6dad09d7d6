"""Masked inputs for saliency: an image blended with fillers through a mask on a coarse grid."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from .._dispatch import Backend, kernel
from .._refusals import unless_numba, unless_triton


def _validate(images: np.ndarray, weights: np.ndarray, fillers: np.ndarray, *, scale: int) -> None:
    if images.ndim != 4:
        raise ValueError(
            f"saliency_mask: images has shape {tuple(images.shape)}, wanted (b, c, h, w)"
        )
    if scale < 1:
        raise ValueError(f"saliency_mask: scale is {scale}, wanted 1 or more")
    b, c, h, w = images.shape
    grid = (b, -(-h // scale), -(-w // scale))
    if tuple(weights.shape) != grid:
        raise ValueError(
            f"saliency_mask: weights has shape {tuple(weights.shape)}, wanted {grid} "
            f"for images of {h} x {w} at scale {scale}"
        )
    if fillers.ndim != 5 or (fillers.shape[0], *fillers.shape[2:]) != (b, c, h, w):
        raise ValueError(
            f"saliency_mask: fillers has shape {tuple(fillers.shape)}, "
            f"wanted ({b}, f, {c}, {h}, {w})"
        )
    if not images.dtype == weights.dtype == fillers.dtype:
        raise ValueError(
            f"saliency_mask: images, weights and fillers are {images.dtype}, {weights.dtype} "
            f"and {fillers.dtype}, wanted one dtype"
        )


@kernel(
    _validate,
    numba=Backend("._numba", "numpy", refuses=unless_numba("float32", "float64")),
    triton=Backend("._triton", "torch", refuses=unless_triton("float32")),
    torch=Backend("._torch", "torch"),
)
def saliency_mask(
    images: Float[np.ndarray, "b c h w"],
    weights: Float[np.ndarray, "b gh gw"],
    fillers: Float[np.ndarray, "b f c h w"],
    *,
    scale: int,
) -> Float[np.ndarray, "b f c h w"]:
    r"""Each image seen through its own soft mask, with each of its fillers behind the mask.

    With the coarse mask :math:`\sigma(W)` upsampled bilinearly by `scale` on both axes,
    :math:`m = R\,\sigma(W)\,C^\top`,

    .. math:: \mathrm{out}_{bfc} = m_b \, x_{bc} + (1 - m_b) \, r_{bfc} .

    Args:
        images: the images x; dimensionless.
        weights: logits of the coarse mask, one grid an image; 0 shows half of the image.
        fillers: what the image is replaced by, f of them for each image.
        scale: pixels a grid cell, on each axis. The grid has ceil(h / scale) x ceil(w / scale)
            cells; what the upsampled mask has beyond the image is cut off at the bottom and right.

    Returns:
        The blended inputs; `torch` and `triton` carry gradients to all three arrays.

    Raises:
        ValueError: for shapes or dtypes that do not fit, or a scale below 1.

    Source: the mask-learning method of Gupta et al. 2022, arXiv:2211.02912, and its released code,
    whose upsampling is bilinear with `align_corners` false and clamped at the border.
    """
    h, w = images.shape[2:]
    rows = upsampling(h, weights.shape[1], scale).astype(weights.dtype)
    columns = upsampling(w, weights.shape[2], scale).astype(weights.dtype)
    shown = 0.5 * (1 + np.tanh(0.5 * weights))  # the logistic function, with no overflow
    mask = (rows @ shown @ columns.T)[:, None, None]
    return mask * images[:, None] + (1 - mask) * fillers


def upsampling(size: int, cells: int, scale: int) -> Float[np.ndarray, "size cells"]:
    """Weight of each cell in each pixel of one axis: linear between the centres of the cells."""
    centre = np.clip((np.arange(size) + 0.5) / scale - 0.5, 0, cells - 1)
    return np.clip(1 - np.abs(centre[:, None] - np.arange(cells)), 0, 1)
