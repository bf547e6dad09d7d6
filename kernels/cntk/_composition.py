"""The result of `cntk_gram` from Gram matrices of layers, the same for all backends but one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def composed(
    pooled: Callable[[bool, list[int]], Any],
    depths: Sequence[int],
    flips: Sequence[bool],
    get: Sequence[str],
) -> list[Any]:
    """For each of `flips`, what `get` names of the layers that `depths` names.

    `pooled` takes whether to mirror the second images, and the layers in ascending order without
    repetition. It gives an array or tensor [processes layers windows n m], of which the first is
    "nngp" and the last is "ntk", as far as they are asked for.
    """
    layers = sorted(set(depths))
    order = [layers.index(depth) for depth in depths]
    processes = [0 if process == "nngp" else -1 for process in get]
    plain = pooled(False, layers)
    flipped = (plain + pooled(True, layers)) / 2 if any(flips) else plain
    return [(flipped if flip else plain)[processes][:, order] for flip in flips]
