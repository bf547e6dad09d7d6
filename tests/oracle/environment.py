"""Make the environment in which neural-tangents still runs: `python environment.py FOLDER`.

Its last release needs a jax that other packages have long left behind, so it gets a folder of its
own, and only arrays go between.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = ["jax==0.5.3", "jaxlib==0.5.3", "neural-tangents==0.6.5"]


def main(folder: Path) -> None:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    # The constraints of this project's own environments are not this one's.
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *REQUIREMENTS],
        check=True,
        env={**os.environ, "PIP_CONSTRAINT": ""},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
