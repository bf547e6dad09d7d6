"""Time, memory and error of each kernel on each backend, on the shapes that the claims use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from claimbench.kernels import KERNELS, Kernel, checks

from ..checking import load_claims
from ..definitions import Shape
from ..kernel_shapes import inputs
from ..runner import resolve_device

SHAPES: dict[str, dict[str, Shape]] = {name: {} for name in KERNELS}
for _claim in load_claims():
    for _label, _shape in _claim.shapes.items():
        if _shape.tier == "smoke":
            SHAPES[_claim.kernel][f"{_claim.id}.{_label}"] = _shape


def _class_name(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def _arguments(kernel: Kernel[..., Any], backend: str, shape: Shape, device: str) -> list[Any]:
    if backend not in kernel.backends:
        raise NotImplementedError(f"{kernel.name} has no backend {backend!r} at this commit")
    case = checks.Case("", tuple(inputs(shape)))
    return checks.given(case, kernel.backends[backend].arrays, "float32", device)


def _require_right(kernel: Kernel[..., Any], backend: str, device: str) -> float:
    """The largest error of a backend; one that is wrong has no time and fails here."""
    findings = [
        finding
        for finding in checks.check_all([kernel.name], backend, device, dtypes=("float32",))
        if not finding.refused
    ]
    if wrong := [finding for finding in findings if finding.problem]:
        raise AssertionError(f"{kernel.name} on {backend}: {wrong[0].case}: {wrong[0].problem}")
    return max((finding.error or 0.0 for finding in findings), default=0.0)


def _benchmark(name: str, shapes: Iterable[str]) -> type:
    kernel = KERNELS[name]

    def setup(self: Any, backend: str, shape: str) -> None:
        self.device = resolve_device("auto")
        asked = SHAPES[name][shape]
        args = _arguments(kernel, backend, asked, self.device)
        if reason := kernel.refusal(backend, *args, **asked.arguments):
            raise NotImplementedError(reason)  # how asv is told to skip
        run = kernel.on(backend)
        self.call = lambda: run(*args, **asked.arguments)
        self.call()  # compile outside the clock

    def time_kernel(self: Any, backend: str, shape: str) -> None:
        self.call()
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()

    def track_error(self: Any, backend: str, shape: str) -> float:
        return _require_right(kernel, backend, self.device)

    time_kernel.kernel = track_error.kernel = name  # type: ignore[attr-defined]
    time_kernel.version = track_error.version = "1"  # type: ignore[attr-defined]
    track_error.unit = "relative error"  # type: ignore[attr-defined]
    return type(
        _class_name(name),
        (),
        {
            "__doc__": f"{name} on blocks of the claims' own shapes, in float32.",
            "__module__": __name__,
            "params": [list(kernel.backends), list(shapes)],
            "param_names": ["backend", "shape"],
            "timeout": 120,
            "setup": setup,
            "time_kernel": time_kernel,
            "track_error": track_error,
        },
    )


globals().update({_class_name(name): _benchmark(name, s) for name, s in SHAPES.items() if s})
