"""Error and seconds of each method of the claims that pyproject.toml names."""

from claimbench.suite.benchmarks.claims import *  # noqa: F403
