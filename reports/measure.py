"""Measure commits with asv, each built and installed in an environment of its own; two, in turns.

`python -m claimbench.reports.measure 2` measures the last two commits of the working directory's
history and leaves what is measured already as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from claimbench.suite import expected
from claimbench.suite.definitions import Claim, DefinitionError
from claimbench.suite.provenance import git
from claimbench.suite.registry import MissingExtra, PluginError

from . import rounds, streams
from .history import HistoryError

ENVIRONMENTS = Path(".asv/env")
# asv's own times are for its history; the gate has better ones.
ONCE = ("-a", "rounds=1", "-a", "repeat=1", "-a", "warmup_time=0")
SOME_FAILED = 2  # asv's exit code where a benchmark failed at a commit; the gate says which


def measure(commits: Sequence[str], *options: str) -> None:
    """Run asv over commits; results and records land where asv.conf.json is.

    asv asks the first that it can build what there is to measure.
    """
    if shutil.which("asv") is None:
        raise MissingExtra("measuring commits needs asv; pip install 'claimbench[asv]'")
    subprocess.run(["asv", "machine", "--yes"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(
        ["asv", "run", "--record-samples", "--show-stderr", *options, "HASHFILE:-"],
        input="".join(f"{commit}\n" for commit in commits),
        text=True,
        check=False,
        env={**os.environ, **expected.environment()},
    )
    if done.returncode not in (0, SOME_FAILED):
        raise HistoryError(f"asv stopped with exit code {done.returncode}; its message is above")


def in_turns(claims: Sequence[Claim], base: str, head: str, results: Path) -> None:
    """Records and errors of two commits by asv, then their times in rounds, kept in `results`."""
    measure([head, base], *ONCE)
    taken = streams.between(claims, base, head, ENVIRONMENTS, _tell)
    print(f"{rounds.write(taken, results)}: times of {base[:8]} and {head[:8]}, taken in turns")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def last_commits(count: int) -> list[str]:
    """The last commits of the first-parent history, newest first; fewer where there are fewer."""
    log = git("log", f"-{count}", "--first-parent", "--format=%H")
    if not log:
        raise HistoryError("there is no git history here; run this in a clone of the repository")
    return log.split()


def main(count: str = "2") -> None:
    try:
        measure(last_commits(int(count)), "--skip-existing-successful")
    except (DefinitionError, HistoryError, MissingExtra, PluginError) as e:
        sys.exit(f"claimbench: {e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
