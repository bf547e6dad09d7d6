"""Environments for peers whose requirements cannot live beside ours.

Each is a folder of its own in the user's cache, made on first use; only arrays go between.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from ..data.files import cache
from . import NotMeasured


def python(name: str, requirements: Sequence[str], variable: str) -> Path:
    """The interpreter of a peer's environment, which is made if need be.

    Args:
        variable: of the environment: names an interpreter that has the requirements already.

    Raises:
        NotMeasured: where it cannot be had.
    """
    if named := os.environ.get(variable):
        if not Path(named).exists():
            raise NotMeasured(f"{variable} names {named}, which is not there")
        return Path(named)
    folder = cache() / "peers" / name
    interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    complete = folder / "complete"
    if not complete.exists():
        print(f"making {folder} with {', '.join(requirements)}", file=sys.stderr)
        _make(folder, interpreter, requirements)
        complete.touch()
    return interpreter


def _make(folder: Path, interpreter: Path, requirements: Sequence[str]) -> None:
    # The constraints of this project's own environments are not this one's.
    environment = {**os.environ, "PIP_CONSTRAINT": ""}
    try:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run(
            [interpreter, "-m", "pip", "install", "--quiet", *requirements],
            check=True, env=environment, capture_output=True, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as e:
        said = (e.stderr or "").strip().splitlines() or [str(e)]
        raise NotMeasured(f"its environment could not be made: {said[-1]}") from e
    except OSError as e:
        raise NotMeasured(f"its environment could not be made: {e}") from e
