"""Time, memory and error of each kernel on each backend, on shapes of the claims followed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from claimbench.kernels import KERNELS, checks

from .. import expected
from ..definitions import ASV_TIER, Shape
from ..devices import resolve_device
from ..kernel_shapes import inputs

SHAPES: dict[str, dict[str, Shape]] = {}
for _claim in expected.claims():
    for _label, _shape in _claim.shapes.items():
        if _shape.tier == ASV_TIER:
            SHAPES.setdefault(_claim.kernel, {})[f"{_claim.id}.{_label}"] = _shape


def _class_name(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def _case(shape: Shape) -> checks.Case:
    return checks.Case("shape", tuple(inputs(shape)), shape.arguments)


def _benchmark(name: str, shapes: Iterable[str]) -> type:
    kernel = KERNELS[name]

    def setup(self: Any, backend: str, shape: str) -> None:
        if backend not in kernel.backends:
            raise NotImplementedError(f"{name} has no backend {backend!r} at this commit")
        self.device = resolve_device("auto")
        self.case = _case(SHAPES[name][shape])
        arrays = kernel.backends[backend].arrays
        try:
            self.args = checks.given(self.case, arrays, "float32", self.device)
        except ImportError as e:
            raise NotImplementedError(f"no {arrays} arrays here: {e}") from None
        if reason := kernel.refusal(backend, *self.args, **self.case.kwargs):
            raise NotImplementedError(reason)  # how asv is told to skip
        self.run = kernel.on(backend)
        self.run(*self.args, **self.case.kwargs)  # compile outside the clock

    def time_kernel(self: Any, backend: str, shape: str) -> None:
        self.run(*self.args, **self.case.kwargs)
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()

    def track_error(self: Any, backend: str, shape: str) -> float:
        """A backend that is wrong fails here, and the gate gives it no time."""
        found = checks.check(kernel, backend, self.case, "float32", self.device)
        if found.problem or found.error is None:
            raise AssertionError(f"{name} on {backend}: {found.problem}")
        return found.error

    time_kernel.kernel = track_error.kernel = name
    time_kernel.version = track_error.version = "1"
    track_error.unit = "relative error"
    return type(
        _class_name(name),
        (),
        {
            "__doc__": f"{name} on blocks of the claims' own shapes, in float32.",
            "__module__": __name__,
            "params": [expected.backends(name), list(shapes)],
            "param_names": ["backend", "shape"],
            "timeout": 120,
            "repeat": (3, 10, 0.5),
            "setup": setup,
            "time_kernel": time_kernel,
            "track_error": track_error,
        },
    )


globals().update(
    {_class_name(name): _benchmark(name, s) for name, s in SHAPES.items() if name in KERNELS}
)
