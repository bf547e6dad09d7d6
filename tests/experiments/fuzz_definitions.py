"""Is every claim file, whatever is in it, answered with a claim or with complaints?

    python -m tests.experiments.fuzz_definitions docs/measured/fuzz-definitions.json [FILES [CORES]]
    python -m tests.experiments.fuzz_definitions --atheris --seconds 600

Files are drawn by `hostile_definitions`, 10,000 from each seed, and given to the function behind
`claimbench check`. What it accepts is taken as far as a user can take it without running anything:
listed, described, enumerated, put in JSON and judged without a record. Whatever is raised on the
way is counted with its first example, and so is a file that takes longer than 2 s of processor
time. With `--atheris` libFuzzer draws the bytes, led by the branches that they reach; it stops at
the first that raises.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import inspect
import io
import json
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from tomllib import _parser
from typing import Any

from claimbench.suite import (
    arguments,
    checking,
    claim_commands,
    definitions,
    plain,
    positions,
    provenance,
    registry,
)
from claimbench.suite import cells as cell_lists
from claimbench.suite.cells import cells
from claimbench.suite.checking import check
from claimbench.suite.definitions import Claim, tier_names
from claimbench.suite.inert import inert
from claimbench.suite.verdicts import judge

from .hostile_definitions import SEEDS, draw

SLOW_S = 2.0  # processor time
HANGS_S = 120  # wall time, after which a file counts as never answered
OF_A_SEED = 10_000  # files
SHOWN = ("files", "accepted", "raised", "slower_than_2_s", "slowest_cpu_s", "wall_s")
WATCHED = (arguments, cell_lists, checking, definitions, plain, positions, registry, _parser)
"""Modules whose branches lead `--atheris`."""
NOWHERE = Path("/nonexistent")


@dataclass(frozen=True)
class Held:
    """A file in memory, as far as a claim file is looked at."""

    name: str
    content: bytes

    def is_file(self) -> bool:
        return True

    def open(self, mode: str = "rb") -> io.BytesIO:
        return io.BytesIO(self.content)

    def read_bytes(self) -> bytes:
        return self.content

    def __str__(self) -> str:
        return self.name


def answered(name: str, content: bytes) -> bool:
    """Whether a file is a claim; all that a user may ask of one is asked."""
    found = check(Held(f"{name}.toml", content))  # type: ignore[arg-type]
    if isinstance(found, Claim):
        use(found)
        return True
    for complaint in found:
        assert inert(str(complaint)) == str(complaint), "a complaint that can steer a terminal"
        assert len(str(complaint)) < 2_000, "a complaint without end"
    assert found, "refused without a word"
    return False


def use(claim: Claim) -> None:
    """List, describe, enumerate and judge a claim."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        claim_commands.show_list([claim], {})
        claim_commands.show(claim, NOWHERE)
    seen = re.sub("[\t\N{NO-BREAK SPACE}]", " ", said.getvalue())
    assert inert(seen) == seen, "a description that can steer a terminal"
    json.dumps(claim_commands.summary(claim, {}), allow_nan=False)
    json.dumps(claim.model_dump(mode="json"), allow_nan=False)
    for tier in tier_names(claim):
        for cell in islice(cells(claim, tier), 3):
            assert cell.points
        judge(claim, tier, [])


@dataclass
class Tally:
    """What came of the files of one seed."""

    seed: int
    files: int = 0
    accepted: int = 0
    raised: Counter[str] = field(default_factory=Counter)
    slow: int = 0
    slowest_s: float = 0.0
    examples: dict[str, str] = field(default_factory=dict)
    cpu_s: float = 0.0
    peak_bytes: int = 0


def tally(seed: int, count: int) -> Tally:
    rng, found = random.Random(seed), Tally(seed)
    for _ in range(count):
        name, content = draw(rng)
        began = time.process_time()
        try:
            with _watched():
                found.accepted += answered(name, content)
        except Exception as e:
            kind = _kind(e)
            found.raised[kind] += 1
            found.examples.setdefault(kind, _example(name, content))
        took = time.process_time() - began
        if took > SLOW_S:
            found.slow += 1
            found.examples.setdefault(f"slow: {took:.0f} s", _example(name, content))
        found.slowest_s = max(found.slowest_s, took)
        found.cpu_s += took
        found.files += 1
    found.peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """Raise in what never comes to an end."""
    signal.alarm(HANGS_S)
    try:
        yield
    finally:
        signal.alarm(0)


def _hangs(*_: object) -> None:
    raise TimeoutError(f"no answer within {HANGS_S} s")


def _kind(error: Exception) -> str:
    """An exception by its type and the line of ours that it came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        frame for frame in frames if "claimbench" in frame.filename or "suite" in frame.filename
    ]
    last = (ours or frames)[-1]
    return f"{type(error).__name__}: {str(error)[:80]} ({Path(last.filename).name}:{last.lineno})"


def _example(name: str, content: bytes) -> str:
    return f"{name}: {base64.b85encode(content[:20_000]).decode()}"


def run(count: int, processes: int, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The content of the measured file; `tell` is given it whenever a seed is done."""
    began = provenance.now(), os.getloadavg()[0], time.perf_counter()
    signal.signal(signal.SIGALRM, _hangs)
    shares = [min(OF_A_SEED, count - start) for start in range(0, count, OF_A_SEED)]
    found: list[Tally] = []
    with ProcessPoolExecutor(processes) as pool:
        for each in pool.map(tally, range(len(shares)), shares):
            found.append(each)
            tell(content := _content(found, *began))
    return content


def _content(found: Sequence[Tally], started: str, load: float, began: float) -> dict[str, Any]:
    raised: Counter[str] = sum((each.raised for each in found), Counter())
    return {
        "schema_version": 1,
        "experiment": "fuzzed definitions",
        "commit": provenance.commit(),
        "started": started,
        "machine": provenance.machine(),
        "load": [load, os.getloadavg()[0]],
        "libraries": {name: version(name) for name in ("pydantic", "tree-sitter-toml")},
        "seeds": [found[0].seed, found[-1].seed],
        "files_of_a_seed": OF_A_SEED,
        "files": sum(each.files for each in found),
        "accepted": sum(each.accepted for each in found),
        "raised": raised.total(),
        "raised_by_kind": dict(raised.most_common(20)),
        "slower_than_2_s": sum(each.slow for each in found),
        "slowest_cpu_s": round(max(each.slowest_s for each in found), 3),
        "cpu_s": round(sum(each.cpu_s for each in found), 1),
        "wall_s": round(time.perf_counter() - began, 1),
        "peak_memory_bytes": max(each.peak_bytes for each in found),
        "examples": {kind: file for each in found for kind, file in each.examples.items()},
    }


def led_by_coverage(seconds: int) -> None:
    """Draw files by libFuzzer until one raises or the time is over."""
    import atheris

    for module in WATCHED:
        for function in vars(module).values():
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                atheris.instrument_func(function)

    def one(content: bytes) -> None:
        answered("toy", content)

    with TemporaryDirectory() as corpus:
        for place, seed in enumerate(set(SEEDS)):
            (Path(corpus) / f"{place}.toml").write_bytes(seed)
        atheris.Setup([sys.argv[0], corpus, f"-max_total_time={seconds}", "-max_len=8192"], one)
        atheris.Fuzz()


def _write(content: dict[str, Any], target: Path) -> None:
    target.write_text(json.dumps(content, indent=1) + "\n")
    print(*(f"{key} {content[key]}" for key in SHOWN), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path)
    parser.add_argument("count", nargs="?", type=int, default=1_000_000)
    parser.add_argument("processes", nargs="?", type=int, default=2)
    parser.add_argument("--atheris", action="store_true")
    parser.add_argument("--seconds", type=int, default=600)
    asked = parser.parse_args()
    if asked.atheris:
        led_by_coverage(asked.seconds)
        return
    run(asked.count, asked.processes, lambda content: _write(content, asked.target))


if __name__ == "__main__":
    main()
