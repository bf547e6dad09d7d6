"""Methods: what claims compare. Importing this package registers them; it imports no torch."""

from . import (
    feature_machines,
    feature_maps,
    finite_width,
    forests,
    image_kernels,
    kernel_machines,
    monte_carlo,
    networks,
    saliency,
)

__all__ = [
    "feature_machines",
    "feature_maps",
    "finite_width",
    "forests",
    "image_kernels",
    "kernel_machines",
    "monte_carlo",
    "networks",
    "saliency",
]
