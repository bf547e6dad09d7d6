"""Gram matrices by neural-tangents, in an environment of its own; run as a script.

    python neural_tangents_oracle.py request.json inputs.npz outputs.npz

`request.json` lists calls, each with a name, the kernel and its arguments; the arrays of a call are
`<name>.x1` and `<name>.x2` of `inputs.npz`, its result is `<name>` of `outputs.npz`. Nothing of
claimbench is imported: neural-tangents needs a jax that is too old to live beside it.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)  # before neural-tangents reads it

from neural_tangents import stax  # noqa: E402


def dense(x1: np.ndarray, x2: np.ndarray, depth: int) -> np.ndarray:
    """A network of `depth` hidden layers; the input is not divided by its dimension."""
    widths = [math.sqrt(x1.shape[1])] + [math.sqrt(2)] * depth
    layers = []
    for width in widths[:-1]:
        layers += [stax.Dense(1, W_std=width), stax.Relu()]
    layers += [stax.Dense(1, W_std=widths[-1])]
    return np.asarray(stax.serial(*layers)[2](x1, x2, "ntk"))


def convolutional(
    x1: np.ndarray, x2: np.ndarray, depth: int, window: Any, process: str, padding: str
) -> np.ndarray:
    """`depth` convolutions, each with ReLU, then pooling and a dense layer.

    The first convolution is not divided by its inputs' number, and the last layer has the 1/9 that
    the released code of the CNTK gives to each.
    """
    mode = {"zeros": "SAME", "circular": "CIRCULAR"}[padding]
    height, width = x1.shape[2:]
    layers = []
    for layer in range(depth):
        scale = math.sqrt(2) if layer else math.sqrt(9 * x1.shape[1])
        layers += [stax.Conv(1, (3, 3), padding=mode, W_std=scale), stax.Relu()]
    positions = height * width
    if window == "gap":
        layers += [stax.GlobalAvgPool()]
        positions = 1
    elif window == 0:
        layers += [stax.Flatten()]
    else:
        side = (2 * window + 1, 2 * window + 1)
        layers += [stax.AvgPool(side, (1, 1), mode, normalize_edges=False), stax.Flatten()]
    layers += [stax.Dense(1, W_std=math.sqrt(2 / 9))]
    kernel = stax.serial(*layers)[2]
    channels_last = (x.transpose(0, 2, 3, 1) for x in (x1, x2))
    # Flattening averages over positions where the vanilla kernel sums.
    return positions * np.asarray(kernel(*channels_last, process))


def main(request: str, inputs: str, outputs: str) -> None:
    kernels = {"dense": dense, "convolutional": convolutional}
    arrays = np.load(inputs)
    with open(request) as file:
        calls = json.load(file)
    results = {}
    for name, call in calls.items():
        x1, x2 = arrays[f"{name}.x1"], arrays[f"{name}.x2"]
        results[name] = kernels[call["kernel"]](x1, x2, **call["arguments"])
    np.savez(outputs, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
