"""Peers: other people's ways to compute our kernels, measured beside our backends.

A peer is run as its users would run it at its best, on the same inputs, in the same dtype unless it
has only one, and on the same threads. It is held against our reference too, on what it computes.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from ..timing.runners import Runner
    from ..timing.workloads import Workload

WHOLE = 0
"""As many images or samples as the shape has."""


class NotMeasured(Exception):
    """Why a peer, or a backend, has no time here."""


class Module(Protocol):
    """What the module of a peer holds."""

    def adapt(self, workload: Workload, device: str) -> tuple[Workload, str]:
        """The workload as the peer computes it, and how that differs from what was asked for.

        Raises:
            NotMeasured: with the reason.
        """
        ...

    def runner(self, workload: Workload, device: str) -> Runner:
        """Ready to be called on an adapted workload; raises `NotMeasured` like `adapt`."""
        ...


@dataclass(frozen=True)
class Peer:
    """A contender that is not a backend.

    Attributes:
        kernel: the kernel that it computes.
        module: import path; a leading dot means in this package.
        batches: how many of x1 and of x2 it is tried with, where the workload can be divided: it
            is measured at the one that is fastest for a pair.
    """

    name: str
    kernel: str
    module: str
    batches: Sequence[int] = (WHOLE,)

    def load(self) -> Module:
        return cast(Module, importlib.import_module(self.module, __name__))


PEERS = [
    Peer("neural_tangents", "ntk_gram", ".neural_tangents"),
    Peer("neural_tangents", "cntk_gram", ".neural_tangents", (2, 4, 8, 32)),
    Peer("released_recursion", "ntk_gram", ".released_recursion"),
    Peer("unfused", "cntk_gram", ".unfused", (1, 2)),
    Peer("torch_eager", "cntk_gram", ".torch_eager", (1, 2, 4, 8)),
    Peer("torch_compiled", "cntk_gram", ".torch_compiled", (2, 8)),
    Peer("vmap_grad", "empirical_ntk_gram", ".vmap_grad"),
]
"""In the order in which tables name them before they are sorted by time."""


def peers_of(kernel: str) -> list[Peer]:
    return [peer for peer in PEERS if peer.kernel == kernel]
