"""The recursion of the reference on any device that torch runs on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from . import Variant


def ntk_gram(
    x1: Tensor, x2: Tensor | None = None, *, variants: Sequence[Variant], c_sigma: float = 2.0
) -> Tensor:
    others = x1 if x2 is None else x2
    norm1, norm2 = (torch.linalg.vector_norm(x, dim=1) for x in (x1, others))
    rho = torch.outer(norm1, norm2)
    safe = torch.where(rho > 0, rho, 1)  # where rho is 0 so is sigma
    sigma = x1 @ others.T
    theta = {fixed: torch.zeros_like(sigma) for _, fixed in variants}
    gram = sigma.new_empty(len(variants), *sigma.shape)
    for level in range(max(depth for depth, _ in variants) + 1):
        if level > 0:
            u = (sigma / safe).clamp(-1, 1)
            if x2 is None:
                u.fill_diagonal_(1)  # next to 1 the arc cosine magnifies rounding
            kappa0 = 1 - torch.acos(u) / math.pi
            sigma = rho * (u * kappa0 + torch.sqrt(1 - u * u) / math.pi)
            theta = {fixed: value * kappa0 for fixed, value in theta.items()}
        for fixed in theta:
            if fixed <= level:
                theta[fixed] = theta[fixed] + sigma
        for index, (depth, fixed) in enumerate(variants):
            if depth == level:
                gram[index] = theta[fixed] * (c_sigma / 2) ** depth
    return gram
