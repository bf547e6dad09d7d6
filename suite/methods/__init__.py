"""Methods: what claims compare. Importing this package registers them; it imports no torch."""

from . import forests, kernel_machines, networks, saliency

__all__ = ["forests", "kernel_machines", "networks", "saliency"]
