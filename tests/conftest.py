from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heeded, here and in what is started here, also where tests run with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
