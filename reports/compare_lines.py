"""Lines of a comparison as a reader sees them: values in their unit, and the rule that decided."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from claimbench.suite.rules import Outcome

from . import gate, linked_tables, tables, words
from .comparison import Line
from .outputs import UNMEASURED
from .tables import Cell

COLUMNS = tables.columns(
    "what", "claim or kernel", "base", "head", "change", "interval", "tolerance", "n", "p",
    "decided by", "reason", "interval is of", "unit",
    numeric=("base", "head", "change", "tolerance", "n", "p"),
)  # fmt: skip

INDEX = "compare.html"
SECONDS = ("s", "seconds")
MIB = 2**20


@dataclass(frozen=True)
class LineView:
    """One line of a comparison.

    Attributes:
        id: what a link to it ends with.
        file: the page of its claim; empty where the claim has none.
        support: what the change rests on: n, p and how sure the interval is.
        rule: the place, from the report's root, of the rule that decided, and its name.
    """

    id: str
    name: str
    subject: str
    file: str
    base: Cell
    head: Cell
    change: Cell
    interval: Cell
    support: str
    tolerance: Cell
    rule: tuple[str, str]
    reason: str
    line: Line

    @property
    def cells(self) -> tuple[Cell, ...]:
        """A row of the table of the line's kind, under `COLUMNS`."""
        line, interval = self.line, self.interval
        return (
            tables.text(self.name),
            tables.text(self.subject),
            self.base,
            self.head,
            self.change,
            Cell(f"{interval.text} {_level(line)}".strip(), interval.value),
            self.tolerance,
            _number(line.n, f"{line.n:,}" if line.n is not None else ""),
            _number(line.p, words.p_value(line.p) if line.p is not None else ""),
            tables.text(*reversed(self.rule)),
            Cell(self.reason, line.reason),
            # The page says these two beside the values themselves.
            Cell(words.NOTHING, _level(line) or None),
            Cell(words.NOTHING, line.unit or None),
        )


def _number(value: float | None, shown: str) -> Cell:
    return tables.amount(value, shown or words.NOTHING)


def line_views(
    lines: Sequence[Line], in_turns: bool, links: Mapping[str, str]
) -> Iterator[LineView]:
    """Every line with an id of its own.

    Args:
        in_turns: whether times were judged from rounds.
        links: from the id of a claim to its page.
    """
    keys = (f"line-{line.subject}-{line.name}" for line in lines)
    for name, line in zip(linked_tables.ids(keys), lines, strict=True):
        yield _view(name, line, in_turns, links)


def _view(name: str, line: Line, in_turns: bool, links: Mapping[str, str]) -> LineView:
    return LineView(
        id=name,
        name=line.name,
        subject=line.subject,
        file=links.get(line.claim, ""),
        base=_value(line.base, line.unit),
        head=_value(line.head, line.unit),
        change=_change(line),
        interval=_interval(line),
        support=_support(line),
        tolerance=_tolerance(line),
        rule=_rule(line, in_turns),
        reason=_said(line),
        line=line,
    )


def _said(line: Line) -> str:
    """The reason without the names that stand beside it."""
    case = line.name.removeprefix(f"{line.what} of ")
    return line.reason.removeprefix(f"{line.subject}: ").removeprefix(f"{line.subject} {case}: ")


def _value(found: float | str | None, unit: str) -> Cell:
    if found is None:
        return tables.text("")
    if isinstance(found, str):
        known = found in set(Outcome)
        return tables.verdict(Outcome(found)) if known else tables.text(found)
    if unit == "bytes":
        return tables.amount(found, f"{words.number(found / MIB, 3)} MiB")
    return tables.amount(found, words.value(found, "seconds" if unit in SECONDS else unit))


def _change(line: Line) -> Cell:
    if line.change is None:
        return tables.text("")
    return tables.amount(line.change, _difference(line, line.change))


def _difference(line: Line, amount: float, unit: bool = True) -> str:
    """A difference of values: of times as a share, of fractions in points."""
    if share := _share(line, amount):
        return share
    if line.unit == "bytes":
        return f"{words.signed(amount / MIB, line.unit)}{' MiB' if unit else ''}"
    return words.effect(amount, line.unit) if unit else words.signed(amount, line.unit)


def _share(line: Line, amount: float, sign: str = "+") -> str:
    """Part of a time; empty where the line is not about one."""
    if line.unit not in SECONDS or not isinstance(line.base, float) or not line.base > 0:
        return ""
    if not words.finite(amount):
        return words.NO_VALUE
    return f"{amount / line.base:{sign}.1%}".replace("-", "\N{MINUS SIGN}")


def _interval(line: Line) -> Cell:
    if line.interval is None:
        return tables.text("")
    low, high = (_difference(line, end, unit=False) for end in line.interval)
    return tables.interval(*line.interval, f"[{low},\N{NO-BREAK SPACE}{high}]")


def _level(line: Line) -> str:
    """What `Line.interval` says of itself."""
    if line.interval is None:
        return ""
    return "90%" if line.what == "time" else "95%"


def _support(line: Line) -> str:
    level = f"{_level(line)} interval" if line.interval else ""
    pairs = words.count(line.n, "round" if line.what == "time" else "pair") if line.n else ""
    p = f"p {words.p_value(line.p)} after Holm" if line.p is not None else ""
    return ", ".join(filter(None, (level, pairs, p)))


def _tolerance(line: Line) -> Cell:
    if line.tolerance is None:
        return tables.text("")
    return tables.amount(line.tolerance, _plain(line, line.tolerance))


def _plain(line: Line, amount: float) -> str:
    """A tolerance in the unit in which the change beside it stands."""
    if share := _share(line, amount, sign=""):
        return share
    if line.unit == "bytes":
        return f"{words.number(amount / MIB, 3)} MiB"
    if line.unit == "fraction":
        return words.count(1, "point") if amount == 0.01 else f"{words.number(100 * amount)} points"
    return f"{words.number(amount)} {line.unit}"


# Which rule decided, and where it stands.


def _rule(line: Line, in_turns: bool) -> tuple[str, str]:
    """Place and name of the rule that a line follows from."""
    anchor, name = _RULES[line.what]
    if line.what == "time" and line.kind in UNMEASURED and line.base is None:
        anchor, name = _RULES["record"]
    elif line.what == "time" and not in_turns:
        anchor, name = "without-rounds", "asv's samples"
    elif line.what == "metric" and line.p is not None:
        name = "tolerance and signed-rank test"
    return f"{INDEX}#rule-{anchor}", name


_RULES = {
    "record": ("expected", "what is expected"),
    "data": ("the-same-data", "the same data"),
    "machine": ("the-same-data", "the same machine"),
    "metric": ("a-metric", "the tolerance"),
    "verdict": ("a-verdict", "the step of the verdict"),
    "correctness": ("a-backend", "correct before fast"),
    "time": ("a-time", "times in turns"),
    "memory": ("a-time", "memory in turns"),
}


def rules() -> Iterator[tuple[str, str, str]]:
    """How the gate judges, in its own words: (anchor, subject, text)."""
    parts = re.split(r"\n- ", inspect.cleandoc(gate.__doc__ or "").replace("`", ""))[1:]
    for part in parts:
        subject, _, text = " ".join(part.split()).removeprefix("**").partition("**")
        anchor = re.sub(r"[^a-z]+", "-", subject.lower())
        yield f"rule-{anchor}", subject, re.sub(r"\*+", "", text)
