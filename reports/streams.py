"""Take the rounds of two commits: three streams of processes that wait while one of them works.

asv has built both commits; their wheels are installed into folders of their own, in front of the
environment that asv made. So kernels come from each commit and what calls them from the working
tree, as in asv itself, and any number of commits can take turns.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import claimbench.suite
from claimbench.kernels import KERNELS
from claimbench.suite import provenance
from claimbench.suite.definitions import ASV_TIER, Claim
from claimbench.suite.devices import resolve_device
from claimbench.suite.threads import thread_limits

from . import rounds
from .asv_results import HistoryError
from .rounds import Rounds, Turns

NAMES = ("base", "head", "twin")  # of one length: the environment's size moves a program's stack
TURN_S = 0.01  # of one case: several slices of a scheduler make it no steadier
LONG_S = 0.05  # a call this long takes part in every second round, and so on

Answer = dict[str, Any]
Tell = Callable[[str], None]


class Ended(RuntimeError):
    """A stream's process is gone."""


class Stream(Protocol):
    """Calls kernels of one commit; see `claimbench.suite.round_worker`."""

    def send(self, **request: Any) -> None: ...

    def receive(self) -> Answer: ...

    def close(self) -> None: ...


Start = Callable[[str, Sequence[Turns]], Stream]
"""Starts the stream of one of `NAMES` on some cases."""


class Process:
    """A stream in a process of its own."""

    def __init__(self, python: Path, paths: Sequence[Path], cases: Sequence[Turns], device: str):
        search = os.pathsep.join(map(str, paths))
        answers, target = os.pipe()
        self.answers = os.fdopen(answers)
        self.process = subprocess.Popen(
            [python, "-P", "-m", "claimbench.suite.round_worker", str(target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[target],
            text=True,
            env={**os.environ, **thread_limits(1), "PYTHONPATH": search},
        )
        os.close(target)
        wanted = {"claim", "shape", "kernel", "backend", "inputs", "arguments"}
        self._write(
            {"device": device, "cases": [c.model_dump(mode="json", include=wanted) for c in cases]}
        )

    def send(self, **request: Any) -> None:
        self._write(request)

    def _write(self, content: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(content) + "\n")
            self.process.stdin.flush()
        except OSError as e:
            raise Ended(self._how()) from e

    def receive(self) -> Answer:
        line = self.answers.readline()
        if not line:
            raise Ended(self._how())
        answer: Answer = json.loads(line)
        return answer

    def _how(self) -> str:
        return f"the process ended with code {self.process.wait(10)}"

    def close(self) -> None:
        self.process.kill()
        self.answers.close()
        with suppress(BrokenPipeError):  # what it did not read is still to be written
            self.process.communicate()


@dataclass(frozen=True)
class Effort:
    """How long a measurement goes on.

    Attributes:
        groups: how many times all streams get new processes, lest one lucky layout decide.
        least: rounds of a case in each group; fewer of one whose calls are long.
        fine: a case whose effect is known to so much, as a share, needs no more rounds.
        seconds: of turns in each group, for all cases together.
    """

    groups: int
    least: int
    fine: float
    seconds: float


FIRST = Effort(groups=2, least=8, fine=0.02, seconds=25)
AGAIN = Effort(groups=3, least=16, fine=0.01, seconds=30)


@dataclass
class Taken:
    """What a case has come to so far."""

    case: Turns
    times: list[rounds.Times] = field(default_factory=list)
    memory: dict[str, int | None] = field(default_factory=dict)
    problem: str = ""
    call_s: float = 0.0

    def fine_enough(self, fine: float) -> bool:
        changed, _ = rounds.of_streams(self.turns())
        low, high = rounds.interval(changed, rounds.ALPHA)
        return (high - low) / 2 <= fine

    def turns(self) -> Turns:
        base, head, twin = (self.memory.get(name) for name in NAMES)
        values = {"times": tuple(self.times), "memory": (base, head, twin)}
        return self.case.model_copy(update=values | {"problem": self.problem})


def cases(claims: Sequence[Claim]) -> list[Turns]:
    """Every backend on every shape that asv times, without times."""
    return [
        Turns(
            claim=claim.id,
            shape=label,
            kernel=claim.kernel,
            backend=backend,
            inputs=shape.inputs,
            arguments=shape.arguments,
        )
        for claim in claims
        for label, shape in claim.shapes.items()
        if shape.tier == ASV_TIER
        for backend in KERNELS[claim.kernel].backends
    ]


def take(
    wanted: Sequence[Turns],
    start: Start,
    effort: Effort,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> list[Turns]:
    """Measure cases in turns. A case that cannot run has its reason instead of times."""
    found = [Taken(case) for case in wanted]
    order = random.Random(0)
    for number in range(effort.groups):
        able = [taken for taken in found if not taken.problem]
        if able:
            tell(f"rounds, processes {number + 1} of {effort.groups}: {len(able)} cases")
            _group(able, start, effort, order, clock)
    return [taken.turns() for taken in found]


def _group(
    found: Sequence[Taken],
    start: Start,
    effort: Effort,
    order: random.Random,
    clock: Callable[[], float],
) -> None:
    """Rounds in one set of processes, until all is known finely enough or time is over."""
    with _streams(start, [taken.case for taken in found]) as streams:
        try:
            _make_ready(found, streams)
            waiting = {place for place, taken in enumerate(found) if not taken.problem}
            until, number = clock() + effort.seconds, 0
            had = {place: len(found[place].times) for place in waiting}
            while waiting:
                new = {place: len(found[place].times) - had[place] for place in waiting}
                if clock() >= until:
                    waiting = {p for p in waiting if new[p] < _fewest(found[p], effort)}
                turn = [p for p in sorted(waiting) if number % _every(found[p].call_s) == 0]
                order.shuffle(turn)
                for place in turn:
                    _round(found[place], place, streams, order)
                number += 1
                waiting -= {p for p in turn if _enough(found[p], had[p], effort)}
        except Ended:
            return  # the case at which it happened has the reason


def _every(call_s: float) -> int:
    return 1 + int(call_s / LONG_S)


def _fewest(taken: Taken, effort: Effort) -> int:
    """Rounds that a case gets in a group, however long they take."""
    return max(effort.least // _every(taken.call_s), -(-rounds.FEWEST // effort.groups))


def _enough(taken: Taken, had: int, effort: Effort) -> bool:
    new = len(taken.times) - had
    if taken.problem:
        return True
    return new >= effort.least and new % 4 == 0 and taken.fine_enough(effort.fine)


@contextmanager
def _streams(start: Start, wanted: Sequence[Turns]) -> Iterator[dict[str, Stream]]:
    with ExitStack() as stack:
        streams = {}
        for name in NAMES:
            streams[name] = start(name, wanted)
            stack.callback(streams[name].close)
        yield streams


def _make_ready(found: Sequence[Taken], streams: Mapping[str, Stream]) -> None:
    """Compile and warm up, all streams at once; then the memory of a call, one after another."""
    for place, taken in enumerate(found):
        answers = _ask(taken, streams, NAMES, do="ready", case=place)
        for name in NAMES:
            answer = answers[name]
            if "seconds" not in answer:
                reason = answer.get("absent") or answer.get("error")
                taken.problem = taken.problem or f"{name}: {reason}"
        if taken.problem:
            continue
        taken.call_s = max(answers[name]["seconds"] for name in NAMES)
        for name in NAMES:
            rise = _ask(taken, streams, [name], do="memory", case=place)[name].get("bytes")
            least = taken.memory.get(name)
            taken.memory[name] = rise if least is None or rise is None else min(rise, least)


def _round(taken: Taken, place: int, streams: Mapping[str, Stream], order: random.Random) -> None:
    """One number from each stream, in any order, so that none always follows the same other."""
    names = list(NAMES)
    order.shuffle(names)
    seconds: dict[str, float] = {}
    for name in names:
        answer = _ask(taken, streams, [name], do="turn", case=place, seconds=TURN_S)[name]
        if "error" in answer:
            taken.problem = f"{name}: {answer['error']}"
            return
        seconds[name] = _lower_quartile(answer["samples"])
    taken.times.append((seconds["base"], seconds["head"], seconds["twin"]))


def _lower_quartile(samples: Sequence[float]) -> float:
    """What disturbs a call makes it slower, so the faster ones tell more."""
    return sorted(samples)[(len(samples) - 1) // 4]


def _ask(
    taken: Taken, streams: Mapping[str, Stream], names: Sequence[str], **request: Any
) -> dict[str, Answer]:
    try:
        for name in names:
            streams[name].send(**request)
        return {name: streams[name].receive() for name in names}
    except Ended as e:
        taken.problem = str(e)
        raise


def measure(
    claims: Sequence[Claim],
    start: Start,
    base: str,
    head: str,
    device: str,
    tell: Tell,
    efforts: tuple[Effort, Effort] = (FIRST, AGAIN),
) -> Rounds:
    """Measure every case of the claims, and once more those that seem to have changed."""
    started, load = provenance.now(), os.getloadavg()[0]
    every = cases(claims)
    first = take(every, start, efforts[0], tell)
    wanted = {turns.key for turns in rounds.picked(first, rounds.tolerance_of(claims))}
    picked = [case for case in every if case.key in wanted]
    if picked:
        names = ", ".join(f"{case.backend} on {case.claim}.{case.shape}" for case in picked)
        tell(f"measured again: {names}")
    again = take(picked, start, efforts[1], tell)
    return Rounds(
        base=base,
        head=head,
        started=started,
        finished=provenance.now(),
        machine=provenance.machine(),
        device=provenance.device_name(device),
        threads=1,
        load=(round(load, 2), round(os.getloadavg()[0], 2)),
        libraries=provenance.libraries(),
        first=tuple(first),
        again=tuple(again),
    )


def between(
    claims: Sequence[Claim], base: str, head: str, environments: Path, tell: Tell
) -> Rounds:
    """Rounds of two commits that asv has built.

    Raises:
        HistoryError: if asv's environments have no wheel of one of them.
    """
    environment = _environment(environments, (base, head))
    device = resolve_device("auto")
    with tempfile.TemporaryDirectory(prefix="claimbench-") as folder:
        python = environment / "bin" / "python"
        for name, commit in zip(NAMES, (base, head, base), strict=True):
            _install(python, _wheel(environment, commit), Path(folder, name))
        yours = with_suite(Path(folder, "suite"))

        def start(name: str, wanted: Sequence[Turns]) -> Stream:
            return Process(python, [yours, Path(folder, name)], wanted, device)

        return measure(claims, start, base, head, device, tell)


def with_suite(folder: Path) -> Path:
    """A folder from which Python takes `claimbench.suite` of the working tree, and nothing else."""
    (folder / "claimbench").mkdir(parents=True)
    (folder / "claimbench" / "suite").symlink_to(Path(claimbench.suite.__path__[0]).resolve())
    return folder


def _environment(environments: Path, commits: Sequence[str]) -> Path:
    """The environment of asv's that was used last, of those that have built all commits."""
    found = [
        folder
        for folder in environments.glob("*")
        if all(_wheels(folder, commit) for commit in commits)
    ]
    if not found:
        raise HistoryError(
            f"{environments}: asv has not built both {commits[0][:8]} and {commits[1][:8]}; "
            "its messages above say why"
        )
    return max(found, key=lambda folder: _wheel(folder, commits[1]).stat().st_mtime)


def _wheels(environment: Path, commit: str) -> list[Path]:
    return sorted((environment / "asv-build-cache" / commit).glob("*.whl"))


def _wheel(environment: Path, commit: str) -> Path:
    return _wheels(environment, commit)[0]


def _install(python: Path, wheel: Path, target: Path) -> None:
    options = ["--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([python, "-m", "pip", "install", *options, target, wheel.resolve()], check=True)
