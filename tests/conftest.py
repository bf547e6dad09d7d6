from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def device() -> str:
    """The GPU where there is one; where one is required its absence fails, and never skips."""
    required = "CLAIMBENCH_REQUIRE_GPU" in os.environ
    try:
        import torch
    except ImportError:
        if required:
            pytest.fail("a GPU is required and torch is not installed")
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if required:
        pytest.fail("a GPU is required and none is visible")
    return "cpu"
