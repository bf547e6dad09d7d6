"""The wheel holds every package and file, and asv's environment holds every requirement."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    found = {
        f"claimbench.{init.parent.relative_to(ROOT).as_posix().replace('/', '.')}"
        for top in ("kernels", "reports", "suite")
        for init in (ROOT / top).rglob("__init__.py")
    }
    assert found == set(SETUPTOOLS["packages"])


def test_every_file_that_is_read_is_installed() -> None:
    """Whatever is no Python must be found through the installed package too."""
    for top in ("kernels", "reports", "suite"):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and path.suffix in {".toml", ".j2", ".css", ".js", ".txt", ".jsonl"}:
                inside = path.relative_to(ROOT / top).as_posix()
                assert files(f"claimbench.{top}").joinpath(inside).is_file(), inside


def test_asv_environment_covers_the_requirements() -> None:
    """asv installs the project without its requirements: its matrix must name them."""
    matrix = json.loads((ROOT / "asv.conf.json").read_text())["matrix"]["req"]
    named = {name.removeprefix("pip+") for name in matrix}
    wanted = {re.split(r"[<>=;\[ ]", line)[0] for line in PROJECT["project"]["dependencies"]}
    assert wanted <= named


def test_asv_environment_has_the_constrained_versions() -> None:
    matrix = json.loads((ROOT / "asv.conf.json").read_text())["matrix"]["req"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    for name, [version] in matrix.items():
        distribution = name.removeprefix("pip+").replace("_", "-")
        if version:
            assert pins[distribution] == version, distribution


def test_libraries_that_are_built_side_by_side_have_objects_of_their_own(tmp_path: Path) -> None:
    """They have the same sources: one directory for all would mix their instruction sets."""
    from setuptools import Distribution, Extension

    found: dict[str, Any] = {}
    with patch("setuptools.setup", found.update):
        runpy.run_path(str(ROOT / "setup.py"))
    built: list[str] = []
    with patch(
        "setuptools.command.build_ext.build_ext.build_extension",
        lambda command, ext: built.append(command.build_temp),
    ):
        command = found["cmdclass"]["build_ext"](Distribution())
        command.build_temp = str(tmp_path)
        for name in ("a", "b"):
            command.build_extension(Extension(name, []))
    assert len(set(built)) == 2
    assert command.build_temp == str(tmp_path)
