"""Kernels: mathematical functions, each with a readable reference and faster backends.

Importing this package imports NumPy alone; a backend's libraries come with its first call.
"""

from ._dispatch import (
    KERNELS,
    Backend,
    Kernel,
    NoBackend,
    backend_asked,
    backends_used,
    kernel,
    ran_elsewhere,
    using,
)
from .cntk import cntk_gram
from .empirical import (
    conjugate_gram,
    empirical_ntk_gram,
    projected_jacobian,
    trainable_layers,
)
from .ntk import ntk_gram, ntk_variants
from .patches import coates_ng_features, patch_filters
from .saliency import saliency_mask

__all__ = [
    "KERNELS",
    "Backend",
    "Kernel",
    "NoBackend",
    "backend_asked",
    "backends_used",
    "cntk_gram",
    "coates_ng_features",
    "conjugate_gram",
    "empirical_ntk_gram",
    "kernel",
    "ntk_gram",
    "ntk_variants",
    "patch_filters",
    "projected_jacobian",
    "ran_elsewhere",
    "saliency_mask",
    "trainable_layers",
    "using",
]
