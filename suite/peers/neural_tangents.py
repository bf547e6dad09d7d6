"""neural-tangents 0.6.5, in an environment and a process of its own.

Its last release needs a jax that other packages have left behind. That jax has two runtimes for the
CPU, and the one it starts with is five times slower here (jax-ml/jax issues 26145 and 30554): it is
run with the other. It is compiled and warm before it is timed, and timed by the clocks of its own
process, arrays already in its own layout.

A call gives one depth and one way to pool, and all layers are trained.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import provenance
from . import NotMeasured, neural_tangents_worker
from .environments import python

if TYPE_CHECKING:
    from ..timing.runners import Arrays, Sample
    from ..timing.workloads import Workload

REQUIREMENTS = ("jax==0.5.3", "jaxlib==0.5.3", "neural-tangents==0.6.5")
VARIABLE = "CLAIMBENCH_ORACLE_PYTHON"
FLAGS = "--xla_cpu_use_thunk_runtime=false"
PATIENCE = 300
"""Seconds after which an answer is no longer waited for: compiling takes long, not this long."""


def adapt(workload: Workload, device: str) -> tuple[Workload, str]:
    if device != "cpu":
        raise NotMeasured("its jax, 0.5.3, is run on the CPU only")
    if workload.dtype != "float32":
        raise NotMeasured("it is run in float32, jax's own dtype")
    choose = _one_variant if workload.kernel == "ntk_gram" else _one_output
    arguments, note = choose(workload.arguments)
    return replace(workload, arguments=arguments), note


def _one_variant(asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    deepest = max(depth for depth, _ in asked["variants"])
    if asked.get("c_sigma", 2) != 2:
        raise NotMeasured("it is run with c_sigma = 2")
    return {"variants": [(deepest, 0)]}, f"variant ({deepest}, 0) alone"


def _one_output(asked: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The deepest, and of the windows the largest."""
    windows = asked.get("windows", ["gap"])
    window = "gap" if "gap" in windows else max(windows)
    process = "ntk" if "ntk" in asked.get("get", ["ntk"]) else "nngp"
    depth = max(asked["depths"])
    arguments = {"depths": [depth], "windows": [window], "get": [process]}
    several = ("depths", "windows", "get", "flips")
    notes = []
    if any(len(asked.get(name, ())) > 1 for name in several) or any(asked.get("flips", ())):
        notes.append(f"depth {depth}, window {window}, {process} alone")
    if asked.get("frozen_ends"):
        notes.append("all layers trained")
    return arguments | {"padding": asked.get("padding", "zeros")}, ", ".join(notes)


def runner(workload: Workload, device: str) -> NeuralTangents:
    environment = python("neural-tangents-0.6.5", REQUIREMENTS, VARIABLE)
    # Isolated, because beside the script this module has the name of the library.
    return NeuralTangents([str(environment), "-I", neural_tangents_worker.__file__], workload)


class NeuralTangents:
    """A worker process; it is sent the names of files with inputs, and answers in lines of JSON."""

    def __init__(self, command: Sequence[str], workload: Workload):
        self.folder = tempfile.TemporaryDirectory(prefix="claimbench-")
        self.names = list(workload.inputs)
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # open as long as the worker
        self.process = subprocess.Popen(
            [*command, str(provenance.threads())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, "XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"},
        )
        try:
            self._ask(kernel=workload.kernel, arguments=workload.arguments)
        except BaseException:
            self.close()
            raise

    def result(self, arrays: Arrays) -> np.ndarray:
        target = Path(self.folder.name) / "result.npy"
        self._ask(inputs=[self._saved(0, arrays)], result=str(target))
        return np.load(target)

    def sample(self, sets: Sequence[Arrays], calls: int) -> Sample:
        from ..timing.runners import Sample

        saved = [self._saved(index, arrays) for index, arrays in enumerate(sets)]
        return Sample(**self._ask(inputs=saved, calls=calls))

    def trial(self, arrays: Arrays) -> tuple[float, int | None]:
        from ..timing.memory import host_rise

        samples: list[Sample] = []
        self._ask(inputs=[])
        rise = host_rise(lambda: samples.append(self.sample([arrays], 1)), self.process.pid)
        return samples[0].wall_s, rise

    def close(self) -> None:
        self.process.kill()
        with suppress(BrokenPipeError):  # what it did not read is still to be written
            self.process.communicate()
        self.errors.close()
        self.folder.cleanup()

    def _saved(self, index: int, arrays: Arrays) -> str:
        path = Path(self.folder.name) / f"{index}.npz"
        named: dict[str, Any] = dict(zip(self.names, arrays, strict=True))
        np.savez(path, **named)
        return str(path)

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        limit = Timer(PATIENCE, self.process.kill)
        limit.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            limit.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise NotMeasured(answer["error"])
        return answer

    def _last_words(self) -> str:
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines() or ["it ended without a word"]
        return said[-1]
