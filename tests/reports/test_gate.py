"""The gate: every rule in both directions, and nothing missing that passes."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import claimbench.suite.protocols  # noqa: F401 (registers the protocol of the toy claim)
from claimbench.reports import claim_results
from claimbench.reports.gate import Comparison, Line, compare, run, status
from claimbench.reports.history import Timing, UsageError
from claimbench.suite.cells import cells
from claimbench.suite.definitions import Claim
from claimbench.suite.records import Record, append

from ..suite import toys
from . import asv_files

BASE, HEAD = "a" * 40, "b" * 40
GPU = "NVIDIA H100"  # on which a trial may not repeat to the last bit
TOY = toys.claim()
TIMED = asv_files.with_shape(toys.tables())
LOWER = {"accuracy": {"direction": "lower", "unit": "nats", "tolerance": 0.01}}


def claim_of(trials: int, **replaced: Any) -> Claim:
    tier = toys.tables()["tiers"]["smoke"] | {"trials": trials}
    return toys.claim(tiers={"smoke": tier}, **replaced)


def measured(
    claim: Claim, commit: str, ours: Sequence[float], rival: float = 0.8, **replaced: Any
) -> list[Record]:
    """Records of every cell at one commit; the rival is a baseline."""
    made = toys.provenance(commit=commit)
    return [
        toys.record(
            cell,
            ours[cell.trial] if cell.method == "level" else rival,
            **{"provenance": made, "baseline": cell.method == "rival", **replaced},
        )
        for cell in cells(claim, "smoke")
    ]


def both(
    claim: Claim, base: Sequence[float], head: Sequence[float], device: str = "cpu"
) -> list[Record]:
    made = [toys.provenance(commit=commit, device=device) for commit in (BASE, HEAD)]
    before, after = (
        measured(claim, one.commit, values, provenance=one)
        for one, values in zip(made, (base, head), strict=True)
    )
    return before + after


def gate(claim: Claim, records: Sequence[Record], timings: Sequence[Timing] = ()) -> Comparison:
    return compare([claim], records, timings, BASE, HEAD, "smoke")


def the(comparison: Comparison, what: str, kind: str) -> Line:
    """The one line of its sort."""
    [line] = [one for one in comparison.lines if (one.what, one.kind) == (what, kind)]
    return line


GOOD = both(TOY, [0.9] * 3, [0.9] * 3)


def test_nothing_changed_and_all_measured_is_good() -> None:
    found = gate(TOY, GOOD)
    assert {line.kind for line in found.lines} == {"unchanged"}
    assert [line.name for line in found.lines] == [
        "verdict",
        "accuracy of level (level = 0.9)",
        "accuracy of rival",
    ]
    assert status(found) == 0


# Metrics.


@pytest.mark.parametrize(
    ("metrics", "base", "head", "kind", "code"),
    [
        (None, 0.80, 0.95, "better", 0),
        (None, 0.95, 0.80, "worse", 1),
        (LOWER, 0.80, 0.95, "worse", 1),
        (LOWER, 0.95, 0.80, "better", 0),
        (None, 0.900, 0.895, "unchanged", 0),
        (None, 0.90, 0.89, "unchanged", 0),  # a change of the tolerance itself is no news
        (None, 0.90, 0.8899, "worse", 1),
    ],
)
def test_a_metric_has_a_direction_and_a_tolerance(
    metrics: Any, base: float, head: float, kind: str, code: int
) -> None:
    metrics = metrics or toys.tables()["metrics"]
    claim = toys.claim(metrics=metrics, rules=toys.tables()["rules"])
    found = gate(claim, both(claim, [base] * 3, [head] * 3))
    line = next(line for line in found.lines if line.name == "accuracy of level (level = 0.9)")
    assert (line.kind, line.base, line.head) == (kind, pytest.approx(base), pytest.approx(head))
    assert (line.change, line.n) == (pytest.approx(head - base), 3)
    worse = [line for line in found.lines if line.kind == "worse" and line.what == "metric"]
    assert bool(worse) == bool(code)


def test_the_reason_says_from_what_to_what() -> None:
    line = the(gate(TOY, both(TOY, [0.95] * 3, [0.8] * 3)), "metric", "worse")
    assert line.reason == (
        "toy: level (level = 0.9) accuracy: 0.95 -> 0.8 fraction (-0.15), tolerance 0.01, 3 pairs"
    )
    assert (line.claim, line.keys) == ("toy", ("metrics", "accuracy"))


def test_values_are_paired_by_trial_not_by_order() -> None:
    found = gate(TOY, list(reversed(both(TOY, [0.5, 0.7, 0.9], [0.5, 0.7, 0.9]))))
    assert the(found, "verdict", "unchanged").base == "inconclusive"
    line = next(line for line in found.lines if line.name.startswith("accuracy of level"))
    assert line.interval == (0.0, 0.0)


def test_noise_above_the_tolerance_is_no_news_to_the_test() -> None:
    claim = claim_of(8)
    base = [0.9] * 8
    head = [0.5, 0.96, 0.97, 0.95, 0.94, 0.93, 0.92, 0.91]
    line = gate(claim, both(claim, base, head, GPU)).of("unchanged")[-2]
    assert line.change == pytest.approx(-0.015, abs=1e-3)
    assert line.p is not None
    assert line.p > 0.05


def test_there_is_no_noise_where_trials_repeat() -> None:
    claim = claim_of(8)
    head = [0.5, 0.96, 0.97, 0.95, 0.94, 0.93, 0.92, 0.91]
    line = the(gate(claim, both(claim, [0.9] * 8, head)), "metric", "worse")
    assert line.p is None
    assert line.change == pytest.approx(-0.015, abs=1e-3)


def test_other_libraries_may_move_a_trial() -> None:
    claim = claim_of(8)
    head = [0.5, 0.96, 0.97, 0.95, 0.94, 0.93, 0.92, 0.91]
    made = toys.provenance(commit=HEAD, libraries={"numpy": "2.0.1"})
    records = measured(claim, BASE, [0.9] * 8) + measured(claim, HEAD, head, provenance=made)
    assert not [line for line in gate(claim, records).of("worse") if line.what == "metric"]


def test_a_loss_in_every_pair_is_worse_by_test_and_tolerance() -> None:
    claim = claim_of(8)
    head = [0.9 - 0.02 - 0.001 * trial for trial in range(8)]
    found = gate(claim, both(claim, [0.9] * 8, head, GPU))
    line = the(found, "metric", "worse")
    assert line.p == pytest.approx(2 / 2**8)
    assert line.interval is not None
    assert line.interval[1] < 0
    assert "8 pairs, p 0.0078" in line.reason


def test_a_test_that_could_not_reach_significance_has_no_say() -> None:
    claim = claim_of(10)
    found = gate(claim, both(claim, [0.9] * 10, [0.3] + [0.9] * 9, GPU))
    line = the(found, "metric", "worse")
    assert line.p is None
    assert line.change == pytest.approx(-0.06)


def test_a_loss_that_is_alike_in_every_pair_needs_no_test() -> None:
    claim = claim_of(8)
    line = the(gate(claim, both(claim, [0.9] * 8, [0.88] * 8, GPU)), "metric", "worse")
    assert line.p is None


def test_holm_corrects_for_the_number_of_comparisons() -> None:
    assert claim_results.holm([0.01]) == ([0.01], [])
    corrected, notes = claim_results.holm([0.01, 0.04, 0.03])
    assert corrected == pytest.approx([0.03, 0.06, 0.06])  # by hand: 3 x 0.01, 2 x 0.03, max
    assert notes == []


def test_without_statsmodels_the_missing_correction_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(claim_results, "import_module", missing)
    p, [note] = claim_results.holm([0.01, 0.04])
    assert p == [0.01, 0.04]
    assert "not corrected" in note
    assert "claimbench[stats]" in note


# Verdicts.


@pytest.mark.parametrize(
    ("base", "head", "kind"),
    [
        ([0.9] * 3, [0.7, 0.8, 0.95], "worse"),
        ([0.9] * 3, [0.5] * 3, "worse"),
        ([0.7, 0.8, 0.95], [0.5] * 3, "worse"),
        ([0.5] * 3, [0.9] * 3, "better"),
        ([0.7, 0.8, 0.95], [0.9] * 3, "better"),
        ([0.9] * 3, [0.91] * 3, "unchanged"),
    ],
)
def test_a_verdict_moves_towards_refuted_or_back(
    base: list[float], head: list[float], kind: str
) -> None:
    line = the(gate(TOY, both(TOY, base, head)), "verdict", kind)
    assert (line.keys == ("rules", "above")) == (kind != "unchanged")


def test_the_reason_of_a_verdict_names_the_rule() -> None:
    line = the(gate(TOY, both(TOY, [0.9] * 3, [0.5] * 3)), "verdict", "worse")
    assert line.reason == (
        "toy: verdict supported -> refuted (rule above: effect 0.1 -> -0.3 fraction "
        "[-0.3, -0.3], must clear 0)"
    )


# Never green by measuring nothing.


def test_no_records_at_all_is_not_green() -> None:
    found = gate(TOY, [])
    assert {line.kind for line in found.lines} == {"not measured"}
    assert "level: no record at base and head in 3 of 3 cells" in found.lines[0].reason
    assert status(found) == 3


@pytest.mark.parametrize("claims", [[], [TOY]])
def test_zero_cells_are_not_green(claims: list[Claim]) -> None:
    found = compare(claims, [], [], BASE, HEAD, "full")
    assert [line.reason for line in found.lines] == ["nothing measured: no claim has a tier full"]
    assert status(found) == 3


@pytest.mark.parametrize("gone", range(len(GOOD)))
def test_any_record_that_is_deleted_is_noticed(gone: int) -> None:
    found = gate(TOY, GOOD[:gone] + GOOD[gone + 1 :])
    assert found.lines[0].kind == "not measured"
    assert f"no record at {'base' if gone < 6 else 'head'} in 1 of 3" in found.lines[0].reason
    assert status(found) == 3


@pytest.mark.parametrize("changed", range(len(GOOD)))
@pytest.mark.parametrize(
    ("replaced", "code", "reason"),
    [
        ({"data_digest": "e" * 64}, 3, "data set 'iris' is not the same at base and head"),
        ({"scores": ()}, 3, "lacks a score at"),
        ({"cell": "0" * 64}, 3, "no record at"),
        ({"claim": "other"}, 3, "no record at"),
        ({"error": "ValueError: it\nbroke", "scores": ()}, None, "(ValueError: it broke)"),
    ],
)
def test_any_record_that_is_altered_is_noticed(
    changed: int, replaced: dict[str, Any], code: int | None, reason: str
) -> None:
    records = list(GOOD)
    records[changed] = records[changed].model_copy(update=replaced)
    found = gate(TOY, records)
    assert any(reason in line.reason for line in found.lines)
    if code is None:  # an error is worse at head, and gone from base
        code = 1 if changed >= 6 else 0
        assert the(found, "record", "worse" if code else "better")
    assert status(found) == code
    assert not [line for line in found.lines if line.what == "verdict"]


def test_nothing_is_concluded_from_other_data() -> None:
    head = measured(TOY, HEAD, [0.5] * 3, data_digest="e" * 64)
    found = gate(TOY, GOOD[:6] + head)
    assert [(line.kind, line.what) for line in found.lines] == [("refused", "data")]


def test_a_metric_that_vanishes_is_noticed() -> None:
    claim = toys.claim(metrics=toys.tables()["metrics"] | {"loss": LOWER["accuracy"]})
    records = []
    for record in both(claim, [0.9] * 3, [0.9] * 3):
        [score] = record.scores
        at_base = record.provenance.commit == BASE
        more = {"metrics": score.metrics | ({"loss": 0.1} if at_base else {})}
        records.append(record.model_copy(update={"scores": (score.model_copy(update=more),)}))
    found = gate(claim, records)
    assert "record at head lacks loss at level = 0.9" in found.lines[0].reason
    assert status(found) == 3


def test_a_cell_that_failed_at_both_commits_was_not_measured() -> None:
    failed = {"error": "RuntimeError: no", "scores": ()}
    records = [
        r.model_copy(update=failed) if (r.method, r.trial) == ("level", 0) else r for r in GOOD
    ]
    found = gate(TOY, records)
    assert the(found, "record", "not measured").reason == (
        "toy: level: failed at base and at head in 1 of 3 cells; first: split on iris, trial 0 "
        "(RuntimeError: no)"
    )
    assert status(found) == 3


def test_a_claim_that_nothing_defines_any_more_is_noticed() -> None:
    other = [r.model_copy(update={"claim": "retired"}) for r in GOOD]
    found = gate(TOY, GOOD + other)
    assert found.lines[0].reason.startswith("retired: measured at base, and no claim file")
    assert status(found) == 3


@pytest.mark.parametrize(
    ("replaced", "field"),
    [
        ({"machine": {"host": "there", "cores": 2}}, "host 'here' -> 'there'"),
        ({"machine": {"host": "here", "cores": 64}}, "cores 2 -> 64"),
        ({"device": "NVIDIA H100"}, "device 'cpu' -> 'NVIDIA H100'"),
        ({"threads": 8}, "numeric threads 1 -> 8"),
    ],
)
def test_another_machine_is_refused_by_field(replaced: dict[str, Any], field: str) -> None:
    made = toys.provenance(commit=HEAD, **replaced)
    found = gate(TOY, GOOD[:6] + measured(TOY, HEAD, [0.9] * 3, provenance=made))
    assert field in the(found, "machine", "refused").reason
    assert status(found) == 3


def test_a_baseline_from_another_machine_is_welcome() -> None:
    made = toys.provenance(commit=HEAD, machine={"host": "there"})
    records = [
        r.model_copy(update={"provenance": made, "reused_from": BASE})
        if r.baseline and r.provenance.commit == HEAD
        else r
        for r in GOOD
    ]
    assert status(gate(TOY, records)) == 0


# Kernel times.


def timing(commit: str, seconds: float | None = 0.002, **replaced: Any) -> Timing:
    facts: dict[str, Any] = {
        "machine": "box",
        "environment": "py3.11",
        "kernel": "ntk_gram",
        "backend": "numba",
        "claim": "toy",
        "shape": "block",
        "error": 1e-7,
        "version": "1",
        "hardware": {"cpu": "Fast"},
    }
    return Timing(commit=commit, seconds=seconds, **facts | replaced)


def timed(base: Timing | None, head: Timing | None) -> Comparison:
    return gate(TIMED, both(TIMED, [0.9] * 3, [0.9] * 3), [t for t in (base, head) if t])


def spread(median: float) -> dict[str, Any]:
    return {"low": median * 0.95, "high": median * 1.05}


@pytest.mark.parametrize(
    ("base", "head", "kind"),
    [
        (0.002, 0.0031, "worse"),
        (0.0031, 0.002, "better"),
        (0.002, 0.0024, "unchanged"),  # within the tolerance of 25%
        (0.00010, 0.00019, "unchanged"),  # less than 0.1 ms
        (0.00010, 0.00021, "worse"),
    ],
)
def test_a_time_is_worse_beyond_tolerance_and_floor(base: float, head: float, kind: str) -> None:
    found = timed(timing(BASE, base), timing(HEAD, head))
    assert the(found, "time", kind).unit == "s"
    assert status(found) == (kind == "worse")


def test_times_without_rounds_say_what_they_cannot_see() -> None:
    [note] = timed(timing(BASE), timing(HEAD)).notes
    assert "no rounds of these two commits" in note
    assert not gate(TOY, GOOD).notes


def test_a_time_is_worse_only_where_samples_are_apart() -> None:
    wide = {"low": 0.002, "high": 0.01}
    assert the(timed(timing(BASE, **wide), timing(HEAD, low=0.004)), "time", "unchanged")
    assert the(timed(timing(BASE, **wide), timing(HEAD, low=0.011)), "time", "worse")


def test_the_lower_quartile_of_samples_goes_before_asvs() -> None:
    samples = (0.001, 0.001, 0.001, 0.004, 0.9)
    found = timed(timing(BASE, 0.001), timing(HEAD, 0.004, **spread(0.004), samples=samples))
    assert the(found, "time", "unchanged").head == 0.001


def test_the_reason_of_a_time_is_one_line() -> None:
    found = timed(timing(BASE, 0.0019), timing(HEAD, 0.0031))
    reason = "ntk_gram numba on toy.block: 1.9 ms -> 3.1 ms (+63%), tolerance 25%"
    assert the(found, "time", "worse").reason == reason
    assert the(found, "time", "worse").keys == ("shapes", "block")


RIGHT = {"seconds": 0.002}
FAILED = {"seconds": None, "status": "failed"}
UNCHECKED = {"error": None}
SKIPPED = {"seconds": None, "error": None, "status": "skipped"}


@pytest.mark.parametrize(
    ("base", "head", "kind", "code"),
    [
        (RIGHT, FAILED, "worse", 1),
        (RIGHT, UNCHECKED, "worse", 1),
        (RIGHT, {"seconds": 0.0}, "worse", 1),
        (SKIPPED, FAILED, "worse", 1),
        (RIGHT, SKIPPED, "not measured", 3),
        (FAILED, SKIPPED, "not measured", 3),
        (UNCHECKED, FAILED, "not measured", 3),
        (FAILED, RIGHT, "better", 0),
        (SKIPPED, RIGHT, "unchanged", 0),
    ],
)
def test_a_backend_is_right_before_it_has_a_time(
    base: dict[str, Any], head: dict[str, Any], kind: str, code: int
) -> None:
    found = timed(timing(BASE, **base), timing(HEAD, **head))
    assert the(found, "correctness", kind).head is None
    assert not [line for line in found.lines if line.what == "time"]
    assert status(found) == code


@pytest.mark.parametrize(
    ("before", "after", "code"), [(1e-7, 3e-7, 0), (1e-5, 3e-5, 1), (0.0, 1e-3, 1)]
)
def test_faster_and_less_right_is_worse(before: float, after: float, code: int) -> None:
    found = timed(timing(BASE, 0.002, error=before), timing(HEAD, 0.001, error=after))
    assert status(found) == code
    assert len(found.of("better")) == 1 - code


def test_faster_and_less_accurate_shows_both_facts() -> None:
    records = both(TIMED, [0.9] * 3, [0.85] * 3)
    found = gate(TIMED, records, [timing(BASE, 0.002), timing(HEAD, 0.001)])
    assert the(found, "metric", "worse").change == pytest.approx(-0.05)
    assert the(found, "time", "better").change == pytest.approx(-0.001)
    assert found.lines.index(the(found, "metric", "worse")) < found.lines.index(
        the(found, "time", "better")
    )
    assert status(found) == 1


@pytest.mark.parametrize(
    ("base", "head", "reason"),
    [
        (None, None, "no time at base and none at head"),
        (timing(BASE), None, "no time at head"),
        (None, timing(HEAD), "no time at base"),
        (timing(BASE, **SKIPPED), timing(HEAD, **SKIPPED), "no time at base and none at head"),
    ],
)
def test_a_time_that_is_not_there_is_noticed(
    base: Timing | None, head: Timing | None, reason: str
) -> None:
    found = timed(base, head)
    assert reason in the(found, "time", "not measured").reason
    assert status(found) == 3


@pytest.mark.parametrize(
    ("replaced", "field"),
    [
        ({"hardware": {"cpu": "Slow"}}, "cpu 'Fast' -> 'Slow'"),
        ({"machine": "other"}, "machine 'box' -> 'other'"),
        ({"environment": "py3.12"}, "environment 'py3.11' -> 'py3.12'"),
        ({"version": "2"}, "the benchmark itself changed"),
    ],
)
def test_a_time_from_elsewhere_is_refused(replaced: dict[str, Any], field: str) -> None:
    found = timed(timing(BASE), timing(HEAD, 0.9, **replaced))
    [line] = found.of("refused")
    assert field in line.reason
    assert status(found) == 3


def test_every_machine_that_base_has_is_wanted_at_head() -> None:
    records = both(TIMED, [0.9] * 3, [0.9] * 3)
    times = [timing(BASE), timing(HEAD), timing(BASE, machine="second")]
    found = gate(TIMED, records, times)
    assert the(found, "time", "not measured").reason == (
        "ntk_gram numba on toy.block (second, py3.11): no time at head"
    )


# From files.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder with records and times of two commits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    for number, record in enumerate(both(TIMED, [0.9] * 3, [0.9] * 3)):
        append(record, tmp_path / f"results/{number % 2}.jsonl")
    asv_files.write_benchmarks(tmp_path / "asv")
    for commit in (BASE, HEAD):
        asv_files.write_results(tmp_path / "asv", commit, [0.002], [1e-7])
    return tmp_path


@pytest.fixture
def gate_files(folder: Path) -> Callable[..., int]:
    def call(base: str = BASE, head: str = HEAD, **arguments: Any) -> int:
        places = {"results": folder / "results", "asv_results": folder / "asv"}
        return run(base, head, **places | {"claims": [TIMED]} | arguments)

    return call


def test_a_gate_from_files(
    gate_files: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate_files(out=folder / "out") == 0
    assert "nothing is worse (exit status 0)" in capsys.readouterr().out
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {"gate.md", "gate.json", "gate.xml", "gate.sarif"}


def test_a_gate_without_asv_results_is_not_green(
    gate_files: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate_files(asv_results=folder / "none") == 3
    said = capsys.readouterr().out
    assert f"claimbench gate --measure {BASE} {HEAD}" in said


def test_a_gate_of_an_empty_folder_says_what_to_do(
    gate_files: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    author = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    for number in range(2):
        command = ["commit", "-q", "--allow-empty", "-m", str(number)]
        subprocess.run(["git", *author, *command], check=True)
    nothing = {"results": folder / "empty", "asv_results": folder / "none"}
    assert gate_files("HEAD~1", "HEAD", **nothing) == 3
    assert capsys.readouterr().out.count("nothing was measured at") == 2


def test_records_of_a_changed_checkout_are_pointed_out(
    gate_files: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"claims": [TOY], "asv_results": folder / "none"}
    for record in measured(TOY, HEAD + "-dirty", [0.9] * 3):
        append(record, folder / "dirty/a.jsonl")
    for record in measured(TOY, BASE, [0.9] * 3):
        append(record, folder / "dirty/a.jsonl")
    assert gate_files(BASE, HEAD + "-dirty", results=folder / "dirty", **known) == 0
    asv_files.write_benchmarks(folder / "other")
    asv_files.write_results(folder / "other", "c" * 40, [0.1])
    known["asv_results"] = folder / "other"
    with pytest.raises(UsageError, match="no commit is called"):
        gate_files(BASE, "d" * 40, results=folder / "dirty", **known)


def test_a_commit_is_not_compared_with_itself(gate_files: Callable[..., int]) -> None:
    with pytest.raises(UsageError, match="are one commit"):
        gate_files(BASE, BASE)


def test_the_largest_tier_that_both_have_is_compared(
    gate_files: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = TIMED.model_copy(update={"tiers": TIMED.tiers | {"quick": TIMED.tiers["smoke"]}})
    for commit in (BASE, HEAD):
        [record, *_] = measured(TIMED, commit, [0.9] * 3)
        record = record.model_copy(update={"tier": "quick"})
        append(record, folder / "results/quick.jsonl")
        assert gate_files(claims=[quick]) == 0
    said = capsys.readouterr().out
    assert said.index("tier smoke") < said.index("tier quick")


def test_a_sample_that_is_not_a_number_does_not_decide(
    gate_files: Callable[..., int], folder: Path
) -> None:
    samples = [[math.nan, 0.002, 0.002, 0.002]]
    asv_files.write_results(folder / "asv", HEAD, [0.002], [1e-7], samples=samples)
    assert gate_files() == 0
    asv_files.write_results(folder / "asv", HEAD, [math.nan], [math.nan])
    assert gate_files() == 3
    asv_files.write_results(folder / "asv", HEAD, [None], [1e-7])
    assert gate_files() == 1
