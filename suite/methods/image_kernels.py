"""Kernel regression with the CNTK and the CNN-GP, on images or on features of their patches.

A Gram matrix is computed block by block, all variants of it in one pass over the pairs of images.
Where all of them are more than memory should hold they go to a temporary file: the published cells
of 50,000 images are 144 matrices of 12 GB, and are solved one by one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from claimbench.kernels import backends_used, cntk_gram, coates_ng_features, patch_filters, using

from ..definitions import Scalar
from ..evaluation import Indices, Score, Trial, method, standardised
from ..solving import Solution, UnsolvableGram, entry_error, solve_blocks, unit_scale

AXES = ("get", "depth", "window", "flip")
HELD = 2**33
"""Bytes of Gram matrices that stay in memory."""
FEW = 3
"""Images among which the rounding of the kernel is measured: some seconds for large ones."""

Images = Float[np.ndarray, "n channels height width"]
Grams = Float[np.ndarray, "variants n m"]
GramOf = Callable[[Images, Images | None], Grams]
"""All variants of the Gram matrix of some images, of one set with itself or of two."""


@dataclass(frozen=True)
class Variants:
    """What one pass answers, in the order in which it answers: the axes of a method."""

    get: Sequence[str]
    depth: Sequence[int]
    window: Sequence[int | str]
    flip: Sequence[bool]

    def __iter__(self) -> Iterator[dict[str, Scalar]]:
        for flip, get, depth, window in product(self.flip, self.get, self.depth, self.window):
            yield {"get": get, "depth": depth, "window": window, "flip": flip}

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of `cntk_gram`, all but the flips."""
        return {"get": self.get, "depths": self.depth, "windows": self.window}


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


@method(axes=AXES)
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
    variants = Variants(get, depth, window, flip)

    def gram(x: Images, z: Images | None) -> Grams:
        images = (x,) if z is None else (x, z)
        asked = variants.arguments | {"flips": flip, "frozen_ends": frozen_ends}
        return _listed(on_device(trial.device, cntk_gram, *images, **asked))

    train, test = _images(trial)
    grams = blockwise(gram, train), blockwise(gram, test, train)
    errors = entry_errors(gram, train)
    yield from _scores(trial, variants, grams, errors, Ridge(ridge, unit_diagonal, groups))


@method(axes=AXES)
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
    variants = Variants(get, depth, window, flip)
    train, test = _images(trial)
    filters = patch_filters(train, patches, size, 0, zca_bias)

    def pairs(filters: Any, x: Any, z: Any = None) -> Any:
        """From arrays on the device, where features are many times larger than images."""
        features = (coates_ng_features(i, filters, bias=bias) for i in (x, z) if i is not None)
        return cntk_gram(*features, **variants.arguments)

    def gram(x: Images, z: Images | None) -> Grams:
        images = (x,) if z is None else (x, z)
        own = filters.astype(x.dtype)
        plain = _listed(on_device(trial.device, pairs, own, *images))
        if not any(flip):
            return np.tile(plain, (len(flip), 1, 1))
        mirrored = np.ascontiguousarray((x if z is None else z)[..., ::-1])
        both = (plain + _listed(on_device(trial.device, pairs, own, x, mirrored))) / 2
        return np.concatenate([both if mirror else plain for mirror in flip])

    block = 256  # images whose features are held at once: 2,048 patches give 26 MB an image
    grams = blockwise(gram, train, block=block), blockwise(gram, test, train, block=block)
    errors = entry_errors(gram, train)
    yield from _scores(trial, variants, grams, errors, Ridge(ridge, unit_diagonal, groups))


def on_device(
    device: str, kernel: Callable[..., Any], *arrays: np.ndarray, **arguments: Any
) -> Any:
    """Call a kernel with NumPy arrays, on the GPU where that is the device and takes them."""
    if device == "cpu" or arrays[0].dtype == np.float64:
        return kernel(*arrays, **arguments)
    import torch

    tensors = [torch.from_numpy(array).to(device) for array in arrays]
    return kernel(*tensors, **arguments).cpu().numpy()


def _listed(grams: np.ndarray) -> Grams:
    """Counted through all leading axes."""
    return grams.reshape(-1, *grams.shape[-2:])


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


def entry_errors(gram: GramOf, images: Images) -> Float[np.ndarray, " variants"]:
    """How far entries of each variant may be off, relative to themselves, in the images' dtype.

    The kernel's bound holds unless patches of different places or images are parallel, as on a
    plain background. So float32 is held against the reference in float64 on the first few images;
    where it exceeds the bound, angles are lost to the square root of the precision, and in float64
    too.
    """
    few = images[:FEW]
    with backends_used(), using("reference"):
        exact = gram(few.astype(np.float64), None)
    with backends_used():
        single = gram(few.astype(np.float32), None)
    off = np.divide(np.abs(single - exact), exact, out=np.zeros_like(exact), where=exact > 0)
    return entry_error(images.dtype, off.max(axis=(1, 2)))


def blockwise(
    gram: GramOf, x: Images, z: Images | None = None, *, block: int = 2048, held: int = HELD
) -> Grams:
    """`gram(x, z)` from blocks of so many images a side, in a file if it is more than `held` bytes.

    A block below the diagonal is the transpose of the one above it.
    """
    others = x if z is None else z
    whole: Grams | None = None
    for i in range(0, len(x), block):
        for j in range(0 if z is not None else i, len(others), block):
            rows, columns = slice(i, i + block), slice(j, j + block)
            part = gram(x[rows], None if z is None and i == j else others[columns])
            if part.shape[1:] == (len(x), len(others)):
                return part
            if whole is None:
                whole = _room((len(part), len(x), len(others)), part.dtype, held)
            whole[:, rows, columns] = part
            if z is None and i < j:
                whole[:, columns, rows] = part.swapaxes(1, 2)
    assert whole is not None, "there is no image"
    return whole


def _room(shape: tuple[int, ...], dtype: np.dtype[Any], held: int) -> Grams:
    if prod(shape) * dtype.itemsize <= held:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:  # it is gone when nothing maps it any more
        return np.memmap(file, dtype, "w+", shape=shape)


def _scores(
    trial: Trial,
    variants: Variants,
    grams: tuple[Grams, Grams],
    errors: Float[np.ndarray, " variants"],
    solver: Ridge,
) -> Iterator[Score]:
    """What each variant reaches on each part: smaller draws are the first rows of the largest."""
    among, across = grams
    y, wanted = trial.data.y, trial.data.y[trial.parts[0].folds[0].test]
    for part in trial.parts:
        train = part.folds[0].train
        n = len(train)
        for index, variant in enumerate(variants):
            k, rest = among[index, :n, :n], across[index, :, :n]
            try:
                classes, solution = predicted(k, rest, y[train], solver, float(errors[index]))
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
    among: Float[np.ndarray, "n n"],
    across: Float[np.ndarray, "m n"],
    y: Indices,
    solver: Ridge,
    error: float = 0.0,
) -> tuple[Indices, Solution]:
    """Class of each test sample, and the solution in float64 that says so.

    Test samples need no normalisation of their own, nor targets a shift: both change all classes
    of a sample alike. The other normalisation doubles, to first order, the relative `error` of the
    entries of `among`: to their own come halves of those of two entries on the diagonal.

    Raises:
        UnsolvableGram: where the equations have no solution that means anything.
    """
    rest, scale = across.astype(np.float64), np.ones(len(among))
    if solver.unit_diagonal:
        scale, error = unit_scale(among.diagonal()), 2 * error
        rest *= scale

    def read(rows: slice, columns: slice) -> np.ndarray:
        block = among[rows, columns].astype(np.float64)
        block *= scale[columns]
        block *= scale[rows, None]
        return block

    targets = np.eye(y.max() + 1)[y]
    solution = solve_blocks(read, targets, ridge=solver.ridge, entry_error=error)
    classes: Indices = (rest @ solution.weights).argmax(axis=1)
    return classes, solution
