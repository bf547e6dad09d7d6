"""Kernel pages: how fast each backend is on which shape, how exact, and since when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from claimbench.kernels import KERNELS
from claimbench.suite.definitions import Claim, TierName

from . import bench_records, figures, tables, words
from .figures import Figure, History, Panel, Point
from .history import Commit, Timing
from .tables import Cell, Table

if TYPE_CHECKING:
    from claimbench.suite.kernel_bench import BenchRecord


@dataclass(frozen=True)
class KernelPage:
    """What the page of a kernel shows.

    Attributes:
        about: what it computes, from its own documentation.
        users: claims that stand on it: (title, link).
        peers: backends beside peers, a table for each record of `kernels bench`.
        missing: what was not measured; empty where all was.
    """

    name: str
    file: str
    about: str
    users: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    latest: Table
    across: Table
    peers: tuple[Table, ...]
    missing: str


@dataclass(frozen=True)
class Timed:
    """A time that was measured, as a chart wants it."""

    series: str
    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class Speed:
    """How a claim's kernel does at a commit, on one of the claim's own shapes."""

    shape: str
    backend: str
    seconds: float
    reference: float | None

    def __str__(self) -> str:
        took = f"{words.seconds(self.seconds)} on {self.backend}, shape {self.shape}"
        if self.reference is None:
            return f"{took}; reference not timed"
        if self.backend == "reference":
            return f"{took}; no faster backend was timed"
        return f"{words.times(self.reference / self.seconds)} the reference: {took}"


def _known(timing: Timing) -> bool:
    return timing.status == "ok" and words.finite(timing.seconds) and (timing.seconds or 0) > 0


def timed_points(timings: Iterable[Timing]) -> Iterator[Timed]:
    for t in timings:
        if _known(t) and t.seconds is not None:
            low = t.low if t.low is not None else t.seconds
            high = t.high if t.high is not None else t.seconds
            yield Timed(f"{t.backend}, {t.shape}", t.seconds, low, high)


def of_tier(claim: Claim, tier: TierName, timings: Sequence[Timing]) -> list[Timing]:
    """Times of the tier's own shapes; of all shapes where none of those was timed."""
    known = [t for t in timings if _known(t)]
    own = {label for label, shape in claim.shapes.items() if shape.tier == tier}
    return [t for t in known if t.shape in own] or known


def speed(claim: Claim, tier: TierName, timings: Sequence[Timing]) -> Speed | None:
    """The fastest backend on the largest shape of the tier, else on the largest that was timed."""
    groups: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for t in of_tier(claim, tier, timings):
        groups[t.machine, t.shape][t.backend] = t.seconds or 0.0
    if not groups:
        return None
    (_, shape), times = max(groups.items(), key=lambda item: max(item[1].values()))
    best = min(times, key=lambda backend: times[backend])
    return Speed(shape, best, times[best], times.get("reference"))


def kernel_pages(
    claims: Sequence[Claim],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
    links: Mapping[str, str],
    benches: Sequence[BenchRecord] = (),
) -> list[KernelPage]:
    """A page for each kernel that a claim stands on or that was timed.

    Args:
        links: from the id of a claim to its page.
        benches: records of `kernels bench`, whose peers asv does not know.
    """
    compared = (row.kernel for bench in benches for row in bench.rows)
    names = {*(c.kernel for c in claims), *(t.kernel for t in timings), *compared}
    return [
        _page(
            name,
            [c for c in claims if c.kernel == name],
            _of(name, timings),
            commits,
            links,
            tuple(bench_records.comparisons(name, benches)),
        )
        for name in sorted(names)
    ]


def _of(name: str, timings: Sequence[Timing]) -> list[Timing]:
    return [t for t in timings if t.kernel == name]


def file_of(kernel: str) -> str:
    return f"kernels/{words.slug(kernel)}.html"


def _page(
    name: str,
    users: Sequence[Claim],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
    links: Mapping[str, str],
    peers: tuple[Table, ...],
) -> KernelPage:
    last = _newest_timed(timings, commits)
    current = [t for t in timings if last and t.commit == last.sha]
    known = KERNELS.get(name)
    return KernelPage(
        name=name,
        file=file_of(name),
        about=words.first_paragraph(known.__doc__ if known else ""),
        users=tuple((claim.title, links[claim.id]) for claim in users),
        figures=tuple(_histories(name, timings, commits)),
        latest=_latest(current, last),
        across=_across(timings, commits),
        peers=peers,
        missing=_missing(last, commits),
    )


def _newest_timed(timings: Sequence[Timing], commits: Sequence[Commit]) -> Commit | None:
    timed = {t.commit for t in timings}
    return next((commit for commit in reversed(commits) if commit.sha in timed), None)


def _missing(last: Commit | None, commits: Sequence[Commit]) -> str:
    if last is None:
        return "No time of this kernel is on record; asv run measures it."
    if last != commits[-1]:
        return f"Not timed at the newest commit, {commits[-1].short}; last timed at {last.short}."
    return ""


def _latest(timings: Sequence[Timing], commit: Commit | None) -> Table:
    head = tables.columns(
        "backend", "shape", "claim", "median", "quartiles", "against the reference",
        "relative error", "machine", "environment",
        numeric=("median", "against the reference", "relative error"),
    )  # fmt: skip
    reference = {
        (t.machine, t.environment, t.claim, t.shape): t.seconds
        for t in timings
        if t.backend == "reference" and _known(t)
    }
    ordered = sorted(timings, key=lambda t: (t.machine, t.claim, t.shape, _order(t.backend)))
    rows = tuple(_timing_row(t, reference) for t in ordered)
    when = f" at {commit.short}" if commit else ""
    return Table("latest", f"Time and error by backend and shape{when}", head, rows)


def _order(backend: str) -> tuple[int, str]:
    known = list(figures.BACKENDS)
    return (known.index(backend) if backend in known else len(known), backend)


def _timing_row(
    t: Timing, reference: Mapping[tuple[str, str, str, str], float | None]
) -> tuple[Cell, ...]:
    base = reference.get((t.machine, t.environment, t.claim, t.shape))
    ratio = base / t.seconds if base and t.seconds and _known(t) else None
    return (
        tables.text(t.backend),
        tables.text(t.shape),
        tables.text(t.claim),
        _median(t),
        tables.text(words.spread(t.low, t.high, "seconds")),
        tables.amount(ratio, words.times(ratio) if ratio else words.NOTHING),
        tables.amount(t.error, words.number(t.error, 2) if t.error is not None else words.NOTHING),
        tables.text(t.machine),
        tables.text(t.environment),
    )


def _median(t: Timing) -> Cell:
    if t.status != "ok":
        return Cell(f"{words.DASH} {t.status}", None)
    return tables.amount(t.seconds, words.seconds(t.seconds))


def _across(timings: Sequence[Timing], commits: Sequence[Commit]) -> Table:
    head = tables.columns(
        "commit", "date", "subject", "machine", "backend", "shape", "claim", "median", "quartiles",
        numeric=("median",),
    )  # fmt: skip
    by_commit: dict[str, list[Timing]] = defaultdict(list)
    for t in timings:
        by_commit[t.commit].append(t)
    rows = tuple(
        (*commit_cells(commit), *_across_cells(t))
        for commit in reversed(commits)
        for t in by_commit[commit.sha]
    )
    return Table("across", "Times across commits, newest first", head, rows)


def commit_cells(commit: Commit) -> tuple[Cell, Cell, Cell]:
    return (
        tables.text(commit.short),
        tables.text(commit.date.date().isoformat()),
        tables.text(commit.subject),
    )


def _across_cells(t: Timing) -> tuple[Cell, ...]:
    return (
        tables.text(t.machine),
        tables.text(t.backend),
        tables.text(t.shape),
        tables.text(t.claim),
        _median(t),
        tables.text(words.spread(t.low, t.high, "seconds")),
    )


def _histories(
    name: str, timings: Sequence[Timing], commits: Sequence[Commit]
) -> Iterator[History]:
    """One chart a machine, since times of two machines do not compare; one panel a shape."""
    for machine in dict.fromkeys(t.machine for t in timings):
        own = [t for t in timings if t.machine == machine and _known(t)]
        timed = [commit for commit in commits if commit.sha in {t.commit for t in own}]
        shapes = dict.fromkeys((t.claim, t.shape) for t in own)
        panels = tuple(_panel(claim, shape, own, timed) for claim, shape in shapes)
        if panels:
            yield History(
                title=f"Time of {name} across commits on {machine}",
                note="Medians in seconds; bands are the quartiles of the samples.",
                hues=figures.backend_hues(t.backend for t in own),
                commits=tuple(commit.short for commit in timed),
                panels=panels[:12],
            )


def _panel(claim: str, shape: str, timings: Sequence[Timing], commits: Sequence[Commit]) -> Panel:
    short = {commit.sha: commit.short for commit in commits}
    groups: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for t in timings:
        if (t.claim, t.shape) == (claim, shape):
            groups[t.commit, t.backend].append(t)
    points = [
        Point(backend, short[commit], *_mean(found)) for (commit, backend), found in groups.items()
    ]
    return Panel(f"{claim}.{shape} (s)" if claim else f"{shape} (s)", tuple(points), log=True)


def _mean(timings: Sequence[Timing]) -> tuple[float, float, float]:
    """Of the environments that asv timed, most often one."""
    known = list(timed_points(timings))
    return fmean(t.seconds for t in known), min(t.low for t in known), max(t.high for t in known)
