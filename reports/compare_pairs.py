"""Which pairs of commits have a page, and what those pages are called.

Any two commits can be compared, but a page for each two of a thousand would be half a million
pages. The report makes those that are asked about most, and what else a reader names. Two commits
of which nothing was measured alike have nothing to say to each other, and a page only if asked for.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from claimbench.suite.definitions import Claim
from claimbench.suite.records import Archived, Record, origins

from . import rounds, words
from .history import DIRTY, Commit, Timing, UsageError, resolve
from .rounds import Rounds
from .thresholds import Overridden

MOST = 12
"""Pairs of each sort. A reader who goes further back than a dozen commits knows which she wants."""

WORK = 300
"""Claims times pairs of a sort. A page costs what a run of the gate does, about 5 ms for each claim
and more where every trial is tested, and a report of fifty claims has 30 s for all.
"""

Names = tuple[str, str]
"""Base and head, as records call them."""


class Pair(NamedTuple):
    base: Commit
    head: Commit

    @property
    def names(self) -> Names:
        return self.base.sha, self.head.sha


@dataclass(frozen=True)
class Chosen:
    """What is to be compared, and by what.

    Attributes:
        turns: rounds of those pairs that have them.
        claims: with the tolerances that the gate uses.
        notes: how they differ from those of the claim files, in words.
    """

    pairs: tuple[Pair, ...]
    turns: Mapping[Names, Rounds]
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]


def chosen(
    claims: Sequence[Claim],
    commits: Sequence[Commit],
    records: Archived | Iterable[Record],
    timings: Iterable[Timing],
    results: Path | None = None,
    asked: Iterable[str] = (),
    gated: Overridden | None = None,
) -> Chosen:
    """The pairs that have a page, and what their rounds say.

    Args:
        commits: oldest first.
        results: the folder in which rounds lie.
        asked: pairs that a reader named, as `base..head`.
        gated: the claims with the tolerances that the gate uses.
    """
    used = gated or Overridden(list(claims), [])
    most = limit(len(used.claims))
    more = resolved(asked, commits)
    more += in_turns(results, commits, most) if results else []
    measured = alike(records, timings)
    pairs = usual(commits, measured, most, more)
    turns = {pair.names: found for pair in pairs if results and (found := _turns(results, pair))}
    return Chosen(tuple(pairs), turns, tuple(used.claims), tuple(used.notes))


def _turns(results: Path, pair: Pair) -> Rounds | None:
    """asv builds what is committed, so nothing else has rounds, though its hash begins alike."""
    if any(name.endswith(DIRTY) for name in pair.names):
        return None
    return rounds.read(results, *pair.names)


Alike = Mapping[str, set[str]]
"""What was measured at each commit, by its name: tiers, and times."""


def alike(records: Archived | Iterable[Record], timings: Iterable[Timing]) -> Alike:
    found: dict[str, set[str]] = defaultdict(set)
    for origin in origins(records):
        found[origin.provenance.commit].add(origin.tier)
    for timing in timings:
        found[timing.commit].add("times")
    return found


def limit(claims: int) -> int:
    """How many pairs of each sort have a page, where there are so many claims."""
    return max(3, min(MOST, WORK // max(claims, 1)))


def usual(
    commits: Sequence[Commit], measured: Alike, most: int, more: Iterable[Names] = ()
) -> list[Pair]:
    """The pairs that have a page, newest head first and then newest base.

    Args:
        commits: oldest first.
        most: pairs of each sort.
        more: pairs that somebody asked for, of commits that are there.
    """
    place = {commit.sha: number for number, commit in enumerate(commits)}
    asked = {(place[base], place[head]) for base, head in more}
    alone = _usual([measured.get(commit.sha, set()) for commit in commits], most)
    ordered = sorted(asked.union(alone), key=lambda pair: (-pair[1], -pair[0]))
    return [Pair(commits[base], commits[head]) for base, head in ordered]


def _usual(measured: Sequence[set[str]], most: int) -> Iterator[tuple[int, int]]:
    """Neighbours in what was measured, and the newest commit with each before it."""
    for what in set().union(*measured):
        having = [place for place, found in enumerate(measured) if what in found]
        yield from list(pairwise(having))[-most:]
    before = [place for place, found in enumerate(measured[:-1]) if found & measured[-1]]
    for base in before[-most:]:
        yield base, len(measured) - 1


def in_turns(results: Path, commits: Sequence[Commit], most: int) -> list[Names]:
    """The pairs whose times were taken in turns, those with the newest heads: a gate was asked."""
    place = {commit.sha[:12]: place for place, commit in enumerate(commits)
             if not commit.sha.endswith(DIRTY)}  # fmt: skip
    found = [
        (place[match[1]], place[match[2]])
        for file in results.glob("rounds-*.json")
        if (match := _ROUNDS.fullmatch(file.name)) and {match[1], match[2]} <= place.keys()
    ]
    newest = sorted(found, key=lambda pair: (-pair[1], -pair[0]))[:most]
    return [(commits[base].sha, commits[head].sha) for base, head in newest]


_ROUNDS = re.compile(r"rounds-([0-9a-f]{12})-([0-9a-f]{12})\.json")


def resolved(asked: Iterable[str], commits: Sequence[Commit]) -> list[Names]:
    """Pairs that a reader named, such as `HEAD~3..HEAD`, as records call them.

    Raises:
        UsageError: for what is no pair, a name that means no commit, or one at which nothing was
            measured, and for a commit that is to be compared with itself.
    """
    known = {commit.sha for commit in commits}
    return [_resolved(pair, known) for pair in asked]


def _resolved(pair: str, known: set[str]) -> Names:
    base, dots, head = pair.partition("..")
    if not (base and dots and head):
        raise UsageError(f"{pair!r} names no two commits; write BASE..HEAD, such as HEAD~1..HEAD")
    names = _measured(base, known), _measured(head, known)
    if names[0] == names[1]:
        raise UsageError(f"{base!r} and {head!r} are one commit; name two to compare")
    return names


def _measured(name: str, known: set[str]) -> str:
    sha = resolve(name, known)
    if sha in known:
        return sha
    if sha + DIRTY in known:
        raise UsageError(
            f"{name!r} was measured only with files changed; --compare takes {sha[:12]}{DIRTY} too"
        )
    raise UsageError(
        f"nothing was measured at {name!r}; `claimbench gate --measure` measures two commits"
    )


def spoken(name: str) -> str:
    """A name as a reader would type it: of a hash so much as tells it from all others."""
    return re.sub(r"^([0-9a-f]{12})[0-9a-f]{28,52}", r"\1", name)


def files(commits: Sequence[Commit]) -> Mapping[str, str]:
    """What each commit is called in the name of a page: short, unless two shorts are one."""
    shorts = {commit.sha: words.slug(commit.short) for commit in commits}
    # Some file systems do not tell capitals from small letters.
    count = Counter(short.lower() for short in shorts.values())
    return {
        sha: short if count[short.lower()] == 1 else words.slug(sha)
        for sha, short in shorts.items()
    }


def file_of(pair: Pair, names: Mapping[str, str]) -> str:
    return f"compare/{names[pair.base.sha]}..{names[pair.head.sha]}.html"
