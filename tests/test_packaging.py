"""The wheel holds every package and file, and asv's environment holds every requirement."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path

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
