"""Gram matrices by neural-tangents, timed in its own process; run as a script by its interpreter.

    python neural_tangents_worker.py THREADS

Requests come as lines of JSON, one answer each. The first names the kernel and its arguments; then
`inputs` lists files with arrays, to which either `result` names a file for the Gram matrix of the
first, or `calls` says how many calls to time. Without inputs, memory that is free is given back to
the system. Nothing of claimbench is imported, nor anything at
the top that this interpreter may lack.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Gram = Callable[..., Any]


def dense(variants: list[list[int]]) -> Gram:
    """The NTK of one depth; an input is not divided by its dimension."""
    import jax
    from neural_tangents import stax

    [(depth, _)] = variants

    def gram(x1: Any) -> Any:
        widths = [math.sqrt(x1.shape[1])] + [math.sqrt(2)] * depth
        layers = [stax.Dense(1, W_std=widths[0])]
        for width in widths[1:]:
            layers += [stax.Relu(), stax.Dense(1, W_std=width)]
        return stax.serial(*layers)[2](x1, None, "ntk")[None]

    return jax.jit(gram)


def convolutional(depths: list[int], windows: list[Any], get: list[str], padding: str) -> Gram:
    """Convolutions with ReLU, pooling, and a last layer with the 1/9 of the released code."""
    import jax
    from neural_tangents import stax

    [depth], [window], [process] = depths, windows, get
    mode = {"zeros": "SAME", "circular": "CIRCULAR"}[padding]

    def gram(x1: Any, x2: Any) -> Any:
        _, height, width, channels = x1.shape
        layers = []
        for layer in range(depth):
            scale = math.sqrt(2) if layer else math.sqrt(9 * channels)
            layers += [stax.Conv(1, (3, 3), padding=mode, W_std=scale), stax.Relu()]
        positions = 1 if window == "gap" else height * width
        if window == "gap":
            layers += [stax.GlobalAvgPool()]
        elif window == 0:
            layers += [stax.Flatten()]
        else:
            side = (2 * window + 1, 2 * window + 1)
            layers += [stax.AvgPool(side, (1, 1), mode, normalize_edges=False), stax.Flatten()]
        layers += [stax.Dense(1, W_std=math.sqrt(2 / 9))]
        # Flattening averages over positions where the vanilla kernel sums.
        return positions * stax.serial(*layers)[2](x1, x2, process)[None, None, None, None]

    return jax.jit(gram)


def loaded(path: str) -> list[Any]:
    """The arrays of one call on jax's device, images with their channels last."""
    import jax.numpy as jnp

    with np.load(path) as arrays:
        found = [arrays[name] for name in arrays.files]
    moved = [a.transpose(0, 2, 3, 1) if a.ndim == 4 else a for a in found]
    return [jnp.asarray(np.ascontiguousarray(a)).block_until_ready() for a in moved]


def timed(gram: Gram, inputs: list[str], calls: int) -> dict[str, float]:
    sets = [loaded(path) for path in inputs]
    wall, cpu = time.perf_counter(), time.process_time()
    for call in range(calls):
        gram(*sets[call % len(sets)]).block_until_ready()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall_s": wall / calls, "cpu_s": cpu / calls}


def answer(gram: Gram, inputs: list[str], calls: int = 0, result: str = "") -> dict[str, float]:
    if not inputs:
        give_back()
        return {}
    if calls:
        return timed(gram, inputs, calls)
    np.save(result, np.asarray(gram(*loaded(inputs[0]))))
    return {}


def give_back() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def limit(threads: int) -> None:
    """Let jax make as many threads as are allowed, by showing it so many processors at its start.

    They may then run on any: to be tied to one that others use would be no fair time.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(usable)[:threads])
    import jax

    jax.numpy.zeros(1).block_until_ready()
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), usable)


def main(threads: int) -> None:
    kernels: dict[str, Callable[..., Gram]] = {"ntk_gram": dense, "cntk_gram": convolutional}
    gram: Gram | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if gram is None:
                limit(threads)
                gram, answered = kernels[request["kernel"]](**request["arguments"]), {}
            else:
                answered = answer(gram, **request)
        except Exception as e:  # whatever it is, the parent must be told
            print(json.dumps({"error": f"{type(e).__name__}: {e}"[:300]}), flush=True)
        else:
            print(json.dumps(answered), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
