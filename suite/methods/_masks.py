"""The mask-learning method: what to keep of an image so that any background leaves its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from claimbench.kernels import Kernel, saliency_mask

from ._explained import Subject, in_chunks, planned

Loss = Literal["released", "negative_log"]
blended: Kernel[..., Any] = saliency_mask  # its contract is written for NumPy; here are tensors


@dataclass(frozen=True)
class Objective:
    """What a mask is learned for; see `saliency.learned_mask`."""

    scale: int
    tv: float
    l1: float
    steps: int
    rate: float
    fillers: int
    bank: int
    loss: Loss


def learned_masks(subject: Subject, objective: Objective, seed: int) -> Tensor:
    """Masks [n * labels, h, w] of all labels of all images; every mask is learned by itself."""
    together = planned(subject.net, subject.images[0]) // objective.fillers
    draws = torch.Generator().manual_seed(seed)
    bank = subject.bank[torch.randperm(len(subject.bank), generator=draws)[: objective.bank]]

    def learn(images: Tensor, labels: Tensor) -> Tensor:
        return _learn(subject, images, labels, bank, objective, draws)

    return in_chunks(subject, max(1, together), learn)


def _learn(
    subject: Subject,
    images: Tensor,
    labels: Tensor,
    bank: Tensor,
    objective: Objective,
    draws: torch.Generator,
) -> Tensor:
    b, _, h, w = images.shape
    grid = (b, -(-h // objective.scale), -(-w // objective.scale))
    weights = torch.zeros(grid, device=images.device, requires_grad=True)
    optimizer = torch.optim.Adam([weights], objective.rate)
    for _ in range(objective.steps):
        drawn = torch.randint(len(bank), (b, objective.fillers), generator=draws)
        inputs = blended(images, weights, bank[drawn.to(bank.device)], scale=objective.scale)
        probabilities = subject.net(inputs.flatten(0, 1)).softmax(1)
        mean = probabilities.reshape(b, objective.fillers, -1).mean(1)
        mask = _mask(weights, h, w, objective.scale)
        total = label_loss(mean, labels, objective.loss).sum()
        total = total + objective.l1 * mask.mean((1, 2)).sum() + objective.tv * variation(mask)
        (weights.grad,) = torch.autograd.grad(total, weights)
        optimizer.step()
    return _mask(weights.detach(), h, w, objective.scale)


def label_loss(mean: Tensor, labels: Tensor, loss: Loss) -> Tensor:
    """Loss of each mask from the mean of the probabilities over its fillers, [b, labels].

    The released code passes that mean to a cross-entropy which takes logits, so that the softmax is
    applied twice; "negative_log" is what the paper's text suggests.
    """
    if loss == "released":
        return torch.nn.functional.cross_entropy(mean, labels, reduction="none")
    return -mean.gather(1, labels[:, None])[:, 0].clamp_min(1e-12).log()


def variation(mask: Tensor) -> Tensor:
    """Sum of squared differences to the neighbours below and to the right, over all masks."""
    corner = mask[:, :-1, :-1]
    return (corner - mask[:, 1:, :-1]).square().sum() + (corner - mask[:, :-1, 1:]).square().sum()


def _mask(weights: Tensor, h: int, w: int, scale: int) -> Tensor:
    """The mask [b, h, w] itself: a white image with black behind it."""
    white = torch.ones(len(weights), 1, h, w, device=weights.device)
    return blended(white, weights, torch.zeros_like(white)[:, None], scale=scale)[:, 0, 0]
