"""What the pages will say, before any page is made."""

from __future__ import annotations

import csv
import io
import math

import pytest

from claimbench.reports import claim_figures, figures, kernel_views, tables, views, words
from claimbench.reports.standings import standings
from claimbench.suite.rules import Outcome

from . import synthetic
from .synthetic import COMMITS


def test_nothing_measured_is_a_report_that_says_so() -> None:
    claim = synthetic.claim()
    made = views.report([claim], [], [], [])
    assert made.index.rows[0].outcome == Outcome.NOT_MEASURED
    assert made.index.missing[0].redo == "claimbench run smith2020_kernel_wins --tier smoke"
    assert "36 of 36 cells have no record" in made.index.missing[0].reason
    assert made.kernels[0].missing.startswith("No time of this kernel is on record")


def test_the_largest_measured_tier_is_shown() -> None:
    claim = synthetic.claim()
    smoke, quick = (synthetic.records(claim, tier) for tier in ("smoke", "quick"))
    for found, tier in ((smoke, "smoke"), ([*smoke, *quick], "quick")):
        [row] = views.report([claim], found, [], COMMITS).index.rows
        assert row.tier == tier
        assert bool(row.stand_in) == (tier == "smoke")


def test_the_newest_commit_is_judged_and_the_one_before_is_remembered() -> None:
    claim = synthetic.claim()
    found = synthetic.records(claim, "smoke", COMMITS[:2])
    index = views.report([claim], found, [], COMMITS).index
    assert index.missing[0].reason.endswith("last supported at bbbbbbb")
    assert index.rows[0].outcome == Outcome.SUPPORTED
    assert index.rows[0].at == "at bbbbbbb"


def test_a_tier_that_was_begun_stands_among_what_is_missing() -> None:
    claim = synthetic.claim()
    begun = synthetic.records(claim, "quick")[:-1]
    index = views.report([claim], [*synthetic.records(claim, "smoke"), *begun], [], COMMITS).index
    assert [(m.what, m.reason.partition(" cells")[0]) for m in index.missing] == [
        ("tier quick", "1 of 9")
    ]
    assert index.rows[0].outcome == Outcome.INCONCLUSIVE
    assert index.rows[0].at == "at bbbbbbb"


def test_what_a_commit_lacks_is_filled_in_by_baselines_that_come_with_the_suite() -> None:
    claim = synthetic.claim()
    found = synthetic.records(claim, "smoke", COMMITS[2:])
    kept = [record for record in found if record.method == "forest"]
    rest = [record for record in found if record.method != "forest"]
    [alone] = views.report([claim], rest, [], COMMITS).index.rows
    [filled] = views.report([claim], rest, [], COMMITS, kept=kept).index.rows
    assert (alone.outcome, filled.outcome) == (Outcome.NOT_MEASURED, Outcome.SUPPORTED)
    [nothing] = views.report([claim], [], [], COMMITS, kept=kept).index.rows
    assert nothing.outcome == Outcome.NOT_MEASURED


def test_each_measured_tier_has_a_page_and_the_largest_is_the_claims_own() -> None:
    claim = synthetic.claim()
    found = [r for tier in ("smoke", "quick") for r in synthetic.records(claim, tier)]
    made = views.report([claim], found, [], COMMITS)
    pages = {page.file: dict(page.state)["Tier"] for page in made.claims}
    stem = "claims/smith2020_kernel_wins"
    assert pages == {f"{stem}.html": "quick", f"{stem}.smoke.html": "smoke"}
    assert [tier.file for tier in made.index.rows[0].tiers] == [f"{stem}.smoke.html"]


def test_a_failed_cell_is_a_row_with_its_error() -> None:
    claim = synthetic.claim()
    found = synthetic.records(claim, "smoke", COMMITS[2:])
    broken = found[0].model_copy(update={"scores": (), "error": "ZeroDivisionError: by zero"})
    made = views.report([claim], [broken, *found[1:]], [], COMMITS)
    assert "by zero" in made.index.rows[0].why
    assert "by zero" in made.claims[0].rows.rows[0][-1].text


def test_a_page_says_how_many_solutions_are_untrusted() -> None:
    claim = synthetic.claim()
    found = synthetic.records(claim, "smoke", COMMITS[2:])
    [plain] = views.report([claim], found, [], COMMITS).claims
    assert "Weights" not in dict(plain.state)
    lost = {"condition": 1e9, "untrusted": "no digit is sure"}
    scores = tuple(s.model_copy(update={"details": lost}) for s in found[0].scores)
    doubtful = found[0].model_copy(update={"scores": scores})
    [page] = views.report([claim], [doubtful, *found[1:]], [], COMMITS).claims
    assert dict(page.state)["Weights"].startswith(f"{len(scores)} of {len(scores)} solutions are")


def test_published_values_carry_their_basis() -> None:
    [row] = views.report([synthetic.claim()], [], [], []).index.rows
    assert row.published == ("+2.00 points published", "recalled, to be checked (fairly sure)")


def test_speed_is_that_of_the_tiers_shape_against_the_reference() -> None:
    claim = synthetic.claim()
    found = synthetic.records(claim, "smoke")
    [row] = views.report([claim], found, synthetic.timings(claim), COMMITS).index.rows
    assert row.speed == "50\N{MULTIPLICATION SIGN} the reference: 3.33 ms on cpu, shape small"
    assert row.trend.startswith("smoke, supported since aaaaaaa; ccccccc since bbbbbbb: effect ")
    assert row.trend.endswith("kernel time 0.667\N{MULTIPLICATION SIGN}")


def test_a_backend_without_reference_has_a_time_and_no_ratio() -> None:
    claim = synthetic.claim()
    alone = [t for t in synthetic.timings(claim) if t.backend == "cpu"]
    assert str(kernel_views.speed(claim, "smoke", alone)).endswith("reference not timed")
    assert kernel_views.speed(claim, "smoke", []) is None


def test_a_method_keeps_its_colour_when_another_is_not_there() -> None:
    claim = synthetic.claim()
    [standing] = standings([claim], synthetic.records(claim, "smoke"), [], COMMITS)
    assert {f.hues["linear"] for f in claim_figures.fitting(standing.best)} == {2}
    assert figures.backend_hues(["cpu"])["cpu"] == figures.backend_hues(["mine", "cpu"])["cpu"]


def test_the_figures_that_fit_many_data_sets_and_an_axis() -> None:
    claim = synthetic.claim()
    [standing] = standings([claim], synthetic.records(claim, "smoke"), [], COMMITS)
    kinds = [type(figure) for figure in claim_figures.fitting(standing.best)]
    assert kinds == [figures.Curves, figures.Scatter, figures.Ranks]


def test_an_axis_may_hold_a_word() -> None:
    claim = synthetic.claim(
        methods={
            "kernel": {
                "cntk_regression": {"depth": [2], "window": [0, 2, "gap"], "flip": [False, True]}
            },
            "forest": {"random_forest": {}},
            "linear": {"linear_svm": {}},
        },
        protocols={"draw": {"holdout": {"train": 10, "test": 10}}},
    )
    [standing] = standings([claim], synthetic.records(claim, "smoke"), [], COMMITS)
    curves = claim_figures.fitting(standing.best)[0]
    assert isinstance(curves, figures.Curves)
    assert curves.order == ("0", "2", "gap")
    assert {p.series for p in curves.points} >= {"kernel (flip = yes)", "forest"}


def test_two_metrics_against_each_other_make_a_plane() -> None:
    metric = {"direction": "higher", "unit": "fraction", "tolerance": 0.01}
    claim = synthetic.claim(
        metrics={"completeness": metric, "soundness": metric},
        published=[],
        rules={"apart": {"correlation": {"x": "completeness", "y": "soundness", "below": 0.5}}},
    )
    [standing] = standings([claim], synthetic.records(claim, "quick"), [], COMMITS)
    planes = [f for f in claim_figures.fitting(standing.best) if isinstance(f, figures.Plane)]
    assert [name for name, *_ in planes[0].points] == ["kernel", "forest", "linear"]


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (words.value(0.8195, "fraction"), "81.95%"),
        (words.effect(-0.0123, "fraction"), "\N{MINUS SIGN}1.23 points"),
        (words.effect(0.5, "rank correlation"), "+0.5 rank correlation"),
        (words.interval(-math.inf, math.inf, 1, "fraction"), "one trial, no interval"),
        (words.interval(-math.inf, math.inf, 3, "fraction"), "no interval"),
        (words.value(math.nan, "fraction"), words.NO_VALUE),
        (words.effect(math.inf, "seconds"), words.NO_VALUE),
        (words.seconds(0.00002), "20 \N{MICRO SIGN}s"),
        (words.seconds(7300), "2.03 h"),
        (words.p_value(1e-9), "< 0.001"),
        (words.count(1, "commit"), "1 commit"),
        (words.plain([0, "gap", True]), "0, gap, yes"),
        (words.inert("a\u202eb\x00"), "a\u2308U+202E\u2309b\u2308U+0000\u2309"),
        (words.slug("../../etc"), "______etc-74ccf3c5"),
    ],
)
def test_words(shown: str, wanted: str) -> None:
    assert shown == wanted


def test_a_spreadsheet_runs_nothing() -> None:
    table = tables.Table(
        "t", "c", tables.columns("name", "n"), ((tables.text("=1+1"), tables.amount(-1.0, "-1")),)
    )
    assert list(csv.reader(io.StringIO(tables.as_csv(table)))) == [["name", "n"], ["'=1+1", "-1.0"]]


def test_columns_that_say_nothing_stay_in_the_files() -> None:
    head = tables.columns("name", "empty", "full")
    rows = ((tables.text("a"), tables.text(""), tables.text("b")),)
    table = tables.Table("t", "c", head, rows)
    assert [column.name for column in table.heads] == ["name", "full"]
    assert "empty" in tables.as_csv(table)


def test_a_baseline_of_one_tier_fills_in_the_same_cell_of_another() -> None:
    claim = synthetic.claim()
    found = synthetic.records(claim, "smoke", COMMITS[2:])
    kept = [r.model_copy(update={"tier": "quick"}) for r in found if r.method == "forest"]
    rest = [record for record in found if record.method != "forest"]
    [row] = views.report([claim], rest, [], COMMITS, kept=kept).index.rows
    assert row.outcome == Outcome.SUPPORTED
