"""Comparison pages: what the gate says of two commits, worst to miss first, for a reader.

The gate's own comparison is printed and nothing is judged anew, so a page cannot say anything but
what the gate says of the same two commits, tier and results.
"""

from __future__ import annotations

import gc
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from claimbench.suite.definitions import Claim, TierName
from claimbench.suite.records import Archived, Record, by_commit
from claimbench.suite.verdicts import Verdict, judge

from . import compare_pairs, compare_tables, gate, outputs, rounds, tables
from .compare_lines import COLUMNS, INDEX, LineView, line_views, rules
from .compare_pairs import Names, Pair
from .comparison import KINDS, Comparison, Kind
from .history import DIRTY, Commit, Timing
from .kernel_views import commit_cells
from .linked_tables import Linked, linked
from .machine_views import MachinesPage
from .rounds import Judge, Rounds
from .tables import Cell
from .thresholds import Overridden

__all__ = ["INDEX", "Chosen", "Comparisons", "chosen", "comparisons"]


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
    most = compare_pairs.limit(len(used.claims))
    more = compare_pairs.resolved(asked, commits)
    more += compare_pairs.in_turns(results, commits, most) if results else []
    measured = compare_pairs.alike(records, timings)
    pairs = compare_pairs.chosen(commits, measured, most, more)
    turns = {pair.names: found for pair in pairs if results and (found := _turns(results, pair))}
    return Chosen(tuple(pairs), turns, tuple(used.claims), tuple(used.notes))


def _turns(results: Path, pair: Pair) -> Rounds | None:
    """asv builds what is committed, so nothing else has rounds, though its hash begins alike."""
    if any(name.endswith(DIRTY) for name in pair.names):
        return None
    return rounds.read(results, *pair.names)


@dataclass(frozen=True)
class Section:
    """All lines of one kind."""

    kind: Kind
    mark: str
    lines: tuple[LineView, ...]
    table: Linked

    @property
    def title(self) -> str:
        return self.kind.capitalize()

    @property
    def anchor(self) -> str:
        return f"kind-{self.table.name}"

    @property
    def cards(self) -> bool:
        """Whether each line has room of its own; there may be hundreds that are unchanged."""
        return self.kind != "unchanged"

    @property
    def valued(self) -> bool:
        """Whether any line has more than a reason."""
        return any(cell.value is not None for v in self.lines for cell in (v.base, v.head))

    @property
    def shown(self) -> tuple[LineView, ...]:
        return self.lines[: self.table.limit]


@dataclass(frozen=True)
class Side:
    """One of the two commits; `machines` are names with links."""

    role: str
    commit: Commit
    machines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PairPage:
    """What the page of two commits shows.

    Attributes:
        conclusion: the gate's last line.
        sections: by kind, in the order in which a reader must meet them.
        redo: the command that says the same on a terminal.
    """

    file: str
    title: str
    base: Side
    head: Side
    tier: TierName
    conclusion: str
    counts: Mapping[Kind, int]
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    claims: Linked
    times: Linked
    redo: str


@dataclass(frozen=True)
class ComparePage:
    """The first of the comparison pages.

    Attributes:
        rules: how the gate judges: (anchor, subject, text).
    """

    pairs: Linked
    commits: Linked
    rules: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Comparisons:
    index: ComparePage
    pages: tuple[PairPage, ...]

    def href(self, base: str, head: str) -> str | None:
        """The page of two commits by their names in the records, from the report's root."""
        wanted = (base, head)
        found = (p.file for p in self.pages if (p.base.commit.sha, p.head.commit.sha) == wanted)
        return next(found, None)


class _Measured:
    """What was measured, by commit, and the verdicts on it, each remade once for all pages."""

    def __init__(
        self,
        records: Archived | Iterable[Record],
        timings: Iterable[Timing],
        pairs: Iterable[Pair],
    ):
        archive = by_commit(records)
        names = {name for pair in pairs for name in pair.names}
        self.records = {name: archive.get(name, ()) for name in names}
        self.timings: dict[str, list[Timing]] = defaultdict(list)
        self.verdicts: dict[tuple[str, TierName, str], Verdict] = {}
        for timing in timings:
            self.timings[timing.commit].append(timing)

    def verdict(self, claim: Claim, tier: TierName, commit: str) -> Verdict:
        key = (claim.id, tier, commit)
        if key not in self.verdicts:
            own = [record for record in self.records[commit] if record.claim == claim.id]
            self.verdicts[key] = judge(claim, tier, own)
        return self.verdicts[key]


def comparisons(
    records: Archived | Iterable[Record],
    timings: Iterable[Timing],
    commits: Sequence[Commit],
    chosen: Chosen,
    machines: MachinesPage,
    links: Mapping[str, str],
) -> Comparisons:
    """The pages of all chosen pairs, and the one before them.

    Args:
        commits: oldest first.
        links: from the id of a claim to its page.
    """
    measured, names = _Measured(records, timings, chosen.pairs), compare_pairs.files(commits)
    with _frozen():
        pages = tuple(
            _page(pair, compare_pairs.file_of(pair, names), measured, chosen, machines, links)
            for pair in chosen.pairs
        )
    return Comparisons(_index(pages, commits, names), pages)


@contextmanager
def _frozen() -> Iterator[None]:
    """What was read so far is no garbage: statsmodels looks for some whenever it corrects p."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _page(
    pair: Pair,
    file: str,
    measured: _Measured,
    chosen: Chosen,
    machines: MachinesPage,
    links: Mapping[str, str],
) -> PairPage:
    (base, head), claims = pair.names, chosen.claims
    records = [*measured.records[base], *measured.records[head]]
    timings = measured.timings[base], measured.timings[head]
    shared = gate.common_tier(records, base, head)
    tier = shared or gate._smallest_tier(claims)
    turns = chosen.turns.get(pair.names)
    said = gate.compare(claims, records, [*timings[0], *timings[1]], base, head, tier, turns)
    counts = Counter(line.kind for line in said.lines)
    own = Judge(turns, claims) if turns else None

    def verdict_of(claim: Claim, commit: str) -> Verdict:
        return measured.verdict(claim, tier, commit)

    return PairPage(
        file=file,
        title=f"From {pair.base.short} to {pair.head.short}",
        base=Side("Base", pair.base, machines.at(base)),
        head=Side("Head", pair.head, machines.at(head)),
        tier=tier,
        conclusion=outputs.conclusion(said),
        counts={kind: counts[kind] for kind in KINDS},
        notes=(*_no_tier(shared, tier), *chosen.notes, *said.notes),
        sections=tuple(_sections(said, turns is not None, links)),
        claims=compare_tables.verdicts(claims, tier, pair.names, verdict_of, links),
        times=compare_tables.times(claims, *timings, own),
        redo=f"claimbench gate {' '.join(map(compare_pairs.spoken, pair.names))}",
    )


def _no_tier(shared: TierName | None, tier: TierName) -> Iterator[str]:
    if shared is None:
        yield f"no tier has records of both commits, so all of tier {tier} is missing here"


def _sections(said: Comparison, in_turns: bool, links: Mapping[str, str]) -> Iterator[Section]:
    views = list(line_views(said.lines, in_turns, links))
    for kind in KINDS:
        lines = tuple(view for view in views if view.line.kind == kind)
        caption = f"{kind.capitalize()} from {said.base[:12]} to {said.head[:12]}, tier {said.tier}"
        rows = ((view.id, view.cells) for view in lines)
        table = linked(kind.replace(" ", "-"), caption, COLUMNS, rows)
        yield Section(kind, outputs.MARKS[kind], lines, table)


def _index(
    pages: Sequence[PairPage], commits: Sequence[Commit], names: Mapping[str, str]
) -> ComparePage:
    return ComparePage(_pairs(pages), _commits(commits, pages, names), tuple(rules()))


def _pairs(pages: Sequence[PairPage]) -> Linked:
    head = tables.columns(
        "pair", "head", "base", "tier", *KINDS, "gate", numeric=KINDS,
    )  # fmt: skip
    rows = ((f"pair-{PurePosixPath(page.file).stem}", _pair_cells(page)) for page in pages)
    facts = ((("base", page.base.commit.sha), ("head", page.head.commit.sha)) for page in pages)
    caption = "Pairs of commits that have a page, newest head first"
    return linked("pairs", caption, head, rows, facts)


def _pair_cells(page: PairPage) -> tuple[Cell, ...]:
    return (
        tables.text(f"{page.base.commit.short}..{page.head.commit.short}", page.file),
        tables.text(_told(page.head.commit)),
        tables.text(_told(page.base.commit)),
        tables.text(page.tier),
        *(tables.amount(number, f"{number:,}") for number in page.counts.values()),
        tables.text(page.conclusion),
    )


def _told(commit: Commit) -> str:
    return f"{commit.date.date().isoformat()} {commit.subject}".strip()


def _commits(
    commits: Sequence[Commit], pages: Sequence[PairPage], names: Mapping[str, str]
) -> Linked:
    """Newest first; from these a script lets a reader choose two."""
    files = {(page.base.commit.sha, page.head.commit.sha): page.file for page in pages}
    newest = list(reversed(commits))
    rows = []
    for commit, before in zip_longest(newest, newest[1:]):
        file = files.get((before.sha, commit.sha), "") if before else ""
        pair = tables.text(f"against {before.short}", file) if file else tables.text("")
        rows.append((f"commit-{names[commit.sha]}", (*commit_cells(commit), pair)))
    head = tables.columns("commit", "date", "subject", "the one before")
    facts = ((("commit", commit.sha),) for commit in newest)
    return linked("commits", "Commits that something was measured at", head, rows, facts)
