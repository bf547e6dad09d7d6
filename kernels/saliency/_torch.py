"""The reference in torch, in as few passes as eager torch allows; autograd gives its gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def mask_of(weights: Tensor, h: int, w: int, scale: int) -> Tensor:
    """The mask [b, h, w] of a grid of logits [b, gh, gw]."""
    shown = torch.sigmoid(weights)[:, None]
    upsampled = interpolate(shown, scale_factor=scale, mode="bilinear", align_corners=False)
    return upsampled[:, 0, :h, :w]


def saliency_mask(images: Tensor, weights: Tensor, fillers: Tensor, *, scale: int) -> Tensor:
    h, w = images.shape[2:]
    mask = mask_of(weights, h, w, scale)[:, None, None]
    return mask * images[:, None] + (1 - mask) * fillers
