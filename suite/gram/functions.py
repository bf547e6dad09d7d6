"""A kernel with its arguments: what one pass over pairs of samples answers, and what names it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from claimbench.kernels import KERNELS, backends_used, using
from claimbench.kernels.shapes import work

from .. import provenance

Samples = Float[np.ndarray, "n ..."]
Variant = dict[str, Any]
"""One value for each axis of a function."""


def axes_of(kernel: str) -> tuple[str, ...]:
    """The arguments that a Gram matrix is answered for each value of; its shape names them.

    Raises:
        ValueError: if what the kernel answers is not one Gram matrix or several.
    """
    shape = re.search(
        r"['\"]([\w ]+)['\"]", str(KERNELS[kernel].reference.__annotations__["return"])
    )
    names = shape.group(1).split() if shape else []
    if names[-2:] != ["n", "m"]:
        raise ValueError(f"{kernel} answers no Gram matrix")
    return tuple(names[:-2])


class Site(NamedTuple):
    """What a value may depend on beside the definition: one part of what names a matrix.

    Attributes:
        backends: by kernel, those that compute.
        device: `cpu` or the model of the GPU.
        code: digest of the sources of all kernels.
    """

    backends: tuple[tuple[str, str], ...]
    device: str
    code: str

    @classmethod
    def here(cls, device: str, used: dict[str, str]) -> Site:
        """Of a call that used these backends in this process."""
        return cls(tuple(sorted(used.items())), provenance.device_name(device), provenance.code())


@dataclass(frozen=True)
class GramFunction:
    """All variants of a Gram matrix of some samples, of one set with itself or of two.

    Attributes:
        kernel: name of the kernel.
        axes: the values asked for, in the order in which the kernel answers them.
        fixed: its other arguments.
        device: where it computes, `cpu` or `cuda`.
        backend: the one asked for; `None` leaves it to `using`, or to the kernel.
        site: what computes it; `None` until a worker has said so.
    """

    kernel: str
    axes: Mapping[str, Sequence[Any]]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    backend: str | None = None
    site: Site | None = None

    def __call__(self, x: Samples, z: Samples | None = None) -> Float[np.ndarray, "variants n m"]:
        samples = (x,) if z is None else (x, z)
        return listed(self.run(KERNELS[self.kernel], *samples, **self.arguments))

    @property
    def arguments(self) -> dict[str, Any]:
        return {**self.axes, **self.fixed}

    @property
    def variants(self) -> list[Variant]:
        """What is answered, in order."""
        return [
            dict(zip(self.axes, values, strict=True)) for values in product(*self.axes.values())
        ]

    def run(self, function: Any, *arrays: np.ndarray, **arguments: Any) -> np.ndarray:
        """Call with NumPy arrays, on the device and backend of this function."""
        with using(self.backend) if self.backend else nullcontext():
            return on_device(self.device, function, *arrays, **arguments)

    def covering(self, variants: Sequence[Variant]) -> GramFunction:
        """The smallest function of this kind that answers these variants."""
        wanted = {
            name: [value for value in values if any(v[name] == value for v in variants)]
            for name, values in self.axes.items()
        }
        return replace(self, axes=wanted)

    def settled(self, x: Samples) -> GramFunction:
        """With its site, which is found by computing one value here."""
        with backends_used() as used:
            self(x[:1])
        return replace(self, site=Site.here(self.device, used))

    def identity(self) -> dict[str, Any]:
        """What can change a value of the matrix, but for its variant and its samples: as JSON."""
        assert self.site, "a function is settled before it is named"
        fixed = {name: _named(value) for name, value in sorted(self.fixed.items())}
        return {"kernel": self.kernel, "fixed": fixed, "site": self.site._asdict()}

    def flops(self, samples: Samples) -> float | None:
        """Operations that one pair of samples needs, where the kernel tells."""
        one = dict.fromkeys(("x1", "x2"), (1, *samples.shape[1:]))
        counted = work(self.kernel, one, self.arguments, samples.itemsize)
        return counted.flops if counted else None

    def __str__(self) -> str:
        backends = dict(self.site.backends) if self.site else {}
        return f"{self.kernel} on {backends.get(self.kernel, self.device)}"


def _named(value: Any) -> Any:
    """As JSON: an array by its digest."""
    if not isinstance(value, np.ndarray):
        return value
    return [str(value.dtype), value.shape, digest(value)]


def digest(values: np.ndarray) -> str:
    """SHA-256 of the bytes."""
    return sha256(np.ascontiguousarray(values).data).hexdigest()


def on_device(device: str, function: Any, *arrays: np.ndarray, **arguments: Any) -> np.ndarray:
    """Call a kernel with NumPy arrays, on the GPU where that is the device and takes them.

    Raises:
        MemoryError: if the GPU has not the memory for it.
    """
    if device == "cpu" or arrays[0].dtype == np.float64:
        return function(*arrays, **arguments)
    import torch

    try:
        tensors = [torch.from_numpy(array).to(device) for array in arrays]
        answer: np.ndarray = function(*tensors, **arguments).cpu().numpy()
        return answer
    except torch.OutOfMemoryError as e:
        torch.cuda.empty_cache()
        raise MemoryError(f"the GPU has not the memory ({str(e).partition('.')[0]})") from None


def listed(grams: np.ndarray) -> Float[np.ndarray, "variants n m"]:
    """Counted through all leading axes."""
    return grams.reshape(-1, *grams.shape[-2:])
