"""What asv follows: a class for each kernel and each claim, made from registry and claim files.

asv imports this once and forks a process for each benchmark, so what the benchmarks import and is
slow to import is imported here.
"""

import numba  # noqa: F401
import scipy.optimize  # noqa: F401
import sklearn.ensemble  # noqa: F401
import sklearn.svm  # noqa: F401
import torch  # noqa: F401
