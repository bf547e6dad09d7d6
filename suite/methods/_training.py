"""What training on torch has in common: seeds, batches and test accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ._dense import keep

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


@contextmanager
def nothing_denormal() -> Iterator[None]:
    """In the block numbers below 1e-38 are 0: a net that has learnt all meets many, all slow."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


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


def descend_side_by_side(
    nets: nn.Module, x: Tensor, y: Tensor, rates: Tensor, epochs: int, momentum: float
) -> Tensor:
    """Gradient descent on cross-entropy, of each net on all of its samples at once and in place.

    A net that diverges leaves the others: weights that are not numbers stay so.

    Args:
        x: inputs of the members, [members n p].
        y: their classes, [members n].
        rates: their learning rates, [members].

    Returns:
        Indices of the members that are left.
    """
    left = torch.arange(len(rates), device=x.device)
    speeds = [torch.zeros_like(weight) for weight in nets.parameters()]
    nets.train()
    for _ in range(epochs):
        each = cross_entropy(nets(x).flatten(0, 1), y.flatten(), reduction="none")
        losses = each.view(y.shape).mean(1)
        _step(nets, losses.sum(), speeds, rates[:, None, None], momentum)
        stays = ~losses.isnan()
        if not stays.all():
            keep(nets, stays)
            speeds = [speed[stays] for speed in speeds]
            x, y, rates, left = x[stays], y[stays], rates[stays], left[stays]
        if len(left) == 0:
            break
    nets.eval()
    finite = [weight.isfinite().flatten(1).all(1) for weight in nets.parameters()]
    stays = torch.stack(finite).all(0)
    keep(nets, stays)
    return left[stays]


def _step(
    nets: nn.Module, loss: Tensor, speeds: list[Tensor], rates: Tensor, momentum: float
) -> None:
    """The step of `torch.optim.SGD`, but at a rate for each member."""
    weights = list(nets.parameters())
    slopes = torch.autograd.grad(loss, weights)
    with torch.no_grad():
        for weight, speed, slope in zip(weights, speeds, slopes, strict=True):
            speed.mul_(momentum).add_(slope)
            weight.addcmul_(speed, rates, value=-1)


def _batches(n: int, size: int) -> Sequence[Tensor]:
    """Indices of each batch; a last batch of one sample, which has no variance, is left out."""
    if n <= size:
        return [torch.arange(n)]
    batches = torch.split(torch.randperm(n), size)
    return batches[:-1] if len(batches[-1]) == 1 else batches


def accuracy(net: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """Share of samples that a net in evaluation mode classifies right."""
    with torch.inference_mode():
        answers = [net(batch).argmax(1) for batch in torch.split(x, AT_ONCE)]
    return float((torch.cat(answers) == y).float().mean())
