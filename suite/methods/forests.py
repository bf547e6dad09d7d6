"""Random forests, scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..evaluation import Indices, Score, Trial, cross_validated, method
from .kernel_machines import as_rows


@method(baseline=True, libraries=("scikit-learn",))
def random_forest(trial: Trial, *, trees: int = 500, features: int = 3) -> Iterator[Score]:
    """Random forest; the number of features tried at a split is selected by the protocol.

    The candidates are `features` numbers spread evenly from 2 to all p, as the tuning of the
    original study (`parRF_caret`, Fernandez-Delgado et al. 2014) spreads them.
    """
    from sklearn.ensemble import RandomForestClassifier

    x, y = as_rows(trial.data.x), trial.data.y
    p = x.shape[1]
    grid = sorted({round(f) for f in np.linspace(min(2, p), p, features)})

    def accuracy(tried: int, train: Indices, test: Indices) -> float:
        forest = RandomForestClassifier(trees, max_features=tried, random_state=trial.seed)
        forest.fit(x[train], y[train])
        return float((forest.predict(x[test]) == y[test]).mean())

    for part in trial.parts:
        yield cross_validated(part, grid, accuracy)
