"""What a repository asks of claimbench in its pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimbench.suite.definitions import DefinitionError
from claimbench.suite.project import followed, kept


def asks(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(f"[tool.claimbench]\n{text}\n")
    return folder


def test_who_asks_nothing_gets_everything_and_keeps_nothing(tmp_path: Path) -> None:
    assert followed(tmp_path) == []
    assert kept(tmp_path) == []


def test_folders_of_kept_records_are_those_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    assert kept(asks(tmp_path, 'records = ["kept"]')) == [tmp_path / "kept"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('records = "kept"', "records is 'kept', wanted a list of folders"),
        ("records = [1]", r"records is \[1\], wanted a list"),
        ('records = ["gone"]', "gone, which is no folder of the repository"),
    ],
)
def test_anything_else_is_one_clear_error(tmp_path: Path, text: str, wanted: str) -> None:
    with pytest.raises(DefinitionError, match=wanted):
        kept(asks(tmp_path, text))
