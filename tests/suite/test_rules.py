"""Rules give the outcome that their definition says, by numbers worked out beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from claimbench.suite import statistics
from claimbench.suite.evidence import Evidence, evidence
from claimbench.suite.records import Measured, Record
from claimbench.suite.rules import (
    Finding,
    Outcome,
    correlation,
    crossing,
    exponent,
    steadiness,
    superiority,
)
from claimbench.suite.verdicts import judge

from . import toys

LEVELS = [0.90, 0.92, 0.97]


def found(ours: list[float], theirs: list[float], margin: float = 0.0) -> Finding:
    claim = toys.claim()
    rows = evidence(claim, "smoke", toys.records(claim, {"level": ours, "rival": theirs}))
    return superiority(rows, metric="accuracy", better="level", worse="rival", margin=margin)


def test_trials_are_paired_and_the_interval_is_students() -> None:
    finding = found(LEVELS, [0.80, 0.85, 0.81])
    gaps = [0.10, 0.07, 0.16]
    half = stats.t.ppf(0.975, 2) * np.std(gaps, ddof=1) / np.sqrt(3)
    assert finding.effect == pytest.approx(0.11)
    assert finding.interval == pytest.approx((0.11 - half, 0.11 + half))
    assert (finding.n, finding.over) == (3, "trials")
    assert (finding.tests["wins"], finding.tests["losses"]) == (3, 0)


@pytest.mark.parametrize(
    ("margin", "outcome"),
    [(-0.05, "supported"), (0.0, "supported"), (0.06, "refuted"), (0.05, "inconclusive")],
)
def test_the_whole_interval_must_clear_the_margin(margin: float, outcome: str) -> None:
    gaps = [0.05, 0.0499, 0.0501]
    assert found([0.8 + g for g in gaps], [0.8] * 3, margin).outcome == outcome


def test_a_metric_of_which_less_is_better() -> None:
    metrics = {"accuracy": {"direction": "lower", "unit": "s", "tolerance": 0.1}}
    claim = toys.claim(metrics=metrics)
    rows = evidence(claim, "smoke", toys.records(claim, {"level": [1, 1, 1.1], "rival": [2] * 3}))
    assert superiority(rows, metric="accuracy", better="level", worse="rival").effect > 0.9


def test_one_trial_decides_nothing() -> None:
    claim = toys.claim(tiers={"smoke": toys.tables()["tiers"]["smoke"] | {"trials": 1}})
    rows = evidence(claim, "smoke", toys.records(claim, {"level": [0.9], "rival": [0.1]}))
    finding = superiority(rows, metric="accuracy", better="level", worse="rival")
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.interval == (-np.inf, np.inf)


def test_against_several_rivals_the_closest_decides() -> None:
    methods = toys.tables()["methods"] | {"other": {"toy_baseline": {"reaches": 0.5}}}
    claim = toys.claim(methods=methods)
    values = {"level": LEVELS, "rival": [0.90, 0.93, 0.96], "other": [0.1, 0.1, 0.2]}
    rows = evidence(claim, "smoke", toys.records(claim, values))
    finding = superiority(rows, metric="accuracy", better="level", worse=["other", "rival"])
    assert finding.against == "rival"
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert [name for name, *_ in finding.breakdown] == ["against other", "against rival"]


def test_data_sets_count_once_each() -> None:
    """Three trials on two data sets are two observations over data."""
    tier = toys.tables()["tiers"]["smoke"] | {"data": ["iris", "wine"], "stand_in": "both"}
    claim = toys.claim(tiers={"smoke": tier})
    values = {"level": LEVELS, "rival": [0.8] * 3}
    rows = evidence(claim, "smoke", toys.records(claim, values))
    finding = superiority(rows, metric="accuracy", better="level", worse="rival", over="data")
    assert (finding.n, finding.over) == (2, "data sets")


def with_items(claim_records: list[Record], items: dict[str, list[float]]) -> list[Record]:
    return [
        record.model_copy(
            update={
                "scores": tuple(
                    Measured(
                        at=score.at,
                        variant=score.variant,
                        metrics={"accuracy": float(np.mean(items[record.method]))},
                        items={"accuracy": items[record.method]},
                    )
                    for score in record.scores
                )
            }
        )
        for record in claim_records
    ]


def test_items_are_paired_one_by_one() -> None:
    claim = toys.claim()
    records = with_items(
        toys.records(claim, {"level": [0] * 3, "rival": [0] * 3}),
        {"level": [0.9, 0.8, 0.7, 0.9], "rival": [0.8, 0.7, 0.6, 0.7]},
    )
    rows = evidence(claim, "smoke", records)
    finding = superiority(rows, metric="accuracy", better="level", worse="rival", over="items")
    assert finding.effect == pytest.approx(0.125)
    assert (finding.n, finding.outcome) == (12, Outcome.SUPPORTED)


def test_rankings_that_agree_refute_a_claim_of_disagreement() -> None:
    """With y a rising function of x every bootstrap draw has rank correlation 1."""
    methods = {f"m{i}": {"toy_baseline": {"reaches": 0.1 * i}} for i in range(5)}
    metrics = {
        name: {"direction": "higher", "unit": "fraction", "tolerance": 0.1} for name in ("a", "b")
    }
    claim = toys.claim(
        methods=methods,
        metrics=metrics,
        rules={"differ": {"correlation": {"x": "a", "y": "b", "below": 0.5}}},
    )
    records = [
        record.model_copy(
            update={
                "scores": (
                    Measured(
                        metrics={},
                        items={
                            "a": [int(record.method[1]) + k / 10 for k in range(4)],
                            "b": [2.0 * int(record.method[1]) + k / 10 for k in range(4)],
                        },
                    ),
                )
            }
        )
        for record in toys.records(claim, dict.fromkeys(methods, [0.0] * 3))
    ]
    finding = correlation(evidence(claim, "smoke", records), x="a", y="b", below=0.5)
    assert (finding.outcome, finding.effect) == (Outcome.REFUTED, pytest.approx(1.0))
    assert finding.room == pytest.approx(-0.5)


def test_bootstrap_interval_is_scipys_and_repeats() -> None:
    values = np.random.default_rng(1).normal(size=30)
    first, second = statistics.bootstrap(values), statistics.bootstrap(values)
    assert first == second
    assert first.low < first.effect < first.high


def test_friedman_ranks_of_a_worked_example() -> None:
    """Three methods always in the same order have ranks 1, 2, 3."""
    ranks = statistics.friedman({"a": [3, 30, 5], "b": [2, 20, 4], "c": [1, 10, 3]})
    assert ranks.average == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert ranks.p == pytest.approx(stats.friedmanchisquare([3, 30, 5], [2, 20, 4], [1, 10, 3])[1])


def test_a_claim_needs_all_its_rules() -> None:
    rules = {
        "above": {"superiority": {"metric": "accuracy", "better": "level", "worse": "rival"}},
        "below": {"superiority": {"metric": "accuracy", "better": "rival", "worse": "level"}},
    }
    claim = toys.claim(rules=rules)
    verdict = judge(claim, "smoke", toys.records(claim, {"level": LEVELS, "rival": [0.5] * 3}))
    assert verdict.findings["above"].outcome is Outcome.SUPPORTED
    assert verdict.outcome is Outcome.REFUTED


def test_each_missing_record_is_noticed() -> None:
    claim = toys.claim()
    records = toys.records(claim, {"level": LEVELS, "rival": [0.5] * 3})
    assert judge(claim, "smoke", records).outcome is Outcome.SUPPORTED
    for left_out in records:
        verdict = judge(claim, "smoke", [r for r in records if r is not left_out])
        assert verdict.outcome is Outcome.NOT_MEASURED
        assert "1 of 6 cells have no record" in verdict.reason


def test_an_edited_definition_makes_its_records_stale_and_an_edited_rule_does_not() -> None:
    records = toys.records(toys.claim(), {"level": LEVELS, "rival": [0.5] * 3})
    methods = toys.tables()["methods"] | {"level": {"toy_level": {"level": [0.8]}}}
    edited = judge(toys.claim(methods=methods), "smoke", records)
    assert edited.reason.startswith("3 of 6 cells have no record")
    assert judge(toys.claim(title="other words"), "smoke", records).outcome is Outcome.SUPPORTED


def test_a_failed_cell_is_the_reason() -> None:
    claim = toys.claim()
    records = toys.records(claim, {"level": LEVELS, "rival": [0.5] * 3})
    broken = records[0].model_copy(update={"error": "RuntimeError: no", "scores": ()})
    verdict = judge(claim, "smoke", [broken, *records[1:]])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "RuntimeError: no" in verdict.reason


def powers(slopes: list[float], **asked: float) -> Finding:
    """What `exponent` finds where the metric is an exact power of the level in each trial."""
    levels = [1.0, 4.0, 16.0]
    claim = toys.claim(methods={"level": {"toy_level": {"level": levels}}})
    records = [
        record.model_copy(
            update={
                "scores": tuple(
                    Measured(
                        at={},
                        variant={"level": level},
                        metrics={"accuracy": 3.0 * level ** slopes[record.trial]},
                    )
                    for level in levels
                )
            }
        )
        for record in toys.records(claim, {"level": [0.0] * 3})
    ]
    rows = evidence(claim, "smoke", records)
    return exponent(rows, metric="accuracy", of="level", axis="level", **asked)


def test_an_exponent_is_the_slope_of_logarithms_with_students_interval() -> None:
    slopes = [-0.52, -0.50, -0.45]
    finding = powers(slopes, above=-0.7, below=-0.2)
    half = stats.t.ppf(0.975, 2) * np.std(slopes, ddof=1) / np.sqrt(3)
    assert finding.effect == pytest.approx(-0.49)
    assert finding.interval == pytest.approx((-0.49 - half, -0.49 + half))
    assert (finding.n, finding.unit, finding.outcome) == (3, "exponent", Outcome.SUPPORTED)
    assert (finding.threshold, finding.room) == (-0.7, pytest.approx(0.21))


@pytest.mark.parametrize(
    ("bounds", "outcome"),
    [
        ({"below": 0.0}, "supported"),
        ({"above": 0.0}, "refuted"),
        ({"below": -0.5}, "inconclusive"),
        ({"above": -0.6, "below": -0.4}, "supported"),
        ({"above": -0.45, "below": 0.0}, "refuted"),
        ({"above": -1.0, "below": -0.55}, "refuted"),
        ({"above": -0.5, "below": -0.4}, "inconclusive"),
    ],
)
def test_the_whole_interval_of_an_exponent_must_lie_between(
    bounds: dict[str, float], outcome: str
) -> None:
    finding = powers([-0.51, -0.50, -0.49], **bounds)
    assert finding.outcome == outcome
    assert (finding.room > 0) == (outcome == "supported") or outcome == "inconclusive"


def test_an_exponent_of_zero_decides_nothing() -> None:
    claim = toys.claim(methods={"level": {"toy_level": {"level": [1.0]}}})
    rows = evidence(claim, "smoke", toys.records(claim, {"level": [0.0] * 3}))
    finding = exponent(rows, metric="accuracy", of="level", axis="level", below=0.0)
    assert finding.outcome is Outcome.INCONCLUSIVE


def test_an_exponent_wants_a_bound() -> None:
    with pytest.raises(ValueError, match="wants `above` or `below`"):
        powers([-0.5] * 3)


def test_a_record_under_an_older_label_counts_under_the_present_one() -> None:
    records = toys.records(toys.claim(), {"level": LEVELS, "rival": [0.5] * 3})
    methods = {
        "height" if k == "level" else k: call for k, call in toys.tables()["methods"].items()
    }
    rule = {"superiority": {"metric": "accuracy", "better": "height", "worse": "rival"}}
    renamed = toys.claim(methods=methods, rules={"above": rule})
    verdict = judge(renamed, "smoke", records)
    assert verdict.findings["above"].effect == pytest.approx(np.mean(LEVELS) - 0.5)
    assert verdict.evidence is not None
    assert verdict.evidence.methods() == ["height", "rival"]
    assert {record.method for record in records} == {"level", "rival"}


def by_size(ours: np.ndarray, theirs: np.ndarray, sizes: list[int]) -> Evidence:
    """Values [trial, size] of two methods."""
    trials = {"trials": len(ours)}
    claim = toys.claim(
        protocols={"split": {"few_samples": {"n": sizes, "test": 30}}},
        methods={
            "level": {"toy_baseline": {"reaches": 0.9}},
            "rival": {"toy_baseline": {"reaches": 0.8}},
        },
        tiers={"smoke": toys.tables()["tiers"]["smoke"] | trials},
    )
    values = {"level": ours, "rival": theirs}
    records = [
        record.model_copy(
            update={
                "scores": tuple(
                    Measured(at={"n": n}, variant={}, metrics={"accuracy": float(value)})
                    for n, value in zip(sizes, values[record.method][record.trial], strict=True)
                )
            }
        )
        for record in toys.records(claim, dict.fromkeys(values, [0.0] * len(ours)))
    ]
    return evidence(claim, "smoke", records)


SIZES = [10, 20, 40, 80]


def turned(gaps: list[float], above: float, noise: float = 1e-4) -> Finding:
    spread = noise * np.random.default_rng(0).normal(size=(6, 1))
    rows = by_size(0.5 + np.array(gaps) + spread, np.full((6, 4), 0.5), SIZES)
    asked = {"metric": "accuracy", "leader": "level", "follower": "rival", "axis": "n"}
    return crossing(rows, **asked, above=above)


@pytest.mark.parametrize(
    ("gaps", "turn"),
    [
        ([0.1, 0.2, 0.1, -0.1], 40 * 2**0.5),
        ([0.1, 0.3, -0.1, -0.1], 20 * 2**0.75),
        ([-0.1, 0.2, -0.2, -0.1], 20 * 2**0.5),
        ([-0.1, 0.1, 0.1, 0.1], 80),
        ([-0.1, -0.1, -0.2, -0.1], 10),
    ],
)
def test_the_order_turns_where_the_lead_is_lost_for_good(gaps: list[float], turn: float) -> None:
    finding = turned(gaps, above=15.0)
    assert finding.effect == pytest.approx(turn, rel=0.01)
    assert finding.interval == pytest.approx((turn, turn), rel=0.01)
    assert finding.outcome == ("supported" if turn > 15 else "refuted")
    assert (finding.unit, finding.n) == ("n", 6)


def test_a_turn_that_could_be_on_either_side_decides_nothing() -> None:
    finding = turned([0.1, 0.1, 0.1, -0.1], above=55.0, noise=0.1)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.interval[0] < 55 < finding.interval[1]


def test_of_one_draw_no_turn_is_sure() -> None:
    rows = by_size(np.full((1, 4), 0.6), np.full((1, 4), 0.5), SIZES)
    asked = {"metric": "accuracy", "leader": "level", "follower": "rival", "axis": "n"}
    assert crossing(rows, **asked, above=20.0).outcome is Outcome.INCONCLUSIVE


def test_what_was_measured_apart_is_not_compared() -> None:
    rows = by_size(np.full((2, 4), 0.6), np.full((2, 4), 0.5), SIZES)
    apart = replace(
        rows, rows=tuple(r for r in rows.rows if (r.record.method == "level") == r.record.trial)
    )
    asked = {"metric": "accuracy", "leader": "level", "follower": "rival", "axis": "n"}
    with pytest.raises(ValueError, match="level and rival were measured on nothing that they have"):
        crossing(apart, **asked, above=20.0)


def test_steadiness_is_the_log_ratio_of_the_deviations_over_draws() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) * [3.0, 4.0]
    rows = by_size(ours, theirs, [10, 20])
    finding = steadiness(rows, metric="accuracy", steadier="level", than="rival")
    ratios = np.log(theirs.std(0, ddof=1) / ours.std(0, ddof=1))
    assert finding.effect == pytest.approx(ratios.mean(), abs=0.05)  # the jackknife's correction
    assert (finding.outcome, finding.n) == (Outcome.SUPPORTED, 40)
    assert [effect for _, effect, *_ in finding.breakdown] == pytest.approx(ratios, abs=0.07)
    swapped = steadiness(rows, metric="accuracy", steadier="rival", than="level")
    assert swapped.effect == pytest.approx(-finding.effect)
    assert swapped.outcome is Outcome.REFUTED


def test_the_jackknife_leaves_out_one_pair_at_a_time() -> None:
    a, b = [1.0, 4.0, 2.0, 8.0], [0.3, 0.1, 0.2, 0.5]

    def ratio(x: list[float], y: list[float]) -> float:
        return float(np.log(np.std(x, ddof=1) / np.std(y, ddof=1)))

    wanted = [4 * ratio(a, b) - 3 * ratio(a[:i] + a[i + 1 :], b[:i] + b[i + 1 :]) for i in range(4)]
    assert statistics.log_ratio_of_spreads(a, b) == pytest.approx(wanted)


@pytest.mark.parametrize("trials", [1, 2])
def test_two_draws_say_nothing_of_spread(trials: int) -> None:
    values = np.random.default_rng(0).normal(size=(trials, 4))
    rows = by_size(values, 2 * values, SIZES)
    finding = steadiness(rows, metric="accuracy", steadier="level", than="rival")
    assert finding.outcome is Outcome.INCONCLUSIVE
