"""Devices: which one is there, here or where the workers are."""

from __future__ import annotations

from importlib.util import find_spec

from claimbench.kernels import NoBackend

from .workers import Pool, asked


def resolve_device(wanted: str) -> str:
    """`cpu` or `cuda`; asked for by name, a GPU must be there."""
    if wanted == "cpu" or (wanted == "auto" and find_spec("torch") is None):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise NoBackend("no CUDA device is visible; run with --device cpu")
    return "cpu"


def device_of(pool: Pool, wanted: str) -> str:
    """What `resolve_device` says on the machine of a pool's workers."""
    if not pool.remote:  # none has to be started for that
        return resolve_device(wanted)
    device: str = asked(pool, resolve_device, wanted)
    return device
