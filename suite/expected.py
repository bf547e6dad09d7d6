"""What every commit that asv measures is asked alike: claims, and the backends of each kernel.

asv lists benchmarks and their parameters at one commit, and then asks every commit for them by
their places in that list. Where another commit has other lists, a number would come to stand under
another's name. So whoever starts asv says in an environment variable what there is; what a commit
does not have it skips.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from claimbench.kernels import KERNELS

from .checking import all_claim_files, followed_claims
from .definitions import Claim, build, parse
from .registry import load_plugins

VARIABLE = "CLAIMBENCH_EXPECTED"


def environment() -> dict[str, str]:
    """The variable for asv's environment, with what this process has."""
    names = {f"{claim.id}.toml" for claim in followed_claims()}
    content = {
        "claims": [str(path) for path in all_claim_files() if path.name in names],
        "backends": {name: list(kernel.backends) for name, kernel in KERNELS.items()},
    }
    return {VARIABLE: json.dumps(content)}


def claims() -> list[Claim]:
    """The claims that the repository follows, whether or not this commit can run them."""
    if (paths := _asked().get("claims")) is None:
        return followed_claims()
    load_plugins()
    built = (build(path, parse(path)) for path in map(Path, paths))
    return [claim for claim in built if isinstance(claim, Claim)]


def backends(kernel: str) -> list[str]:
    """The backends that a kernel is asked for, whether or not this commit has them."""
    asked: list[str] = _asked().get("backends", {}).get(kernel, list(KERNELS[kernel].backends))
    return asked


def _asked() -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(os.environ.get(VARIABLE, "{}"))
    return asked
