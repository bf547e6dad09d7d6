"""Comparison pages: all pairs of commits that have one, and the page before them."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePosixPath

from claimbench.suite.records import Archived, Record

from . import compare_pairs, tables
from .compare_lines import INDEX, rules
from .compare_page import Measured, PairPage, pair_page
from .compare_pairs import Chosen, chosen
from .comparison import KINDS
from .history import Commit, Timing
from .kernel_views import commit_cells, comparison_cell
from .linked_tables import Linked, linked
from .machine_views import MachinesPage
from .tables import Cell

__all__ = ["INDEX", "Chosen", "Comparisons", "PairPage", "chosen", "comparisons"]


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
    measured, names = Measured(records, timings, chosen.pairs), compare_pairs.files(commits)
    with _frozen():
        pages = tuple(
            pair_page(pair, compare_pairs.file_of(pair, names), measured, chosen, machines, links)
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
        pair = comparison_cell(before, commit, lambda *shas: files.get(shas))
        cells = *commit_cells(commit), pair
        rows.append((f"commit-{names[commit.sha]}", cells))
    head = tables.columns("commit", "date", "subject", "the one before")
    facts = ((("commit", commit.sha),) for commit in newest)
    return linked("commits", "Commits that something was measured at", head, rows, facts)
