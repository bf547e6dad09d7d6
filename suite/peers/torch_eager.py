"""The CNTK in plain torch: a tensor over all pairs of images and all pairs of pixels, eagerly.

It is what somebody writes who knows the recursion and torch, and nothing of offsets; on the CPU and
on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from claimbench.kernels.cntk._windows import axis_weights

from . import NotMeasured, four_dimensional
from .four_dimensional import shifts, wanted

if TYPE_CHECKING:
    from torch import Tensor

    from ..timing.runners import InProcess
    from ..timing.workloads import Workload

Layer = Callable[..., "tuple[Tensor, Tensor]"]


def adapt(workload: Workload, device: str) -> tuple[Workload, str]:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise NotMeasured("torch is not installed (pip install 'claimbench[torch]')")
    return four_dimensional.adapt(workload, device)


def runner(workload: Workload, device: str) -> InProcess:
    from ..timing.runners import InProcess

    return InProcess(gram, workload, "torch", device)


def activation(
    s: Tensor, t: Tensor, scale1: Tensor, scale2: Tensor, inverse1: Tensor, inverse2: Tensor
) -> tuple[Tensor, Tensor]:
    """The covariance after the activation, and what the tangent kernel inherits."""
    import torch

    cosine = (s * inverse1 * inverse2).clamp(-1, 1)
    kappa0 = 1 - torch.acos(cosine) / math.pi
    kappa1 = cosine * kappa0 + torch.sqrt(1 - cosine * cosine) / math.pi
    return scale1 * scale2 * kappa1, t * kappa0 / 9


def convolution(covariance: Tensor, inherited: Tensor) -> tuple[Tensor, Tensor]:
    """S and T of the next layer."""
    return box(covariance), box(inherited + covariance)


def box(values: Tensor) -> Tensor:
    """Sum over the nine shifts of a pair of pixels: three along rows, then three along columns."""
    for axis in (0, 1):
        total = values.clone()
        for target, source in shifts(axis):
            total[target] += values[source]
        values = total
    return values


def gram(
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    depths: Sequence[int],
    windows: Sequence[Any] = ("gap",),
    flips: Sequence[bool] = (False,),
    get: Sequence[str] = ("ntk",),
    frozen_ends: bool = False,
    padding: str = "zeros",
    activation: Layer = activation,
    convolution: Layer = convolution,
) -> Tensor:
    """What `cntk_gram` gives, without mirrored images."""
    import torch

    others = x1 if x2 is None else x2
    rows, columns = (
        torch.from_numpy(axis_weights(size, windows, "zeros")).to(x1) for size in x1.shape[2:]
    )
    found = x1.new_empty(1, len(get), len(depths), len(windows), len(x1), len(others))
    s = box(torch.einsum("ncij,mckl->nmijkl", x1, others))
    t = torch.zeros_like(s) if frozen_ends else s
    sides = zip(tables(x1, max(depths), 0), tables(others, max(depths), 1), strict=True)
    for level, ((scale1, inverse1), (scale2, inverse2)) in enumerate(sides, start=1):
        covariance, inherited = activation(s, t, scale1, scale2, inverse1, inverse2)
        for place, process in wanted(level, depths, get):
            final = covariance if process == "nngp" else inherited
            if process == "ntk" and not frozen_ends:
                final = inherited + covariance
            found[0][place] = pool(final, windows, rows, columns)
        if level < max(depths):
            s, t = convolution(covariance, inherited)
    return found


def pool(values: Tensor, windows: Sequence[Any], rows: Tensor, columns: Tensor) -> Tensor:
    """[windows, ...] of [..., height, width, height, width]."""
    import torch

    if list(windows) == ["gap"]:
        return values.mean((-4, -3, -2, -1))[None]
    return torch.einsum("...ijkl,wik,wjl->w...", values, rows, columns)


def tables(x: Tensor, depth: int, side: int) -> Iterator[tuple[Tensor, Tensor]]:
    """For each layer the standard deviations over 3 and one over them, shaped for the pairs.

    `side` is 0 for x1, whose images and pixels come first, and 1 for x2.
    """
    import torch
    from torch.nn.functional import avg_pool2d

    n, _, height, width = x.shape
    shape = (n, 1, height, width, 1, 1) if side == 0 else (1, n, 1, 1, height, width)
    variance = x.double().square().sum(1)
    for _ in range(depth):
        variance = avg_pool2d(variance, 3, stride=1, padding=1, divisor_override=1)
        deviation = variance.sqrt()
        inverse = torch.where(deviation > 0, 1 / deviation, 0)
        yield (deviation / 3).to(x).view(shape), inverse.to(x).view(shape)
        variance = variance / 9
