"""Methods: what claims compare. Importing this package registers them; it imports no torch."""

from . import feature_machines, forests, kernel_machines, networks, saliency

__all__ = ["feature_machines", "forests", "kernel_machines", "networks", "saliency"]
