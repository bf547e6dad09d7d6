"""Inputs that every backend of `cntk_gram` is tried on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..checks import Case

EVERYTHING = {
    "depths": [2, 1],
    "windows": [0, 1, "gap"],
    "flips": [False, True],
    "get": ["ntk", "nngp"],
}


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)

    def images(n: int, *shape: int) -> np.ndarray:
        return rng.normal(size=(n, *shape))

    for padding in ("zeros", "circular"):
        # Heights and widths that are no power of two, smaller than a window, or 1.
        for shape in [(2, 5, 7), (1, 3, 1), (3, 1, 1)]:
            args = images(1, *shape), images(2, *shape)
            label = "x".join(map(str, shape))
            yield Case(f"{padding}-{label}", args, {**EVERYTHING, "padding": padding})
        kwargs = {"depths": [3], "windows": [0, 2], "padding": padding}
        yield Case(f"{padding}-symmetric", (images(3, 1, 4, 3),), kwargs)
        args = images(1, 1, 4, 5), images(2, 1, 4, 5)
        frozen = {**kwargs, "depths": [1, 3], "frozen_ends": True}
        yield Case(f"{padding}-frozen-ends", args, frozen)
    yield Case("power-of-two", (images(1, 1, 8, 8), images(1, 1, 8, 8)), {"depths": [2]})
    yield Case("deep", (images(1, 3, 4, 4), images(2, 3, 4, 4)), {"depths": [40]})
    yield Case("nngp-alone", (images(2, 2, 3, 4),), {"depths": [1, 4], "get": ["nngp"]})
    # One image more than the numba backend lays side by side, at 30 pixels each.
    args = images(1, 2, 5, 6), images(35, 2, 5, 6)
    yield Case("past-one-block", args, {"depths": [2], "windows": [0]})

    blank = images(3, 1, 4, 3)
    blank[1] = 0
    blank[2, :, :, :2] = 0
    patches = {"depths": [3], "windows": [1, "gap"], "get": ["ntk", "nngp"]}
    yield Case("patches-of-zeros", (blank[1:], blank), patches)
    image = images(1, 1, 3, 4)
    mirrors = np.concatenate([image, image[..., ::-1]])
    yield Case("identical-and-mirrored", (image, mirrors), {"depths": [3], "flips": [True, False]})
    vanilla = {"depths": [2], "windows": [0], "flips": [True, False]}
    yield Case("identical-and-mirrored-vanilla", (image, mirrors), vanilla)


def drawn(rng: np.random.Generator) -> Case:
    n, m = rng.integers(2, 5, size=2)
    shape = rng.integers([1, 2, 2], [4, 8, 8])
    kwargs = {
        **EVERYTHING,
        "depths": rng.permutation([1, 2, 3]).tolist(),
        "padding": ["zeros", "circular"][rng.integers(2)],
        "frozen_ends": bool(rng.integers(2)),
    }
    return Case("drawn", (rng.normal(size=(n, *shape)), rng.normal(size=(m, *shape))), kwargs)
