"""Tar archives that tests make."""

from __future__ import annotations

import io
import tarfile
from typing import Literal

Tree = dict[str, bytes]
"""Contents of files by name."""


def tar(members: Tree, *more: tarfile.TarInfo, mode: Literal["w", "w:gz"] = "w") -> bytes:
    """An archive of files, behind other members that have no content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as out:
        for info in more:
            out.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


def linked(name: str) -> tarfile.TarInfo:
    """A symbolic link that leads out."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
    return info
