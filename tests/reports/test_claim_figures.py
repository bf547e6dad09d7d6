"""Figures of a claim: that each shows what the records hold, where it fits and only there."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import pytest

from claimbench.reports import charts, claim_figures, claim_tables, pages, views
from claimbench.reports.figures import CurvePanels, Curves, Figure, HeatMap, Pictures, Plane
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


def saliency(images: bool = True) -> tuple[Claim, list[Record]]:
    """A claim of saliency methods on two nets, with curves and pictures in every record."""
    claim = synthetic.claim(
        methods={
            "kernel": {"attribution": {"technique": ["grad_cam"], "net": ["small", "large"]}},
            "forest": {"edge_map": {"net": ["small", "large"]}},
            "linear": {"random_map": {"net": ["small", "large"]}},
        },
        protocols={"draw": {"holdout": {"train": 10, "test": 10}}},
        tiers={
            "smoke": {
                "data": ["d1"],
                "protocols": ["draw"],
                "trials": 1,
                "seconds": 5,
                "stand_in": "x",
            }
        },
    )
    found = synthetic.records(claim, "smoke", COMMITS[2:])
    return claim, [with_details(record, details(images)) for record in found]


def with_details(record: Record, found: dict[str, Any]) -> Record:
    scores = tuple(score.model_copy(update={"details": found}) for score in record.scores)
    return record.model_copy(update={"scores": scores})


def details(images: bool = True) -> dict[str, Any]:
    curve = {"fraction": [0.0, 0.5, 1.0], "mean": [0.1, 0.5, 0.9], "error": [0.0, 0.05, 0.1]}
    falling = {**curve, "mean": [0.9, 0.2, 0.1]}
    one = {"label": 3, "probability": 0.75, "map": "0f8a03"} | (
        {"image": "ffff00"} if images else {}
    )
    return {
        "curves": {"insertion": curve, "deletion": falling, "images": 20},
        "pictures": {"height": 2, "width": 3, "shown": [one, {**one, "label": 5}]},
    }


def test_curves_are_means_over_nets_with_their_bands() -> None:
    [figure] = [f for f in fitting(*saliency()) if isinstance(f, CurvePanels)]
    assert [name for name, _ in figure.panels] == ["kernel", "forest", "linear"]
    points = {(p.series, p.x): (p.y, p.low, p.high) for p in figure.panels[0][1]}
    half = 1.96 * 5  # two nets that look at the same images, each with an error of 5 points
    assert points["insertion", 50.0] == pytest.approx((50, 50 - half, 50 + half))
    assert points["deletion", 0.0] == pytest.approx((90, 90, 90))
    assert figure.compared == figure.panels[2][1]
    assert "over 20 images" in figure.note
    assert "random_map" not in figure.note
    assert "those of linear" in figure.note


def test_a_grid_for_each_net_has_images_in_rows_and_methods_in_columns() -> None:
    found = [f for f in fitting(*saliency()) if isinstance(f, Pictures)]
    assert [f.title for f in found] == [
        "Maps as pictures, d1, net = small",
        "Maps as pictures, d1, net = large",
    ]
    assert found[0].columns == ("image", "kernel", "forest", "linear")
    assert [name for name, _ in found[0].rows] == ["label 3, 75.00%", "label 5, 75.00%"]


def test_pictures_are_drawn_pixel_by_pixel_with_a_text_each() -> None:
    image = pytest.importorskip("PIL.Image")
    grid = next(f for f in fitting(*saliency()) if isinstance(f, Pictures))
    drawn = charts.draw(grid, "p-") or ""
    sources = re.findall(r'src="data:image/png;base64,([^"]*)"', drawn)
    assert len(sources) == 8
    opened = image.open(io.BytesIO(base64.b64decode(sources[1])))
    assert (opened.size, opened.mode) == ((3, 2), "L")
    assert opened.tobytes() == bytes([0, 255, 136, 170, 0, 51])
    assert 'alt="kernel: map of image 1 of d1, label 3, 75.00%"' in drawn
    assert drawn.count("alt=") == 8
    assert "style=" not in drawn


def test_a_grid_without_images_has_maps_alone_and_says_so() -> None:
    grid = next(f for f in fitting(*saliency(images=False)) if isinstance(f, Pictures))
    assert grid.columns == ("kernel", "forest", "linear")
    assert "The images themselves are not in the records" in grid.note


def pictures_alone(figure: Figure, prefix: str) -> str | None:
    return charts.draw(figure, prefix) if isinstance(figure, Pictures) else None


ONE = {"label": 3, "probability": 0.75, "map": "0f8a03"}
HOSTILE = {
    "a text": "<script>alert(1)</script>",
    "nothing": None,
    "wrong length": {"height": 2, "width": 2, "shown": [ONE]},
    "huge side": {"height": 10**9, "width": 10**9, "shown": [ONE]},
    "huge map": {"height": 2, "width": 3, "shown": [{**ONE, "map": "0" * 10**6}]},
    "not hexadecimal": {"height": 2, "width": 3, "shown": [{**ONE, "map": '"><img '}]},
    "a line more": {"height": 2, "width": 3, "shown": [{**ONE, "map": "0f8a0\n"}]},
    "many": {"height": 2, "width": 3, "shown": [ONE] * 1000},
    "none": {"height": 2, "width": 3, "shown": []},
    "a text for a number": {"height": "2", "width": 3, "shown": [ONE]},
    "no number": {"height": 2, "width": 3, "shown": [{**ONE, "probability": float("nan")}]},
    "another key": {"height": 2, "width": 3, "shown": [ONE], "src": "https://example.org"},
    "other images": {"height": 2, "width": 3, "shown": [{**ONE, "label": 9}]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_pictures_that_are_not_what_they_should_be_are_left_out_and_counted(
    name: str, tmp_path: Path
) -> None:
    claim, records = saliency()
    bad = with_details(records[1], {"pictures": HOSTILE[name], "curves": HOSTILE[name]})
    made = views.report([claim], [records[0], bad, records[2]], [], COMMITS)
    pages.write_report(made, tmp_path, pictures_alone)
    grids = [f for f in made.claims[0].figures if isinstance(f, Pictures)]
    assert all(grid.columns == ("image", "kernel", "linear") for grid in grids)
    assert all("pictures that cannot be read had to be left out" in grid.note for grid in grids)
    [curves] = [f for f in made.claims[0].figures if isinstance(f, CurvePanels)]
    assert [name for name, _ in curves.panels] == ["kernel", "linear"]
    assert "2 scores with curves that cannot be read had to be left out" in curves.note
    page = next((tmp_path / "claims").glob("*.html")).read_text()
    assert "alert(1)" not in page
    assert "example.org" not in page


def test_where_no_picture_can_be_read_one_sentence_says_so(tmp_path: Path) -> None:
    claim, records = saliency()
    bad = [with_details(record, {"pictures": 7, "curves": [7]}) for record in records]
    made = views.report([claim], bad, [], COMMITS)
    pages.write_report(made, tmp_path)
    page = next((tmp_path / "claims").glob("*.html")).read_text()
    assert "6 scores with pictures that cannot be read had to be left out" in page
    assert "6 scores with curves that cannot be read had to be left out" in page


def test_names_in_a_plane_do_not_cover_each_other() -> None:
    from claimbench.reports.chart_claims import PLANE, _ends, _label_places
    from claimbench.reports.figures import Span

    spans = [Span(50 + k / 10, 40, 60) for k in range(8)]
    plane = Plane("t", "n", {}, "x", "y", tuple((f"method_{k}", s, s) for k, s in enumerate(spans)))
    ends = [_ends(spans), _ends(spans)]
    places = _label_places(plane, ends)
    (left, right), (low, high) = ends
    corners = [
        ((x - left) / (right - left) * PLANE[0], (high - y) / (high - low) * PLANE[1])
        for x, y in places
    ]
    width = 6.2 * len("method_0")
    for at, (x, y) in enumerate(corners):
        for other_x, other_y in corners[:at]:
            assert abs(x - other_x) >= width or abs(y - other_y) >= 12
