"""An environment type for asv that needs no network: it links to what is installed here.

A test copies this into the folder of an asv project, names it there under `plugins`, and asks for
the environment type `here`. torch and numba stay out: a small environment starts sooner.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from asv.plugins.virtualenv import Virtualenv

OUT = ("numba", "torch")


class Here(Virtualenv):  # type: ignore[misc]  # asv has no types
    """A virtual environment that takes what it requires from the one that asv runs in."""

    tool_name = "here"

    def _install_requirements(self) -> None:
        [packages] = Path(self._path).glob("lib/python*/site-packages")
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            link = packages / entry.name
            if not entry.name.startswith(OUT) and not link.exists():
                link.symlink_to(entry)
