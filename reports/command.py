"""What the commands `report` and `gate` do. Each gives its exit code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from claimbench.suite.checking import all_claim_files, load_claims, position
from claimbench.suite.definitions import TierName
from claimbench.suite.registry import MissingExtra

from . import gate as gating
from . import pages
from .history import resolve


def report(results: Path, out: Path, asv_results: Path) -> int:
    index = pages.build(results, out, asv_results, load_claims())
    print(f"{index}: the claims, their records and the times that asv took, joined by commit")
    return 0


def gate(
    base: str,
    head: str,
    tier: TierName | None,
    measure: bool,
    results: Path,
    out: Path | None,
    asv_results: Path,
) -> int:
    if measure:
        measure_with_asv(resolve(base), resolve(head))
    return gating.run(
        base, head, results, out, tier, asv_results, claims=load_claims(), line_of=line_of
    )


def measure_with_asv(*commits: str) -> None:
    """Build each commit in an environment of its own and measure them in turns."""
    if shutil.which("asv") is None:
        raise MissingExtra("measuring commits needs asv; pip install 'claimbench[asv]'")
    options = ["--record-samples", "--interleave-rounds", "--show-stderr"]
    # asv answers 2 where a benchmark failed at one of the commits; the gate will say which.
    subprocess.run(
        ["asv", "run", *options, "HASHFILE:-"],
        input="".join(f"{commit}\n" for commit in commits),
        text=True,
        stdout=sys.stderr,
        check=False,
    )


def line_of(claim: str, keys: Sequence[str]) -> int:
    """The line of a claim's file that a key stands on; 1 for a claim that has no file."""
    return next((position(source, tuple(keys))[0] for source in _files_of(claim)), 1)


def _files_of(claim: str) -> Iterator[bytes]:
    return (p.read_bytes() for p in all_claim_files() if p.name == f"{claim}.toml")
