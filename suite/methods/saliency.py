"""Saliency methods, scored by completeness and soundness on a small net trained for the purpose.

Every method makes a map for every label of each test image: a method that "explains" any label
equally well is found out on the labels that the net does not see in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..data.bundled import BUNDLED
from ..evaluation import Part, Score, Trial, method
from ..saliency_details import LARGEST, SHOWN, Curves, Pictures, Shown, curve, hexadecimal
from ..saliency_metrics import per_image

if TYPE_CHECKING:
    from torch import Tensor

    from ._explained import Subject

_TORCH = (("torch", "torch"),)
_DIGITS = 4  # of an item in a record; images differ in the second
POINTS = 28  # masked copies of an image behind a score, as in the released evaluation


Maps = Callable[["Subject"], "Tensor"]
"""Maps of all pairs of image and label, [n * labels, h, w]."""


@method(
    axes=("technique", "net"),
    needs=(("torch", "torch"), ("captum", "saliency")),
    libraries=("torch", "captum"),
    baseline=True,
    version=2,
)
def attribution(
    trial: Trial, *, technique: Sequence[str], net: Sequence[str], points: int = POINTS
) -> Iterator[Score]:
    """Attribution techniques of captum, summed over channels, signed.

    Args:
        technique: any of "gradient_x_input", "integrated_gradients", "smooth_grad",
            "guided_backprop", "grad_cam", "guided_grad_cam", "occlusion" and
            "competitive_gradient_x_input".
        net: the nets to be explained, by their names in `_explained.NETS`.
        points: number of masked copies of an image behind a score.
    """
    for name in technique:

        def maps(subject: Subject, name: str = name) -> Tensor:
            return _attributed(subject, name, trial)

        yield from _scores(trial, maps, net, points, {"technique": name})


def _attributed(subject: Subject, name: str, trial: Trial) -> Tensor:
    import torch

    from ._attributions import COMPETITIVE, competing, explained
    from ._explained import in_chunks, planned
    from ._training import seeded

    plain = COMPETITIVE.get(name, name)
    # Several techniques hold a handful of copies of each image, with gradients.
    together = max(1, planned(subject.net, subject.images[0]) // 16)
    with seeded(trial.seed, trial.device), torch.no_grad():
        maps = in_chunks(subject, together, lambda x, y: explained(plain, subject.net, x, y))
    if name == plain:
        return maps
    return competing(maps.reshape(-1, subject.labels, *maps.shape[1:])).flatten(0, 1)


@method(axes=("net",), needs=_TORCH, libraries=("torch",), baseline=True, version=2)
def random_map(trial: Trial, *, net: Sequence[str], points: int = POINTS) -> Iterator[Score]:
    """A map of noise for each image and label: what any method must beat in completeness."""
    import torch

    def maps(subject: Subject) -> Tensor:
        n, _, h, w = subject.images.shape
        noise = torch.rand(
            n * subject.labels, h, w, generator=torch.Generator().manual_seed(trial.seed)
        )
        return noise.to(trial.device)

    yield from _scores(trial, maps, net, points)


@method(axes=("net",), needs=_TORCH, libraries=("torch", "scipy"), baseline=True, version=2)
def edge_map(trial: Trial, *, net: Sequence[str], points: int = POINTS) -> Iterator[Score]:
    """Edges of the image (Sobel), the same for every label: looks like a map and knows no net."""
    import torch
    from scipy import ndimage

    def maps(subject: Subject) -> Tensor:
        images = subject.images.cpu().numpy()
        slopes = [ndimage.sobel(images, axis) for axis in (2, 3)]
        edges = np.hypot(*slopes).sum(axis=1)
        return torch.from_numpy(edges).to(trial.device).repeat_interleave(subject.labels, 0)

    yield from _scores(trial, maps, net, points)


@method(axes=("net",), needs=_TORCH, libraries=("torch",), version=2)
def learned_mask(
    trial: Trial,
    *,
    scale: int,
    tv: float,
    net: Sequence[str],
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
        scale: pixels a cell of the mask, on each axis; 1 is a mask without upsampling.
        net: the nets to be explained, by their names in `_explained.NETS`.
        l1: the released code has 2e-5 on the sum over 224 x 224 pixels: 1.0 on the mean.
        fillers: random training images behind the mask, drawn anew in each step.
        bank: training images that fillers are drawn from.
        loss: "released", with the code's second softmax, or "negative_log" without it.

    Source: Gupta et al. 2022, arXiv:2211.02912, and its released code.
    """
    from ._masks import Objective, learned_masks

    objective = Objective(scale, tv, l1, steps, rate, fillers, bank, loss)
    yield from _scores(trial, lambda s: learned_masks(s, objective, trial.seed), net, points)


def _scores(
    trial: Trial,
    maps: Maps,
    nets: Sequence[str],
    points: int,
    variant: dict[str, Any] | None = None,
) -> Iterator[Score]:
    for part in trial.parts:
        for net in nets:
            yield _score(trial, part, maps, net, points, {**(variant or {}), "net": net})


@dataclass(frozen=True)
class Explained:
    """A net, the maps of its images, and what it makes of masked copies.

    Attributes:
        inserted: [n, labels, points].
        deleted: of the net's own label, [n, points - 1].
    """

    subject: Subject
    maps: Tensor
    inserted: np.ndarray
    deleted: np.ndarray

    @property
    def f(self) -> np.ndarray:
        return _array(self.subject.f)

    def own(self, of_pairs: np.ndarray) -> np.ndarray:
        """What belongs to the net's own label of each image, of an array [n, labels, ...]."""
        return of_pairs[np.arange(len(of_pairs)), self.f.argmax(axis=1)]


def _score(
    trial: Trial, part: Part, maps: Maps, net: str, points: int, variant: dict[str, Any]
) -> Score:
    """Every metric, over the test images of all folds of a part."""
    from ._explained import deleted, inserted, net_called, subject

    folds = []
    for fold in part.folds:
        explained = subject(trial, fold, net_called(net))
        found = maps(explained)
        shown = (_array(f(explained, found, points, trial.seed)) for f in (inserted, deleted))
        folds.append(Explained(explained, found, *shown))
    measured = [per_image(fold.inserted, fold.deleted, fold.f) for fold in folds]
    items = {name: np.concatenate([one[name] for one in measured]) for name in measured[0]}
    return Score(
        metrics={name: float(values.mean()) for name, values in items.items()},
        at=part.at,
        variant=variant,
        items={name: [round(float(v), _DIGITS) for v in values] for name, values in items.items()},
        details={
            "net": [fold.subject.facts for fold in folds],
            "curves": _curves(folds, points).model_dump(mode="json"),
            **_pictures(trial, folds[0]),
        },
    )


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy().astype(float)


def _curves(folds: Sequence[Explained], points: int) -> Curves:
    """Both curves from end to end: from a grey image to the whole one, and back."""
    from ._explained import of_nothing

    rising, falling = [], []
    for fold in folds:
        grey = _array(of_nothing(fold.subject))[fold.f.argmax(axis=1), None]
        whole = fold.own(fold.f)[:, None]
        rising.append(np.hstack([grey, fold.own(fold.inserted)]))
        falling.append(np.hstack([whole, fold.deleted, grey]))
    fraction = np.arange(points + 1) / points
    up, down = np.concatenate(rising), np.concatenate(falling)
    return Curves(insertion=curve(fraction, up), deletion=curve(fraction, down), images=len(up))


def _pictures(trial: Trial, fold: Explained) -> dict[str, Any]:
    """Maps of the first test images, of the first trial alone.

    The images themselves are kept only of data that come with scikit-learn: not every publisher
    lets everyone pass them on, and a record is made to be passed on.
    """
    images = _array(fold.subject.images[:SHOWN]).mean(axis=1)
    height, width = images.shape[1:]
    if trial.seed != 0 or max(height, width) > LARGEST:
        return {}
    maps = fold.own(_array(fold.maps).reshape(*fold.f.shape, height, width))[:SHOWN]
    free = trial.data.name in {dataset.name for dataset in BUNDLED}
    shown = tuple(
        Shown(
            label=int(f.argmax()),
            probability=round(float(f.max()), _DIGITS),
            map=hexadecimal(found),
            image=hexadecimal(image, cut=0.0) if free else "",
        )
        for f, found, image in zip(fold.f, maps, images, strict=False)
    )
    pictures = Pictures(height=height, width=width, shown=shown)
    return {"pictures": pictures.model_dump(mode="json", exclude_defaults=True)}
