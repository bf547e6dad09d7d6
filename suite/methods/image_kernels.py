"""Kernel regression with the CNTK and the CNN-GP, on images or on features of their patches.

All variants of a Gram matrix come from one pass over the pairs of images, tile by tile, and are
solved one by one: the published cells of 50,000 images are 144 matrices of 10 GB.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from claimbench.kernels import backends_used, cntk_gram, coates_ng_features, patch_filters, using

from ..evaluation import Indices, Score, Trial, method, standardised
from ..gram import GramFunction, Matrix, gram, listed, on_device
from ..solving import Solution, UnsolvableGram, entry_error, solve_blocks, unit_scale

AXES = ("get", "depth", "window", "flip")
FEW = 3
"""Images among which the rounding of the kernel is measured: some seconds for large ones."""

Images = Float[np.ndarray, "n channels height width"]


@dataclass(frozen=True)
class Ridge:
    """Kernel ridge regression on one-hot targets.

    Attributes:
        ridge: added to the diagonal; 0 interpolates.
        unit_diagonal: normalise the kernel to k(x, x) = 1 first.
        groups: into how many groups of test images the accuracy is also told; none where 0.
    """

    ridge: float
    unit_diagonal: bool
    groups: int = 0


@method(axes=AXES, tiled=True)
def cntk_regression(
    trial: Trial,
    *,
    get: Sequence[str],
    depth: Sequence[int],
    window: Sequence[int | str],
    flip: Sequence[bool],
    ridge: float,
    unit_diagonal: bool,
    frozen_ends: bool = False,
    groups: int = 0,
) -> Iterator[Score]:
    """Kernel regression with the CNTK or CNN-GP, all variants from one pass over the image pairs.

    Args:
        get: `ntk` for the CNTK, `nngp` for the CNN-GP.
        depth: numbers of convolution layers, each with a ReLU.
        window: half-widths c of local average pooling; 0 is none, `gap` global.
        flip: averaged with the mirrored image or not.
        ridge: added to the diagonal; 0 interpolates.
        unit_diagonal: normalise the kernel to k(x, x) = 1 first.
        groups: equal groups of test images whose accuracies are the items of a score; none where 0.

    Source: Li et al. 2019, arXiv:1911.00809, section 6 (ridge 5e-5, unit diagonal); Arora et al.
    2019, arXiv:1904.11955, appendix A (no ridge, no normalisation, frozen ends for GAP).
    """
    asked = {"flips": flip, "get": get, "depths": depth, "windows": window}
    function = GramFunction("cntk_gram", asked, {"frozen_ends": frozen_ends}, trial.device)
    train, test = _images(trial)
    yield from _scores(trial, function, train, test, Ridge(ridge, unit_diagonal, groups))


@method(axes=AXES, tiled=True)
def patch_cntk_regression(
    trial: Trial,
    *,
    patches: int,
    size: int,
    zca_bias: float,
    get: Sequence[str],
    depth: Sequence[int],
    window: Sequence[int | str],
    flip: Sequence[bool],
    ridge: float,
    unit_diagonal: bool,
    bias: float = 1.0,
    groups: int = 0,
) -> Iterator[Score]:
    """`cntk_regression` on Coates-Ng features instead of pixels.

    The filters are whitened patches of the training draw, drawn with seed 0, and their mirror
    images. So the features of a mirrored image are the mirrored features with the two halves of the
    filters exchanged: flipping takes the features of mirrored images, for `flips` of `cntk_gram`
    would leave the filters where they are.

    Args:
        patches: how many patches become filters; there are four times as many channels.
        size: pixels a side of a patch.
        zca_bias: added to the eigenvalues of the patches' covariance when they are whitened.
        bias: the features' threshold.

    Source: Coates and Ng 2011 as used in section 6.2 of Li et al. 2019, arXiv:1911.00809.
    """
    asked = {"flips": flip, "get": get, "depths": depth, "windows": window}
    train, test = _images(trial)
    fixed = {"filters": patch_filters(train, patches, size, 0, zca_bias), "bias": bias}
    function = PatchGram("cntk_gram", asked, fixed, trial.device)
    yield from _scores(trial, function, train, test, Ridge(ridge, unit_diagonal, groups))


class PatchGram(GramFunction):
    """The CNTK of features of patches, which are many times larger than the images they are of.

    Its fixed arguments are the filters and the bias of `coates_ng_features`.
    """

    def __call__(self, x: Images, z: Images | None = None) -> Float[np.ndarray, "variants n m"]:
        plain = self._of_features(x, z)
        flips = self.axes["flips"]
        if not any(flips):
            return np.tile(plain, (len(flips), 1, 1))
        mirrored = np.ascontiguousarray((x if z is None else z)[..., ::-1])
        both = (plain + self._of_features(x, mirrored)) / 2
        return np.concatenate([both if mirror else plain for mirror in flips])

    def _of_features(self, x: Images, z: Images | None) -> Float[np.ndarray, "variants n m"]:
        bias = self.fixed["bias"]
        asked: Any = {name: self.axes[name] for name in self.axes if name != "flips"}

        def pairs(filters: Any, *images: Any) -> Any:
            """From arrays on the device."""
            return cntk_gram(*(coates_ng_features(i, filters, bias=bias) for i in images), **asked)

        images = (x,) if z is None else (x, z)
        return listed(self.run(pairs, self.fixed["filters"].astype(x.dtype), *images))


def _images(trial: Trial) -> tuple[Images, Images]:
    """Training images of the largest draw, which begins with the smaller, and test images."""
    train = max((part.folds[0].train for part in trial.parts), key=len)
    test = trial.parts[0].folds[0].test
    images = standardised(trial.data.x[np.concatenate([train, test])], np.arange(len(train)))
    first, rest = np.split(images.astype(_precision(trial, images[:1])), [len(train)])
    return first, rest


def _precision(trial: Trial, image: Images) -> type[np.floating[Any]]:
    """That of the fast backends; float64 where the reference runs, which is no slower in it."""
    with backends_used() as used:
        on_device(trial.device, cntk_gram, image.astype(np.float32), depths=[1], windows=[0])
    return np.float64 if used["cntk_gram"] == "reference" else np.float32


def entry_errors(function: GramFunction, images: Images) -> Float[np.ndarray, " variants"]:
    """How far entries of each variant may be off, relative to themselves, in the images' dtype.

    The kernel's bound holds unless patches of different places or images are parallel, as on a
    plain background. So float32 is held against the reference in float64 on the first few images;
    where it exceeds the bound, angles are lost to the square root of the precision, and in float64
    too.
    """
    few = images[:FEW]
    with backends_used(), using("reference"):
        exact = function(few.astype(np.float64))
    with backends_used():
        single = function(few.astype(np.float32))
    off = np.divide(np.abs(single - exact), exact, out=np.zeros_like(exact), where=exact > 0)
    return entry_error(images.dtype, off.max(axis=(1, 2)))


def _scores(
    trial: Trial, function: GramFunction, train: Images, test: Images, solver: Ridge
) -> Iterator[Score]:
    """What each variant reaches on each part: smaller draws are the first rows of the largest."""
    among, across = gram(function, train), gram(function, test, train)
    errors = entry_errors(function, train)
    y, wanted = trial.data.y, trial.data.y[trial.parts[0].folds[0].test]
    for part in trial.parts:
        drawn = part.folds[0].train
        for index, asked in enumerate(function.variants):
            n, scratch = len(drawn), among.scratch(index, len(drawn))
            k, rest = among[index].first(n), across[index][:, :n]
            variant = {axis: asked[axis if axis == "get" else f"{axis}s"] for axis in AXES}
            try:
                error = float(errors[index])
                classes, solution = predicted(k, rest, y[drawn], solver, error, scratch)
            except UnsolvableGram as e:
                what = ", ".join(f"{axis} {value}" for axis, value in variant.items())
                raise UnsolvableGram(f"{what}: {e}") from None
            right = classes == wanted
            items = {"accuracy": _by_group(right, solver.groups)} if solver.groups else {}
            accuracy = {"accuracy": float(right.mean())}
            yield Score(accuracy, part.at, variant, items, solution.details)


def _by_group(right: Bool[np.ndarray, " m"], groups: int) -> list[float]:
    """Shares of groups as equal as can be, of one image where there are fewer than `groups`."""
    return [float(group.mean()) for group in np.array_split(right, min(groups, len(right)))]


def predicted(
    among: Float[np.ndarray, "n n"] | Matrix,
    across: Float[np.ndarray, "m n"],
    y: Indices,
    solver: Ridge,
    error: float = 0.0,
    scratch: Path | None = None,
) -> tuple[Indices, Solution]:
    """Class of each test sample, and the solution in float64 that says so.

    Test samples need no normalisation of their own, nor targets a shift: both change all classes
    of a sample alike. The other normalisation doubles, to first order, the relative `error` of the
    entries of `among`: to their own come halves of those of two entries on the diagonal. What is
    too large for memory is solved in `scratch`, which is then removed.

    Raises:
        UnsolvableGram: where the equations have no solution that means anything.
    """
    rest, scale = across.astype(np.float64), np.ones(len(y))
    if solver.unit_diagonal:
        scale, error = unit_scale(among.diagonal()), 2 * error
        rest *= scale

    def read(rows: slice, columns: slice) -> np.ndarray:
        block = among[rows, columns].astype(np.float64)
        block *= scale[columns]
        block *= scale[rows, None]
        return block

    targets = np.eye(y.max() + 1)[y]
    with _until_answered(scratch):
        solution = solve_blocks(
            read, targets, ridge=solver.ridge, entry_error=error, scratch=scratch
        )
    classes: Indices = (rest @ solution.weights).argmax(axis=1)
    return classes, solution


@contextmanager
def _until_answered(scratch: Path | None) -> Iterator[None]:
    """Keep a solver's folder where it is stopped, and not where it answers: a refusal is one."""
    try:
        yield
    except UnsolvableGram:
        _remove(scratch)
        raise
    _remove(scratch)


def _remove(scratch: Path | None) -> None:
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
