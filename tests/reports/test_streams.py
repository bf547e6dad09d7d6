"""Taking turns: who waits while whom works, and what is noticed when one cannot go on."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import claimbench.kernels
from claimbench.reports import rounds, streams
from claimbench.reports.rounds import Judge, Turns
from claimbench.reports.streams import Answer, Effort, Ended, Process, cases, take
from claimbench.suite.definitions import Claim

from ..suite import toys
from . import asv_files

TIMED = asv_files.with_shape(toys.tables(), tolerance=0.05, arguments={"variants": [[1, 0]]})
SHORT = Effort(groups=2, least=8, fine=0.02, seconds=0.1)
FASTEST = 0.002


class Clock:
    """Time that passes when a fake stream works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A stream whose calls take what it is told."""

    def __init__(
        self,
        seconds: float,
        clock: Clock,
        log: Callable[[str], None],
        rise: int | None = 0,
        **answers: Any,
    ):
        self.seconds, self.clock, self.log = seconds, clock, log
        self.rise, self.answers = rise, answers
        self.request: dict[str, Any] = {}
        self.closed = False

    def send(self, **request: Any) -> None:
        self.request = request
        self.log(request["do"])

    def receive(self) -> Answer:
        if (special := self.answers.get(self.request["do"])) is not None:
            return special() if callable(special) else special
        self.clock.now += self.seconds
        answers: dict[str, Answer] = {
            "ready": {"seconds": self.seconds},
            "memory": {"bytes": self.rise},
            "turn": {"samples": [9 * self.seconds, self.seconds, 2 * self.seconds]},
        }
        return answers[self.request["do"]]

    def close(self) -> None:
        self.closed = True


def ends() -> Answer:
    raise Ended("the process ended with code -9")


class Fakes:
    """Starts fake streams; head is `ratio` times as slow."""

    def __init__(self, ratio: float = 1.0, **of_head: Any):
        self.clock, self.ratio, self.of_head = Clock(), ratio, of_head
        self.started: list[tuple[str, Fake]] = []
        self.log: list[tuple[str, str]] = []

    def __call__(self, name: str, wanted: Sequence[Turns]) -> Fake:
        ratio, special = (self.ratio, self.of_head) if name == "head" else (1.0, {})
        log = lambda request: self.log.append((name, request))  # noqa: E731
        stream = Fake(FASTEST * ratio, self.clock, log, **special)
        self.started.append((name, stream))
        return stream


def told(text: str) -> None:
    """Nobody listens."""


def taken(fakes: Fakes, count: int = 1, effort: Effort = SHORT) -> list[Turns]:
    wanted = cases([TIMED])[:count]
    return take(wanted, fakes, effort, told, fakes.clock)


def measured(fakes: Fakes, claims: Sequence[Claim]) -> rounds.Rounds:
    return streams.measure(claims, fakes, "a" * 40, "b" * 40, "cpu", told, (SHORT, SHORT))


def test_every_backend_of_every_shape_that_asv_times_is_a_case() -> None:
    names = {turns.backend for turns in cases([TIMED])}
    assert names == set(claimbench.kernels.KERNELS[TIMED.kernel].backends)


def test_a_round_has_one_number_of_each_stream() -> None:
    [turns] = taken(Fakes(ratio=3))
    assert len(turns.times) >= 2 * SHORT.least
    assert set(turns.times) == {(FASTEST, 3 * FASTEST, FASTEST)}


@pytest.mark.parametrize("call_s", [0.001, 1.0, 100.0])
def test_every_case_gets_its_fewest_rounds_however_long_they_take(
    monkeypatch: pytest.MonkeyPatch, call_s: float
) -> None:
    monkeypatch.setattr(__name__ + ".FASTEST", call_s)
    fakes = Fakes()
    found = taken(fakes, count=2, effort=Effort(groups=2, least=8, fine=0.0, seconds=0.0))
    fewest = 2 * SHORT.least if call_s < streams.LONG_S else rounds.FEWEST
    assert [len(turns.times) for turns in found] == [fewest] * 2


def test_each_group_has_new_processes_and_closes_them() -> None:
    fakes = Fakes()
    taken(fakes)
    assert [name for name, _ in fakes.started] == 2 * list(streams.NAMES)
    assert all(stream.closed for _, stream in fakes.started)


def test_streams_do_not_always_take_their_turns_in_one_order() -> None:
    fakes = Fakes()
    taken(fakes)
    turns = [name for name, request in fakes.log if request == "turn"]
    rounds = {tuple(turns[place : place + 3]) for place in range(0, len(turns), 3)}
    assert len(rounds) > 1
    assert all(set(one) == set(streams.NAMES) for one in rounds)


@pytest.mark.parametrize(
    ("special", "problem"),
    [
        ({"ready": {"absent": "it needs a GPU"}}, "head: it needs a GPU"),
        ({"ready": {"error": "ValueError: no"}}, "head: ValueError: no"),
        ({"turn": {"error": "ValueError: late"}}, "head: ValueError: late"),
        ({"ready": ends}, "the process ended with code -9"),
        ({"turn": ends}, "the process ended with code -9"),
        ({"memory": ends}, "the process ended with code -9"),
    ],
)
def test_a_case_that_cannot_run_has_its_reason(special: dict[str, Any], problem: str) -> None:
    [turns] = taken(Fakes(**special))
    assert turns.problem == problem


def test_one_process_that_ends_does_not_take_the_others_with_it() -> None:
    calls = itertools.count()

    def once() -> Answer:
        return ends() if next(calls) == 0 else {"seconds": FASTEST}

    first, second = taken(Fakes(ready=once), count=2)
    assert first.problem
    assert not second.problem
    assert len(second.times) >= SHORT.least


def test_a_slower_head_is_measured_again_and_found() -> None:
    fakes = Fakes(ratio=1.2)
    found = measured(fakes, [TIMED])
    assert {t.key for t in found.again} == {t.key for t in found.first}
    judge = Judge(found, [TIMED])
    assert {judge.time(turns.key).kind for turns in found.first} == {"worse"}


def test_an_equal_head_is_measured_once() -> None:
    found = measured(Fakes(), [TIMED])
    assert found.again == ()
    judge = Judge(found, [TIMED])
    assert {judge.time(turns.key).kind for turns in found.first} == {"unchanged"}


def test_a_larger_head_is_found() -> None:
    found = measured(Fakes(rise=2**26), [TIMED])
    judge = Judge(found, [TIMED])
    assert {judge.memory(t.key)[0] for t in found.first if judge.memory(t.key)} == {"worse"}  # type: ignore[index]


# Real processes.


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Process]:
    """Starts a stream on a copy of the kernels, with text added to the end of their dispatch."""

    def called(more: str = "", wanted: Sequence[Turns] = ()) -> Process:
        folder = tmp_path / "tree"
        kernels = folder / "claimbench" / "kernels"
        shutil.copytree(claimbench.kernels.__path__[0], kernels)
        with (kernels / "_dispatch.py").open("a") as file:
            file.write(more)
        suite = streams.with_suite(tmp_path / "suite")
        process = Process(Path(sys.executable), [suite, folder], wanted or REFERENCE, "cpu")
        stack.append(process)
        return process

    stack: list[Process] = []
    yield called
    for process in stack:
        process.close()


REFERENCE = [turns for turns in cases([TIMED]) if turns.backend == "reference"]


def ask(process: Process, **request: Any) -> Answer:
    process.send(**request)
    return process.receive()


def test_a_process_answers_with_samples_of_its_own_kernels(start: Callable[..., Process]) -> None:
    process = start("\nimport sys\nprint('chatter')\n")
    assert ask(process, do="ready", case=0)["seconds"] > 0
    samples = ask(process, do="turn", case=0, seconds=0.01)["samples"]
    assert samples
    assert all(sample > 0 for sample in samples)
    assert "bytes" in ask(process, do="memory", case=0)


def test_a_process_says_why_it_cannot(start: Callable[..., Process]) -> None:
    gone = REFERENCE[0].model_copy(update={"backend": "gone"})
    no_kernel = REFERENCE[0].model_copy(update={"kernel": "gone"})
    process = start("", [gone, no_kernel, *REFERENCE])
    assert ask(process, do="ready", case=0) == {"absent": "there is no ntk_gram on gone"}
    assert ask(process, do="ready", case=1) == {"absent": "there is no gone on reference"}
    assert "KeyError" in ask(process, do="turn", case=2, seconds=0.01)["error"]
    assert ask(process, do="ready", case=2)["seconds"] > 0


def test_a_process_that_dies_is_noticed(start: Callable[..., Process]) -> None:
    process = start("\nimport os\nKernel.on = lambda self, backend: os._exit(7)\n")
    for _ in range(2):
        with pytest.raises(Ended, match="ended with code 7"):
            ask(process, do="ready", case=0)
