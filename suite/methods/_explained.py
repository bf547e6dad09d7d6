"""The net that saliency methods explain, and what it makes of masked images; in torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from ..evaluation import Fold, Trial, standardised
from ._training import Recipe, accuracy, descend, seeded, tensors

BYTES_AT_ONCE = 2**25  # of activations in a forward pass: about what a core's caches turn over
KEPT = 4  # trained nets a process remembers


def small_net(channels: int, widths: Sequence[int], classes: int) -> nn.Sequential:
    """Convolutions of 3 x 3, each after the first at stride 2, averaged over space at the end."""
    layers: list[nn.Module] = []
    before = channels
    for level, width in enumerate(widths):
        layers += [*_convolution(before, width, 1 if level == 0 else 2), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, *_head(before, classes))


def small_residual_net(channels: int, widths: Sequence[int], classes: int) -> nn.Sequential:
    """A stem at stride 2 and one residual block for each width, each after the first at stride 2.

    He et al. 2016, arXiv:1512.03385, in its basic form.
    """
    layers: list[nn.Module] = [*_convolution(channels, widths[0], 2), nn.ReLU()]
    before = widths[0]
    for level, width in enumerate(widths):
        layers.append(Block(before, width, 1 if level == 0 else 2))
        before = width
    return nn.Sequential(*layers, *_head(before, classes))


class Block(nn.Module):
    """Two convolutions around a shortcut. Every ReLU is a module, as guided methods want them."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.shortcut = nn.Sequential()
        if before != after or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )
        self.body = nn.Sequential(
            *_convolution(before, after, stride), nn.ReLU(), *_convolution(after, after, 1)
        )
        self.out = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.out(self.body(x) + self.shortcut(x))
        return result


def _convolution(before: int, after: int, stride: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(after)


def _head(before: int, classes: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)


@dataclass(frozen=True)
class Net:
    """A net to be explained: how it is built of which widths, and how it is trained."""

    build: Callable[[int, Sequence[int], int], nn.Sequential]
    widths: tuple[int, ...]
    recipe: Recipe


def _recipe(epochs: int) -> Recipe:
    return Recipe(epochs, batch=50, rate=0.1, momentum=0.9, decay=5e-4)


NETS = {
    "one_layer": Net(small_net, (8,), _recipe(2)),
    "two_layers": Net(small_net, (16, 32), _recipe(20)),
    "three_layers": Net(small_net, (16, 32, 64), _recipe(8)),
    "convolutional": Net(small_net, (16, 32, 64), _recipe(20)),
    "residual": Net(small_residual_net, (16, 32, 64), _recipe(20)),
}
"""By the name that a claim uses. Two layers are for 8 x 8 pixels, all below for 28 and more;
`convolutional` is `three_layers` trained for longer."""


def net_called(name: str) -> Net:
    if name not in NETS:
        raise ValueError(f"no net is called {name!r}; there are {', '.join(NETS)}")
    return NETS[name]


@dataclass(frozen=True)
class Subject:
    """A trained net, and the images whose labels are explained.

    Attributes:
        net: in evaluation mode, with weights that want no gradient.
        images: test images, standardised by channel: 0 is the grey of the training set.
        bank: training images, which a mask may put behind an image.
        f: probability of each label for each image, [n, labels].
        facts: accuracy of the net on training and test samples.
    """

    net: nn.Module
    images: Tensor
    bank: Tensor
    f: Tensor
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def labels(self) -> int:
        return self.f.shape[1]

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Index of the image and the label of every map, images outermost."""
        n, labels = self.f.shape
        device = self.f.device
        return (
            torch.arange(n, device=device).repeat_interleave(labels),
            torch.arange(labels, device=device).repeat(n),
        )


_SUBJECTS: dict[Any, Subject] = {}


def subject(trial: Trial, fold: Fold, wanted: Net) -> Subject:
    """The small net of a fold; one for all methods of a trial that run in this process."""
    digests = tuple(hashlib.sha256(indices.tobytes()).digest() for indices in fold[:2])
    key = (trial.data.digest, digests, trial.seed, trial.device, wanted)
    if key not in _SUBJECTS:
        while len(_SUBJECTS) >= KEPT:
            del _SUBJECTS[next(iter(_SUBJECTS))]
        _SUBJECTS[key] = _trained(trial, fold, wanted)
    return _SUBJECTS[key]


def _trained(trial: Trial, fold: Fold, wanted: Net) -> Subject:
    used = np.concatenate([fold.train, fold.test])
    split = np.arange(len(used)) < len(fold.train)
    images = standardised(trial.data.x[used], np.flatnonzero(split))
    x, y = tensors(images, trial.data.y[used], trial.device)
    train, test = torch.from_numpy(split), torch.from_numpy(~split)
    with seeded(trial.seed, trial.device):
        net = wanted.build(x.shape[1], wanted.widths, trial.data.classes).to(trial.device)
        descend(net, x[train], y[train], wanted.recipe)
    net = folded(net).eval().requires_grad_(False)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    facts = {
        "train_accuracy": accuracy(net, x[train], y[train]),
        "test_accuracy": accuracy(net, x[test], y[test]),
    }
    with torch.inference_mode():
        f = net(x[test]).softmax(1)
    return Subject(net, x[test], x[train], f.clone(), facts)


def folded(net: nn.Module) -> nn.Sequential:
    """The same function with each normalisation inside the convolution before it.

    A trained net is asked a million times for a full tier, which takes 0.6 of the time without.
    """
    layers: list[nn.Module] = []
    for layer in net.children():
        if isinstance(layer, nn.BatchNorm2d) and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
            continue
        if isinstance(layer, Block):
            layer.body, layer.shortcut = folded(layer.body), folded(layer.shortcut)
        layers.append(layer)
    return nn.Sequential(*layers)


def planned(net: nn.Module, image: Tensor) -> int:
    """How many images to give to a net at once, so that its activations take `BYTES_AT_ONCE`."""
    held = image.numel()

    def count(_: nn.Module, __: Any, output: Tensor) -> None:
        nonlocal held
        held += output.numel()

    hooks = [layer.register_forward_hook(count) for layer in net.modules()]
    with torch.inference_mode():
        net(image[None])
    for hook in hooks:
        hook.remove()
    return max(1, BYTES_AT_ONCE // (4 * held))


def probability(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Probability of one label for each image."""
    return net(images).softmax(1).gather(1, labels[:, None])[:, 0]


def inserted(subject: Subject, maps: Tensor, points: int, seed: int) -> Tensor:
    """Probability of a label over copies of the image that keep the top pixels of its map.

    The copies keep 1 / `points`, 2 / `points`, ... and at last all of the pixels; the rest is grey.
    Pixels of equal rank come in one random order, the same for every map.

    Args:
        maps: one for each pair of image and label, [n * labels, h, w].

    Returns:
        [n, labels, points].
    """
    which, labels = subject.pairs()
    order = _ranks(maps, seed)
    size = order.shape[1]
    # One kept pixel at least: images with fewer pixels than points would have an empty copy.
    kept = [max(1, round(size * (k + 1) / points)) for k in range(points)]
    return _kept(subject, order, which, labels, kept).reshape(-1, subject.labels, points)


def deleted(subject: Subject, maps: Tensor, points: int, seed: int) -> Tensor:
    """Probability of the net's own label over copies that lose the top pixels of its map.

    The copies lose 1 / `points`, ... and (`points` - 1) / `points` of the pixels: those of
    `inserted` for the negated map, but for the whole image, in the opposite order.

    Args:
        maps: one for each pair of image and label, [n * labels, h, w].

    Returns:
        [n, points - 1].
    """
    own = subject.f.argmax(1)
    which = torch.arange(len(own), device=own.device)
    order = _ranks(maps[which * subject.labels + own], seed)
    size = order.shape[1]
    kept = [size - max(1, round(size * (k + 1) / points)) for k in range(points - 1)]
    return _kept(subject, size - 1 - order, which, own, kept)


def _kept(
    subject: Subject, order: Tensor, which: Tensor, labels: Tensor, kept: Sequence[int]
) -> Tensor:
    """Probability of each pair's label over copies that keep the first pixels of an order.

    Args:
        order: place of each pixel, [pairs, pixels].
        which: image of each pair.
        kept: how many pixels each copy keeps; the rest is grey.
    """
    keep = torch.tensor(kept, device=order.device)
    shape = subject.images.shape[2:]
    together = max(1, planned(subject.net, subject.images[0]) // len(kept))
    found = []
    with torch.inference_mode():
        for chosen in torch.split(torch.arange(len(order), device=order.device), together):
            shown = (order[chosen][:, None] < keep[:, None]).float()  # [chunk, copies, pixels]
            shown = shown.reshape(len(chosen), len(kept), 1, *shape)
            copies = (subject.images[which[chosen]][:, None] * shown).flatten(0, 1)
            repeated = labels[chosen].repeat_interleave(len(kept))
            p = probability(subject.net, copies, repeated)
            found.append(p.reshape(len(chosen), len(kept)))
    return torch.cat(found)


def of_nothing(subject: Subject) -> Tensor:
    """Probability of each label where all pixels are grey, [labels]."""
    with torch.inference_mode():
        grey: Tensor = subject.net(torch.zeros_like(subject.images[:1])).softmax(1)[0]
    return grey


def _ranks(maps: Tensor, seed: int) -> Tensor:
    """Place of each pixel in its map, 0 the highest; [pairs, pixels]."""
    values = maps.flatten(1)
    shuffle = torch.randperm(values.shape[1], generator=torch.Generator().manual_seed(seed))
    shuffle = shuffle.to(maps.device)
    order = shuffle[values[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(values.shape[1], device=maps.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def in_chunks(subject: Subject, size: int, explain: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Maps of all pairs, `explain` being given images and labels of `size` pairs at a time."""
    which, labels = subject.pairs()
    chunks = zip(torch.split(which, size), torch.split(labels, size), strict=True)
    return torch.cat([explain(subject.images[i], label) for i, label in chunks])
