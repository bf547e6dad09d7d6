"""A run measures what is missing, uses again what cannot have changed, and survives failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from claimbench.suite import provenance, runner
from claimbench.suite.cells import Cell, cells
from claimbench.suite.definitions import Claim
from claimbench.suite.records import Record
from claimbench.suite.registry import MissingExtra
from claimbench.suite.runner import Settings
from claimbench.suite.verdicts import judge
from claimbench.suite.workers import open_pool

from . import toys


@pytest.fixture(autouse=True)
def no_runs() -> Iterator[None]:
    toys.RUNS.clear()
    yield
    provenance.commit.cache_clear()


def measured(claim: Claim, past: list[Record], settings: Settings | None = None) -> list[Record]:
    settings = settings or Settings()
    plan = runner.plan(cells(claim, "smoke"), past, settings)
    made = [record for _, record in runner.run(plan.todo, settings)]
    return [*plan.known, *plan.reused, *made]


def at_commit(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ASV_COMMIT", name)
    provenance.commit.cache_clear()


def test_a_run_decides_the_claim() -> None:
    claim = toys.claim()
    records = measured(claim, [])
    assert judge(claim, "smoke", records).outcome == "supported"
    assert len(toys.RUNS) == 6


def test_a_record_says_how_it_was_made() -> None:
    record = measured(toys.claim(), [])[0]
    assert record.backends["ntk_gram"] in {"cpu", "numba", "reference"}
    assert record.data_name == "iris"
    assert len(record.data_digest) == 64
    assert record.provenance.machine["cores"]
    assert record.provenance.libraries["numpy"]


def test_a_repeated_command_runs_nothing() -> None:
    claim = toys.claim()
    first = measured(claim, [])
    toys.RUNS.clear()
    assert measured(claim, first) == first
    assert toys.RUNS == []


def test_a_run_goes_on_where_it_stopped() -> None:
    claim = toys.claim()
    first = measured(claim, [])
    toys.RUNS.clear()
    measured(claim, first[:4])
    assert len(toys.RUNS) == 2


def test_another_commit_with_the_same_code_uses_the_records_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = toys.claim()
    at_commit(monkeypatch, "a" * 40)
    first = measured(claim, [])
    at_commit(monkeypatch, "b" * 40)
    toys.RUNS.clear()
    second = measured(claim, first)
    assert toys.RUNS == []
    assert {record.reused_from for record in second} == {"a" * 40}
    assert {record.provenance.commit for record in second} == {"b" * 40}


def test_what_another_claim_asked_for_is_not_measured_again() -> None:
    claim = toys.claim()
    first = measured(claim, [])
    toys.RUNS.clear()
    again = measured(claim.model_copy(update={"id": "another"}), first)
    assert toys.RUNS == []
    assert {record.claim for record in again} == {"another"}
    assert {record.reused_from for record in again} == {provenance.commit()}
    assert [record.scores for record in again] == [record.scores for record in first]


def test_changed_code_measures_again_all_but_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = toys.claim()
    at_commit(monkeypatch, "a" * 40)
    first = measured(claim, [])
    at_commit(monkeypatch, "b" * 40)
    monkeypatch.setattr(provenance, "code", lambda *functions: "other")
    toys.RUNS.clear()
    measured(claim, first)
    assert toys.RUNS == ["toy_level 0", "toy_level 1", "toy_level 2"]


def test_other_libraries_measure_a_baseline_again(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = toys.claim()
    old = [
        record.model_copy(update={"provenance": toys.provenance(libraries={"numpy": "0.1"})})
        for record in measured(claim, [])
        if record.baseline
    ]
    toys.RUNS.clear()
    measured(claim, old)
    assert sum(run.startswith("toy_baseline") for run in toys.RUNS) == 3


def test_a_build_tag_is_no_other_library(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = provenance.libraries()
    tagged = {name: f"{version}+cpu" for name, version in versions.items()}
    claim = toys.claim()
    first = [
        record.model_copy(update={"provenance": toys.provenance(libraries=tagged)})
        for record in measured(claim, [])
        if record.baseline
    ]
    toys.RUNS.clear()
    measured(claim, first)
    assert not any(run.startswith("toy_baseline") for run in toys.RUNS)


def failing() -> Claim:
    methods = toys.tables()["methods"] | {"level": {"toy_level": {"level": [0.9], "fails": True}}}
    return toys.claim(methods=methods)


def test_a_failure_is_a_record_and_the_rest_goes_on() -> None:
    records = measured(failing(), [])
    assert [bool(record.error) for record in records].count(True) == 3
    assert "RuntimeError: told to fail" in {record.error for record in records}


def test_a_failed_cell_is_tried_again() -> None:
    records = measured(failing(), [])
    toys.RUNS.clear()
    measured(failing(), records)
    assert len(toys.RUNS) == 3


def test_a_method_must_answer_at_every_point() -> None:
    methods = toys.tables()["methods"] | {"rival": {"toy_silent": {}}}
    if "toy_silent" not in runner.method:
        runner.method()(toy_silent)
    records = measured(toys.claim(methods=methods), [])
    silent = [record for record in records if record.method == "rival"]
    assert all("gave 0 scores where 1 are expected" in record.error for record in silent)


def toy_silent(trial: Any) -> list[Any]:
    return []


def test_a_missing_extra_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def todo() -> list[Cell]:
        return cells(toys.claim(), "smoke")

    entry = runner.method["toy_level"]
    needing = type(entry)(entry.function, axes=entry.axes, needs=(("no_such_module", "gone"),))
    monkeypatch.setitem(runner.method._entries, "toy_level", needing)
    with pytest.raises(MissingExtra, match=r"pip install 'claimbench\[gone\]'"):
        runner.plan(todo(), [], Settings())
    assert toys.RUNS == []


def test_a_backend_asked_for_by_name_runs_or_raises() -> None:
    claim = toys.claim()
    for record in measured(claim, [], Settings(backend="reference")):
        assert set(record.backends.values()) <= {"reference"}
    with pytest.raises(runner.NoBackend, match="ntk_gram cannot run on torch: it takes torch"):
        measured(claim, [], Settings(backend="torch"))


def test_trials_may_run_at_the_same_time() -> None:
    """joblib's workers import the registered methods anew, so this runs a method of the suite."""
    methods = {
        "level": {"linear_svm": {"c": [1.0]}},
        "rival": {"linear_svm": {"c": [0.01]}},
    }
    claim = toys.claim(methods=methods)
    todo = cells(claim, "smoke")
    pool = open_pool(2)
    pairs = list(runner.run(todo, Settings(), pool))
    pool.close()
    assert {cell.digest for cell, _ in pairs} == {cell.digest for cell in todo}
    assert not any(record.error for _, record in pairs)
