"""Relations that `cntk_gram` obeys whatever code computes it.

The last layer is pooled with a weight for each pair of pixels (p, q), P of them an image: the
vanilla kernel sums over p = q, GAP has 1 / P^2 for every pair. With circular padding moving z by s
moves its pixels and nothing else, so the vanilla kernels of x with all P translations of z add up
to the sum over all pairs, which is P^2 times GAP. A window of a whole number of turns sees every
pixel equally often, and then counts every pair with 1 / P.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..checks import Invariant

Run = Callable[..., np.ndarray]
Rng = np.random.Generator
Sides = tuple[np.ndarray, np.ndarray]

N, M, CHANNELS, HEIGHT, WIDTH = 2, 3, 2, 3, 4
PIXELS = HEIGHT * WIDTH
ALL: dict[str, Any] = {"depths": [1, 2], "windows": [0, 1, "gap"], "get": ["ntk", "nngp"]}
LEVEL = 9 + 9 + 10  # roundings of one layer: the boxes of a covariance and a tangent, the ReLU
ROUNDINGS = 9 * CHANNELS + LEVEL * max(ALL["depths"])


def invariants() -> Iterator[Invariant]:
    for padding in ("zeros", "circular"):
        asked = ALL | {"padding": padding}
        for name, sides in COMMON.items():
            yield Invariant(f"{padding}-{name}", partial(sides, asked), ROUNDINGS)
    circular = ALL | {"padding": "circular"}
    yield Invariant("translations-change-nothing", partial(_translated, circular), ROUNDINGS)
    yield Invariant("gap-is-the-mean-of-translations", partial(_averaged, circular), ROUNDINGS)
    yield Invariant("a-window-of-whole-turns-is-gap", partial(_turns, circular), ROUNDINGS)
    yield Invariant("a-window-of-everything-is-gap", _everything, ROUNDINGS)


def _inputs(rng: Rng) -> Sides:
    shape = CHANNELS, HEIGHT, WIDTH
    return rng.normal(size=(N, *shape)), rng.normal(size=(M, *shape))


def _triangle_is_full(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    x, _ = _inputs(rng)
    return gram(x, **asked), gram(x, x.copy(), **asked)


def _swapped(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    x, z = _inputs(rng)
    return gram(x, z, **asked), gram(z, x, **asked).swapaxes(-1, -2)


def _positive(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    """Every entry off by a unit moves an eigenvalue by as many units as there are rows."""
    x = rng.normal(size=(2 * M, CHANNELS, HEIGHT, WIDTH))
    grams = gram(x, **asked, flips=[False, True])
    lowest = np.linalg.eigvalsh(grams).min(axis=-1)
    relative = lowest / (len(x) * grams.max(axis=(-1, -2)))
    return np.minimum(relative, 0), 0 * relative


def _mirrored(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    x, z = _inputs(rng)
    return gram(x[..., ::-1], z[..., ::-1], **asked), gram(x, z, **asked)


def _flipped(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    """Asking for flips is averaging with the mirror images of either argument."""
    x, z = _inputs(rng)
    mean = (gram(x, z, **asked) + gram(x[..., ::-1], z, **asked)) / 2
    return gram(x, z, **asked, flips=[True]), mean


def _permuted(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    x, z = _inputs(rng)
    i, j = rng.permutation(N), rng.permutation(M)
    return gram(x[i], z[j], **asked), gram(x, z, **asked)[..., i, :][..., j]


def _scaled(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    x, z = _inputs(rng)
    return gram(3 * x, z / 1000, **asked), 3e-3 * gram(x, z, **asked)


def _separate(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    """A subset of what is asked for is the same slice of a larger call."""
    x, z = _inputs(rng)
    flips = [True, False]
    together = gram(x, z, **asked, flips=flips)
    alone = np.empty_like(together)
    names = ("get", "depths", "windows")
    for place in np.ndindex(together.shape[:4]):
        subset = {name: [asked[name][i]] for name, i in zip(names, place[1:], strict=True)}
        alone[place] = gram(x, z, **asked | subset, flips=[flips[place[0]]]).squeeze((0, 1, 2, 3))
    return alone, together


def _translated(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    x, z = _inputs(rng)
    step = rng.integers(1, HEIGHT), rng.integers(1, WIDTH)
    moved = (np.roll(images, step, axis=(-2, -1)) for images in (x, z))
    return gram(*moved, **asked), gram(x, z, **asked)


def _averaged(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    x, z = _inputs(rng)
    shifts = np.ndindex(HEIGHT, WIDTH)
    moved = np.concatenate([np.roll(z, shift, axis=(-2, -1)) for shift in shifts])
    vanilla = gram(x, moved, **asked | {"windows": [0]})
    total = vanilla.reshape(*vanilla.shape[:-1], PIXELS, M).sum(axis=-2)
    return gram(x, z, **asked | {"windows": ["gap"]}), total / PIXELS**2


def _turns(asked: dict[str, Any], gram: Run, rng: Rng) -> Sides:
    """Windows of 3 and 9 pixels a side, on images of 3 x 3."""
    x, z = (images[..., :3, :3] for images in _inputs(rng))
    windowed = gram(x, z, **asked | {"windows": [1, 4]})
    return windowed, 9 * gram(x, z, **asked | {"windows": ["gap", "gap"]})


def _everything(gram: Run, rng: Rng) -> Sides:
    """Wherever it is centred it sees the whole image, and zeros around it."""
    x, z = _inputs(rng)
    half = WIDTH - 1
    windowed = gram(x, z, **ALL | {"windows": [half]})
    return windowed, PIXELS**3 / (2 * half + 1) ** 4 * gram(x, z, **ALL | {"windows": ["gap"]})


COMMON = {
    "x2-left-out-is-x1": _triangle_is_full,
    "symmetric": _swapped,
    "positive-semi-definite": _positive,
    "mirroring-both-changes-nothing": _mirrored,
    "flips-average-mirror-images": _flipped,
    "images-permute-with-the-gram": _permuted,
    "homogeneous-in-each-image": _scaled,
    "one-pass-is-separate-passes": _separate,
}
