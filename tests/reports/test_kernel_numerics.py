"""Errors by depth and size on the kernel pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from claimbench.reports import kernel_numerics
from claimbench.reports.history import HistoryError
from claimbench.reports.kernel_views import kernel_pages


def series(**changed: Any) -> dict[str, Any]:
    of = {"kernel": "cntk_gram", "get": "ntk", "window": "gap", "side": 8, "patches": "distinct"}
    by = {"inputs": "cifar10", "backend": "cpu", "dtype": "float32"}
    return of | by | {"depths": [1, 20], "errors": [1e-7, 3e-7]} | changed


def record(*found: dict[str, Any], day: int = 1) -> str:
    made = {"commit": "a" * 40 + "-dirty", "started": f"2026-01-{day:02}T12:00:00+00:00"}
    return json.dumps(made | {"series": found})


def test_the_worst_at_each_size_and_depth_is_drawn_and_says_whose_it_is(tmp_path: Path) -> None:
    (tmp_path / "numerics.json").write_text(
        record(
            series(),
            series(backend="numba", errors=[2e-7, 1e-7]),
            series(side=32, errors=[0.0, float("inf")]),
            series(dtype="float64", errors=[1, 1]),
            series(patches="parallel", window=None, errors=[1e-4, 1e-3]),
        )
    )
    [page] = [
        page
        for page in kernel_pages([], [], [], {}, numerics=kernel_numerics.read(tmp_path))
        if page.exact[1]
    ]
    assert page.name == "cntk_gram"
    said, [chart] = page.exact
    assert said == "Measured at aaaaaaa-dirty on 2026-01-01."
    distinct, parallel = chart.quantities
    assert [(mark.series, mark.x, mark.y, mark.said) for mark in distinct.marks] == [
        ("8 pixels a side", 1, 2e-7, "2e\N{MINUS SIGN}07 by numba on cifar10, window gap"),
        ("8 pixels a side", 20, 3e-7, "3e\N{MINUS SIGN}07 by cpu on cifar10, window gap"),
    ]
    assert [mark.y for mark in parallel.marks] == [1e-4, 1e-3]


def test_the_newest_record_speaks_for_a_kernel(tmp_path: Path) -> None:
    for day, kernel in ((3, "ntk_gram"), (2, "cntk_gram"), (1, "cntk_gram")):
        (tmp_path / f"numerics-{day}.json").write_text(record(series(kernel=kernel), day=day))
    said, charts = kernel_numerics.drawn("cntk_gram", kernel_numerics.read(tmp_path))
    assert "2026-01-02" in said
    assert len(charts) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"commit": 1}', record(series(depths="all"))])
def test_what_is_no_such_record_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "numerics.json").write_text(content)
    with pytest.raises(HistoryError, match=r"numerics\.json: .*; move it away, or make it anew"):
        kernel_numerics.read(tmp_path)
