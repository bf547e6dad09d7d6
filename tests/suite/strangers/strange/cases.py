"""What the kernels beside this file are tried on."""

from __future__ import annotations

import numpy as np

from claimbench.kernels.checks import Case


def cases() -> list[Case]:
    rng = np.random.default_rng(0)
    return [Case(f"{n}x3", (rng.normal(size=(n, 3)),)) for n in (2, 5)]
