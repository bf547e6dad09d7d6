"""What training on torch has in common: seeds, batches and test accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

AT_ONCE = 256  # images of a forward pass without gradients


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent in full.

    Attributes:
        batch: samples a step; all of them where there are fewer.
        rate: learning rate, multiplied by `factor` after each share of the epochs in `milestones`.
        decay: weight decay.
    """

    epochs: int
    batch: int
    rate: float
    momentum: float
    decay: float
    milestones: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Torch's generators start from `seed` in the block and are as before behind it."""
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def tensors(x: np.ndarray, y: np.ndarray, device: str) -> tuple[Tensor, Tensor]:
    """Samples in float32 and their labels."""
    inputs = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).to(device)
    return inputs, torch.from_numpy(y.astype(np.int64)).to(device)


def descend(net: nn.Module, x: Tensor, y: Tensor, recipe: Recipe) -> None:
    """Train a net in place on cross-entropy, on batches shuffled anew in each epoch."""
    optimizer = torch.optim.SGD(
        net.parameters(), recipe.rate, recipe.momentum, weight_decay=recipe.decay, fused=True
    )
    steps = [round(share * recipe.epochs) for share in recipe.milestones]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, steps, recipe.factor)
    net.train()
    for _ in range(recipe.epochs):
        for chosen in _batches(len(x), recipe.batch):
            optimizer.zero_grad()
            cross_entropy(net(x[chosen]), y[chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    net.eval()


def descend_on_squares(net: nn.Module, x: Tensor, y: Tensor, rate: float, steps: int) -> None:
    """Gradient descent on half the sum of squared errors, on all samples at once and in place.

    Nets side by side have no weight in common, so that each descends as if it were alone.
    """
    weights = list(net.parameters())
    for _ in range(steps):
        loss = (net(x) - y).square().sum() / 2
        with torch.no_grad():
            for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight.sub_(slope, alpha=rate)


def _batches(n: int, size: int) -> Sequence[Tensor]:
    """Indices of each batch; a last batch of one sample, which has no variance, is left out."""
    if n <= size:
        return [torch.arange(n)]
    batches = torch.split(torch.randperm(n), size)
    return batches[:-1] if len(batches[-1]) == 1 else batches


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of samples that a net in evaluation mode classifies right."""
    with torch.inference_mode():
        answers = [net(batch).argmax(1) for batch in torch.split(x, AT_ONCE)]
    return float((torch.cat(answers) == y).float().mean())


def diverged(net: nn.Module) -> bool:
    """Whether a weight is no longer a finite number."""
    return not all(bool(torch.isfinite(weight).all()) for weight in net.parameters())
