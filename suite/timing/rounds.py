"""In which order contenders take their turns, and how many turns each can afford.

Rounds are interleaved, so that a change of the machine's speed meets all contenders alike, and each
round begins with another contender, so that none always runs after the same neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

SHORTEST = 0.02
"""Seconds that one turn lasts at least: what is faster is called again within the turn."""


def repeats(call_s: float) -> int:
    """Calls in one turn."""
    return max(1, math.ceil(SHORTEST / call_s)) if call_s > 0 else 1


def turn_s(call_s: float) -> float:
    """Seconds of one turn of a contender whose call takes `call_s`."""
    return repeats(call_s) * call_s


def allot(turns_s: Sequence[float], rounds: int, seconds: float) -> list[int]:
    """How many rounds each contender gets, at least one each.

    All get an equal share of `seconds`, and what the fast ones leave over goes to the slow.
    """
    allotted, left = [1] * len(turns_s), seconds
    ascending = sorted(range(len(turns_s)), key=lambda index: turns_s[index])
    for place, index in enumerate(ascending):
        share = left / (len(turns_s) - place)
        affordable = share / turns_s[index] if turns_s[index] > 0 else rounds
        allotted[index] = max(1, min(rounds, int(affordable)))
        left -= allotted[index] * turns_s[index]
    return allotted


def schedule(allotted: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(round, contender) in order; a contender with fewer rounds has them spread over all."""
    rounds = max(allotted, default=0)
    for turn in range(rounds):
        for place in range(len(allotted)):
            contender = (turn + place) % len(allotted)
            had, due = (allotted[contender] * t // rounds for t in (turn, turn + 1))
            if due > had:
                yield turn, contender
