"""Support vector machines and kernel regression; solvers are scikit-learn's and scipy's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float

from claimbench.kernels import cntk_gram, ntk_gram, ntk_variants

from ..definitions import Scalar
from ..evaluation import Indices, Score, Trial, cross_validated, method, standardised

C_OF_THE_STUDY = tuple(10.0**k for k in range(-2, 5))
"""The grid of the released UCI code."""

Gram = Float[np.ndarray, "n n"]


def as_rows(x: np.ndarray) -> Float[np.ndarray, "n p"]:
    """Images as feature vectors; tables as they are."""
    return x.reshape(len(x), -1).astype(np.float64)


class PrecomputedSvm:
    """Accuracy of an SVM by candidate (Gram's name, C), for `cross_validated`.

    Attributes:
        stopped: how many fits met the cap on iterations before they converged.
    """

    def __init__(self, gram: Callable[[Any], Gram], y: Indices, iterations: int = -1):
        self.gram, self.y, self.iterations = gram, y, iterations
        self.stopped = 0

    def __call__(self, candidate: tuple[Any, float], train: Indices, test: Indices) -> float:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import SVC

        name, cost = candidate
        k = self.gram(name)
        machine = SVC(kernel="precomputed", C=cost, max_iter=self.iterations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # counted instead
            machine.fit(k[np.ix_(train, train)], self.y[train])
        self.stopped += int(machine.fit_status_)
        return float((machine.predict(k[np.ix_(test, train)]) == self.y[test]).mean())


@method()
def ntk_svm(
    trial: Trial, *, depth: int = 4, c: Sequence[float] = C_OF_THE_STUDY, iterations: int = -1
) -> Iterator[Score]:
    """SVM with the NTK; hidden layers, fixed layers and C are selected by the protocol.

    As in the released UCI code: every depth up to `depth` with every number of fixed layers, the
    Gram matrix neither centred nor normalised, one against one, ties to the shallowest and
    smallest C. The linear kernel at the largest C may need some 10^8 iterations on a set with many
    equal rows; `iterations` caps them, -1 does not, and a record tells how many fits were stopped.

    Source: Arora et al. 2020, arXiv:1910.01663, section 4.
    """
    variants = ntk_variants(depth)
    grams = ntk_gram(as_rows(trial.data.x), variants=variants, c_sigma=1.0)
    by_variant = dict(zip(variants, grams, strict=True))
    for part in trial.parts:
        accuracy = PrecomputedSvm(by_variant.__getitem__, trial.data.y, iterations)
        score = cross_validated(part, list(product(variants, c)), accuracy)
        yield replace(score, details=score.details | {"stopped_fits": accuracy.stopped})


@method(baseline=True, libraries=("scikit-learn",))
def gaussian_svm(
    trial: Trial,
    *,
    gamma: Sequence[float] = tuple(2.0**k for k in range(-10, 4, 2)),
    c: Sequence[float] = C_OF_THE_STUDY,
) -> Iterator[Score]:
    """SVM with the Gaussian kernel exp(-g d^2 / p); g and C are selected by the protocol.

    Dividing by the number of features p makes one grid of g fit every standardised data set.
    """
    x = as_rows(trial.data.x)
    squared = _squared_distances(x) / x.shape[1]
    accuracy = PrecomputedSvm(lambda g: np.exp(-g * squared), trial.data.y)
    for part in trial.parts:
        yield cross_validated(part, list(product(gamma, c)), accuracy)


@method(baseline=True, libraries=("scikit-learn",))
def linear_svm(trial: Trial, *, c: Sequence[float] = C_OF_THE_STUDY) -> Iterator[Score]:
    """SVM with the linear kernel, which is the NTK without a hidden layer."""
    x = as_rows(trial.data.x)
    accuracy = PrecomputedSvm(lambda _: x @ x.T, trial.data.y)
    for part in trial.parts:
        yield cross_validated(part, [("linear", cost) for cost in c], accuracy)


def _squared_distances(x: Float[np.ndarray, "n p"]) -> Gram:
    norms = (x * x).sum(axis=1)
    return np.maximum(norms[:, None] + norms - 2 * x @ x.T, 0)


@method(axes=("get", "depth", "window", "flip"))
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
) -> Iterator[Score]:
    """Kernel regression with the CNTK or CNN-GP, all variants from one pass over the image pairs.

    Args:
        get: `ntk` for the CNTK, `nngp` for the CNN-GP.
        depth: numbers of convolution layers, each with a ReLU.
        window: half-widths c of local average pooling; 0 is none, `gap` global.
        flip: averaged with the mirrored image or not.
        ridge: added to the diagonal; 0 interpolates.
        unit_diagonal: normalise the kernel to k(x, x) = 1 first.

    Source: Li et al. 2019, arXiv:1911.00809, section 6 (ridge 5e-5, unit diagonal); Arora et al.
    2019, arXiv:1904.11955, appendix A (no ridge, no normalisation, frozen ends for GAP).
    """
    arguments: dict[str, Any] = {
        "get": get,
        "depths": depth,
        "windows": window,
        "flips": flip,
        "frozen_ends": frozen_ends,
    }
    variants: list[dict[str, Scalar]] = [
        dict(zip(("flip", "get", "depth", "window"), values, strict=True))
        for values in product(flip, get, depth, window)
    ]
    train = max((part.folds[0].train for part in trial.parts), key=len)
    test = trial.parts[0].folds[0].test
    x = standardised(trial.data.x, train).astype(np.float32)
    among = on_device(trial.device, cntk_gram, x[train], **arguments)
    across = on_device(trial.device, cntk_gram, x[test], x[train], **arguments)
    for part in trial.parts:
        size = len(part.folds[0].train)  # the larger draw begins with the smaller
        for index, variant in enumerate(variants):
            accuracy = _regression(
                _matrix(among, index)[:size, :size],
                _matrix(across, index)[:, :size],
                trial.data.y[train[:size]],
                trial.data.y[test],
                ridge,
                unit_diagonal,
            )
            yield Score({"accuracy": accuracy}, part.at, variant)


def on_device(
    device: str, kernel: Callable[..., Any], *arrays: np.ndarray, **arguments: Any
) -> Any:
    """Call a kernel with NumPy arrays, on the GPU where that is the device."""
    if device == "cpu":
        return kernel(*arrays, **arguments)
    import torch

    tensors = [torch.from_numpy(array).to(device) for array in arrays]
    return kernel(*tensors, **arguments).cpu().numpy()


def _matrix(grams: np.ndarray, index: int) -> Float[np.ndarray, "n m"]:
    """One of the Gram matrices, counted through all leading axes, in float64 for the solver."""
    return grams.reshape(-1, *grams.shape[-2:])[index].astype(np.float64)


def _regression(
    k: Float[np.ndarray, "n n"],
    across: Float[np.ndarray, "m n"],
    y: Indices,
    wanted: Indices,
    ridge: float,
    unit_diagonal: bool,
) -> float:
    """Test accuracy of kernel ridge regression on one-hot targets.

    Test samples need no normalisation of their own, nor targets a shift: both change all classes
    of a sample alike.
    """
    from scipy.linalg import solve

    if unit_diagonal:
        scale = 1 / np.sqrt(k.diagonal())
        k, across = k * scale * scale[:, None], across * scale
    targets = np.eye(y.max() + 1)[y]
    weights = solve(k + ridge * np.eye(len(k)), targets, assume_a="pos")
    return float(((across @ weights).argmax(axis=1) == wanted).mean())
