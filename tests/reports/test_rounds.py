"""What rounds of two commits say: the rule for times and for memory, in both directions."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from claimbench.reports import rounds
from claimbench.reports.comparison import Comparison, status
from claimbench.reports.gate import compare
from claimbench.reports.rounds import FEWEST, Judge, Judgement, Key, Rounds, Times, Turns
from claimbench.suite.records import RecordError

from ..suite import toys
from . import asv_files, test_gate

BASE, HEAD = "a" * 40, "b" * 40
TIMED = asv_files.with_shape(toys.tables(), tolerance=0.05)
[(LABEL, SHAPE)] = TIMED.shapes.items()
KEY = Key("toy", LABEL, "numba")
MIB = 2**20


def times(ratio: float, *, twin: float = 1.0, noise: float = 0.01, count: int = 20) -> list[Times]:
    """Rounds of a call of about 2 ms that is `ratio` times as slow at head."""
    rng = np.random.default_rng(0)
    base, head, same = 0.002 * np.exp(noise * rng.normal(size=(3, count)))
    return list(zip(base, ratio * head, twin * same, strict=True))


def turns(found: Sequence[Times], **replaced: Any) -> Turns:
    facts: dict[str, Any] = {
        "claim": "toy",
        "shape": LABEL,
        "kernel": TIMED.kernel,
        "backend": "numba",
        "inputs": SHAPE.inputs,
        "arguments": SHAPE.arguments,
        "times": tuple(found),
    }
    return Turns(**facts | replaced)


def taken(first: Sequence[Turns], again: Sequence[Turns] = ()) -> Rounds:
    return Rounds(
        base=BASE,
        head=HEAD,
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
        machine={"host": "here"},
        device="cpu",
        threads=1,
        load=(0.5, 1.5),
        libraries={"numpy": "2.0.0"},
        first=tuple(first),
        again=tuple(again),
    )


def judge(first: Turns, again: Turns | None = None, others: Sequence[Turns] = ()) -> Judgement:
    return Judge(taken([first, *others], [again] if again else []), [TIMED]).time(KEY)


# Statistics, held against another author's.


@pytest.mark.parametrize("n", [5, 8, 13])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_ends_of_the_interval_are_where_the_signed_rank_test_turns(n: int, alpha: float) -> None:
    values = np.random.default_rng(n).normal(0.3, 1, n)
    low, high = rounds.interval(values, alpha)

    def p(end: float, alternative: str) -> float:
        return float(stats.wilcoxon(values - end, alternative=alternative, mode="exact").pvalue)

    assert p(low - 1e-9, "greater") <= alpha < p(low + 1e-9, "greater")
    assert p(high + 1e-9, "less") <= alpha < p(high - 1e-9, "less")


def test_the_signed_rank_sum_is_counted_right() -> None:
    sums = [sum(signs) for signs in itertools.product(*((0, rank) for rank in range(1, 7)))]
    counted = np.array([np.mean(np.array(sums) <= w) for w in range(22)])
    np.testing.assert_allclose(rounds._signed_rank_cdf(6), counted)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_too_few_values_have_no_interval(n: int) -> None:
    assert rounds.interval([0.1] * n, 0.05) == (-math.inf, math.inf)


def test_a_wild_round_hardly_moves_the_location() -> None:
    values = [0.01 * k for k in range(-5, 6)]
    assert rounds.location(values) == pytest.approx(0)
    assert abs(rounds.location([*values, 50.0])) < 0.01


# Times.


@pytest.mark.parametrize(
    ("ratio", "kind"),
    [(1.10, "worse"), (2.0, "worse"), (1 / 1.10, "better"), (1.02, "unchanged"), (1, "unchanged")],
)
def test_a_time_changes_beyond_tolerance_in_both_measurements(ratio: float, kind: str) -> None:
    judged = judge(turns(times(ratio)), turns(times(ratio)))
    assert judged.kind == kind
    assert judged.last is not None
    assert judged.last.effect == pytest.approx(math.log(ratio), abs=0.01)
    assert judged.last.low < judged.last.effect < judged.last.high


def test_a_declared_tolerance_is_what_a_slow_down_must_exceed() -> None:
    shape = SHAPE.model_copy(update={"tolerance": 0.3})
    claim = TIMED.model_copy(update={"shapes": {LABEL: shape}})
    slower = [turns(times(1.2))]
    assert Judge(taken(slower, slower), [claim]).time(KEY).kind == "unchanged"


def test_what_moves_by_itself_hides_a_change_of_that_size() -> None:
    moved = turns(times(1.10, twin=1.12))
    assert judge(moved, moved).kind == "unchanged"


def test_a_machine_on_which_everything_moves_needs_more() -> None:
    others = [turns(times(1, twin=1.15), backend=name) for name in ("cpu", "torch", "reference")]
    slower = turns(times(1.10))
    assert judge(slower, slower, others).kind == "unchanged"
    assert judge(slower, slower).kind == "worse"


@pytest.mark.parametrize("repeated", [1.0, 1 / 1.10])
def test_a_slow_down_that_does_not_come_again_is_none(repeated: float) -> None:
    assert judge(turns(times(1.10)), turns(times(repeated))).kind == "unchanged"


@pytest.mark.parametrize(
    ("first", "again", "why"),
    [
        ({"times": ()}, None, f"0 rounds, where {FEWEST} are the fewest"),
        ({"times": tuple(times(1)[: FEWEST - 1])}, None, "are the fewest"),
        ({"problem": "head: ValueError: no"}, None, "head: ValueError: no"),
        ({"inputs": {"x1": (9, 9)}}, None, "its shape has changed since"),
        ({"arguments": {"variants": [[1, 1]]}}, None, "its shape has changed since"),
        ({"backend": "cpu"}, None, "it is not in the rounds"),
        ({"times": tuple(times(1.2))}, None, "%, and measured again: it is not in"),
        ({"times": tuple(times(1.2))}, {"problem": "head: died"}, "measured again: head: died"),
    ],
)
def test_what_cannot_be_judged_was_not_measured(
    first: dict[str, Any], again: dict[str, Any] | None, why: str
) -> None:
    repeated = None if again is None else turns(times(1.2), **again)
    judged = judge(turns(first.pop("times", times(1)), **first), repeated)
    assert judged.kind == "not measured"
    assert why in judged.why


def test_noise_that_hides_any_slow_down_is_said() -> None:
    judged = judge(turns(times(1, noise=1.5)), turns(times(1, noise=1.5)))
    assert judged.kind == "not measured"
    assert "too noisy to tell: no slow-down under" in judged.why


def test_the_family_of_repeated_cases_shares_one_error_rate() -> None:
    slower = turns(times(1.09, noise=0.05))
    alone = Judge(taken([slower], [slower]), [TIMED]).time(KEY)
    many = [slower, *(turns(times(1), backend=str(k)) for k in range(99))]
    among = Judge(taken([slower], many), [TIMED]).time(KEY)
    assert alone.last is not None
    assert among.last is not None
    assert among.last.low < alone.last.low


def test_only_what_seems_to_have_changed_is_measured_again() -> None:
    found = [
        turns(times(1)),
        turns(times(1.1), backend="slower"),
        turns(times(0.9), backend="faster"),
        turns(times(1), backend="larger", memory=(MIB, 99 * MIB, MIB)),
        turns([], backend="absent", problem="no GPU"),
        turns(times(1.1)[:3], backend="few"),
    ]
    picked = rounds.picked(found, rounds.tolerance_of([TIMED]))
    assert [turns.backend for turns in picked] == ["slower", "faster", "larger"]


# Memory.

LARGER, SAME = (100 * MIB, 120 * MIB, 100 * MIB), (100 * MIB, 101 * MIB, 100 * MIB)
UNSTEADY, SMALL = (100 * MIB, 120 * MIB, 130 * MIB), (MIB, 3 * MIB, MIB)
SMALLER, UNSEEN = (120 * MIB, 100 * MIB, 120 * MIB), (None, None, None)


@pytest.mark.parametrize(
    ("first", "again", "kind"),
    [
        (LARGER, LARGER, "worse"),
        (SMALLER, SMALLER, "better"),
        (SAME, None, "unchanged"),
        (SMALL, None, "unchanged"),  # of a few MiB an allocator decides
        (UNSTEADY, None, "unchanged"),
        (LARGER, SAME, "unchanged"),
        (LARGER, SMALLER, "unchanged"),
        (LARGER, None, "not measured"),
        (LARGER, UNSEEN, "not measured"),
    ],
)
def test_memory_changes_beyond_its_share_in_both_measurements(
    first: Any, again: Any, kind: str
) -> None:
    repeated = [] if again is None else [turns(times(1), memory=again)]
    found = Judge(taken([turns(times(1), memory=first)], repeated), [TIMED]).memory(KEY)
    assert found is not None
    assert found[0] == kind


def test_memory_that_nobody_saw_has_no_line() -> None:
    assert Judge(taken([turns(times(1))]), [TIMED]).memory(KEY) is None


# In the gate.


def gated(first: Sequence[Turns], again: Sequence[Turns] = (), **of_head: Any) -> Comparison:
    """The gate over two commits whose records agree and whose asv samples are far apart."""
    timings = [test_gate.timing(BASE, 0.001), test_gate.timing(HEAD, **{"seconds": 0.1} | of_head)]
    records = test_gate.both(TIMED, [0.9] * 3, [0.9] * 3)
    return compare([TIMED], records, timings, BASE, HEAD, "smoke", taken(first, again))


def test_rounds_go_before_samples_that_were_taken_apart() -> None:
    found = gated([turns(times(1), memory=SAME)])
    assert status(found) == 0
    lines = {line.what: line for line in found.lines if line.subject != "toy"}
    assert set(lines) == {"time", "memory"}
    assert "a slow-down of" in lines["time"].reason
    assert "peak memory of a call 100.0 -> 101.0 MiB" in lines["memory"].reason
    assert found.notes[0].startswith("times: 1 cases in turns, load 0.5 to 1.5")


def test_a_slow_down_and_more_memory_are_worse_and_say_by_how_much() -> None:
    slower = [turns(times(1.5), memory=LARGER)]
    found = gated(slower, slower)
    time, memory = sorted(found.of("worse"), key=lambda line: line.what, reverse=True)
    assert status(found) == 1
    assert "when first measured, must clear" in time.reason
    assert time.change == pytest.approx(0.001, rel=0.05)
    assert time.keys == ("shapes", LABEL)
    assert (memory.base, memory.head) == (100 * MIB, 120 * MIB)


def test_a_case_that_the_rounds_lack_is_noticed() -> None:
    found = gated([turns(times(1), backend="cpu")])
    assert status(found) == 3
    assert "it is not in the rounds" in found.of("not measured")[0].reason


def test_a_wrong_backend_has_no_time_in_rounds_either() -> None:
    found = gated([turns(times(0.5))], seconds=None, status="failed")
    assert status(found) == 1
    assert not [line for line in found.lines if line.what in ("time", "memory")]


# Files.


def test_rounds_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = taken([turns(times(1))])
    assert rounds.read(tmp_path, BASE, HEAD) is None
    rounds.write(written, tmp_path)
    assert rounds.read(tmp_path, BASE, HEAD) == written
    assert rounds.read(tmp_path, BASE, "c" * 40) is None


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        content = json.loads(text)
        change(content)
        return json.dumps(content)

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        edited(lambda content: content.update(schema_version=2)),
        edited(lambda content: content.pop("first")),
        edited(lambda content: content["first"][0].update(times=[[0.1, 0.2]])),
        edited(lambda content: content["first"][0].update(times=[[0.1, -0.2, 0.1]])),
        edited(lambda content: content["first"][0].update(times=[[0.1, math.nan, 0.1]])),
        edited(lambda content: content.update(head="c" * 40)),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, edit: Callable[[str], str]) -> None:
    file = rounds.write(taken([turns(times(1))]), tmp_path)
    file.write_text(edit(file.read_text()))
    with pytest.raises(RecordError, match=f"{file.name}.*measure again"):
        rounds.read(tmp_path, BASE, HEAD)
