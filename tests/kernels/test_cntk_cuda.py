"""The CUDA backend of `cntk_gram` without a GPU: its kernel run by a CPU, and compiled for one.

`emulation.cpp` runs the source that a GPU would, with all that Python prepares for it. What is not
covered is the launch itself, and how fast it is; `test_agreement.py` runs it where there is a GPU.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claimbench.kernels import Backend, cntk_gram
from claimbench.kernels.checks import Case, cases, check

torch = pytest.importorskip("torch")

from claimbench.kernels import _nvrtc  # noqa: E402
from claimbench.kernels.cntk import _cuda  # noqa: E402

HOPPER = 227 * 1024  # bytes of shared memory for a block
EVERYTHING: dict[str, Any] = {
    "depths": [1, 3],
    "windows": [0, 2, "gap"],
    "flips": [False, True],
    "get": ["nngp", "ntk"],
}


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Callable[[_cuda.Options], ctypes.CDLL]:
    """The kernel compiled for a CPU, for each of its options."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ to compile the emulation with")
    folder, here = tmp_path_factory.mktemp("emulators"), Path(__file__).parent

    @cache
    def library(options: _cuda.Options) -> ctypes.CDLL:
        stem = folder / "-".join(str(int(option)) for option in options)
        stem.with_suffix(".cpp").write_text(
            _cuda.source(options) + '#include "emulation.cpp"\n', "utf-8"
        )
        flags = ["-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-Wall", "-Werror"]
        flags += ["-shared", "-fPIC"]
        files = [f"-I{here}", f"-I{_cuda.FOLDER}", stem.with_suffix(".cpp"), "-o", stem]
        subprocess.run([compiler, *flags, *files], check=True)
        return ctypes.CDLL(str(stem))

    return library


@pytest.fixture
def emulated(
    emulators: Callable[[_cuda.Options], ctypes.CDLL], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[_cuda.Options]]:
    """`cntk_gram` has the CUDA backend on tensors of the CPU; collects what it launches."""
    launched: list[_cuda.Options] = []

    def kernel(options: _cuda.Options, device: torch.device) -> _cuda.Launch:
        emulate = emulators(options).emulate

        def launch(job: ctypes.Structure, blocks: int, threads: int, shared_bytes: int) -> None:
            launched.append(options)
            emulate(ctypes.byref(job), blocks, threads, shared_bytes, 0)

        return launch

    monkeypatch.setattr(_cuda, "_kernel", kernel)
    monkeypatch.setattr(_cuda, "_shared_memory", lambda device: HOPPER)
    monkeypatch.setitem(cntk_gram.backends, "cuda", Backend("._cuda", "torch"))
    yield launched
    assert launched


def images(n: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, *shape))


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype("float32"))


def assert_agrees(case: Case) -> None:
    finding = check(cntk_gram, "cuda", case, "float32", "cpu")
    assert not finding.refused
    assert not finding.problem


@pytest.mark.parametrize("case", [pytest.param(c, id=c.label) for c in cases("cntk_gram")])
@pytest.mark.usefixtures("emulated")
def test_agrees_with_the_reference(case: Case) -> None:
    assert_agrees(case)


# Lanes: one map in a warp with none to spare, with some, two, many, and one more than fit a pack.
@pytest.mark.parametrize(("height", "width"), [(3, 32), (32, 3), (7, 31), (6, 16), (5, 11), (8, 8)])
@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.usefixtures("emulated")
def test_agrees_at_sizes_that_fill_a_warp_otherwise(height: int, width: int, padding: Any) -> None:
    args = images(1, 2, height, width), images(1, 2, height, width, seed=1)
    assert_agrees(Case("sizes", args, EVERYTHING | {"padding": padding}))


@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.usefixtures("emulated")
def test_lanes_to_spare_stay_finite_at_every_depth(padding: Any) -> None:
    """So deep all cosines approach 1, where a rounding of 1e-7 costs as much as 3e-4."""
    x, z = images(1, 1, 4, 5), images(1, 1, 4, 5, seed=1)
    kwargs: dict[str, Any] = {"depths": [60], "windows": [0], "padding": padding}
    truth = cntk_gram.reference(x, z, **kwargs)
    gram = _cuda.cntk_gram(tensor(x), tensor(z), **kwargs)
    np.testing.assert_allclose(gram.numpy(), truth, rtol=3e-4)


@pytest.mark.usefixtures("emulated")
def test_agrees_at_the_size_of_cifar() -> None:
    args = images(1, 3, 32, 32), images(1, 3, 32, 32, seed=1)
    kwargs = EVERYTHING | {"depths": [2], "windows": [4, "gap"], "frozen_ends": True}
    assert_agrees(Case("cifar", args, kwargs))


@pytest.mark.parametrize(("limit", "staged"), [(HOPPER, 2), (9_000, 1), (2_000, 0)])
def test_agrees_wherever_its_tables_fit(
    emulated: list[_cuda.Options], monkeypatch: pytest.MonkeyPatch, limit: int, staged: int
) -> None:
    monkeypatch.setattr(_cuda, "_shared_memory", lambda device: limit)
    args = images(1, 1, 12, 11), images(2, 1, 12, 11, seed=1)
    assert_agrees(Case("staged", args, {"depths": [6], "get": ["ntk", "nngp"]}))
    assert {options.staged for options in emulated} == {staged}


def test_launches_a_part_at_a_time(
    emulated: list[_cuda.Options], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, z = tensor(images(5, 1, 3, 4)), tensor(images(3, 1, 3, 4, seed=1))
    at_once = [_cuda.cntk_gram(*args, **EVERYTHING) for args in ((x, z), (x,))]
    assert len(emulated) == 4  # two flips each
    monkeypatch.setattr(_cuda, "PAIRS", 7)
    in_parts = [_cuda.cntk_gram(*args, **EVERYTHING) for args in ((x, z), (x,))]
    assert len(emulated) == 4 + 2 * 3 + 2 * 5
    assert all(map(torch.equal, at_once, in_parts))
    assert _cuda.cntk_gram(x[:0], z, depths=[1]).shape == (1, 1, 1, 1, 0, 3)
    assert _cuda.cntk_gram(x, z[:0], depths=[1]).shape == (1, 1, 1, 1, 5, 0)


@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.usefixtures("emulated")
def test_half_of_the_pairs_are_all_of_a_symmetric_gram(padding: Any) -> None:
    x = tensor(images(4, 2, 5, 6))
    kwargs = EVERYTHING | {"padding": padding}
    gram = _cuda.cntk_gram(x, **kwargs)
    assert torch.equal(gram, gram.mT)
    torch.testing.assert_close(gram, _cuda.cntk_gram(x, x.clone(), **kwargs), rtol=1e-6, atol=0)


@pytest.mark.usefixtures("emulated")
def test_frozen_ends_leave_nothing_of_depth_1() -> None:
    x, z = tensor(images(2, 2, 3, 4)), tensor(images(3, 2, 3, 4, seed=1))
    assert not _cuda.cntk_gram(x, z, depths=[1], frozen_ends=True).any()


def test_the_order_of_warps_does_not_matter(
    emulators: Callable[[_cuda.Options], ctypes.CDLL], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gram(backwards: bool) -> torch.Tensor:
        def kernel(options: _cuda.Options, device: torch.device) -> _cuda.Launch:
            emulate = emulators(options).emulate
            return lambda job, *sizes: emulate(ctypes.byref(job), *sizes, backwards)

        monkeypatch.setattr(_cuda, "_kernel", kernel)
        monkeypatch.setattr(_cuda, "_shared_memory", lambda device: HOPPER)
        x = tensor(images(3, 1, 8, 9))
        return _cuda.cntk_gram(x, **EVERYTHING)

    assert torch.equal(gram(False), gram(True))


def test_refuses_what_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnGpu:
        is_cuda, device, ndim, dtype = True, "cuda:0", 4, torch.float32

        def __init__(self, *shape: int):
            self.shape = (1, 3, *shape)

    def reason(x: Any) -> str:
        return str(cntk_gram.backends["cuda"].refuses(x, depths=[1]))

    assert reason(torch.zeros(1, 3, 4, 4)) == "it needs a GPU tensor, not one on cpu"
    assert reason(torch.zeros(1, 3, 4, 4).double()) == "it takes float32, not float64"
    assert reason(OnGpu(20, 33)) == "it takes images of up to 32 x 32 pixels, not 20 x 33"
    _nvrtc.reason_missing.cache_clear()
    monkeypatch.setattr(torch.version, "cuda", None)
    assert reason(OnGpu(32, 32)) == "torch was built without CUDA"
    _nvrtc.reason_missing.cache_clear()
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(_nvrtc, "find_spec", lambda name: None)
    assert reason(OnGpu(32, 32)).startswith("there is no NVRTC (pip install")
    _nvrtc.reason_missing.cache_clear()


CIFAR = _cuda.Options(32, 32, want_ntk=True, circular=False, staged=2)
VARIANTS = [
    pytest.param(CIFAR, id="ntk"),
    pytest.param(CIFAR._replace(staged=1), id="deep"),
    pytest.param(CIFAR._replace(staged=0), id="few-maps"),
    pytest.param(CIFAR._replace(circular=True), id="circular"),
    pytest.param(CIFAR._replace(want_ntk=False), id="nngp"),
]


def _disassembler() -> str:
    """cuobjdump, of a toolkit or of the Triton wheel."""
    found = shutil.which("cuobjdump")
    triton = pytest.importorskip("triton") if found is None else None
    path = found or Path(triton.__path__[0]) / "backends/nvidia/bin/cuobjdump"
    if not Path(path).exists():
        pytest.skip("there is no cuobjdump to read machine code with")
    return str(path)


def _layer_loop(code: str) -> list[str]:
    """Instructions of the smallest loop with a root and a reciprocal for each of 32 rows in it.

    The loop inside is left out: it pools, at depths that were asked for.
    """
    lines = re.findall(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?(.*?);", code)
    index = {int(address, 16): i for i, (address, _) in enumerate(lines)}
    loops = []
    for i, (_, text) in enumerate(lines):
        target = re.match(r"BRA.*0x([0-9a-f]+)", text)
        if target and index[int(target[1], 16)] <= i:
            loops.append(range(index[int(target[1], 16)], i + 1))

    def functions(loop: range) -> int:
        return sum(lines[i][1].startswith("MUFU") for i in loop)

    layer = min((loop for loop in loops if functions(loop) >= 64), key=len)
    inner = {i for loop in loops if functions(loop) == 0 and loop[0] in layer for i in loop}
    return [lines[i][1] for i in layer if i not in inner]


@pytest.mark.parametrize("options", VARIANTS)
def test_compiles_for_hopper_without_spills(options: _cuda.Options, tmp_path: Path) -> None:
    """Registers for 12 warps on a multiprocessor, and at most 45 instructions for 32 entries.

    By hand a middle layer of the NTK has 38: 19 multiply-adds and products in the activation, 8 in
    the boxes with 4 shuffles, 2 special functions, 2 loads, 1 limit and 2 for the seam.
    The compiler adds moves.
    """
    compiler = shutil.which("nvcc")
    if compiler is None:
        pytest.skip("there is no nvcc to compile for a GPU with")
    path = tmp_path / "for_nvcc.cu"
    path.write_text(_cuda.source(options) + '#include "gram.cu"\n', "utf-8")
    flags = ["-cubin", "-arch=sm_90", "-std=c++17", "-Xptxas=-v", f"-I{_cuda.FOLDER}"]
    output = path.with_suffix(".cubin")
    command = [compiler, *flags, path, "-o", output]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "0 bytes spill stores, 0 bytes spill loads" in done.stderr
    assert int(re.findall(r"Used (\d+) registers", done.stderr)[0]) <= 168

    code = subprocess.run([_disassembler(), "-sass", output], check=True, capture_output=True)
    loop = _layer_loop(code.stdout.decode())
    kinds = Counter(text.split()[0].partition(".")[0] for text in loop)
    assert kinds["MUFU"] == 64
    assert not {"LDL", "STL"} & set(kinds)
    assert len(loop) / 32 <= 45, kinds


def test_nvrtc_compiles_what_a_gpu_would_be_given() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    for options in (CIFAR._replace(height=8, width=8), CIFAR._replace(circular=True, height=5)):
        text = _cuda.source(options) + '#include "gram.cu"\n'
        assert b"gram" in _nvrtc.compiled(text, "sm_90", _cuda.FOLDER)
    with pytest.raises(RuntimeError, match="did not compile a kernel"):
        _nvrtc.compiled("void f() { unknown(); }", "sm_90", _cuda.FOLDER)
