"""Facts about the CNTK and the CNN-GP that hold whatever code computes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from claimbench.kernels import cntk_gram, ntk_gram, using

BOTH = ["ntk", "nngp"]
PADDINGS = ["zeros", "circular"]


@pytest.fixture(params=["reference", "cpu", "numba"])
def dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    """The dtype of a backend that is asked for while the test runs."""
    name = "float64" if request.param == "reference" else "float32"
    if reason := cntk_gram.refusal(request.param, np.zeros((1, 1, 1, 1), name), depths=[1]):
        pytest.skip(reason)
    with using(request.param):
        yield name


def images(dtype: str, n: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(dtype)


def assert_close(actual: np.ndarray, expected: np.ndarray, units: float = 30) -> None:
    """Equal to so many units of rounding, relative to the largest entry expected."""
    atol = units * np.finfo(actual.dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def shift_matrices(height: int, width: int, padding: str) -> list[np.ndarray]:
    """For each of the nine taps the matrix that moves the pixels of a flattened image."""

    def along(size: int, step: int) -> np.ndarray:
        if padding == "circular":
            return np.roll(np.eye(size), step, axis=1)
        return np.eye(size, k=step)

    steps = (-1, 0, 1)
    return [np.kron(along(height, a), along(width, b)) for a in steps for b in steps]


def literal(
    x: np.ndarray, z: np.ndarray, depth: int, frozen_ends: bool, padding: str
) -> tuple[np.ndarray, np.ndarray]:
    """Tangent and covariance [pixels of x, pixels of z] at `depth`, from the definition.

    Both images are one long list of pixels: variances come through the same arc cosines as
    covariances, and a convolution is nine products with shift matrices.
    """
    _, height, width = x.shape
    taps = [np.kron(np.eye(2), m) for m in shift_matrices(height, width, padding)]
    pixels = np.concatenate([x.reshape(len(x), -1), z.reshape(len(z), -1)], axis=1)
    sigma = sum(m @ (pixels.T @ pixels) @ m.T for m in taps)
    theta = 0 * sigma if frozen_ends else sigma
    for layer in range(depth):
        if layer > 0:
            sigma, theta = (sum(m @ a @ m.T for m in taps) for a in (sigma, theta))
        norm = np.sqrt(np.diag(sigma))
        rho = np.outer(norm, norm)
        angle = np.arccos(np.clip(sigma / rho, -1, 1))
        sigma = rho * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (9 * np.pi)
        inherited = theta * (np.pi - angle) / (9 * np.pi)
        theta = inherited + sigma
    n = height * width
    return (inherited if frozen_ends else theta)[:n, n:], sigma[:n, n:]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("frozen_ends", [False, True])
def test_values_are_those_of_the_definition(dtype: str, frozen_ends: bool, padding: Any) -> None:
    x, z = images(dtype, 2, 2, 4, 3)
    gram = cntk_gram(
        x[None], z[None], depths=[3, 2], windows=[0, "gap"], get=BOTH,
        frozen_ends=frozen_ends, padding=padding,
    )  # fmt: skip
    for d, depth in enumerate([3, 2]):
        x64, z64 = x.astype("float64"), z.astype("float64")
        for g, values in enumerate(literal(x64, z64, depth, frozen_ends, padding)):
            assert_close(gram[0, g, d, :, 0, 0], np.array([np.trace(values), values.mean()]))


def test_windows_count_the_positions_that_see_both_pixels(dtype: str) -> None:
    """LAP by brute force: box-blur the covariances of all pixel pairs, then take the trace."""
    x, z = images(dtype, 2, 1, 3, 4)
    _, values = literal(x.astype("float64"), z.astype("float64"), 1, False, "zeros")
    tensor = values.reshape(3, 4, 3, 4)
    expected = 0.0
    for i, j in np.ndindex(3, 4):
        rows, columns = slice(max(0, i - 1), i + 2), slice(max(0, j - 1), j + 2)
        expected += tensor[rows, columns, rows, columns].sum() / 3**4
    gram = cntk_gram(x[None], z[None], depths=[1], windows=[1], get=["nngp"])
    assert_close(gram.ravel(), np.array([expected]))


@pytest.mark.parametrize("padding", PADDINGS)
def test_x2_left_out_is_x1_and_the_gram_symmetric(dtype: str, padding: Any) -> None:
    x = images(dtype, 5, 1, 3, 4)
    kwargs: dict[str, Any] = {"depths": [1, 4], "windows": [0, 1, "gap"], "get": BOTH}
    kwargs |= {"flips": [False, True], "padding": padding}
    gram = cntk_gram(x, **kwargs)
    np.testing.assert_array_equal(gram, gram.swapaxes(-1, -2))
    assert_close(gram, cntk_gram(x, x.copy(), **kwargs))


def test_is_positive_definite_on_distinct_images(dtype: str) -> None:
    x = images(dtype, 12, 2, 4, 3)
    gram = cntk_gram(x, depths=[1, 3], windows=[0, 1, "gap"], flips=[False, True], get=BOTH)
    assert np.linalg.eigvalsh(gram.reshape(-1, 12, 12)).min() > 0


@pytest.mark.parametrize("frozen_ends", [False, True])
def test_images_of_one_pixel_have_the_kernel_of_a_dense_network(
    dtype: str, frozen_ends: bool
) -> None:
    """Only the centre tap sees data, so each layer has a factor of 1/9."""
    x, z = images(dtype, 4, 3, 1, 1), images(dtype, 5, 3, 1, 1, seed=1)
    depths = [1, 2, 4]
    dense = ntk_gram(
        x[:, :, 0, 0].astype("float64"),
        z[:, :, 0, 0].astype("float64"),
        variants=[(d, 1 if frozen_ends else 0) for d in depths] + [(d, d) for d in depths],
    )
    trained, covariance = dense[:3], dense[3:]
    ntk = trained - covariance if frozen_ends else trained
    ninths = np.array([9.0**-d for d in depths])[:, None, None]
    gram = cntk_gram(x, z, depths=depths, windows=[0], get=BOTH, frozen_ends=frozen_ends)
    assert_close(gram[0, 0, :, 0], ninths * ntk)
    assert_close(gram[0, 1, :, 0], ninths * covariance)


def test_frozen_ends_leave_the_gaussian_process_and_nothing_of_depth_1(dtype: str) -> None:
    x, z = images(dtype, 2, 2, 3, 4), images(dtype, 3, 2, 3, 4, seed=1)
    kwargs: dict[str, Any] = {"depths": [1, 3], "windows": [0, "gap"], "get": BOTH}
    frozen, trained = (cntk_gram(x, z, frozen_ends=f, **kwargs) for f in (True, False))
    np.testing.assert_array_equal(frozen[:, 1], trained[:, 1])
    assert not frozen[:, 0, 0].any()
    assert (frozen[:, 0, 1] < trained[:, 0, 1]).all()


@pytest.mark.parametrize("padding", PADDINGS)
def test_images_of_zeros_give_zero(dtype: str, padding: Any) -> None:
    x, z = images(dtype, 2, 1, 4, 3), np.zeros((2, 1, 4, 3), dtype)
    kwargs: dict[str, Any] = {"depths": [1, 3], "windows": [0, 1, "gap"], "flips": [True]}
    assert not cntk_gram(x, z, get=BOTH, padding=padding, **kwargs).any()
    assert not cntk_gram(z, get=BOTH, padding=padding, **kwargs).any()


def test_an_image_meets_itself_with_a_cosine_of_exactly_1(dtype: str) -> None:
    """Then the recursion is linear, and with circular padding no layer loses anything.

    The variances of every layer add up to 9 times the squared pixels: the vanilla CNN-GP is a ninth
    of that, and the CNTK has that ninth once for each of its depth + 1 layers.
    """
    x = images(dtype, 4, 2, 5, 6)
    x[1] *= 1e-3
    depths = [1, 4, 13]
    gram = cntk_gram(x, depths=depths, windows=[0], get=BOTH, padding="circular")
    squares = (x.astype("float64") ** 2).sum((1, 2, 3))
    for d, depth in enumerate(depths):
        for g, factor in enumerate([depth + 1, 1]):
            relative = gram[0, g, d, 0].diagonal() / (factor * squares)
            assert_close(relative.astype(dtype), np.ones(4), units=8)


def test_deep_kernels_keep_their_scale(dtype: str) -> None:
    x = images(dtype, 3, 1, 3, 3)
    gram = cntk_gram(x, depths=[60], windows=[0], get=BOTH, padding="circular")
    squares = (x.astype("float64") ** 2).sum((1, 2, 3))
    assert_close(gram[0, 1, 0, 0].diagonal(), squares, units=60)


def moved(x: np.ndarray) -> np.ndarray:
    """All translations of each image around a torus, one image behind the other."""
    shifts = np.ndindex(x.shape[2:])
    rolled = [np.roll(x, shift, axis=(-2, -1)) for shift in shifts]
    return np.stack(rolled, axis=1).reshape(-1, *x.shape[1:])


@pytest.mark.parametrize("ridge", [0.1])
def test_with_circular_padding_gap_regresses_as_on_all_translations(ridge: float) -> None:
    """Global average pooling is full translation augmentation, for predictions too.

    On an orbit of P images all weights are equal, so that the augmented system is that of the mean
    kernel, P^2 / P times GAP, and a ridge that is P times smaller. Li et al. 2019, section 4.
    """
    x, z = images("float64", 4, 2, 3, 3), images("float64", 5, 2, 3, 3, seed=1)
    y = np.random.default_rng(2).normal(size=(4, 3))
    pixels, kwargs = 9, {"depths": [2], "get": BOTH, "padding": "circular"}

    def gram(a: np.ndarray, b: np.ndarray, window: Any) -> np.ndarray:
        with using("reference"):
            return cntk_gram(a, b, windows=[window], **kwargs)[0, :, 0, 0]

    def regressed(k: np.ndarray, across: np.ndarray, targets: np.ndarray, by: float) -> np.ndarray:
        return np.asarray(across @ np.linalg.solve(k + by * np.eye(len(k)), targets))

    many = moved(x)
    for process in range(len(BOTH)):
        augmented = regressed(
            gram(many, many, 0)[process],
            gram(z, many, 0)[process],
            np.repeat(y, pixels, axis=0),
            ridge,
        )
        pooled = pixels * gram(x, x, "gap")[process], pixels * gram(z, x, "gap")[process]
        np.testing.assert_allclose(augmented, regressed(*pooled, y, ridge / pixels), rtol=1e-9)


@pytest.mark.parametrize(
    ("padding", "distances"), [("circular", [0.0, 0.0]), ("zeros", [0.358, 0.175])]
)
def test_only_without_a_border_gap_is_the_mean_of_translations(
    padding: Any, distances: list[float]
) -> None:
    """How far it is on digits of 8 x 8 with zeros around them, at depth 5: CNTK and CNN-GP."""
    x = load_digits().images[:3, None] / 16
    x = (x - x.mean()).astype("float32")
    kwargs: dict[str, Any] = {"depths": [5], "get": BOTH, "padding": padding}
    gap = cntk_gram(x, windows=["gap"], **kwargs)[0, :, 0, 0]
    vanilla = cntk_gram(x, moved(x), windows=[0], **kwargs)[0, :, 0, 0]
    mean = vanilla.reshape(2, 3, 3, 64).mean(axis=-1) / 64
    found = np.linalg.norm(gap - mean, axis=(1, 2)) / np.linalg.norm(gap, axis=(1, 2))
    assert found == pytest.approx(distances, abs=1e-3)


GOOD = np.zeros((2, 1, 3, 3))


@pytest.mark.parametrize(
    ("x1", "x2", "kwargs", "message"),
    [
        (GOOD[0], None, {}, r"x1 has shape \(1, 3, 3\), wanted \(images, channels"),
        (GOOD[:, :, :0], None, {}, r"x1 has shape \(2, 1, 0, 3\).*at least one channel and one"),
        (GOOD, GOOD[:, :, :2], {}, r"x2 has images of shape \(1, 2, 3\), wanted those of x1"),
        (GOOD, GOOD.astype("float32"), {}, "x2 is of float32, wanted one floating dtype"),
        (GOOD.astype(int), None, {}, "x1 is of int64, wanted one floating dtype"),
        (GOOD, None, {"depths": []}, r"depths is \[\], wanted a list of at least one"),
        (GOOD, None, {"depths": [2, 0]}, "depth 0 in depths, wanted a whole number >= 1"),
        (GOOD, None, {"depths": [1.5]}, "depth 1.5 in depths"),
        (GOOD, None, {"windows": [-1]}, "window -1 in windows, wanted a half-width >= 0 or 'gap'"),
        (GOOD, None, {"windows": "gap"}, "windows is 'gap', wanted a list"),
        (GOOD, None, {"windows": ["GAP"]}, "window 'GAP' in windows"),
        (GOOD, None, {"flips": ()}, r"flips is \(\), wanted a list"),
        (GOOD, None, {"get": ["cntk"]}, "'cntk' in get, wanted 'ntk' or 'nngp'"),
        (GOOD, None, {"padding": "same"}, "padding is 'same', wanted 'zeros' or 'circular'"),
    ],
)
def test_arguments_without_meaning_are_refused(
    x1: np.ndarray, x2: np.ndarray | None, kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cntk_gram(x1, x2, **{"depths": [1], **kwargs})
