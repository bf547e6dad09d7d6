"""The machine page: which machines there are, what came from them, and how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from claimbench.reports import machine_views, pages, views
from claimbench.reports.machine_sightings import sightings
from claimbench.reports.machine_views import COLUMNS, MachinesPage
from claimbench.suite.records import Record

from . import synthetic, test_bench_records, test_rounds
from .synthetic import COMMITS
from .test_pages import HOSTILE, assert_whole, undrawn

CLAIM = synthetic.claim()
PLAIN = synthetic.records(CLAIM, "smoke", COMMITS[:1])[0]
BOX: dict[str, Any] = dict(PLAIN.provenance.machine)


def record(commit: int = 0, **changes: Any) -> Record:
    made = synthetic.provenance(COMMITS[commit]).model_copy(update=changes)
    return PLAIN.model_copy(update={"provenance": made})


def on(**fields: Any) -> Record:
    return record(machine=BOX | fields)


def page(records: Sequence[Record], **others: Any) -> MachinesPage:
    return machine_views.machines_page(sightings(records, **{"timings": [], **others}), COMMITS)


def matrix(table: Any) -> dict[str, list[str]]:
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


def test_a_host_with_other_hardware_is_another_machine() -> None:
    made = page([on(), on(), record(1, machine=BOX | {"cores": 4})])
    assert [machine.name for machine in made.machines] == ["box (2)", "box (1)"]
    assert [dict(machine.counts) for machine in made.machines] == [{"records": 1}, {"records": 2}]
    assert matrix(made.facts)["cores"] == ["differs", "4", "2"]
    assert made.facts.rows[0][0].text == "cores"
    assert matrix(made.facts)["processor"] == ["same", "Example 9000", "Example 9000"]
    assert made.differences == ()


def test_another_python_or_library_is_the_same_machine() -> None:
    other = record(1, machine=BOX | {"python": "3.13.1"}, libraries={"numpy": "2.1.0"}, threads=1)
    made = page([on(python="3.11.7"), other])
    [machine] = made.machines
    assert machine.name == "box"
    assert matrix(made.facts)["python"] == ["several", "3.11.7, 3.13.1"]
    assert matrix(made.facts)["numeric threads"] == ["several", "1, 2"]
    assert matrix(made.libraries)["numpy"] == ["several", "2.0.0, 2.1.0"]
    assert machine.dates == ("2026-01-02", "2026-01-05")
    assert machine.commits == {COMMITS[0].sha, COMMITS[1].sha}


def test_a_gpu_is_a_device_of_its_machine_unless_the_host_had_several() -> None:
    one = page([on(), record(device="NVIDIA H100")])
    assert matrix(one.facts)["device"] == ["several", "NVIDIA H100, cpu"]
    two = page([record(device="NVIDIA H100"), record(device="NVIDIA A100")])
    assert len(two.machines) == 2
    assert matrix(two.facts)["device"][0] == "differs"


def test_asvs_times_count_for_the_machine_that_they_fit() -> None:
    hardware = {"cpu": "Example 9000", "ram": "24 GB", "os": "Linux 6"}
    timings = [replace(t, hardware=hardware) for t in synthetic.timings(CLAIM)]
    [machine] = page([on()], timings=timings).machines
    assert dict(machine.counts) == {"records": 1, "times by asv": 9}
    assert machine.facts["ram (asv)"] == ("24 GB",)
    unlike = [replace(t, hardware=hardware | {"cpu": "Other"}) for t in timings]
    made = page([on()], timings=unlike)
    assert {machine.name for machine in made.machines} == {"box (1)", "box (2)"}
    assert matrix(made.facts)["processor"][0] == "differs"
    assert matrix(made.facts)["cores"][0] == "not said by all"
    doubtful = page([on(), on(cores=4)], timings=timings)
    assert len(doubtful.machines) == 3


def test_rounds_benches_and_kept_baselines_were_measured_somewhere_too() -> None:
    bench = test_bench_records.record([test_bench_records.row("cpu", "backend", 1.0)])
    taken = test_rounds.taken([test_rounds.turns(test_rounds.times(1))])
    made = page([], turns=[taken], kept=[on()], benches=[bench])
    assert {machine.name: dict(machine.counts) for machine in made.machines} == {
        "Vax": {"times beside peers": 1},
        "here": {"times in turns": 2},
        "box": {"baselines": 1},
    }
    assert [name for name, _ in made.at(test_rounds.HEAD)] == ["here"]


def test_of_more_than_two_machines_each_two_have_their_differences() -> None:
    made = page([on(host=f"m{n}", cores=n) for n in range(3)])
    assert len(made.differences) == 3
    for table in made.differences:
        assert [row[0].text for row in table.rows] == ["cores", "host"]


def test_many_machines_are_all_listed_and_few_side_by_side() -> None:
    made = page([record(n % 3, machine=BOX | {"host": f"runner-{n}"}) for n in range(20)])
    assert len(made.table.rows) == 20
    assert len(made.facts.columns) == 2 + COLUMNS
    assert len(made.differences) == COLUMNS * (COLUMNS - 1) // 2
    assert made.missing.startswith(f"The {COLUMNS} of 20 machines")


def test_an_id_hangs_on_the_hardware_alone() -> None:
    alone, beside = page([on()]), page([on(), on(cores=4), on(host="other")])
    assert alone.machines[0].id in {machine.id for machine in beside.machines}


def test_a_commit_links_the_machines_it_was_measured_on(tmp_path: Path) -> None:
    report = views.report([CLAIM], [on(), on(cores=4), record(1)], [], COMMITS[:2])
    [pair] = report.comparisons.pages
    assert [name for name, _ in pair.base.machines] == ["box (1)", "box (2)"]
    out = pages.write_report(report, tmp_path, draw=undrawn).parent
    assert_whole(out)
    text = (out / "machines.html").read_text(encoding="utf-8")
    assert "differs" in text


def test_hostile_machines_are_inert(tmp_path: Path) -> None:
    strange = {HOSTILE: HOSTILE, "host": HOSTILE}
    records = [
        record(machine=strange, device=HOSTILE, libraries={HOSTILE: HOSTILE}, started=HOSTILE),
        record(1, machine={}, libraries={}, load=float("nan")),
    ]
    report = views.report([CLAIM], records, [], COMMITS)
    out = pages.write_report(report, tmp_path, draw=undrawn).parent
    assert_whole(out)
    text = (out / "machines.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert not set(text) & set("\u202e\u2066\x00")
