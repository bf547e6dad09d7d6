"""Saliency methods, scored by completeness and soundness on a small net trained for the purpose.

Every method makes a map for every label of each test image: a method that "explains" any label
equally well is found out on the labels that the net does not see in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..evaluation import Part, Score, Trial, method
from ..saliency_metrics import per_image

if TYPE_CHECKING:
    from torch import Tensor

    from ._explained import Subject

_TORCH = (("torch", "torch"),)
_DIGITS = 6  # of an item in a record
POINTS = 28  # masked copies of an image behind a score, as in the released evaluation


Maps = Callable[["Subject"], "Tensor"]
"""Maps of all pairs of image and label, [n * labels, h, w]."""


@method(
    axes=("technique",),
    needs=(("torch", "torch"), ("captum", "saliency")),
    libraries=("torch", "captum"),
    baseline=True,
)
def attribution(
    trial: Trial, *, technique: Sequence[str], net: str, points: int = POINTS
) -> Iterator[Score]:
    """Attribution techniques of captum, summed over channels, signed.

    Args:
        technique: any of "gradient_x_input", "integrated_gradients", "smooth_grad",
            "guided_backprop", "grad_cam" and "occlusion".
        net: the net to be explained, by its name in `_explained.NETS`.
        points: number of masked copies of an image behind a score.
    """
    import torch

    from ._attributions import explained
    from ._explained import in_chunks, planned
    from ._training import seeded

    for name in technique:

        def maps(subject: Subject, name: str = name) -> Tensor:
            # Several of them hold a handful of copies of each image, with gradients.
            together = max(1, planned(subject.net, subject.images[0]) // 16)
            with seeded(trial.seed, trial.device), torch.no_grad():
                return in_chunks(subject, together, lambda x, y: explained(name, subject.net, x, y))

        for part in trial.parts:
            yield _score(trial, part, maps, net, points, {"technique": name})


@method(needs=_TORCH, libraries=("torch",), baseline=True)
def random_map(trial: Trial, *, net: str, points: int = POINTS) -> Iterator[Score]:
    """A map of noise for each image and label: what any method must beat in completeness."""
    import torch

    def maps(subject: Subject) -> Tensor:
        n, _, h, w = subject.images.shape
        noise = torch.rand(
            n * subject.labels, h, w, generator=torch.Generator().manual_seed(trial.seed)
        )
        return noise.to(trial.device)

    for part in trial.parts:
        yield _score(trial, part, maps, net, points)


@method(needs=_TORCH, libraries=("torch", "scipy"), baseline=True)
def edge_map(trial: Trial, *, net: str, points: int = POINTS) -> Iterator[Score]:
    """Edges of the image (Sobel), the same for every label: looks like a map and knows no net."""
    import torch
    from scipy import ndimage

    def maps(subject: Subject) -> Tensor:
        images = subject.images.cpu().numpy()
        slopes = [ndimage.sobel(images, axis) for axis in (2, 3)]
        edges = np.hypot(*slopes).sum(axis=1)
        return torch.from_numpy(edges).to(trial.device).repeat_interleave(subject.labels, 0)

    for part in trial.parts:
        yield _score(trial, part, maps, net, points)


@method(needs=_TORCH, libraries=("torch",))
def learned_mask(
    trial: Trial,
    *,
    scale: int,
    tv: float,
    net: str,
    points: int = POINTS,
    l1: float = 1.0,
    steps: int = 2000,
    rate: float = 0.05,
    fillers: int = 10,
    bank: int = 1000,
    loss: Literal["released", "negative_log"] = "released",
) -> Iterator[Score]:
    """The mask that keeps a label's probability with random training images behind the image.

    For each image and label a coarse mask is learned with Adam, from all weights 0. Its loss is
    that of the label, from probabilities averaged over the fillers, plus `l1` times the mean of the
    upsampled mask, plus `tv` times the sum of its squared differences between neighbours.

    Args:
        scale: pixels a cell of the mask, on each axis.
        l1: the released code has 2e-5 on the sum over 224 x 224 pixels: 1.0 on the mean.
        fillers: random training images behind the mask, drawn anew in each step.
        bank: training images that fillers are drawn from.
        loss: "released", with the code's second softmax, or "negative_log" without it.

    Source: Gupta et al. 2022, arXiv:2211.02912, and its released code.
    """
    from ._masks import Objective, learned_masks

    objective = Objective(scale, tv, l1, steps, rate, fillers, bank, loss)
    for part in trial.parts:
        yield _score(trial, part, lambda s: learned_masks(s, objective, trial.seed), net, points)


def _score(
    trial: Trial,
    part: Part,
    maps: Maps,
    net: str,
    points: int,
    variant: dict[str, Any] | None = None,
) -> Score:
    """Every metric, over the test images of all folds of a part."""
    from ._explained import masked_mean, net_called, subject

    found: list[dict[str, np.ndarray]] = []
    details: list[dict[str, float]] = []
    for fold in part.folds:
        explained = subject(trial, fold, net_called(net))
        g = masked_mean(explained, maps(explained), points, trial.seed)
        f = explained.f.cpu().numpy().astype(float)
        found.append(per_image(g.cpu().numpy().astype(float), f))
        details.append(explained.facts)
    items = {name: np.concatenate([values[name] for values in found]) for name in found[0]}
    return Score(
        metrics={name: float(values.mean()) for name, values in items.items()},
        at=part.at,
        variant=variant or {},
        items={name: [round(float(v), _DIGITS) for v in values] for name, values in items.items()},
        details={"net": details},
    )
