"""What is said of scale: the page shows the records, and both can be made again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from claimbench.suite.timing.floors import Peaks
from claimbench.suite.workers.simulated import SOUND

from .experiments import gram_scale, gram_simulated
from .experiments.gram_scale import Case

ROOT = Path(__file__).parents[1]
MEASURED, SIMULATED = (
    json.loads((ROOT / "docs" / "measured" / f"gram-{name}.json").read_text())
    for name in ("scale", "simulated")
)
CLIENT = gram_simulated.fitted(MEASURED)


def test_the_page_shows_what_was_measured_and_simulated() -> None:
    text = (ROOT / "docs" / "scale.md").read_text()
    assert gram_simulated.page(text, MEASURED, SIMULATED) == text


def test_what_was_simulated_is_made_from_what_was_measured() -> None:
    stored = gram_simulated.Client(**SIMULATED["client"])
    assert stored[:3] == pytest.approx(CLIENT[:3])
    assert stored[3:] == CLIENT[3:]
    for stored in SIMULATED["cifar"]:
        if stored["workers"] > 1:
            continue
        faults = gram_simulated.FAULTY if stored["faults"] else SOUND
        kernel, case, side = (stored[name] for name in ("kernel", "case", "side"))
        keeping = CLIENT._replace(image=0.0)
        found = gram_simulated.run(keeping, kernel, case, stored["images"], 1, side, faults)
        assert found == pytest.approx(stored)


def test_no_process_held_more_than_a_tenth_above_its_plan() -> None:
    for one in MEASURED["memory"]:
        assert one["peak_bytes"] <= 1.1 * (one["before_bytes"] + one["plan_bytes"])


def test_the_engine_costs_at_most_three_hundredths_of_its_kernel() -> None:
    for one in MEASURED["matrices"]:
        assert one["over_one_call"] <= 0.03


@pytest.fixture
def no_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = Peaks({"float32": 1e11, "float64": 5e10}, 1e10)
    monkeypatch.setattr("claimbench.suite.timing.floors.measured", lambda device: peaks)


@pytest.mark.usefixtures("no_peaks")
def test_matrices_are_measured_in_all_ways() -> None:
    with gram_scale.tiles_of(64):
        found = gram_scale.matrix(Case(0, 4, 600), 1)
    assert set(found["seconds"]) == {*gram_scale.WAYS, "plan"}
    assert all(each["cpu_s"] > 0 for each in found["seconds"].values())
    assert [plan.rpartition(" on ")[2] for plan in found["plans"]] == ["1 worker", "2 workers"]
    assert found["speed_up"] > 0
    record = MEASURED | {"matrices": [found]}
    assert "| vanilla, 4 pixels, 600 images |" in gram_scale.engine_table(record)


@pytest.mark.usefixtures("no_peaks")
def test_the_memory_of_a_tile_is_measured_against_its_plan() -> None:
    found = gram_scale.memory(Case(0, 4, 0), 1024)
    assert found["side"] == 1024
    assert found["sent_bytes"] > 4 * 1024 * 1024
    assert found["plan_bytes"] >= 3 * 4 * 1024 * 1024
    assert found["peak_bytes"] >= found["before_bytes"] > 0


def test_the_client_of_a_cluster_is_measured_by_size_of_the_tile() -> None:
    [found] = gram_scale.on_cluster((4,), pixels=4)
    assert (found["side"], found["tiles"]) == (4, 10)
    assert 0 < found["cpu_s"] < 1
    small, large = (gram_scale.parts(side) for side in (8, 1024))
    assert small["check_s"] + small["write_s"] < large["check_s"] + large["write_s"]
    assert 0 < gram_scale.choosing(10, 50) < 0.01
    assert gram_scale.audit(Case(0, 4, 2)) > 0


def test_the_costs_of_the_client_are_found_from_its_times() -> None:
    def seconds(side: int) -> float:
        return 3e-3 + 2e-5 * gram_simulated.mean_sent(side) + 1e-8 * side**2

    record = {
        "client": [{"side": side, "cpu_s": seconds(side)} for side in (64, 256, 512, 1024)],
        "audit_s": {"gap": 0.01, "0": 0.0},
        "choosing_s": {"10": 0.0},
    }
    client = gram_simulated.fitted(record)
    assert np.array(client[:3]) == pytest.approx([3e-3, 2e-5, 1e-8])


@pytest.mark.parametrize("workers", [10, 1000])
def test_a_client_serves_so_many_gpus_and_no_more(workers: int) -> None:
    found = gram_simulated.run(CLIENT, "gap", "low", 30_000, workers, 512, SOUND)
    at_most = gram_simulated.served(found) / workers
    assert found["efficiency"] == pytest.approx(min(1, at_most), abs=0.1)
    assert (found["client_busy"] > 0.95) == (at_most < 1)


def test_figures_have_three_digits() -> None:
    assert [gram_simulated.figure(x) for x in (0, 0.00187, 2.296, 2290.7, 167.2)] == [
        "0",
        "0.00187",
        "2.30",
        "2,291",
        "167",
    ]
    assert [gram_simulated.lasted(x) for x in (0.5, 86.4, 7201, 2e6)] == [
        "0.500 s",
        "86.4 s",
        "2.00 h",
        "23.1 days",
    ]
