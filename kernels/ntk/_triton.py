"""NTK recursion fused over levels and variants: inner products are read once, Grams written once.

The eager recursion makes about eight passes over an (n, m) matrix for each level. It is elementwise
once the inner products are known, so all levels run in registers here, and a tile [fixed layers,
block] carries every variant.
"""

# Compiled functions have no annotations: numba and Triton infer their types.
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import Variant

BLOCK = 256  # elements a program, times up to 8 variants; bound by memory, so not tuned further
INV_PI = tl.constexpr(0.3183098861837907)


@triton.jit
def _acos(u):
    # Abramowitz and Stegun 4.4.46: absolute error about 2e-8 on [0, 1], below float32's own.
    a = tl.abs(u)
    poly = -0.0012624911
    poly = poly * a + 0.0066700901
    poly = poly * a - 0.0170881256
    poly = poly * a + 0.0308918810
    poly = poly * a - 0.0501743046
    poly = poly * a + 0.0889789874
    poly = poly * a - 0.2145988016
    poly = poly * a + 1.5707963050
    angle = tl.sqrt(tl.maximum(1.0 - a, 0.0)) * poly
    return tl.where(u < 0, 3.141592653589793 - angle, angle)


@triton.jit
def _ntk_fwd_kernel(
    sigma_ptr,  # [n m]
    norm1_ptr,
    norm2_ptr,
    fixed_ptr,  # [FIXED]
    factor_ptr,  # [LEVELS]
    outputs_ptr,  # [LEVELS FIXED]: place of a variant in the result, or -1
    gram_ptr,  # [places n m]
    m,
    size,
    SYMMETRIC: tl.constexpr,
    LEVELS: tl.constexpr,
    FIXED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One block of the flattened (n, m) matrix, through every level."""
    offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < size
    row, column = offsets // m, offsets % m

    sigma = tl.load(sigma_ptr + offsets, inside, 0.0)  # [BLOCK]
    rho = tl.load(norm1_ptr + row, inside, 0.0) * tl.load(norm2_ptr + column, inside, 0.0)
    inverse = 1.0 / tl.where(rho > 0, rho, 1.0)  # where rho is 0 so is sigma
    variant = tl.arange(0, FIXED)
    fixed = tl.load(fixed_ptr + variant)[:, None]

    theta = tl.where(fixed <= 0, sigma[None, :], 0.0)  # [FIXED, BLOCK]
    for level in range(LEVELS):
        if level > 0:
            u = tl.minimum(tl.maximum(sigma * inverse, -1.0), 1.0)
            if SYMMETRIC:
                # Next to 1 the arc cosine magnifies rounding: 1e-7 becomes 3e-4.
                u = tl.where(row == column, 1.0, u)
            kappa0 = 1.0 - _acos(u) * INV_PI
            sigma = rho * (u * kappa0 + tl.sqrt(1.0 - u * u) * INV_PI)
            theta = theta * kappa0[None, :] + tl.where(fixed <= level, sigma[None, :], 0.0)
        place = tl.load(outputs_ptr + level * FIXED + variant)[:, None]
        target = gram_ptr + place.to(tl.int64) * size + offsets[None, :]
        value = theta * tl.load(factor_ptr + level)
        tl.store(target, value, (place >= 0) & inside[None, :])


def ntk_gram(
    x1: Tensor, x2: Tensor | None = None, *, variants: Sequence[Variant], c_sigma: float = 2.0
) -> Tensor:
    others = x1 if x2 is None else x2
    levels = max(depth for depth, _ in variants) + 1
    fixed = sorted({fixed for _, fixed in variants})
    distinct = sorted({(depth, first) for depth, first in variants})
    padded = triton.next_power_of_2(len(fixed))
    outputs = torch.full((levels, padded), -1, dtype=torch.int32)
    for place, (depth, first) in enumerate(distinct):
        outputs[depth, fixed.index(first)] = place

    sigma = x1 @ others.T
    gram = torch.empty(len(distinct), *sigma.shape, dtype=x1.dtype, device=x1.device)
    _ntk_fwd_kernel[(triton.cdiv(sigma.numel(), BLOCK),)](
        sigma.contiguous(),
        torch.linalg.vector_norm(x1, dim=1),
        torch.linalg.vector_norm(others, dim=1),
        torch.tensor(fixed + [levels] * (padded - len(fixed)), device=x1.device),
        (c_sigma / 2) ** torch.arange(levels, dtype=x1.dtype, device=x1.device),
        outputs.to(x1.device),
        gram,
        m=sigma.shape[1],
        size=sigma.numel(),
        SYMMETRIC=x2 is None,
        LEVELS=levels,
        FIXED=padded,
        BLOCK=BLOCK,
        enable_fp_fusion=True,
    )
    return gram[[distinct.index((depth, first)) for depth, first in variants]]
