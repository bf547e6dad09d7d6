"""The recursion as the released code of the UCI study runs it, in our own words.

One pass for every number of fixed layers, each over the whole N x N matrix in float64, symmetric
half and all; the arc cosine is taken twice at every depth, the last included.

Source: the algorithm of the code released with Arora et al. 2020, arXiv:1910.01663.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from . import NotMeasured

if TYPE_CHECKING:
    from ..timing.runners import InProcess
    from ..timing.workloads import Workload


def adapt(workload: Workload, device: str) -> tuple[Workload, str]:
    if device != "cpu":
        raise NotMeasured("it runs on the CPU")
    if "x2" in workload.inputs:
        raise NotMeasured("it computes the matrix of a data set with itself")
    if workload.dtype == "float64":
        return workload, ""
    return replace(workload, dtype="float64"), "in float64, its only dtype"


def runner(workload: Workload, device: str) -> InProcess:
    from ..timing.runners import InProcess

    return InProcess(gram, workload, "numpy", device)


def gram(
    x1: np.ndarray, *, variants: Sequence[tuple[int, int]], c_sigma: float = 2.0
) -> np.ndarray:
    """What `ntk_gram` gives; normalised as that code is, each variant is scaled at the end."""
    deepest = max(depth for depth, _ in variants)
    found = np.empty((len(variants), len(x1), len(x1)))
    for fixed in sorted({first for _, first in variants}):
        for depth, kernel in enumerate(_one_pass(x1, deepest, fixed)):
            for index, variant in enumerate(variants):
                if tuple(variant) == (depth, fixed):
                    found[index] = kernel * c_sigma**depth
    return found


def _one_pass(x: np.ndarray, deepest: int, fixed: int) -> list[np.ndarray]:
    """Kernels of all depths, with c_sigma = 1."""
    sigma = x @ x.T
    theta = np.zeros_like(sigma)
    kernels = []
    for depth in range(deepest + 1):
        if fixed <= depth:
            theta = theta + sigma
        kernels.append(theta)
        squares = np.diag(sigma)
        rho = np.sqrt(np.outer(squares, squares)).clip(1e-9)
        cosine = (sigma / rho).clip(-1, 1)
        above = cosine * (np.pi - np.arccos(cosine)) + np.sqrt(1 - cosine * cosine)
        sigma = above * rho / (2 * np.pi)
        theta = theta * (np.pi - np.arccos(cosine)) / (2 * np.pi)
    return kernels
