"""Drifts: ten steps that no gate sees are found, and nothing else is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from claimbench.reports import drift as drifting
from claimbench.reports.drift import END, FEWEST, Drift, Series, drift, of_metrics, of_times, run
from claimbench.reports.history import Commit
from claimbench.suite.cells import cells
from claimbench.suite.records import Record, append
from claimbench.suite.registry import MissingExtra

from ..suite import toys
from . import asv_files, synthetic

DAYS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(n) for n in range(70)]
HISTORY = [Commit(f"{n:08x}" + 32 * "0", f"{n:08x}", "", day) for n, day in enumerate(DAYS)]


def times(values: Sequence[float] | np.ndarray, tolerance: float = 0.1) -> Series:
    points = tuple(zip(HISTORY, map(float, values), strict=False))
    return Series("numba on toy.block", "s", 1, tolerance, True, points)


def accuracies(values: Sequence[float], tolerance: float = 0.01) -> Series:
    points = tuple(zip(HISTORY, values, strict=False))
    return Series("toy: level accuracy", "fraction", -1, tolerance, False, points)


def noise(count: int, sigma: float, seed: int) -> np.ndarray:
    return np.exp(sigma * np.random.default_rng(seed).normal(size=count))


def slow(hold: int, steps: int = 10, share: float = 0.01) -> np.ndarray:
    """Level, then so many steps each held for some commits, then level again."""
    steps_up = np.repeat(np.arange(1, steps + 1), hold)
    return (1 + share) ** np.concatenate([np.zeros(10), steps_up, np.full(10, steps)])


@pytest.mark.parametrize("hold", [1, 2, 3, 5])
@pytest.mark.parametrize(("sigma", "seed"), [(0.0, 0), (0.003, 1), (0.003, 2), (0.003, 3)])
def test_ten_steps_of_one_percent_are_found(hold: int, sigma: float, seed: int) -> None:
    """The gate, which compares neighbours, sees none of them: its tolerance is 5% or more."""
    values = 0.002 * slow(hold) * noise(20 + 10 * hold, sigma, seed)
    assert np.abs(values[1:] / values[:-1] - 1).max() < 0.03
    found = drift(times(values))
    assert found is not None
    assert found.best == pytest.approx(0.002, rel=0.01)
    assert found.now == pytest.approx(0.002 * 1.01**10, rel=0.01)
    assert found.best_until < 10 < 10 + 9 * hold <= found.now_since
    assert found.best_until == 9 or sigma


def test_asv_alone_takes_the_slow_drift_for_correlated_noise() -> None:
    """Why the ends are looked at alone; where this fails, asv has learnt it and they can go."""
    values = list(slow(3) * noise(50, 0.003, 1))
    asv = drifting._step_detection()
    assert asv.detect_regressions(asv.detect_steps(values), 0.1)[2] is None


def test_the_ends_are_the_latest_of_the_best_and_the_last() -> None:
    for values, best in (([1.0] * 20, 8), ([1.0] * 7 + [2.0] * 13, 3)):
        assert drifting._ends(values)[:END] == list(range(best, best + END))
        assert drifting._ends(values)[END:] == list(range(14, 20))


def test_a_step_is_found_where_it_is() -> None:
    found = drift(times(np.repeat([1.0, 1.3], [20, 15]) * noise(35, 0.02, 0)))
    assert found is not None
    assert (found.best_until, found.now_since, found.commits) == (19, 20, 1)


@pytest.mark.parametrize("count", [FEWEST, 30, 70])
@pytest.mark.parametrize("sigma", [0.005, 0.03, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_noise_is_no_drift(count: int, sigma: float, seed: int) -> None:
    assert drift(times(noise(count, sigma, seed))) is None


@pytest.mark.parametrize("factor", [0.3, 3.0])
@pytest.mark.parametrize("place", [0, 1, 15, 28, 29])
@pytest.mark.parametrize("sigma", [0.0, 0.01])
def test_one_outlier_is_no_drift(factor: float, place: int, sigma: float) -> None:
    values = noise(30, sigma, 0)
    values[place] *= factor
    assert drift(times(values)) is None


@pytest.mark.parametrize("sigma", [0.0, 0.01])
def test_what_got_better_or_was_mended_is_no_drift(sigma: float) -> None:
    for levels in ([1.3, 1.0], [1.0, 1.3, 1.0], [1.0, 1.5, 1.05], [1.5, 1.3, 1.0]):
        values = np.repeat(levels, 12)
        assert drift(times(values * noise(len(values), sigma, 0))) is None
    assert drift(times(slow(3)[::-1] * noise(50, sigma, 0))) is None


def test_a_loss_is_a_loss_in_the_direction_of_the_metric() -> None:
    falling = [0.8 - 0.003 * min(max(n - 8, 0), 10) for n in range(30)]
    found = drift(accuracies(falling))
    assert found is not None
    assert (found.best, found.now) == (pytest.approx(0.8), pytest.approx(0.77))
    assert drift(replace(accuracies(falling), sign=1)) is None
    assert drift(accuracies(falling[::-1])) is None


@pytest.mark.parametrize(("best", "now"), [(0.812, 0.81), (0.224, 0.204), (0.2, 0.18)])
def test_a_loss_of_exactly_the_tolerance_is_none(best: float, now: float) -> None:
    tolerance = round(best - now, 3)
    values = [best] * 10 + [now] * 10
    assert drift(accuracies(values, tolerance)) is None
    assert drift(accuracies(values, 0.99 * tolerance)) is not None


def test_the_unit_of_time_makes_no_difference() -> None:
    values = slow(3) * noise(50, 0.003, 1)
    places = {
        (d.best_until, d.now_since) for s in (1e-6, 1, 1e3) if (d := drift(times(s * values)))
    }
    assert len(places) == 1


def test_a_drift_is_said_in_a_line() -> None:
    time = Drift(times(slow(1)), 0.002, 9, 0.0023, 20)
    assert str(time) == (
        "numba on toy.block: 2 ms at 00000009 -> 2.3 ms at 00000014 (+15.0%, tolerance 10%), "
        "in 11 commits"
    )
    accuracy = Drift(accuracies([0.8] * 30), 0.8, 3, 0.77, 4)
    assert str(accuracy) == (
        "toy: level accuracy: 0.8 at 00000003 -> 0.77 fraction at 00000004 (-0.03, tolerance 0.01),"
        " in 1 commit"
    )


CLAIM = synthetic.claim()


def test_times_are_of_one_backend_shape_machine_and_environment() -> None:
    here = synthetic.timings(CLAIM, HISTORY[:3])
    there = [replace(t, machine="other") for t in here]
    assert [s.subject for s in of_times([CLAIM], here, HISTORY)] == [
        f"ntk_gram {backend} on smith2020_kernel_wins.small"
        for backend in sorted(synthetic.BACKENDS)
    ]
    found = list(of_times([CLAIM], [*here, *there], HISTORY))
    assert len(found) == 2 * len(synthetic.BACKENDS)
    assert found[0].subject.endswith("small (box, py3.13)")
    assert [commit for commit, _ in found[0].points] == HISTORY[:3]
    assert [value for _, value in found[0].points] == [t.low for t in here if t.backend == "cpu"]


def test_a_wrong_backend_another_benchmark_and_a_shape_that_is_gone_have_no_times() -> None:
    one = [t for t in synthetic.timings(CLAIM, HISTORY[:4]) if t.backend == "cpu"]
    measured = [replace(one[0], version="old"), replace(one[1], error=None), *one[2:]]
    [found] = of_times([CLAIM], measured, HISTORY)
    assert [commit for commit, _ in found.points] == HISTORY[2:4]
    assert list(of_times([], measured, HISTORY)) == []


@pytest.mark.parametrize(("declared", "used"), [(0.4, 0.4), (0.02, 0.1)])
def test_a_shape_has_its_own_tolerance_and_at_least_a_tenth(declared: float, used: float) -> None:
    shape = CLAIM.shapes["small"].model_copy(update={"tolerance": declared})
    claim = CLAIM.model_copy(update={"shapes": {"small": shape}})
    found = of_times([claim], synthetic.timings(claim, HISTORY[:3]), HISTORY)
    assert {series.tolerance for series in found} == {used}


def of_toys(records: Sequence[Record], **replaced: object) -> list[Series]:
    return list(of_metrics([toys.claim(**replaced)], records, HISTORY))


def toy_records(place: int, values: Sequence[float], **replaced: object) -> list[Record]:
    made = toys.provenance(commit=HISTORY[place].sha, started=HISTORY[place].date.isoformat())
    return [
        toys.record(
            cell,
            values[cell.trial] if cell.method == "level" else 0.8,
            **{"provenance": made, **replaced},
        )
        for cell in cells(toys.claim(), "smoke")
    ]


def test_a_metric_is_the_mean_over_cells_and_a_baseline_has_none() -> None:
    [found] = of_toys([*toy_records(0, [0.1, 0.2, 0.6]), *toy_records(1, [0.2, 0.2, 0.8])])
    assert found.subject == "toy: level (level = 0.9) accuracy (split, smoke)"
    assert found.points == (
        (HISTORY[0], fmean([0.1, 0.2, 0.6])),
        (HISTORY[1], fmean([0.2] * 2 + [0.8])),
    )
    assert (found.unit, found.sign, found.tolerance) == ("fraction", -1, 0.01)
    lower = {"accuracy": {"direction": "lower", "unit": "nats", "tolerance": 0.5}}
    [found] = of_toys(toy_records(0, [0.1] * 3), metrics=lower)
    assert (found.unit, found.sign, found.tolerance) == ("nats", 1, 0.5)


def test_means_over_other_cells_or_other_data_are_left_out() -> None:
    missing = [r for r in toy_records(1, [0.9] * 3) if r.trial]
    failed = toy_records(2, [0.9] * 3, scores=(), error="told to fail")
    other = toy_records(3, [0.9] * 3, data_digest="e" * 64)
    whole = toy_records(4, [0.9] * 3)
    [found] = of_toys([*toy_records(0, [0.9] * 3), *missing, *failed, *other, *whole])
    assert [commit for commit, _ in found.points] == [HISTORY[0], HISTORY[4]]


def test_every_variant_and_protocol_is_a_series() -> None:
    records = synthetic.records(CLAIM, "smoke", HISTORY[:2])
    found = list(of_metrics([CLAIM], records, HISTORY))
    assert [series.subject for series in found] == [
        "smith2020_kernel_wins: kernel accuracy (draw, smoke)"
    ]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Results and asv's results, of a claim with one shape; outside of any repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    claim = asv_files.with_shape(toys.tables())
    monkeypatch.setattr(drifting, "load_claims", lambda: [claim])
    return tmp_path / "results", tmp_path / "asv"


def write(folders: tuple[Path, Path], seconds: Sequence[float], level: Sequence[float]) -> None:
    """A time and an accuracy at each commit."""
    asv_files.write_benchmarks(folders[1])
    for place, (time, accuracy) in enumerate(zip(seconds, level, strict=True)):
        asv_files.write_results(folders[1], HISTORY[place].sha, [time], [1e-7])
        for record in toy_records(place, [accuracy] * 3):
            append(record, folders[0] / f"{place}.jsonl")


def test_nothing_to_judge_is_3_and_says_what_is_needed(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*folders, as_json=False) == 3
    assert "the longest has 0" in capsys.readouterr().err
    write(folders, [1.0] * (FEWEST - 1), [0.9] * (FEWEST - 1))
    assert run(*folders, as_json=False) == 3
    said = capsys.readouterr().err
    assert "values at 12 commits" in said
    assert "the longest has 11" in said


def test_no_drift_is_0(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    write(folders, [1.0] * FEWEST, [0.9] * FEWEST)
    assert run(*folders, as_json=False) == 0
    assert capsys.readouterr().out == "0 drifts in 2 of 2 series\n"


def test_a_drift_is_1(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    up = slow(1, share=0.05)
    write(folders, list(up), [1 - 0.1 * value for value in up])
    assert run(*folders, as_json=False) == 1
    time, accuracy, summary = capsys.readouterr().out.splitlines()
    assert time.startswith("ntk_gram numba on toy.block: 1 s at 00000009 -> 1.63 s at ")
    assert accuracy.startswith(
        "toy: level (level = 0.9) accuracy (split, smoke): 0.9 at 00000009 ->"
    )
    assert summary == "2 drifts in 2 of 2 series"
    assert run(*folders, as_json=True) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["series"], found["judged"], found["fewest_commits"]) == (2, 2, FEWEST)
    assert found["drifts"][0]["best"] == {"value": 1.0, "until": HISTORY[9].sha}
    assert found["drifts"][1]["unit"] == "fraction"


def test_a_series_that_is_over_is_not_judged(folders: tuple[Path, Path]) -> None:
    """A backend, a machine or an environment that is gone is not worse now."""
    up = list(slow(1, share=0.05))
    write(folders, up, [0.9] * len(up))
    assert run(*folders, as_json=False) == 1
    for place in range(len(up), len(up) + FEWEST):
        for record in toy_records(place, [0.9] * 3):
            append(record, folders[0] / f"{place}.jsonl")
    assert run(*folders, as_json=False) == 0


def test_what_was_measured_with_files_changed_is_no_part_of_the_history(
    folders: tuple[Path, Path],
) -> None:
    write(folders, [1.0] * FEWEST, [0.9] * FEWEST)
    for place in range(FEWEST, FEWEST + END):
        dirty = toys.provenance(commit=f"{HISTORY[place].sha}-dirty", started="2026-06-01")
        for record in toy_records(place, [0.1] * 3, provenance=dirty):
            append(record, folders[0] / "dirty.jsonl")
    assert run(*folders, as_json=False) == 0


def test_asv_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asv.step_detect", None)
    with pytest.raises(MissingExtra, match=r"pip install 'claimbench\[asv\]'"):
        drift(times([1.0] * FEWEST))
