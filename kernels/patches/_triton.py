"""Correlation as a matrix product whose patches are gathered on the fly, thresholds fused in: the
patches and the correlation itself are never stored.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

FILTERS, POSITIONS, TAPS = 64, 64, 16  # block of a program, and taps a step of its product


@triton.jit
def _features_fwd_kernel(
    images_ptr, filters_ptr, features_ptr, bias, c, h, w, k, rows, columns, S: tl.constexpr,
    FILTERS: tl.constexpr, POSITIONS: tl.constexpr, TAPS: tl.constexpr,
):  # fmt: skip
    """One block of filters on one block of positions of one image."""
    image = tl.program_id(0).to(tl.int64)
    position = tl.program_id(1) * POSITIONS + tl.arange(0, POSITIONS)
    filter = tl.program_id(2) * FILTERS + tl.arange(0, FILTERS)
    corner = (position // columns) * w + position % columns
    taps = c * S * S

    found = tl.zeros([FILTERS, POSITIONS], dtype=tl.float32)
    for start in range(0, taps, TAPS):
        tap = start + tl.arange(0, TAPS)
        weights = tl.load(
            filters_ptr + filter[:, None] * taps + tap,
            mask=(filter[:, None] < k) & (tap < taps),
            other=0.0,
        )  # [FILTERS, TAPS]
        inset = (tap // (S * S)) * h * w + (tap // S % S) * w + tap % S
        patches = tl.load(
            images_ptr + image * c * h * w + inset[:, None] + corner,
            mask=(tap[:, None] < taps) & (position < rows * columns),
            other=0.0,
        )  # [TAPS, POSITIONS]
        found = tl.dot(weights, patches, found, input_precision="ieee")

    inside = (filter[:, None] < k) & (position < rows * columns)
    at = features_ptr + (image * 2 * k + filter[:, None]) * rows * columns + position
    tl.store(at, tl.maximum(found - bias, 0.0), mask=inside)
    tl.store(at + k * rows * columns, tl.maximum(-found - bias, 0.0), mask=inside)


def coates_ng_features(images: Tensor, filters: Tensor, *, bias: float = 1.0) -> Tensor:
    images, filters = images.contiguous(), filters.contiguous()
    n, c, h, w = images.shape
    k, _, s, _ = filters.shape
    rows, columns = h - s + 1, w - s + 1
    features = torch.empty(n, 2 * k, rows, columns, dtype=images.dtype, device=images.device)
    grid = (n, triton.cdiv(rows * columns, POSITIONS), triton.cdiv(k, FILTERS))
    if features.numel() > 0:
        _features_fwd_kernel[grid](
            images, filters, features, bias, c, h, w, k, rows, columns, S=s,
            FILTERS=FILTERS, POSITIONS=POSITIONS, TAPS=TAPS,
        )  # fmt: skip
    return features
