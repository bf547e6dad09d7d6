"""How many threads numeric libraries may use."""

from __future__ import annotations


def thread_limits(count: int) -> dict[str, str]:
    """The environment variables that say so; a library reads its own when it is imported."""
    return {f"{name}_NUM_THREADS": str(count) for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
