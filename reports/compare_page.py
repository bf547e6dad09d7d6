"""The page of two commits: what the gate says of them, worst to miss first.

The gate's own comparison is printed and nothing is judged anew, so a page cannot say anything but
what the gate says of the same two commits, tier and results.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from claimbench.suite.definitions import Claim, TierName
from claimbench.suite.records import Archived, Record, by_commit
from claimbench.suite.verdicts import Verdict, judge

from . import compare_pairs, compare_tables, gate, outputs
from .compare_lines import COLUMNS, LineView, line_views
from .compare_pairs import Chosen, Pair
from .comparison import KINDS, Comparison, Kind
from .history import Commit, Timing
from .linked_tables import Linked, linked
from .machine_views import MachinesPage
from .rounds import Judge


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


class Measured:
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

    def judged(self, claim: Claim, tier: TierName, records: Sequence[Record]) -> Verdict:
        """The same, for the gate, which asks with the records of one commit at hand."""
        return self.verdict(claim, tier, records[0].provenance.commit)


def pair_page(
    pair: Pair,
    file: str,
    measured: Measured,
    chosen: Chosen,
    machines: MachinesPage,
    links: Mapping[str, str],
) -> PairPage:
    (base, head), claims = pair.names, chosen.claims
    records = [*measured.records[base], *measured.records[head]]
    timings = measured.timings[base], measured.timings[head]
    shared = gate.common_tier(records, base, head)
    tier = shared or gate.smallest_tier(claims)
    turns = chosen.turns.get(pair.names)
    both = [*timings[0], *timings[1]]
    said = gate.compare(claims, records, both, base, head, tier, turns, measured.judged)
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
