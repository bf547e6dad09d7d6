"""Whatever a user can name is in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimbench.kernels import KERNELS
from claimbench.suite.cli import app, ci_app, data_app, kernels_app, new_app, results_app
from claimbench.suite.vocabulary import REGISTRIES

ROOT = Path(__file__).parents[1]
CLAIMS = (ROOT / "docs" / "claims.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
KERNEL_PAGE = (ROOT / "docs" / "kernels.md").read_text()


@pytest.mark.parametrize("section", REGISTRIES)
def test_every_registered_function_is_described(section: str) -> None:
    registry, _ = REGISTRIES[section]
    ours = [name for name in registry if not name.startswith("toy_")]
    assert [name for name in ours if f"`{name}`" not in CLAIMS] == []


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_and_backend_is_described(kernel: str) -> None:
    assert f"`{kernel}`" in KERNEL_PAGE
    for backend in KERNELS[kernel].backends:
        assert f"`{backend}`" in KERNEL_PAGE


@pytest.mark.parametrize(
    ("typer_app", "above"),
    [
        (app, ""),
        (ci_app, "ci "),
        (data_app, "data "),
        (kernels_app, "kernels "),
        (new_app, "new "),
        (results_app, "results "),
    ],
)
def test_every_command_is_described(typer_app: object, above: str) -> None:
    for command in typer_app.registered_commands:  # type: ignore[attr-defined]
        name = command.name or command.callback.__name__.split("_")[-1]
        assert f"`claimbench {above}{name}" in COMMANDS, name


def test_the_contract_of_every_kernel_names_its_source() -> None:
    for kernel in KERNELS.values():
        assert "Source:" in (kernel.__doc__ or ""), kernel.name
