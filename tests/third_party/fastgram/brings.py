"""What this package brings to claimbench: a backend, a method, and the claim files in `claims/`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from claimbench.kernels import Backend, ntk_gram, using
from claimbench.suite.evaluation import Score, Trial, method

ntk_gram.backends["fastgram"] = Backend("fastgram.gram", "numpy")


@method()
def fastgram_ridge(trial: Trial, *, depth: int, ridge: float) -> Iterator[Score]:
    """Kernel ridge regression on one-hot targets with the NTK that this package computes."""
    x = trial.data.x.reshape(len(trial.data.x), -1).astype(np.float64)
    for part in trial.parts:
        [fold] = part.folds
        n = len(fold.train)
        with using("fastgram"):
            [gram] = ntk_gram(x[np.concatenate([fold.train, fold.test])], variants=[(depth, 0)])
        targets = np.eye(trial.data.classes)[trial.data.y[fold.train]]
        weights = np.linalg.solve(gram[:n, :n] + ridge * np.eye(n), targets)
        right = (gram[n:, :n] @ weights).argmax(axis=1) == trial.data.y[fold.test]
        yield Score({"accuracy": float(right.mean())}, part.at)
