"""Data sets that come with scikit-learn: no download, so a first run needs no network."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from jaxtyping import Float

from ..evaluation import Data
from .sets import Contents, DataSet, make


def _table(name: str, _: Contents) -> Data:
    """Features (n, p) in float64, each standardised over all samples.

    The published UCI files are made in the same way: zero mean, and unit variance with n - 1 in
    the denominator. Two tables still differ from those: `iris` has two samples mended that are
    wrong at UCI, and `breast_cancer` has its two classes the other way round.
    """
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return make(name, _standardised(x.astype(np.float64)), y.astype(np.int64))


def _standardised(x: Float[np.ndarray, "n p"]) -> Float[np.ndarray, "n p"]:
    # Exact sums: NumPy's depend on the processor in the last bit, and so would the digest.
    n = len(x)
    mean = np.array([math.fsum(column) / n for column in x.T])
    centred = x - mean
    spread = [math.sqrt(math.fsum(column * column) / (n - 1)) for column in centred.T]
    return centred / np.array(spread)


def _digits(_: Contents) -> Data:
    """Images (1797, 1, 8, 8) in float32; the 17 grey levels become 0 to 1."""
    import sklearn.datasets

    x, y = sklearn.datasets.load_digits(return_X_y=True)
    images = x.reshape(-1, 1, 8, 8).astype(np.float32) / np.float32(16)
    return make("digits", images, y.astype(np.int64))


def _bundled(name: str, title: str, samples: int, citation: str, number: int) -> DataSet:
    return DataSet(
        name=name,
        title=title,
        licence="CC BY 4.0 (UCI)",
        citation=citation,
        publisher=f"https://archive.ics.uci.edu/dataset/{number}",
        loader=_digits if name == "digits" else partial(_table, name),
        bundled=True,
        samples=samples,
    )


BUNDLED = (
    _bundled("iris", "Iris plants", 150, "Fisher, 1936, doi:10.24432/C56C76", 53),
    _bundled(
        "wine", "Wine recognition", 178, "Aeberhard and Forina, 1992, doi:10.24432/C5PC7J", 109
    ),
    _bundled(
        "breast_cancer",
        "Breast cancer Wisconsin (diagnostic)",
        569,
        "Wolberg et al., 1995, doi:10.24432/C5DW2B",
        17,
    ),
    _bundled(
        "digits",
        "Handwritten digits, 8 x 8 (the test part of the UCI set)",
        1797,
        "Alpaydin and Kaynak, 1998, doi:10.24432/C50P49",
        80,
    ),
)
