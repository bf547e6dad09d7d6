"""Facts about masked inputs that hold whatever code computes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from claimbench.kernels import saliency_mask, using


def inputs(b: int, f: int, c: int, h: int, w: int, scale: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    grid = (b, -(-h // scale), -(-w // scale))
    shapes = ((b, c, h, w), grid, (b, f, c, h, w))
    return tuple(rng.normal(size=shape) for shape in shapes)


def test_a_shut_mask_shows_the_fillers_and_an_open_one_the_image() -> None:
    images, weights, fillers = inputs(2, 3, 2, 5, 7, 2)
    shut = saliency_mask(images, np.full_like(weights, -1e3), fillers, scale=2)
    opened = saliency_mask(images, np.full_like(weights, 1e3), fillers, scale=2)
    np.testing.assert_array_equal(shut, fillers)
    np.testing.assert_array_equal(opened, np.repeat(images[:, None], 3, axis=1))


def test_a_mask_without_upsampling_acts_on_each_pixel_alone() -> None:
    images, weights, fillers = inputs(1, 1, 1, 3, 4, 1)
    mask = 1 / (1 + np.exp(-weights))
    expected = mask * images[:, 0] + (1 - mask) * fillers[:, 0, 0]
    np.testing.assert_allclose(saliency_mask(images, weights, fillers, scale=1)[:, 0, 0], expected)


def test_a_linear_mask_is_upsampled_to_the_line_through_it() -> None:
    shown = np.array([0.2, 0.4, 0.6])
    weights = np.log(shown / (1 - shown))[None, None].repeat(1, axis=1)
    ones = np.ones((1, 1, 1, 9))
    blended = saliency_mask(ones, weights[:, :1], 0 * ones[:, None], scale=3)[0, 0, 0, 0]
    # Pixels lie at thirds between the centres of cells, clamped outside the first and the last.
    line = np.interp((np.arange(9) + 0.5) / 3 - 0.5, [0, 1, 2], shown)
    np.testing.assert_allclose(blended, line, rtol=1e-12)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_gradients_are_those_of_autograd_through_the_definition(backend: str) -> None:
    arrays = [torch.from_numpy(a).float() for a in inputs(3, 2, 3, 5, 7, 4)]
    if reason := saliency_mask.refusal(backend, *arrays, scale=4):
        pytest.skip(reason)
    towards = torch.from_numpy(inputs(3, 2, 3, 5, 7, 4)[2] ** 2)

    leaves = [a.clone().requires_grad_() for a in arrays]
    with using(backend):
        blended = saliency_mask(*leaves, scale=4)
    actual = torch.autograd.grad((blended * towards.float()).sum(), leaves)

    truth_leaves = [a.double().requires_grad_() for a in arrays]
    expected = torch.autograd.grad((defined(*truth_leaves) * towards).sum(), truth_leaves)
    for ours, truth in zip(actual, expected, strict=True):
        # Sums of up to 210 terms of order one, in float32.
        torch.testing.assert_close(ours.double(), truth, rtol=1e-5, atol=1e-5)


def defined(images: torch.Tensor, weights: torch.Tensor, fillers: torch.Tensor) -> torch.Tensor:
    """The formula of the contract with the mask written out, for 5 x 7 pixels at scale 4."""
    rows = lines(5, 2)
    columns = lines(7, 2)
    mask = torch.einsum("yi,bij,xj->byx", rows, torch.sigmoid(weights), columns)[:, None, None]
    return mask * images[:, None] + (1 - mask) * fillers


def lines(size: int, cells: int) -> torch.Tensor:
    centre = ((torch.arange(size, dtype=torch.float64) + 0.5) / 4 - 0.5).clamp(0, cells - 1)
    return torch.stack([1 - centre, centre], dim=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((2, 3, 3))}, r"images has shape \(2, 3, 3\)"),
        ({"weights": np.zeros((2, 1, 2))}, r"wanted \(2, 2, 2\) for images of 4 x 4 at scale 2"),
        ({"fillers": np.zeros((2, 1, 4, 4))}, r"wanted \(2, f, 1, 4, 4\)"),
        ({"fillers": np.zeros((2, 1, 1, 4, 4), np.float32)}, "wanted one dtype"),
    ],
)
def test_says_which_argument_does_not_fit(change: dict[str, np.ndarray], message: str) -> None:
    images, weights, fillers = inputs(2, 1, 1, 4, 4, 2)
    arrays = {"images": images, "weights": weights, "fillers": fillers} | change
    with pytest.raises(ValueError, match=message):
        saliency_mask(**arrays, scale=2)


def test_wants_a_scale_of_at_least_one() -> None:
    with pytest.raises(ValueError, match="scale is 0, wanted 1 or more"):
        saliency_mask(*inputs(1, 1, 1, 2, 2, 1), scale=0)
