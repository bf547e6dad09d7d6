"""Tolerances of a repository's own: each takes the place of one in a claim file, or is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimbench.reports.thresholds import overridden
from claimbench.suite.cells import cells
from claimbench.suite.definitions import DefinitionError

from ..suite import toys
from . import asv_files

CLAIM = asv_files.with_shape(toys.tables())


def written(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(f"[tool.claimbench.tolerances]\n{text}\n")
    return folder


@pytest.mark.parametrize(
    "text",
    [
        '"toy.metrics.accuracy" = 0.5\n"toy.shapes.block" = 1',
        "toy.metrics.accuracy = 0.5\ntoy.shapes.block = 1",
        "[tool.claimbench.tolerances.toy]\nmetrics = {accuracy = 0.5}\nshapes = {block = 1}",
    ],
)
def test_each_name_replaces_one_tolerance(tmp_path: Path, text: str) -> None:
    [found], notes = overridden([CLAIM], written(tmp_path, text))
    assert (found.metrics["accuracy"].tolerance, found.shapes["block"].tolerance) == (0.5, 1)
    assert notes == [
        "pyproject.toml sets the tolerance of toy.metrics.accuracy to 0.5; the claim file says "
        f"{CLAIM.metrics['accuracy'].tolerance:g}",
        "pyproject.toml sets the tolerance of toy.shapes.block to 1; the claim file says "
        f"{CLAIM.shapes['block'].tolerance:g}",
    ]


def test_records_stay_what_they_are(tmp_path: Path) -> None:
    [found], _ = overridden([CLAIM], written(tmp_path, '"toy.metrics.accuracy" = 0.5'))
    digests = [cell.digest for cell in cells(CLAIM, "smoke")]
    assert [cell.digest for cell in cells(found, "smoke")] == digests


@pytest.mark.parametrize("text", [None, "", "[tool.other]", "[project]\nname = 'x'"])
def test_nothing_set_is_nothing_replaced(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    assert overridden([CLAIM], tmp_path) == ([CLAIM], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"toy.metrics.acuracy" = 0.5', "did you mean 'toy.metrics.accuracy'"),
        ('"gone.metrics.accuracy" = 0.5', "no tolerance is called 'gone.metrics.accuracy'"),
        ('"toy.metrics.accuracy" = -0.5', "toy.metrics.accuracy is -0.5: .*greater than or equal"),
        ('"toy.shapes.block" = 0', "toy.shapes.block is 0: .*greater than 0"),
        ('"toy.metrics.accuracy" = nan', "finite"),
        ('"toy.metrics.accuracy" = true', "wanted a number"),
        ('"toy.metrics.accuracy" = "0.5"', "wanted a number"),
        ('"toy.metrics.accuracy" = [0.5]', "valid number"),
        ("toy = 0.5", "no tolerance is called 'toy'"),
        ("= 1", "not TOML"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_file(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(DefinitionError, match=f"pyproject.toml.*{said}"):
        overridden([CLAIM], written(tmp_path, text))
