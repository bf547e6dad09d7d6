"""A long history that nobody measured: records and asv's files of many commits, claims, machines.

Every value differs from commit to commit, so that nothing can be reused from one to the next: the
hardest case for a reader. The files have the forms of real ones; the commits are a repository's.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from claimbench.suite.cells import Cell, cells
from claimbench.suite.definitions import Claim
from claimbench.suite.records import Measured, Record

from . import asv_files, synthetic

SHAPES: dict[str, Any] = {
    "ntk_gram": {"inputs": {"x1": [64, 8]}, "arguments": {"depth": 2}},
    "cntk_gram": {"inputs": {"x1": [8, 1, 8, 8]}, "arguments": {"depths": [2, 5], "windows": [0]}},
}
KERNELS = (*SHAPES, "their_gram", "his_gram", "her_gram")
"""The last three come with no package that is here: a report has pages for them all the same."""
BACKENDS = {"reference": 0.5, "torch": 0.06, "numba": 0.03, "cpu": 0.01}
START = datetime(2023, 1, 2, 12, tzinfo=UTC)
HOSTS = ("box", "tower", "laptop", "cluster")


@dataclass(frozen=True)
class Large:
    """Where the files are, and what they are of."""

    results: Path
    asv_results: Path
    claims: tuple[Claim, ...]
    commits: tuple[str, ...]


def write(folder: Path, commits: int, claims: int, machines: int = 2, seed: int = 0) -> Large:
    """Records of every claim at every commit, a file a commit, and asv's times on every machine.

    The machines take turns with the records.
    """
    random.seed(seed)
    made = tuple(claim(place) for place in range(claims))
    shas = repository(folder, commits)
    large = Large(folder / "results", folder / "asv", made, tuple(shas))
    large.results.mkdir()
    hosts = HOSTS[:machines]
    templates = [_template(cell) for one in made for cell in cells(one, "smoke")]
    _write_benchmarks(large.asv_results, made)
    for place, sha in enumerate(shas):
        lines = [_line(t, sha, place, hosts[place % machines]) for t in templates]
        (large.results / f"asv-{sha[:12]}.jsonl").write_text("".join(lines))
        for host in hosts:
            _write_asv(large.asv_results / host, sha, place, made)
    return large


def claim(place: int) -> Claim:
    """Claims of three forms by turns, as small at their smoke tier as the suite's own are."""
    form, kernel = _FORMS[place % len(_FORMS)], KERNELS[place % len(KERNELS)]
    plain = synthetic.claim().tiers
    smoke = plain["smoke"].model_dump(mode="json") | form["smoke"]
    quick = plain["quick"].model_dump(mode="json")
    return synthetic.claim(
        id=f"large{2000 + place}_claim_{place}",
        title=f"Claim {place}: the kernel beats the forest",
        kernel=kernel,
        shapes={"small": {"tier": "smoke", **SHAPES.get(kernel, SHAPES["ntk_gram"])}},
        tiers={"smoke": smoke, "quick": quick},
        **{key: value for key, value in form.items() if key != "smoke"},
    )


def _beats(over: str, **worse: Any) -> dict[str, Any]:
    call = {"metric": "accuracy", "better": "kernel", "worse": "forest", "over": over, **worse}
    return {"superiority": call}


_FOREST = {"forest": {"random_forest": {"trees": 10}}}
_FORMS: tuple[dict[str, Any], ...] = (
    {
        "smoke": {"data": ["digits"], "trials": 2},
        "methods": {"kernel": {"ntk_svm": {"depth": 2}}, **_FOREST},
        "rules": {"beats_forest": _beats("trials")},
    },
    {
        "smoke": {"data": ["iris", "wine", "digits", "cancer"], "trials": 1},
        "methods": {"kernel": {"ntk_svm": {"depth": 2}}, **_FOREST},
        "rules": {"beats_forest": _beats("data")},
    },
    {
        "smoke": {"data": ["digits"], "trials": 2},
        "methods": {"kernel": {"cntk_regression": {"depth": [2, 5], "window": [0, "gap"]}}},
        "rules": {
            f"window_helps_at_{depth}": _beats(
                "trials",
                better={"method": "kernel", "depth": depth, "window": "gap"},
                worse={"method": "kernel", "depth": depth, "window": 0},
            )
            for depth in (2, 5)
        },
        "published": [],
    },
)


def repository(folder: Path, commits: int) -> list[str]:
    """The hashes of a new repository's commits, oldest first."""
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "-q", "-b", "main")
    stream = "".join(_imported(place) for place in range(commits))
    _git(folder, "fast-import", "--quiet", given=stream)
    return _git(folder, "rev-list", "--reverse", "main").split()


def _imported(place: int) -> str:
    subject = f"Change {place} of the kernel's loops"
    made = int((START + timedelta(days=place)).timestamp())
    return (
        f"commit refs/heads/main\ncommitter T <t@example.org> {made} +0000\n"
        f"data {len(subject)}\n{subject}\n\n"
    )


def _git(folder: Path, *arguments: str, given: str = "") -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


def _template(cell: Cell) -> dict[str, Any]:
    """A cell's record at some commit; what changes from commit to commit is put in later."""
    [record] = [synthetic.record(cell, synthetic.COMMITS[0])]
    plain = Record.model_validate(record.model_dump() | {"scores": tuple(_scores(cell))})
    content: dict[str, Any] = plain.model_dump(mode="json", exclude_defaults=True)
    content["data_digest"] = content["cell"][::-1]
    content["provenance"]["libraries"] = dict.fromkeys(
        ("captum", "numba", "numpy", "scikit-learn", "scipy", "torch"), "2.0.0"
    )
    return content


def _scores(cell: Cell) -> Iterator[Measured]:
    for at, variant in cell.points:
        better = 0.03 * (cell.method == "kernel") + 0.02 * (variant.get("window") == "gap")
        level = 0.6 + 0.04 * math.log10(float(at.get("n", 1))) + better
        yield Measured(at=at, variant=variant, metrics={"accuracy": level})


def _line(template: dict[str, Any], sha: str, place: int, host: str) -> str:
    scores = [
        {**score, "metrics": {"accuracy": score["metrics"]["accuracy"] + random.gauss(0, 0.01)}}
        for score in template["scores"]
    ]
    provenance = template["provenance"] | {
        "commit": sha,
        "started": (START + timedelta(days=place, seconds=random.random() * 600)).isoformat(),
        "machine": template["provenance"]["machine"] | {"host": host},
    }
    seconds = 0.25 * (1 + random.random())
    changed = {"scores": scores, "seconds": seconds, "provenance": provenance}
    return json.dumps(template | changed) + "\n"


def _write_benchmarks(folder: Path, claims: Sequence[Claim]) -> None:
    """`benchmarks.json`, with a pair of benchmarks for each kernel."""
    named = {
        f"{_class(kernel)}.{function}": {"kernel": kernel, "param_names": ["backend", "shape"]}
        for kernel in _by_kernel(claims)
        for function in ("time_kernel", "track_error")
    }
    asv_files.write_benchmarks(folder, **named)


def _by_kernel(claims: Sequence[Claim]) -> dict[str, list[str]]:
    """The shapes of each kernel, as asv's parameters name them."""
    found: dict[str, list[str]] = {}
    for one in claims:
        found.setdefault(one.kernel, []).extend(f"{one.id}.{label}" for label in one.shapes)
    return found


def _class(kernel: str) -> str:
    return f"benchmarks.kernels.{kernel.title().replace('_', '')}"


def _write_asv(folder: Path, sha: str, place: int, claims: Sequence[Claim]) -> None:
    results = {}
    for kernel, shapes in _by_kernel(claims).items():
        params = [[repr(name) for name in names] for names in (BACKENDS, shapes)]
        levels = [level for level in BACKENDS.values() for _ in shapes]
        times = [level * (1 + 0.05 * random.random()) for level in levels]
        shared = {"params": params, "version": "1", "started_at": place, "duration": 1.5}
        results[f"{_class(kernel)}.time_kernel"] = asv_files.row(
            result=times,
            stats_ci_99_a=[-math.inf] * len(times),
            stats_ci_99_b=[math.inf] * len(times),
            stats_q_25=[round(0.98 * t, 6) for t in times],
            stats_q_75=[round(1.02 * t, 6) for t in times],
            stats_number=[1] * len(times),
            stats_repeat=[2] * len(times),
            samples=[[0.98 * t, 1.02 * t] for t in times],
            **shared,
        )
        errors = [1e-7 * random.random() for _ in times]
        results[f"{_class(kernel)}.track_error"] = asv_files.row(result=errors, **shared)
    asv_files.write_file(folder, sha, results, START + timedelta(days=place))
