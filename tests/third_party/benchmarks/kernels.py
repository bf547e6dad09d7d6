"""Time and error of each backend on the smoke shapes of those claims."""

from claimbench.suite.benchmarks.kernels import *  # noqa: F403
