"""The published schemas are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimbench.reports import schemas

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.parametrize("name", schemas.SCHEMAS)
def test_a_published_schema_is_up_to_date(name: str) -> None:
    published = (FOLDER / f"{name}.schema.json").read_text()
    assert published == schemas.text(name), "python -m claimbench.reports.schemas docs/schemas"


def test_all_schemas_are_written(tmp_path: Path) -> None:
    schemas.write(tmp_path / "new")
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {path.name for path in FOLDER.iterdir()}
