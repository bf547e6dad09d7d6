"""Polynomials for the arc-cosine kernels, accurate to float64 and to float32.

With v = 1 - |c| and r = sqrt(v), for a cosine c,

    kappa_0(c) = 1 - r p(v),  kappa_1(c) = c + v r q(v)    where c >= 0,
    kappa_0(c) =     r p(v),  kappa_1(c) =     v r q(v)    where c < 0,

where p and q are smooth on [0, 1], so both kernels share one square root, and a cosine of 1 gives
exactly 1. The coefficients, of ascending powers of v, are minimax fits to the absolute error.
Those for float64 are off by 4.3e-17 in kappa_0 and 3.1e-17 in kappa_1, where 1 is rounded to
1.1e-16; those for float32, of the CNTK, by 2.8e-8 and 8.0e-9, where 1 is rounded to 6.0e-8.
"""

from __future__ import annotations

import numpy as np

from ..cntk import _activation as float32

P = {
    "float32": float32.P,
    "float64": (
        0.45015815807855203,
        0.03751317984009792,
        0.008440465449556931,
        0.002512043740057596,
        0.0008547845714442886,
        0.00031480888509592426,
        0.00012136173332551951,
        5.2916612298622015e-05,
        5.001828558023728e-06,
        5.459869498193053e-05,
        -0.00010065497121917442,
        0.0001806432793687784,
        -0.00023061463691269465,
        0.00022215083527040864,
        -0.00015334888774443778,
        7.278398483220565e-05,
        -2.1228661882809734e-05,
        2.9496243188945655e-06,
    ),
}
Q = {
    "float32": float32.Q,
    "float64": (
        0.3001054387189939,
        0.015005271939503902,
        0.002411561445136578,
        0.0005582338581586906,
        0.00015539529180768838,
        4.857155995275112e-05,
        1.5510270583449187e-05,
        8.526259283258605e-06,
        -5.138727967581937e-06,
        1.511617843808784e-05,
        -2.051613508589776e-05,
        2.239742498055603e-05,
        -1.6960923466533372e-05,
        8.863428741907252e-06,
        -2.8163954484535347e-06,
        4.3199017834478725e-07,
    ),
}


def coefficients(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """p and q in the dtype of the Gram matrix."""
    return np.array(P[dtype.name], dtype), np.array(Q[dtype.name], dtype)
