"""The unfused CNTK on a GPU: three kernels a layer, each through memory, one pair after another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from claimbench.kernels.cntk._windows import axis_weights

from .four_dimensional import wanted
from .torch_eager import pool, tables

if TYPE_CHECKING:
    from torch import Tensor

THREADS = 256

SOURCE = r"""
// A value for each pixel (i, j) of one image and each pixel (k, l) of the other.
extern "C" __global__ void box(const float* from, float* to, int height, int width) {
    int at = blockIdx.x * blockDim.x + threadIdx.x, pixels = height * width;
    if (at >= pixels * pixels) return;
    int p = at / pixels, q = at % pixels;
    int i = p / width, j = p % width, k = q / width, l = q % width;
    float total = 0;
    for (int a = -1; a <= 1; ++a)
        for (int b = -1; b <= 1; ++b)
            if (0 <= min(i, k) + a && max(i, k) + a < height
                && 0 <= min(j, l) + b && max(j, l) + b < width)
                total += from[at + (a * width + b) * (pixels + 1)];
    to[at] = total;
}

// S becomes the covariance after the activation; T what it inherits, plus that where `trained`.
extern "C" __global__ void activate(
    float* s, float* t, const float* scale1, const float* scale2,
    const float* inverse1, const float* inverse2, int pixels, int trained) {
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= pixels * pixels) return;
    int p = at / pixels, q = at % pixels;
    float cosine = fminf(fmaxf(s[at] * inverse1[p] * inverse2[q], -1.f), 1.f);
    float kappa0 = 1.f - acosf(cosine) * 0.318309886f;
    float kappa1 = cosine * kappa0 + sqrtf(1.f - cosine * cosine) * 0.318309886f;
    float covariance = scale1[p] * scale2[q] * kappa1;
    s[at] = covariance;
    t[at] = t[at] * kappa0 / 9.f + (trained ? covariance : 0.f);
}
"""


@cache
def _kernels() -> tuple[Any, Any]:
    import cupy

    module = cupy.RawModule(code=SOURCE)
    return module.get_function("box"), module.get_function("activate")


class Pair:
    """The tensors S and T of one pair of images, and a spare of each."""

    def __init__(self, height: int, width: int, like: Tensor):
        self.s, self.t, *self.spare = like.new_empty(4, height, width, height, width).unbind()
        self.size, self.pixels = (np.int32(height), np.int32(width)), height * width
        self.grid = (-(-(self.pixels**2) // THREADS),)
        self.box, self.activate = _kernels()

    def _box(self, source: Tensor, target: Tensor) -> None:
        self.box(self.grid, (THREADS,), (source.data_ptr(), target.data_ptr(), *self.size))

    def start(self, x: Tensor, z: Tensor, frozen_ends: bool) -> None:
        import torch

        torch.matmul(x.flatten(1).T, z.flatten(1), out=self.spare[0].view(self.pixels, -1))
        self._box(self.spare[0], self.s)
        if frozen_ends:
            self.t.zero_()
        else:
            self.t.copy_(self.s)

    def through_activation(self, tables: Sequence[Tensor], trained: bool) -> None:
        pointers = [a.data_ptr() for a in (self.s, self.t, *tables)]
        last = np.int32(self.pixels), np.int32(trained)
        self.activate(self.grid, (THREADS,), (*pointers, *last))

    def through_convolution(self) -> None:
        self._box(self.s, self.spare[0])
        self._box(self.t, self.spare[1])
        (self.s, self.t), self.spare = self.spare, [self.s, self.t]


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
) -> Tensor:
    """What `cntk_gram` gives, without mirrored images."""
    import torch

    others = x1 if x2 is None else x2
    rows, columns = (
        torch.from_numpy(axis_weights(size, windows, "zeros")).to(x1) for size in x1.shape[2:]
    )
    found = x1.new_empty(1, len(get), len(depths), len(windows), len(x1), len(others))
    layers = list(zip(tables(x1, max(depths), 0), tables(others, max(depths), 1), strict=True))
    pair = Pair(x1.shape[2], x1.shape[3], like=x1)
    for i, x in enumerate(x1):
        for j, z in enumerate(others):
            pair.start(x, z, frozen_ends)
            for level, ((scale1, inverse1), (scale2, inverse2)) in enumerate(layers, start=1):
                ends = frozen_ends and level in depths
                sides = scale1[i], scale2[:, j], inverse1[i], inverse2[:, j]
                pair.through_activation(sides, trained=not ends)
                for place, process in wanted(level, depths, get):
                    final = pair.s if process == "nngp" else pair.t
                    found[0][place][:, i, j] = pool(final, windows, rows, columns)
                if level < max(depths):
                    if ends:
                        pair.t += pair.s
                    pair.through_convolution()
    return found
