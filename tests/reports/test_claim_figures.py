"""Figures of a claim: that each shows what the records hold, where it fits and only there."""

from __future__ import annotations

from typing import Any

import pytest

from claimbench.reports import charts, claim_figures, claim_tables
from claimbench.reports.figures import Curves, Figure, HeatMap, Plane
from claimbench.reports.standings import standings
from claimbench.suite.definitions import Claim
from claimbench.suite.records import Record

from . import synthetic
from .synthetic import COMMITS

WINDOWS = {
    "kernel": {
        "cntk_regression": {
            "depth": [5, 8],
            "window": [0, 4, "gap", 8],
            "flip": [False, True],
            "get": ["ntk"],
        }
    }
}
RULE = {
    "superiority": {
        "metric": "accuracy",
        "better": {"method": "kernel", "window": 4},
        "worse": {"method": "kernel", "window": 0},
    }
}
PUBLISHED = {
    "method": "kernel",
    "metric": "accuracy",
    "value": 0.8011,
    "basis": "paper",
    "at": {"data": "d1", "window": 4, "depth": 8, "flip": True},
}


def over_windows(**changes: Any) -> Claim:
    tier = {"data": ["d1", "d2"], "protocols": ["draw"], "trials": 2, "seconds": 5, "stand_in": "x"}
    defaults = {
        "methods": WINDOWS,
        "rules": {"rule": RULE},
        "published": [PUBLISHED],
        "protocols": {"draw": {"holdout": {"train": 10, "test": 10}}},
        "tiers": {"smoke": tier},
    }
    return synthetic.claim(**(defaults | changes))


def fitting(claim: Claim, records: list[Record] | None = None) -> list[Figure]:
    found = synthetic.records(claim, "smoke", COMMITS[2:]) if records is None else records
    [standing] = standings([claim], found, [], COMMITS)
    return claim_figures.fitting(standing.best)


def test_two_axes_of_numbers_make_a_map_for_each_variant_and_data_set() -> None:
    found = [figure for figure in fitting(over_windows()) if isinstance(figure, HeatMap)]
    [figure] = found
    assert (figure.x, figure.y) == ("window", "depth")
    assert figure.columns == ("0", "4", "8", "gap")
    assert figure.rows == ("5", "8")
    titles = [panel.title for panel in figure.panels]
    assert titles == ["d1, flip = no", "d1, flip = yes", "d2, flip = no", "d2, flip = yes"]
    assert all(len(panel.tiles) == 8 for panel in figure.panels)


def test_a_cell_of_a_map_has_the_very_value_of_the_table() -> None:
    tier = {"data": ["d1"], "protocols": ["draw"], "trials": 2, "seconds": 5, "stand_in": "x"}
    claim = over_windows(tiers={"smoke": tier})
    records = synthetic.records(claim, "smoke", COMMITS[2:])
    [standing] = standings([claim], records, [], COMMITS)
    [figure] = [f for f in fitting(claim, records) if isinstance(f, HeatMap)]
    table = claim_tables.measured(standing.best.verdict)
    values = {frozenset(row[3].text.split(", ")): row[4].text for row in table.rows}
    for panel in figure.panels:
        for tile in panel.tiles:
            at = {f"depth = {tile.y}", f"window = {tile.x}", panel.title, "get = ntk"}
            assert values[frozenset(at)] == f"{tile.shown}%"


def test_a_map_tells_what_was_published_at_a_cell_and_nowhere_else() -> None:
    [figure] = [f for f in fitting(over_windows()) if isinstance(f, HeatMap)]
    told = {
        (panel.title, tile.x, tile.y)
        for panel in figure.panels
        for tile in panel.tiles
        if "published 80.11%" in tile.said
    }
    assert told == {("d1, flip = yes", "4", "8")}


@pytest.mark.parametrize(
    "methods",
    [
        {**WINDOWS, "forest": {"random_forest": {}}},
        {"kernel": {"cntk_regression": {"depth": [5], "window": [0, 4, 8], "flip": [False, True]}}},
        {"kernel": {"cntk_regression": {"depth": [5, 8], "window": [0, 4], "flip": [False]}}},
    ],
    ids=["a method without the axes", "one axis of numbers", "two by two"],
)
def test_fewer_axes_have_curves_and_no_map(methods: Any) -> None:
    kinds = {type(figure) for figure in fitting(over_windows(methods=methods))}
    assert Curves in kinds
    assert HeatMap not in kinds


def test_more_curves_than_colours_are_left_to_the_map() -> None:
    many = {
        "kernel": {
            "cntk_regression": {
                "depth": [2, 3, 5, 8, 11],
                "window": [0, 4, 8, 12, 16, 20],
                "flip": [False, True],
            }
        }
    }
    kinds = [type(figure) for figure in fitting(over_windows(methods=many))]
    assert kinds == [HeatMap]


def test_a_plane_has_intervals_over_items() -> None:
    metric = {"direction": "higher", "unit": "fraction", "tolerance": 0.01}
    claim = synthetic.claim(
        metrics={"completeness": metric, "soundness": metric},
        published=[],
        rules={"apart": {"correlation": {"x": "completeness", "y": "soundness", "below": 0.5}}},
    )
    [plane] = [f for f in fitting(claim) if isinstance(f, Plane)]
    for _, x, y in plane.points:
        assert x.low < x.middle < x.high
        assert y.low < y.middle < y.high
    assert "[" in (charts.draw(plane, "p-") or "[")


def test_a_map_is_drawn_with_every_value_in_it() -> None:
    pytest.importorskip("vl_convert")
    [figure] = [f for f in fitting(over_windows()) if isinstance(f, HeatMap)]
    drawn = charts.draw(figure, "h-") or ""
    shown = [tile.shown for panel in figure.panels for tile in panel.tiles]
    assert all(f">{value}</text>" in drawn for value in shown)
    assert "published 80.11%" in drawn
    assert "style=" not in drawn
