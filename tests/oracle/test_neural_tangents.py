"""The kernels agree with neural-tangents, whose authors know nothing of this code.

python -m venv oracle
oracle/bin/pip install jax==0.5.3 jaxlib==0.5.3 neural-tangents==0.6.5
CLAIMBENCH_ORACLE_PYTHON=oracle/bin/python pytest tests/oracle
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claimbench.kernels import cntk_gram, ntk_gram

PYTHON = os.environ.get("CLAIMBENCH_ORACLE_PYTHON")
SCRIPT = Path(__file__).with_name("neural_tangents_oracle.py")

# Both compute in float64. Where an image meets itself neural-tangents is off by about 1e-8, because
# next to a cosine of 1 its arc cosine magnifies rounding.
RTOL = 1e-6

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        PYTHON is None,
        reason="CLAIMBENCH_ORACLE_PYTHON names no interpreter that has neural-tangents",
    ),
]

DEPTHS = [1, 2, 5]
WINDOWS = [0, 1, 2, "gap"]
DENSE = {f"dense-{depth}": {"depth": depth} for depth in [0, *DEPTHS]}
CONVOLUTIONAL = {
    f"{process}-{depth}-{window}-{padding}": {
        "depth": depth,
        "window": window,
        "process": process,
        "padding": padding,
    }
    for process in ["ntk", "nngp"]
    for depth in DEPTHS
    for window in WINDOWS
    for padding in ["zeros", "circular"]
}


def inputs(kernel: str) -> tuple[np.ndarray, np.ndarray]:
    """The second inputs begin with the first ones, so that some meet themselves."""
    shape = (5, 7) if kernel == "dense" else (4, 3, 5, 6)
    x2 = np.random.default_rng(0).normal(size=shape)
    return x2[:2], x2


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """All Gram matrices from one process: starting jax costs more than computing them."""
    folder = tmp_path_factory.mktemp("oracle")
    calls: dict[str, Any] = {}
    arrays = {}
    for kernel, listed in (("dense", DENSE), ("convolutional", CONVOLUTIONAL)):
        for name, arguments in listed.items():
            calls[name] = {"kernel": kernel, "arguments": arguments}
            arrays[f"{name}.x1"], arrays[f"{name}.x2"] = inputs(kernel)
    (folder / "request.json").write_text(json.dumps(calls))
    np.savez(folder / "inputs.npz", **arrays)
    # On a CPU the default runtime of this jax is five times slower.
    flags = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_cpu_use_thunk_runtime=false"}
    paths = [str(folder / name) for name in ("request.json", "inputs.npz", "outputs.npz")]
    done = subprocess.run(
        [str(PYTHON), str(SCRIPT), *paths], env=os.environ | flags, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "outputs.npz") as results:
        return dict(results)


@pytest.mark.parametrize("name", DENSE)
def test_ntk_gram(oracle: dict[str, np.ndarray], name: str) -> None:
    gram = ntk_gram.reference(*inputs("dense"), variants=[(DENSE[name]["depth"], 0)])[0]
    np.testing.assert_allclose(gram, oracle[name], rtol=RTOL)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_cntk_gram(oracle: dict[str, np.ndarray], name: str) -> None:
    asked = CONVOLUTIONAL[name]
    gram = cntk_gram.reference(
        *inputs("convolutional"),
        depths=[asked["depth"]],
        windows=[asked["window"]],
        get=[asked["process"]],
        padding=asked["padding"],
    )[0, 0, 0, 0]
    np.testing.assert_allclose(gram, oracle[name], rtol=RTOL)
