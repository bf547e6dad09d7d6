"""The bench: who takes part, in which order, on which inputs, and what its record says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from claimbench.kernels import KERNELS, shapes
from claimbench.kernels._dispatch import Backend
from claimbench.suite import kernel_bench, peers
from claimbench.suite.kernel_bench import BenchRecord, bench_kernels
from claimbench.suite.peers import (
    NotMeasured,
    Peer,
    environments,
    released_recursion,
    torch_eager,
    unfused,
)
from claimbench.suite.peers import neural_tangents as neural_tangents_peer
from claimbench.suite.timing import comparison, contenders, floors, rounds
from claimbench.suite.timing.comparison import Row, Settings, compare, with_floor
from claimbench.suite.timing.contenders import Absent
from claimbench.suite.timing.floors import Peaks
from claimbench.suite.timing.runners import Clock, HostTimer, InProcess, Sample
from claimbench.suite.timing.workloads import Workload, workloads

PEAKS = Peaks({"float32": 1e9, "float64": 5e8}, 1e8)
SMALL = Workload("ntk_gram", "standard", "small", {"x1": (6, 3)}, {"variants": [[1, 0], [1, 1]]})
BLOCK = Workload(
    "cntk_gram",
    "standard",
    "block",
    {"x1": (3, 2, 4, 4), "x2": (5, 2, 4, 4)},
    {"depths": [1, 2], "windows": [0, "gap"], "get": ["ntk", "nngp"]},
)
CPU = Settings("cpu", rounds=3, peers=True)


def silent(text: str) -> None:
    """Nobody is told."""


# The order of turns, and how many each can afford.


def test_rounds_are_interleaved_and_begin_with_another_each_time() -> None:
    turns = list(rounds.schedule([3, 3, 3]))
    assert turns == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 0), (2, 2), (2, 0), (2, 1)]


def test_a_contender_with_fewer_rounds_has_them_spread_over_all() -> None:
    turns = list(rounds.schedule([6, 2]))
    assert [turn for turn, index in turns if index == 1] == [2, 5]
    assert [turn for turn, index in turns if index == 0] == list(range(6))
    assert list(rounds.schedule([])) == []


def test_what_fast_contenders_leave_over_goes_to_the_slow() -> None:
    assert rounds.allot([1, 1, 10], rounds=5, seconds=40) == [5, 5, 3]
    assert rounds.allot([100, 1], rounds=5, seconds=10) == [1, 5]
    assert rounds.allot([1e9], rounds=5, seconds=1) == [1]
    assert rounds.allot([0.0], rounds=5, seconds=0) == [5]


def test_a_turn_lasts_long_enough_to_be_measured() -> None:
    assert rounds.repeats(1.0) == 1
    assert rounds.repeats(0.003) == 7
    assert rounds.turn_s(0.003) >= rounds.SHORTEST


# What is timed, and on what.


def test_times_are_the_mean_of_a_turn_on_both_clocks() -> None:
    ticks = iter([10.0, 13.0])
    busy = iter([1.0, 2.5])
    timer = HostTimer(Clock(wall=lambda: next(ticks), cpu=lambda: next(busy)))
    called: list[int] = []
    sample = timer.sample([lambda: called.append(1)] * 3)
    assert (sample.wall_s, sample.cpu_s, len(called)) == (1.0, 0.5, 3)


def test_inputs_differ_by_seed_and_those_of_a_part_are_the_first_of_the_whole() -> None:
    whole, other = BLOCK.arrays(1), BLOCK.arrays(2)
    assert not np.array_equal(whole[0], other[0])
    part = BLOCK.part(2, 2)
    assert part.items == 4
    assert BLOCK.items == 15
    for array, first in zip(whole, part.arrays(1), strict=True):
        np.testing.assert_array_equal(first, array[:2])
    assert BLOCK.part(9, 9) == BLOCK
    assert SMALL.part(4, 4).items == 10


def test_every_standard_shape_is_accepted_by_its_kernel_and_has_its_work_counted() -> None:
    for device in ("cpu", "cuda"):
        own = [w for tier in ("standard", "sweep") for w in workloads(list(KERNELS), tier, device)]
        for workload in own:
            work = workload.work()
            assert work is not None, workload.name
            counted = [count for count in (work.flops, work.bytes) if count is not None]
            assert min([*counted, work.items]) > 0, workload.name
    labels = {workload.label for workload in workloads(["cntk_gram"], "standard", "cpu")}
    assert labels == {"gap_32", "gap_16", "vanilla_32"}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_sweep_has_several_sizes_of_one_call(device: str) -> None:
    for kernel in KERNELS:
        families: dict[str, list[float]] = {}
        for workload in workloads([kernel], "sweep", device):
            work = workload.work()
            assert work is not None
            assert work.flops is not None
            families.setdefault(workload.label.rstrip("_0123456789"), []).append(work.flops)
        assert families, kernel
        for sizes in families.values():
            assert len(sizes) > 2
            assert sizes == sorted(set(sizes))


def test_the_work_of_a_gap_pair_is_that_of_all_pixel_pairs() -> None:
    arguments: dict[str, Any] = {"depths": [13], "windows": ["gap"]}
    block = {"x1": (1, 3, 32, 32), "x2": (1, 3, 32, 32)}
    gap = shapes.work("cntk_gram", block, arguments, 4)
    vanilla = shapes.work("cntk_gram", block, arguments | {"windows": [0]}, 4)
    assert gap is not None
    assert vanilla is not None
    assert gap.flops == 32**4 * (46 * 11 + 70)
    assert vanilla.flops == 32**2 * (46 * 11 + 70)
    triangle = shapes.work("cntk_gram", {"x1": (4, 3, 32, 32)}, arguments, 4)
    assert triangle is not None
    assert triangle.flops == 10 * 32**4 * (46 * 11 + 70)


def test_the_floor_is_the_larger_of_computing_and_moving() -> None:
    assert floors.floor(2e9, 1e8, "float32", PEAKS) == floors.Floor(2.0, "compute")
    assert floors.floor(1e8, 3e8, "float64", PEAKS) == floors.Floor(3.0, "memory")
    higher = PEAKS | Peaks({"float32": 3e9, "float64": 1.0}, 1.0)
    assert higher == Peaks({"float32": 3e9, "float64": 5e8}, 1e8)


# Contenders that are made up.


@dataclass
class Made:
    """A runner that remembers what it was given; its clock is a constant for each pair."""

    result_of: Callable[..., np.ndarray]
    pair_s: float
    given: list[list[np.ndarray]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    name: str = "made"
    closed: bool = False

    def result(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return self.result_of(*arrays)

    def sample(self, sets: Sequence[Sequence[np.ndarray]], calls: int) -> Sample:
        self.given.append([arrays[0] for arrays in sets])
        self.order.append(self.name)
        pairs = len(sets[0][0]) * len(sets[0][-1])
        return Sample(self.pair_s * pairs, self.pair_s * pairs / 2)

    def trial(self, arrays: Sequence[np.ndarray]) -> tuple[float, int | None]:
        return self.sample([arrays], 1).wall_s, None

    def close(self) -> None:
        self.closed = True


@dataclass
class MadePeer:
    """The module of a peer."""

    made: Made | Exception
    note: str = ""
    reason: str = ""

    def adapt(self, workload: Workload, device: str) -> tuple[Workload, str]:
        if self.reason:
            raise NotMeasured(self.reason)
        return workload, self.note

    def runner(self, workload: Workload, device: str) -> Made:
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


def right(*arrays: np.ndarray) -> np.ndarray:
    result: np.ndarray = KERNELS["cntk_gram"].reference(*arrays, **BLOCK.arguments)
    return result


@pytest.fixture
def with_peers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Peers that are made up, beside the reference alone: others would have to be compiled."""

    def replace_peers(kernel: str, batches: Sequence[int] = (0,), **modules: Any) -> None:
        monkeypatch.setattr(Peer, "load", lambda self: modules[self.name])
        made = [Peer(name, kernel, "", batches) for name in modules]
        monkeypatch.setattr(peers, "PEERS", made)
        alone = {"reference": KERNELS[kernel].backends["reference"]}
        monkeypatch.setattr(KERNELS[kernel], "backends", alone)

    return replace_peers


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A backend of ntk_gram whose results are one per cent too large."""
    backends = KERNELS["ntk_gram"].backends
    monkeypatch.setitem(backends, "broken", Backend(__name__, "numpy"))
    forget = contenders.wrong_case.cache_clear
    forget()
    yield "broken"
    forget()


def ntk_gram(*args: Any, **kwargs: Any) -> np.ndarray:
    result: np.ndarray = 1.01 * KERNELS["ntk_gram"].reference(*args, **kwargs)
    return result


def rows_of(
    workload: Workload, settings: Settings = CPU
) -> tuple[dict[str, Row], dict[str, Absent]]:
    found, absent = compare(workload, settings, 30, silent)
    return {row.contender: row for row in found}, {a.contender: a for a in absent}


def test_every_round_has_fresh_inputs_and_all_contenders_the_same(with_peers: Any) -> None:
    first, second = Made(right, 1.0), Made(right, 0.01)
    with_peers("cntk_gram", one=MadePeer(first), two=MadePeer(second))
    rows_of(BLOCK, replace(CPU, rounds=4))
    # Before the rounds each is called once to see how long it takes.
    assert [len(made.given) for made in (first, second)] == [1 + 1, 1 + 4]
    np.testing.assert_array_equal(first.given[1][0], second.given[4][0])
    drawn = [array for turn in second.given for array in turn]
    for i, array in enumerate(drawn):
        for earlier in drawn[:i]:
            assert not np.array_equal(array, earlier)
    assert first.closed
    assert second.closed


def test_a_peer_is_measured_where_a_pair_is_fastest_and_its_time_is_for_a_pair(
    with_peers: Any,
) -> None:
    class Batched(Made):
        def sample(self, sets: Sequence[Sequence[np.ndarray]], calls: int) -> Sample:
            taken = {1: 0.5, 4: 1.0, 15: 60.0}[len(sets[0][0]) * len(sets[0][1])]
            return Sample(taken, taken)

    with_peers("cntk_gram", batches=(1, 2, 0), batched=MadePeer(Batched(right, 0)))
    row = rows_of(BLOCK)[0]["batched"]
    assert (row.items, row.items_of_shape, row.median_s, row.item_s) == (4, 15, 1.0, 0.25)
    assert row.inputs == {"x1": (2, 2, 4, 4), "x2": (2, 2, 4, 4)}


def test_a_peer_that_fails_or_cannot_be_had_is_listed_with_the_reason(with_peers: Any) -> None:
    def fails(*arrays: np.ndarray) -> np.ndarray:
        raise RuntimeError("no more memory\nand more lines")

    with_peers(
        "cntk_gram",
        absent=MadePeer(Made(right, 1), reason="it is not installed"),
        unstarted=MadePeer(NotMeasured("its environment could not be made")),
        failing=MadePeer(Made(fails, 1)),
        other=MadePeer(Made(lambda *a: 2 * right(*a), 1)),
        misshapen=MadePeer(Made(lambda *a: right(*a)[0], 1)),
        peer=MadePeer(Made(right, 1)),
    )
    rows, absent = rows_of(BLOCK)
    reasons = {name: entry.reason for name, entry in absent.items() if entry.kind == "peer"}
    assert set(reasons) == {"absent", "unstarted", "failing", "other", "misshapen"}
    assert reasons["absent"] == "it is not installed"
    assert reasons["unstarted"] == "its environment could not be made"
    assert reasons["failing"] == "failed: RuntimeError: no more memory"
    assert reasons["other"].startswith("off by 1.0e+00")
    assert "where the reference gives" in reasons["misshapen"]
    assert not any(entry.wrong for entry in absent.values())
    assert "peer" in rows


def test_a_peer_that_fails_in_its_turn_drops_out(with_peers: Any) -> None:
    class Dying(Made):
        def sample(self, sets: Sequence[Sequence[np.ndarray]], calls: int) -> Sample:
            if self.given:
                raise NotMeasured("it ended without a word")
            return super().sample(sets, calls)

    dying = Dying(right, 1)
    with_peers("cntk_gram", dying=MadePeer(dying))
    rows, absent = rows_of(BLOCK)
    assert absent["dying"].reason == "it ended without a word"
    assert "reference" in rows
    assert dying.closed


def test_no_peers_are_run_if_none_are_wanted(with_peers: Any) -> None:
    with_peers("cntk_gram", peer=MadePeer(Made(right, 1)))
    rows, absent = rows_of(BLOCK, replace(CPU, peers=False))
    assert set(rows) == {"reference"}
    assert not absent


def test_a_wrong_backend_has_no_time(broken: str) -> None:
    rows, absent = rows_of(SMALL, replace(CPU, peers=False))
    assert broken not in rows
    assert absent[broken].wrong
    assert "off by 1.0e-02" in absent[broken].reason


def test_a_backend_that_is_wrong_on_the_shape_alone_has_no_time(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "wrong_case", lambda *_: "")
    rows, absent = rows_of(SMALL, replace(CPU, peers=False))
    assert broken not in rows
    assert absent[broken].wrong
    assert "reference" in rows


# The command.


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tiny shape, no peers that take long, peaks that need no measuring."""
    monkeypatch.setattr(kernel_bench, "workloads", lambda *_: [SMALL])
    monkeypatch.setattr(floors, "measured", lambda device: PEAKS)
    monkeypatch.setattr(
        peers, "PEERS", [Peer("released_recursion", "ntk_gram", ".released_recursion")]
    )


def bench(**options: Any) -> int:
    return bench_kernels(["ntk_gram"], "standard", 2, "cpu", **options)


@pytest.mark.usefixtures("tiny")
def test_the_record_is_of_its_schema_and_says_where_it_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "bench.json"
    assert bench(out=out, as_json=True) == 0
    content = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == content
    record = TypeAdapter(BenchRecord).validate_json(out.read_text())
    assert record.schema_version == 1
    assert record.method.rounds == 2
    assert record.machine["processor"]
    assert record.libraries["numpy"] == np.__version__
    rows = {row.contender: row for row in record.rows}
    assert {"reference", "released_recursion"} <= set(rows)
    assert rows["released_recursion"].dtype == "float64"
    assert rows["released_recursion"].note == "in float64, its only dtype"
    for row in record.rows:
        assert row.rounds == 2
        assert row.items == row.items_of_shape == 21
        assert row.lower_s <= row.median_s <= row.upper_s
        assert row.floor_s == with_floor(row, PEAKS).floor_s
        assert row.relative_error < 1e-5


@pytest.mark.usefixtures("tiny")
def test_the_table_names_who_was_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench() == 0
    shown = capsys.readouterr()
    assert "ntk_gram standard.small: time for each pair, 21 in all" in shown.out
    assert "released_recursion (peer)" in shown.out
    assert "triton: not measured: " in shown.out
    assert "s left at most" in shown.err


@pytest.mark.usefixtures("tiny")
def test_a_wrong_backend_is_named_and_the_exit_code_is_1(
    broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(peers=False) == 1
    assert f"{broken}: WRONG, so it has no time: " in capsys.readouterr().out


def test_a_tier_without_shapes_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_kernels(["coates_ng_features"], "full", 1, "cpu") == 3
    assert "no kernel asked for has a shape of tier full" in capsys.readouterr().err


# The peers that are ours compute what the kernel is.


@pytest.mark.parametrize("frozen_ends", [False, True])
def test_peers_that_hold_four_axes_compute_the_kernel(frozen_ends: bool) -> None:
    workload = replace(BLOCK, arguments=BLOCK.arguments | {"frozen_ends": frozen_ends})
    arrays = workload.arrays(0)
    truth = KERNELS["cntk_gram"].reference(
        *(a.astype(np.float64) for a in arrays), **workload.arguments
    )
    for peer in (unfused, torch_eager):
        adapted, note = peer.adapt(workload, "cpu")
        assert note == ""
        got = peer.runner(adapted, "cpu").result(arrays)
        # Float32, and a few hundred operations on each value.
        np.testing.assert_allclose(got, truth, rtol=1e-5, atol=1e-5 * np.abs(truth).max())


def test_peers_say_what_they_leave_out() -> None:
    flipped = replace(BLOCK, arguments=BLOCK.arguments | {"flips": [False, True]})
    adapted, note = unfused.adapt(flipped, "cpu")
    assert adapted.arguments["flips"] == [False]
    assert note == "without the mirrored half"
    wrapped = replace(BLOCK, arguments=BLOCK.arguments | {"padding": "circular"})
    with pytest.raises(NotMeasured, match="zeros only"):
        unfused.adapt(wrapped, "cpu")
    with pytest.raises(NotMeasured, match="float32"):
        torch_eager.adapt(replace(BLOCK, dtype="float64"), "cpu")
    with pytest.raises(NotMeasured, match="itself"):
        released_recursion.adapt(replace(SMALL, inputs={"x1": (2, 3), "x2": (2, 3)}), "cpu")


def test_neural_tangents_computes_one_variant_and_says_so() -> None:
    adapted, note = neural_tangents_peer.adapt(SMALL, "cpu")
    assert adapted.arguments == {"variants": [(1, 0)]}
    assert note == "variant (1, 0) alone"
    adapted, note = neural_tangents_peer.adapt(BLOCK, "cpu")
    assert adapted.arguments == {
        "depths": [2], "windows": ["gap"], "get": ["ntk"], "padding": "zeros",
    }  # fmt: skip
    assert note == "depth 2, window gap, ntk alone"
    frozen = {"depths": [2], "frozen_ends": True}
    assert neural_tangents_peer.adapt(replace(BLOCK, arguments=frozen), "cpu")[1] == (
        "all layers trained"
    )
    with pytest.raises(NotMeasured, match="on the CPU only"):
        neural_tangents_peer.adapt(BLOCK, "cuda")


def test_an_environment_that_is_not_there_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PEER_PYTHON", str(tmp_path / "python"))
    with pytest.raises(NotMeasured, match=r"PEER_PYTHON names .* which is not there"):
        environments.python("toy", ["nothing"], "PEER_PYTHON")


def test_an_environment_that_cannot_be_made_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLAIMBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(environments.venv, "create", lambda *_, **__: None)
    with pytest.raises(NotMeasured, match="its environment could not be made"):
        environments.python("toy", ["nothing"], "PEER_PYTHON")
    assert not (tmp_path / "peers" / "toy" / "complete").exists()


def test_a_worker_that_dies_says_its_last_words(tmp_path: Path) -> None:
    import sys

    script = tmp_path / "worker.py"
    script.write_text("raise SystemExit('jax is not what it was')")
    with pytest.raises(NotMeasured, match="jax is not what it was"):
        neural_tangents_peer.NeuralTangents([sys.executable, str(script)], SMALL)


def test_memory_of_native_code_is_seen_or_said_not_to_be() -> None:
    def big(x: np.ndarray, **_: Any) -> np.ndarray:
        return np.ones(2**24, np.float32)

    took, rise = InProcess(big, SMALL, "numpy", "cpu").trial(SMALL.arrays(0))
    assert took > 0
    assert rise is None or rise > 2**25


def test_a_turn_of_a_fast_contender_has_its_sets_in_rotation() -> None:
    seen: list[int] = []

    def remember(x: np.ndarray, **_: Any) -> np.ndarray:
        seen.append(id(x))
        return x

    InProcess(remember, SMALL, "numpy", "cpu").sample([SMALL.arrays(1), SMALL.arrays(2)], 5)
    assert len(set(seen)) == comparison.SETS == 2
    assert seen[0] == seen[2] == seen[4]
