"""History: asv's results and our records, joined by commit."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from claimbench.suite import provenance
from claimbench.suite.records import Archived, Record, origins

from .asv_results import HistoryError, Timing, timings

__all__ = ["Commit", "HistoryError", "Timing", "UsageError", "commits", "resolve", "timings"]

DIRTY = "-dirty"


class UsageError(ValueError):
    """What was asked for does not exist."""


@dataclass(frozen=True)
class Commit:
    """A commit that something was measured at; `sha` is what records call it."""

    sha: str
    short: str
    subject: str
    date: datetime


def commits(records: Archived | Iterable[Record], timings: Iterable[Timing]) -> list[Commit]:
    """Every commit that something was measured at, in the order of history."""
    seen: dict[str, datetime] = {}
    for origin in origins(records):
        commit, begun = origin.provenance.commit, origin.started[0]
        seen[commit] = min(seen.get(commit, _NEVER), _moment(begun))
    for timing in timings:
        date = timing.committed or _NEVER
        seen[timing.commit] = min(seen.get(timing.commit, _NEVER), date)
    return in_order(seen, _log(sorted({name.removesuffix(DIRTY) for name in seen})))


_NEVER = datetime.max.replace(tzinfo=UTC)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _NEVER
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def in_order(seen: Mapping[str, datetime], log: Sequence[Commit]) -> list[Commit]:
    """The commits seen, as the log orders them; ones that it does not know by when they were seen.

    Args:
        seen: when each was first measured, by its name in the records.
        log: commits, oldest first.
    """
    found = [
        Commit(commit.sha + end, commit.short + end, commit.subject, commit.date)
        for commit in log
        for end in ("", DIRTY)
        if commit.sha + end in seen
    ]
    known = {commit.sha for commit in found}
    for name in sorted(seen.keys() - known, key=lambda name: (seen[name], name)):
        stranger = Commit(name, _short(name), "", seen[name])
        found.insert(bisect([commit.date for commit in found], stranger.date), stranger)
    return found


def _short(name: str) -> str:
    sha = name.removesuffix(DIRTY)
    return name.replace(sha, sha[:8]) if _SHA.fullmatch(sha) else name


_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FIELD = "\x1f"


def _log(names: Sequence[str]) -> list[Commit]:
    """Those of the named commits that the working directory's repository knows, oldest first."""
    shas = [name for name in names if _SHA.fullmatch(name)]
    if not shas:
        return []
    line_format = _FIELD.join(("%H", "%h", "%s", "%cI"))
    order = ("--topo-order", "--reverse", "--ignore-missing")
    lines = provenance.git("log", *order, f"--format={line_format}", *shas, "--")
    return [_logged(line) for line in (lines or "").split("\n") if line]


def _logged(line: str) -> Commit:
    sha, short, rest = line.split(_FIELD, 2)
    subject, _, date = rest.rpartition(_FIELD)
    return Commit(sha, short, subject, _moment(date))


def resolve(name: str, known: Collection[str] = ()) -> str:
    """The full name of a commit: of `HEAD~1`, a branch, the beginning of a hash.

    A name that records use as it is, such as `v0.1.0`, is taken as it is.
    """
    if name in known:
        return name
    for plain, end in ((name, ""), (name.removesuffix(DIRTY), DIRTY)):
        spec = f"{plain}^{{commit}}"
        sha = provenance.git("rev-parse", "--verify", "--quiet", spec)
        if sha:
            return sha + end
    raise UsageError(
        f"no commit is called {name!r} here; give a hash, a branch or HEAD~1, and in a shallow "
        "clone fetch the commit first"
    )
