"""Sigmoid, upsampling and blending in one pass: image and fillers are read once, the result written
once, and the mask never leaves the registers. The way back reads each of them once as well.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ._torch import mask_of

BLOCK = 256  # pixels a program: an image of 28 x 28 still fills several


@triton.jit
def _between(position, cells, SCALE: tl.constexpr):
    """The two cells whose centres enclose a pixel, and how far the pixel is to the second."""
    centre = (position + 0.5) / SCALE - 0.5
    centre = tl.minimum(tl.maximum(centre, 0.0), cells - 1.0)
    first = centre.to(tl.int32)
    second = tl.minimum(first + 1, cells - 1)
    return first, second, centre - first


@triton.jit
def _shown(weight):
    """The logistic function of either sign, with no overflow."""
    small = tl.exp(-tl.abs(weight))
    return tl.where(weight >= 0, 1.0, small) / (1.0 + small)


@triton.jit
def _mask(weights_ptr, y, x, gh, gw, inside, SCALE: tl.constexpr):
    """The mask at pixels (y, x) of the image whose grid starts at `weights_ptr`."""
    top, bottom, down = _between(y, gh, SCALE)
    left, right, across = _between(x, gw, SCALE)
    a = _shown(tl.load(weights_ptr + top * gw + left, mask=inside, other=0.0))
    b = _shown(tl.load(weights_ptr + top * gw + right, mask=inside, other=0.0))
    c = _shown(tl.load(weights_ptr + bottom * gw + left, mask=inside, other=0.0))
    d = _shown(tl.load(weights_ptr + bottom * gw + right, mask=inside, other=0.0))
    upper = a * (1.0 - across) + b * across
    lower = c * (1.0 - across) + d * across
    return upper * (1.0 - down) + lower * down


@triton.jit
def _blend_fwd_kernel(
    images_ptr, weights_ptr, fillers_ptr, blended_ptr, f, channels, h, w, gh, gw,
    SCALE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of pixels of one channel of one image, with every filler behind it."""
    plane = tl.program_id(0).to(tl.int64)
    b, channel = plane // channels, plane % channels
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    size = h * w
    inside = pixel < size

    mask = _mask(weights_ptr + b * gh * gw, pixel // w, pixel % w, gh, gw, inside, SCALE)
    shown = mask * tl.load(images_ptr + plane * size + pixel, mask=inside)  # [BLOCK]
    for k in range(f):
        at = ((b * f + k) * channels + channel) * size + pixel
        filler = tl.load(fillers_ptr + at, mask=inside)
        tl.store(blended_ptr + at, shown + (1.0 - mask) * filler, mask=inside)


@triton.jit
def _mask_bwd_kernel(
    images_ptr, fillers_ptr, grad_ptr, grad_mask_ptr, f, channels, size, BLOCK: tl.constexpr
):
    """Gradient to the mask at one block of pixels: summed over fillers and channels."""
    b = tl.program_id(0).to(tl.int64)
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < size

    total = tl.zeros([BLOCK], dtype=tl.float32)
    for channel in range(channels):
        image = tl.load(
            images_ptr + (b * channels + channel) * size + pixel, mask=inside, other=0.0
        )
        for k in range(f):
            at = ((b * f + k) * channels + channel) * size + pixel
            filler = tl.load(fillers_ptr + at, mask=inside, other=0.0)
            total += tl.load(grad_ptr + at, mask=inside, other=0.0) * (image - filler)
    tl.store(grad_mask_ptr + b * size + pixel, total, mask=inside)


class _Blend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weights: Tensor, fillers: Tensor, scale: int) -> Tensor:
        images, weights, fillers = (t.contiguous() for t in (images, weights, fillers))
        b, f, c, h, w = fillers.shape
        blended = torch.empty_like(fillers)
        if blended.numel() > 0:
            _blend_fwd_kernel[(b * c, triton.cdiv(h * w, BLOCK))](
                images, weights, fillers, blended, f, c, h, w, *weights.shape[1:],
                SCALE=scale, BLOCK=BLOCK,
            )  # fmt: skip
        ctx.save_for_backward(images, weights, fillers)
        ctx.scale = scale
        return blended

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        images, weights, fillers = ctx.saved_tensors
        grad = grad.contiguous()
        h, w = images.shape[2:]
        with torch.enable_grad():
            leaf = weights.detach().requires_grad_()
            mask = mask_of(leaf, h, w, ctx.scale)
        wanted = ctx.needs_input_grad
        shown = mask.detach()[:, None]
        to_images = shown * grad.sum(1) if wanted[0] else None
        to_fillers = (1 - shown[:, None]) * grad if wanted[2] else None
        to_weights = None
        if wanted[1]:
            (to_weights,) = torch.autograd.grad(mask, leaf, _to_mask(images, fillers, grad))
        return to_images, to_weights, to_fillers, None


def _to_mask(images: Tensor, fillers: Tensor, grad: Tensor) -> Tensor:
    b, f, c, h, w = fillers.shape
    to_mask = torch.empty(b, h, w, dtype=grad.dtype, device=grad.device)
    if to_mask.numel() > 0:
        _mask_bwd_kernel[(b, triton.cdiv(h * w, BLOCK))](
            images, fillers, grad, to_mask, f, c, h * w, BLOCK=BLOCK
        )
    return to_mask


def saliency_mask(images: Tensor, weights: Tensor, fillers: Tensor, *, scale: int) -> Tensor:
    blended: Tensor = _Blend.apply(images, weights, fillers, scale)
    return blended
