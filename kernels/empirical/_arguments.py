"""What the kernels of a finite network ask of their arguments, before torch does anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch is imported by the first call
    from torch import Tensor, nn


def check_module(kernel: str, module: nn.Module) -> None:
    """Raise `ValueError` unless each output is a function of one sample and trainable weights."""
    from torch import nn

    if not isinstance(module, nn.Module):
        raise ValueError(f"{kernel}: module is a {type(module).__name__}, wanted a torch.nn.Module")
    kinds = {p.dtype for p in module.parameters() if p.requires_grad}
    if not kinds:
        raise ValueError(f"{kernel}: module has no trainable parameter; see requires_grad_()")
    if len(kinds) > 1 or not all(kind.is_floating_point for kind in kinds):
        found = ", ".join(sorted(map(str, kinds)))
        raise ValueError(f"{kernel}: parameters are of {found}, wanted one real dtype")
    for reason in _beyond_the_sample(module):
        raise ValueError(f"{kernel}: {reason}")


def _beyond_the_sample(module: nn.Module) -> Iterator[str]:
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
    from torch.nn.modules.dropout import _DropoutNd

    for name, part in module.named_modules():
        called = f"{name or 'module'} ({type(part).__name__})"
        if isinstance(part, _BatchNorm) and part.running_mean is None:
            yield f"{called} has no running statistics, so that samples depend on each other"
        elif not part.training:
            continue
        elif isinstance(part, _NormBase) and part.running_mean is not None:
            yield f"{called} is in training mode, which changes its statistics; call .eval()"
        elif isinstance(part, _DropoutNd | nn.RReLU):
            yield f"{called} is in training mode, which makes outputs random; call .eval()"


def check_samples(kernel: str, module: nn.Module, x1: Tensor, x2: Tensor | None) -> None:
    """Raise `ValueError` unless the inputs fit each other and the module's parameters."""
    import torch

    parameter = next(p for p in module.parameters() if p.requires_grad)
    for name, x in (("x1", x1), ("x2", x2)):
        if not isinstance(x, torch.Tensor):
            continue  # left out; or another library's, which the choice of a backend refuses
        if x.ndim == 0 or len(x) == 0 or x.shape[1:] != x1.shape[1:]:
            wanted = f"(samples, {', '.join(map(str, x1.shape[1:]))})" if x is x2 else "samples"
            raise ValueError(f"{kernel}: {name} has shape {tuple(x.shape)}, wanted {wanted}")
        if x.is_floating_point() and x.dtype != parameter.dtype:
            raise ValueError(f"{kernel}: {name} is {x.dtype}, the module {parameter.dtype}")
        if x.device != parameter.device:
            raise ValueError(f"{kernel}: {name} is on {x.device}, the module on {parameter.device}")
