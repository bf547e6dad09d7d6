"""What asv follows: a class for each kernel and each claim, made from registry and claim files.

asv imports this once and forks a process for each benchmark: what takes long to import and most
benchmarks need is imported here, where it is installed.
"""

from contextlib import suppress
from importlib import import_module

for _library in ("numba", "scipy.optimize", "sklearn.ensemble", "sklearn.svm", "torch"):
    with suppress(ImportError):
        import_module(_library)
