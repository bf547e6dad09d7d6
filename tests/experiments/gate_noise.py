"""How often the gate's rule for times is wrong, measured on this machine as it is now.

    python tests/experiments/gate_noise.py aa 25 docs/measured/gate_false_alarms.json
    python tests/experiments/gate_noise.py slower 5 docs/measured/gate_slow_down.json

A trial is what `claimbench gate --measure` does after asv: measurements in turns, by the same code
and with the same effort. `aa` gives it one tree three times; whatever it finds is a false alarm.
`slower` makes every call of head a tenth longer; whatever it does not find is missed. Trials are
added to those that the file has. Cases that need neither torch nor numba keep a trial short.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import claimbench.kernels
from claimbench.reports import rounds, streams
from claimbench.suite import provenance
from claimbench.suite.checking import load_claims
from claimbench.suite.definitions import Claim

BACKENDS = ("cpu", "reference")
SHARE = 0.10
SLOWER = f"""

def _slower(on):
    def slowed_on(self, backend):
        run = on(self, backend)
        def call(*args, **kwargs):
            import time
            start = time.thread_time()
            result = run(*args, **kwargs)
            end = start + {1 + SHARE} * (time.thread_time() - start)
            while time.thread_time() < end:
                pass
            return result
        return call
    return slowed_on

Kernel.on = _slower(Kernel.on)
"""


def prepared(folder: Path, slower: bool) -> Callable[[str, Sequence[rounds.Turns]], Any]:
    """Three copies of the installed kernels, one of them slower if asked for."""
    for name in streams.NAMES:
        kernels = folder / name / "claimbench" / "kernels"
        shutil.copytree(claimbench.kernels.__path__[0], kernels)
        if slower and name == "head":
            with (kernels / "_dispatch.py").open("a") as file:
                file.write(SLOWER)
    suite = streams.with_suite(folder / "suite")
    python = Path(sys.executable)
    return lambda name, wanted: streams.Process(python, [suite, folder / name], wanted, "cpu")


def trial(claims: Sequence[Claim], start: Any) -> dict[str, Any]:
    """One run of the gate's measurement, and what the rule says of each case."""
    found = streams.measure(claims, start, "base", "head", "cpu", lambda text: None)
    judge = rounds.Judge(found, claims)
    judged = {turns.key: judge.time(turns.key) for turns in found.first}
    return {
        "commit": provenance.commit(),
        "started": found.started,
        "finished": found.finished,
        "load": found.load,
        "picked": len(found.again),
        "cases": [
            {
                "case": ".".join(key),
                "kind": found.kind,
                "effect": round(found.last.effect, 4) if found.last else None,
                "resolution": round(found.last.resolution, 4) if found.last else None,
                "why": found.why,
            }
            for key, found in judged.items()
        ],
    }


def main(what: str, trials: str, path: str) -> None:
    file = Path(path)
    keep = streams.cases
    streams.cases = lambda claims: [c for c in keep(claims) if c.backend in BACKENDS]
    claims = load_claims()
    content: dict[str, Any] = {
        "schema_version": 1,
        "experiment": what,
        "machine": provenance.machine(),
        "trials": [],
    }
    if file.exists():
        content = json.loads(file.read_text())
    with tempfile.TemporaryDirectory() as folder:
        start = prepared(Path(folder), what == "slower")
        for _ in range(int(trials)):
            content["trials"].append(trial(claims, start))
            file.write_text(json.dumps(content, indent=1) + "\n")
            last = content["trials"][-1]
            print(
                last["load"],
                last["picked"],
                *(f"{c['kind']}:{c['effect']}/{c['resolution']}" for c in last["cases"]),
                flush=True,
            )
    kinds = Counter(case["kind"] for one in content["trials"] for case in one["cases"])
    print(f"{what}: {len(content['trials'])} trials, {kinds.total()} comparisons: {dict(kinds)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
