"""The CNTK in torch as `torch_eager` has it, each layer compiled by `torch.compile`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from . import torch_eager
from .torch_eager import adapt

if TYPE_CHECKING:
    from ..timing.runners import InProcess
    from ..timing.workloads import Workload

__all__ = ["adapt", "runner"]


def runner(workload: Workload, device: str) -> InProcess:
    import torch

    from ..timing.runners import InProcess

    # A shape is compiled for itself: a general one would be slower.
    gram = partial(
        torch_eager.gram,
        activation=torch.compile(torch_eager.activation, dynamic=False),
        convolution=torch.compile(torch_eager.convolution, dynamic=False),
    )
    return InProcess(gram, workload, "torch", device)
