"""Kernels in CUDA C++: compiled at run time for the GPU at hand, so that no user needs nvcc.

NVIDIA's `cuda-bindings` gives NVRTC, the compiler, and the driver, which loads and launches what
comes of it; torch for CUDA depends on both. Tensors, streams and devices stay torch's.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np


@cache
def reason_missing() -> str | None:
    """Why nothing can be compiled here, or `None`."""
    import torch

    if torch.version.cuda is None:
        return "torch was built without CUDA"
    if find_spec("cuda") is None or find_spec("cuda.bindings") is None:
        return "there is no NVRTC (pip install 'cuda-bindings[all]')"
    try:
        _checked(_nvidia("nvrtc").nvrtcVersion())
    except RuntimeError as problem:
        return f"NVRTC cannot be loaded ({problem})"
    return None


def compiled(source: str, architecture: str, include: Path) -> bytes:
    """Machine code of CUDA C++ for one architecture, such as "sm_90".

    Args:
        source: what is compiled; it sees no header but its own.
        architecture: as NVRTC names it.
        include: the folder where its headers are.

    Raises:
        RuntimeError: with the compiler's messages.
    """
    nvrtc = _nvidia("nvrtc")
    options = [f"--gpu-architecture={architecture}", f"--include-path={include}", "--std=c++17"]
    program = _checked(nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
    try:
        status, *_ = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            log = bytearray(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
            _checked(nvrtc.nvrtcGetProgramLog(program, log))
            said = log.decode().strip("\0\n")
            raise RuntimeError(f"NVRTC did not compile a kernel: {said}")
        code = bytearray(_checked(nvrtc.nvrtcGetCUBINSize(program)))
        _checked(nvrtc.nvrtcGetCUBIN(program, code))
    finally:
        _checked(nvrtc.nvrtcDestroyProgram(program))
    return bytes(code)


@dataclass(frozen=True)
class CudaKernel:
    """A kernel of one argument, a structure, loaded on one GPU.

    Attributes:
        function: the driver's handle.
        device: the GPU's number among those that torch sees.
    """

    function: Any
    device: int

    def __call__(
        self, argument: ctypes.Structure, blocks: int, threads: int, shared_bytes: int
    ) -> None:
        """Launch on torch's current stream of that GPU; nothing waits for it."""
        import torch

        driver = _nvidia("driver")
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
        stream = driver.CUstream(torch.cuda.current_stream(self.device).cuda_stream)
        size = (blocks, 1, 1, threads, 1, 1, shared_bytes)
        where = ctypes.addressof(pointers)
        with torch.cuda.device(self.device):
            _checked(driver.cuLaunchKernel(self.function, *size, stream, where, 0))


def shared_memory(device: int) -> int:
    """Bytes of shared memory that one block may have."""
    driver = _nvidia("driver")
    limit = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    return int(_checked(driver.cuDeviceGetAttribute(limit, _checked(driver.cuDeviceGet(device)))))


def kernel(source: str, name: str, include: Path, device: int) -> CudaKernel:
    """Compile and load a kernel that may use all of a block's shared memory."""
    import torch

    driver = _nvidia("driver")
    major, minor = torch.cuda.get_device_capability(device)
    code = np.frombuffer(compiled(source, f"sm_{major}{minor}", include), np.uint8)
    with torch.cuda.device(device):
        torch.cuda.current_stream().query()  # the driver wants a context, which torch makes
        module = _checked(driver.cuModuleLoadData(code.ctypes.data))
        function = _checked(driver.cuModuleGetFunction(module, name.encode()))
        limit = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        _checked(driver.cuFuncSetAttribute(function, limit, shared_memory(device)))
    return CudaKernel(function, device)


def _nvidia(module: str) -> Any:
    """A module of `cuda-bindings`, which has no types."""
    return import_module(f"cuda.bindings.{module}")


def _checked(answer: tuple[Any, ...]) -> Any:
    """What a call of NVIDIA's library gave, once it says that it succeeded."""
    status, *values = answer
    if status.value != 0:
        raise RuntimeError(f"{type(status).__name__}: {status.name}")
    return values[0] if values else None
