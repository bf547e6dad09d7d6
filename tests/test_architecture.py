"""Imports go one way, kernels <- suite <- reports, and what must start fast imports little."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {"kernels": set(), "suite": {"kernels"}, "reports": {"suite", "kernels"}}


def absolute_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        for name in absolute_imports(path):
            root, _, rest = name.partition(".")
            assert root not in MAY_IMPORT, f"{path}: import {name} from claimbench"
            if root == "claimbench":
                assert rest.split(".")[0] in MAY_IMPORT[package], f"{path}: {name}"


def modules_after(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", program], text=True).split())


HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "altair", "numba", "captum", "triton"}


@pytest.mark.parametrize(
    "module",
    ["suite.cli", "suite.claim_commands", "suite.run_command", "reports.command", "kernels"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    assert not HEAVY & modules_after(f"import claimbench.{module}")


def test_help_does_not_even_import_the_schema() -> None:
    assert "pydantic" not in modules_after("import claimbench.suite.cli")


WITHOUT_TORCH = """
class Absent:
    def find_spec(self, name, *_):
        if name == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize("module", ["claims", "kernels"])
def test_every_benchmark_module_can_be_imported_without_torch(module: str) -> None:
    assert "torch" not in modules_after(
        f"{WITHOUT_TORCH}import claimbench.suite.benchmarks.{module}"
    )
