"""The page of a kernel: its charts hold the numbers of the records, and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claimbench.kernels import KERNELS
from claimbench.reports import chart_kernels, charts, figures, kernel_views, pages
from claimbench.reports.figures import Dots, Quantity, Sizes
from claimbench.reports.kernel_views import KernelPage
from claimbench.suite.definitions import Claim
from claimbench.suite.kernel_bench import BenchRecord
from claimbench.suite.timing.comparison import Row

from . import synthetic
from .synthetic import COMMITS
from .test_bench_records import record, row

WORK = {"small": 1e6, "large": 8e6}
CLAIM = "smith2020_kernel_wins"
HOSTILE = "</script><b onclick=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}x"


def claim(deepest: int = 1) -> Claim:
    """One with two shapes; by default they differ in their inputs alone."""
    shapes = {
        label: {"tier": "smoke", "inputs": {"x1": [n, 2]}, "arguments": {"variants": [[depth, 0]]}}
        for label, n, depth in (("small", 4, 1), ("large", 16, deepest))
    }
    return synthetic.claim(shapes=shapes)


def sized(contender: str, kind: Any, small: float, large: float, **changes: Any) -> list[Row]:
    """Rows of a contender on both shapes of the claim, one of them run in part."""
    found = []
    for label, median, n in (("small", small, 4), ("large", large, 16)):
        made = row(contender, kind, median, items=n, shape=f"{CLAIM}.{label}", flops=WORK[label])
        found.append(
            replace(
                made,
                inputs={"x1": (n, 2)},
                items_of_shape=n,
                lower_s=0.9 * median,
                upper_s=1.2 * median,
                floor_s=WORK[label] / 1e9,
                peak_bytes=2**20 * n,
                **changes,
            )
        )
    return found


def halved(rows: Sequence[Row]) -> list[Row]:
    """The same of a contender that ran half of each shape."""
    return [
        replace(r, items=r.items // 2, flops=(r.flops or 0) / 2, floor_s=(r.floor_s or 0) / 2)
        for r in rows
    ]


def page(*records: BenchRecord, claims: Sequence[Claim] | None = None) -> KernelPage:
    claims = [claim()] if claims is None else claims
    links = {each.id: f"claims/{each.id}.html" for each in claims}
    found = kernel_views.kernel_pages(claims, [], [], links, records)
    return next(each for each in found if each.name == "ntk_gram")


def curves() -> KernelPage:
    return page(
        record(
            [
                *halved(sized("reference", "reference", 0.5, 6.0)),
                *sized("cpu", "backend", 0.125, 1.0, relative_error=3e-7),
                *sized("rival", "peer", 0.25, 3.0, note="in its own dtype"),
            ]
        )
    )


def drawn(found: KernelPage) -> list[Any]:
    return [figure for section in found.benches for figure in section.figures]


def of(quantity: Quantity, contender: str) -> list[tuple[Any, float]]:
    return [(mark.x, mark.y) for mark in quantity.marks if mark.series == contender]


def test_several_sizes_are_curves_of_exactly_the_records_numbers() -> None:
    [figure] = drawn(curves())
    assert isinstance(figure, Sizes)
    time, memory, error = figure.quantities
    assert of(time, "cpu") == [(1e6, 0.125), (8e6, 1.0)]
    assert of(time, "rival") == [(1e6, 0.25), (8e6, 3.0)]
    assert of(memory, "cpu") == [(1e6, 4 * 2**20), (8e6, 16 * 2**20)]
    assert of(error, "cpu") == [(1e6, 3e-7), (8e6, 3e-7)]
    [mark, _] = [mark for mark in time.marks if mark.series == "cpu"]
    assert (mark.low, mark.high) == pytest.approx((0.9 * 0.125, 1.2 * 0.125))


def test_the_time_of_a_part_is_scaled_up_and_its_mark_is_hollow() -> None:
    [figure] = drawn(curves())
    time, *_ = figure.quantities
    assert of(time, "reference") == [(1e6, 1.0), (8e6, 12.0)]
    assert {mark.series: mark.part for mark in time.marks} == {
        "reference": True, "cpu": False, "rival": False,
    }  # fmt: skip
    assert {mark.series for mark in time.marks if mark.peer} == {"rival"}
    [first, *_] = time.marks
    assert "scaled up from 2 of 4 pairs" in first.said
    assert "(a peer; in its own dtype)" in next(mark for mark in time.marks if mark.peer).said


def test_the_dashed_lines_are_the_floor_and_what_the_error_may_be() -> None:
    [figure] = drawn(curves())
    time, memory, error = figure.quantities
    assert (time.line_name, time.line) == ("floor", ((1e6, 1e-3), (8e6, 8e-3)))
    assert memory.line == ()
    allowed = 2 * 1e-7 + 4 * 2**-23
    assert error.line == ((1e6, pytest.approx(allowed)), (8e6, pytest.approx(allowed)))
    svg = charts.draw(figure, "a-") or ""
    assert svg.count('stroke-dasharray="5,4"') == 2
    assert ">floor<" in svg
    assert ">allowed<" in svg


def test_colours_are_bound_to_the_contender() -> None:
    [figure] = drawn(curves())
    assert [figure.hues[name] for name in figures.BACKENDS] == list(range(len(figures.BACKENDS)))
    assert figure.hues["rival"] == len(figures.BACKENDS)
    svg = charts.draw(figure, "a-") or ""
    for name, hue in (("reference", 0), ("cpu", 1), ("rival", 6)):
        marks = re.findall(rf'<path[^>]*stroke="var\(--hue-(\d+)\)"[^>]*><title>[^<]*\n{name}', svg)
        assert set(marks) == {str(hue)}
        assert len(marks) == 6


def test_one_size_is_dots_and_one_contender_no_chart() -> None:
    alone = [r for r in sized("cpu", "backend", 0.125, 1.0) if r.shape.endswith("small")]
    beside = [r for r in sized("reference", "reference", 0.5, 6.0) if r.shape.endswith("small")]
    assert drawn(page(record(alone))) == []
    [figure] = drawn(page(record([*beside, *alone])))
    assert isinstance(figure, Dots)
    assert figure.order == ("cpu", "reference")
    assert figure.quantities[0].line == ((1e6, 1e-3),)
    assert (charts.draw(figure, "a-") or "").count("<title>") == 6


def test_two_sizes_of_two_contenders_are_not_a_curve_of_either() -> None:
    reference = sized("reference", "reference", 0.5, 6.0)[:1]
    found = drawn(page(record([*reference, *sized("cpu", "backend", 0.125, 1.0)[1:]])))
    assert found == []


def test_shapes_whose_work_nobody_counted_are_dots() -> None:
    rows = [*sized("reference", "reference", 0.5, 6.0), *sized("cpu", "backend", 0.125, 1.0)]
    uncounted = [replace(r, flops=None, floor_s=None) for r in rows]
    found = drawn(page(record(uncounted)))
    assert [type(figure) for figure in found] == [Dots, Dots]
    assert all(figure.quantities[0].line == () for figure in found)


def test_shapes_with_other_arguments_do_not_share_a_curve() -> None:
    rows = [*sized("reference", "reference", 0.5, 6.0), *sized("cpu", "backend", 0.125, 1.0)]
    found = drawn(page(record(rows), claims=[claim(deepest=2)]))
    assert [type(figure) for figure in found] == [Dots, Dots]


def test_an_exact_result_is_named_where_a_logarithm_cannot_show_it() -> None:
    rows = [
        *sized("reference", "reference", 0.5, 6.0, dtype="float64", relative_error=0.0),
        *sized("cpu", "backend", 0.125, 1.0, dtype="float64", relative_error=2e-16),
    ]
    [figure] = drawn(page(record(rows)))
    error = figure.quantities[-1]
    assert {mark.series for mark in error.marks} == {"cpu"}
    assert error.line == ()
    assert "exact, so not drawn among the errors: reference" in figure.note


def test_many_shapes_have_a_few_charts_and_the_page_says_so() -> None:
    kinds = {"reference": "reference", "cpu": "backend"}
    shapes = [f"{CLAIM}.of_{n}" for n in range(9)]
    rows = [row(*who, 1.0, shape=shape, flops=None) for shape in shapes for who in kinds.items()]
    [section] = page(record(rows)).benches
    assert len(section.figures) == 6
    assert section.note.endswith("The first 6 of 9 charts; the table has every shape.")
    assert section.table is not None
    assert len(section.table.rows) == 18


def test_settings_do_not_mix() -> None:
    rows = [*sized("reference", "reference", 0.5, 6.0), *sized("cpu", "backend", 0.125, 1.0)]
    found = page(record(rows), record(sized("cpu", "backend", 0.1, 0.5), device="H100"))
    assert [section.title for section in found.benches] == ["Vax, 1 thread", "H100, 1 thread"]
    assert [len(section.figures) for section in found.benches] == [1, 1]
    assert [cells[3].text for cells in found.places.rows] == ["H100", "cpu"]


def test_the_page_says_where_it_was_measured() -> None:
    found = curves().places
    names = [column.name for column in found.columns]
    [cells] = [dict(zip(names, cells, strict=True)) for cells in found.rows]
    assert cells["machine"].href == "../machines.html"
    told = [cells[n].text for n in ("processor", "device", "threads", "commit", "date", "shapes")]
    assert told == ["Vax", "cpu", "1", "aaaaaaa", "2026-01-02", "2"]


def test_asv_on_the_claims_shapes_is_a_curve_without_a_floor() -> None:
    made = claim()
    times = synthetic.timings(made)
    timings = [replace(t, seconds=(t.seconds or 0) * 2, low=None) if t.shape == "large" else t
               for t in times]  # fmt: skip
    found = kernel_views.kernel_pages([made], timings, COMMITS, {made.id: "claims/x.html"})
    [section] = next(each for each in found if each.name == "ntk_gram").claimed
    [figure] = section.figures
    assert isinstance(figure, Sizes)
    time, error = figure.quantities
    assert [y for _, y in of(time, "cpu")] == pytest.approx([0.01 / 3, 0.02 / 3])
    assert time.line == ()
    assert error.line_name == "allowed"


def test_each_shape_of_a_claim_says_who_is_fastest_there() -> None:
    made = claim()
    bench = record([*sized("reference", "reference", 0.5, 6.0), *sized("cpu", "backend", 0.125, 1),
                    *sized("rival", "peer", 0.25, 3.0)])  # fmt: skip
    timings = [t for t in synthetic.timings(made) if t.shape == "small"]
    pages_ = kernel_views.kernel_pages(
        [made], timings, COMMITS, {made.id: "claims/x.html"}, [bench]
    )
    table = next(each for each in pages_ if each.name == "ntk_gram").uses
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, cells, strict=True)) for cells in table.rows]
    assert {cells["claim"].href for cells in rows} == {"../claims/x.html"}
    assert [cells["inputs"].text for cells in rows] == [
        "x1 4\N{MULTIPLICATION SIGN}2", "x1 4\N{MULTIPLICATION SIGN}2",
        "x1 16\N{MULTIPLICATION SIGN}2",
    ]  # fmt: skip
    asv, small, large = rows
    assert asv["measured by"].text == "asv on box, at ccccccc"
    assert asv["against the reference"].value == pytest.approx(50)
    assert asv["against the best peer"].value is None
    assert small["against the best peer"].value == pytest.approx(2)
    assert (large["time"].value, large["against the reference"].value) == (1.0, 6.0)
    assert (large["fastest backend"].text, large["best peer"].text) == ("cpu", "rival")


def test_every_kernel_has_a_page_and_one_without_times_says_what_measures_it() -> None:
    found = {each.name: each for each in kernel_views.kernel_pages([], [], [], {})}
    assert set(KERNELS) <= set(found)
    made = found["coates_ng_features"]
    assert made.status == made.missing == "No time of this kernel is on record."
    assert "claimbench kernels bench coates_ng_features" in made.redo
    assert not made.benches
    assert not made.claimed


def test_a_kernel_with_times_says_how_fast_it_is() -> None:
    assert curves().status.startswith("cpu is the fastest: 62.5 ms for each pair")
    assert f"shape {CLAIM}.large" in curves().summary


def test_names_from_a_record_are_inert(tmp_path: Path) -> None:
    rows = [
        *sized("reference", "reference", 0.5, 6.0),
        *sized(HOSTILE, "backend", 0.125, 1.0),
        *[replace(r, shape=HOSTILE, note=HOSTILE) for r in sized("a", "peer", 1.0, 2.0)],
        *[replace(r, shape=HOSTILE) for r in sized("b", "backend", 1.0, 2.0)],
    ]
    made = replace(record(rows), machine={"host": HOSTILE, "processor": HOSTILE}, device=HOSTILE)
    pages._page(tmp_path, "kernels/x.html", "kernel.html.j2", (), charts.draw, page=page(made))
    text = (tmp_path / "kernels/x.html").read_text()
    assert HOSTILE not in text
    assert "<b onclick" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert text.count("</script>") == 1


@pytest.mark.parametrize(
    ("low", "high"),
    [(1.1, 1.3), (3e-8, 4e-8), (0.9e-7, 1.1e-7), (2.0, 2.0), (1.0, 1.0), (84, 136), (1e-16, 1e3)],
)
def test_an_axis_has_a_few_ticks_on_it(low: float, high: float) -> None:
    first, last, places = chart_kernels.ticks(low, high)
    assert first <= low <= high <= last
    assert 2 <= len(places) <= 9
    assert all(first <= place <= last for place in places)
    assert all(math.isclose(place, float(f"{place:.0e}")) for place in places)
