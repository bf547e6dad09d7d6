"""Kernel pages: how fast each backend and peer is at which size, how exact, and since when."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean
from typing import TYPE_CHECKING

from claimbench.kernels import KERNELS
from claimbench.suite.definitions import Claim, TierName

from . import bench_records, figures, kernel_figures, kernel_numerics, kernel_uses, tables, words
from .bench_records import Compared
from .figures import Figure, History, Panel, Point, Sizes
from .history import Commit, Timing
from .kernel_numerics import NumericsRecord
from .tables import Cell, Table

if TYPE_CHECKING:
    from claimbench.suite.kernel_bench import BenchRecord


PAGE, PANELS, MARKS = 100, 12, 1200
"""Commits, shapes and points that a chart has room for: a mark is half a kilobyte."""


@dataclass(frozen=True)
class Section:
    """Times that compare, since one tool took them on one machine.

    Attributes:
        title: the machine, device and threads.
        note: by which runs, in words.
    """

    id: str
    title: str
    note: str
    figures: tuple[Figure, ...]
    table: Table | None = None


@dataclass(frozen=True)
class KernelPage:
    """What the page of a kernel shows.

    Attributes:
        about: what it computes, from its own documentation.
        summary: how fast it is at its best; empty where nothing was timed.
        missing: what was not measured; empty where all was.
        redo: the command that measures what is missing.
        uses: the claims that stand on it, shape by shape.
        benches: of `kernels bench`, one for each machine, device and number of threads.
        claimed: of asv, which times the claims' own shapes, one for each machine.
        exact: errors against float64 by depth and size, and when they were measured.
        figures: times across commits.
        places: where, when and how all of that was measured.
    """

    name: str
    file: str
    about: str
    summary: str
    missing: str
    redo: str
    uses: Table
    benches: tuple[Section, ...]
    claimed: tuple[Section, ...]
    exact: tuple[str, tuple[Sizes, ...]]
    figures: tuple[Figure, ...]
    latest: Table
    across: Table
    places: Table

    @property
    def status(self) -> str:
        """A line for a list of kernels."""
        return self.summary or self.missing or self.about


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
    numerics: Sequence[NumericsRecord] = (),
) -> list[KernelPage]:
    """A page for each kernel that there is, that a claim stands on or that was timed.

    Args:
        links: from the id of a claim to its page.
        benches: records of `kernels bench`, whose peers asv does not know.
        numerics: records of errors by depth and size.
    """
    named = {*(c.kernel for c in claims), *(t.kernel for t in timings)}
    named |= {row.kernel for bench in benches for row in bench.rows}
    by_kernel: dict[str, list[Timing]] = defaultdict(list)
    for t in timings:
        by_kernel[t.kernel].append(t)
    return [
        _page(
            name,
            [c for c in claims if c.kernel == name],
            by_kernel[name],
            commits,
            links,
            benches,
            numerics,
        )
        for name in sorted(named | set(KERNELS))
    ]


def file_of(kernel: str) -> str:
    return f"kernels/{words.slug(kernel)}.html"


def _page(
    name: str,
    users: Sequence[Claim],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
    links: Mapping[str, str],
    benches: Sequence[BenchRecord],
    numerics: Sequence[NumericsRecord],
) -> KernelPage:
    last = _newest_timed(timings, commits)
    current = [t for t in timings if last and t.commit == last.sha]
    compared = bench_records.newest(name, benches)
    known, shapes = KERNELS.get(name), kernel_figures.asked(name, users)
    hues = _hues(timings, compared)
    missing = _missing(last, commits, compared)
    reached = {claim: f"../{file}" for claim, file in links.items()}
    return KernelPage(
        name=name,
        file=file_of(name),
        about=words.first_paragraph(known.__doc__ if known else ""),
        summary=_summary(name, benches, current, last),
        missing=missing,
        redo=f"claimbench kernels bench {name} --tier standard --out results/bench-{name}.json",
        uses=kernel_uses.table(users, timings, commits, compared, reached),
        benches=tuple(_benches(name, compared, shapes, hues)),
        claimed=tuple(_claimed(name, current, last, shapes, hues)),
        exact=kernel_numerics.drawn(name, numerics),
        figures=tuple(_histories(name, timings, commits, hues)),
        latest=_latest(current, last),
        across=_across(timings, commits),
        places=_places(compared, current, last),
    )


def _hues(timings: Sequence[Timing], compared: Sequence[Compared]) -> dict[str, int]:
    """A colour for everyone on the page, the same in every figure."""
    rows = [row for each in compared for row in each.rows]
    backends = {t.backend for t in timings} | {r.contender for r in rows if r.kind != "peer"}
    return figures.contender_hues(backends, {r.contender for r in rows if r.kind == "peer"})


def _summary(
    name: str, benches: Sequence[BenchRecord], current: Sequence[Timing], last: Commit | None
) -> str:
    """The lead on the largest shape that was compared with peers, else with the reference alone."""
    if found := bench_records.leading(name, benches):
        return str(found)
    times = {t.backend: t.seconds for t in _slowest(current) if t.seconds}
    if last is None or not times:
        return ""
    best, first = min(times, key=lambda backend: times[backend]), _slowest(current)[0]
    reference = times.get("reference")
    ratio = ""
    if reference and best != "reference":
        ratio = f", {words.times(reference / times[best])} as fast as the reference"
    return (
        f"{best} is the fastest: {words.seconds(times[best])}{ratio} "
        f"(shape {first.claim}.{first.shape}; asv on {first.machine}, at {last.short})"
    )


def _slowest(timings: Sequence[Timing]) -> list[Timing]:
    """Times of the shape that takes longest."""
    known = [t for t in timings if _known(t)]
    if not known:
        return []
    longest = max(known, key=lambda t: t.seconds or 0)
    place = (longest.machine, longest.environment, longest.claim, longest.shape)
    return [t for t in known if (t.machine, t.environment, t.claim, t.shape) == place]


def _benches(
    name: str,
    compared: Sequence[Compared],
    shapes: Mapping[str, kernel_figures.Asked],
    hues: Mapping[str, int],
) -> Iterator[Section]:
    settings = Counter(bench_records.setting(each.record) for each in compared for _ in each.rows)
    for place, (setting, _) in enumerate(settings.most_common(), start=1):
        own = [each for each in compared if bench_records.setting(each.record) == setting]
        measures = [m for each in own for m in kernel_figures.of_bench(each, shapes)]
        drawn = kernel_figures.figures(name, str(setting), measures, hues)
        yield Section(
            id=f"bench-{place}",
            title=str(setting),
            note=f"Measured {_runs(own)}.{_left_out(drawn)}",
            figures=tuple(drawn[: kernel_figures.MOST]),
            table=bench_records.table(f"peers-{place}", own),
        )


def _left_out(drawn: Sequence[Figure]) -> str:
    most = kernel_figures.MOST
    if len(drawn) <= most:
        return ""
    return f" The first {most} of {len(drawn)} charts; the table has every shape."


def _runs(compared: Sequence[Compared]) -> str:
    """When and at which commits; which shapes in which run, where there were several."""
    shapes: dict[str, list[str]] = defaultdict(list)
    for each in compared:
        shapes[f"at {bench_records.short(each.record)} on {each.record.started[:10]}"].append(
            each.shape
        )
    if len(shapes) == 1:
        return next(iter(shapes))
    return "; ".join(f"{run}: {', '.join(names)}" for run, names in shapes.items())


def _claimed(
    name: str,
    current: Sequence[Timing],
    last: Commit | None,
    shapes: Mapping[str, kernel_figures.Asked],
    hues: Mapping[str, int],
) -> Iterator[Section]:
    groups: dict[tuple[str, str], dict[str, list[Timing]]] = defaultdict(lambda: defaultdict(list))
    for t in current:
        groups[t.machine, t.environment][f"{t.claim}.{t.shape}"].append(t)
    several = len({environment for _, environment in groups}) > 1
    for place, ((machine, environment), own) in enumerate(groups.items(), start=1):
        measures = [m for shape, t in own.items() for m in kernel_figures.of_asv(t, shape, shapes)]
        title = f"asv on {machine}{f', {environment}' if several else ''}"
        drawn = kernel_figures.figures(name, title, measures, hues)
        if drawn and last:
            note = f"At {last.short}.{_left_out(drawn)}"
            yield Section(f"asv-{place}", title, note, tuple(drawn[: kernel_figures.MOST]))


def _newest_timed(timings: Sequence[Timing], commits: Sequence[Commit]) -> Commit | None:
    timed = {t.commit for t in timings}
    return next((commit for commit in reversed(commits) if commit.sha in timed), None)


def _missing(last: Commit | None, commits: Sequence[Commit], compared: Sequence[Compared]) -> str:
    if last is None:
        return "" if compared else "No time of this kernel is on record."
    if last != commits[-1]:
        return f"Not timed at the newest commit, {commits[-1].short}; last timed at {last.short}."
    return ""


MACHINES = "../machines.html"
"""The page of all machines, as a kernel's page reaches it."""

_THREADS = re.compile(r"OMP_NUM_THREADS(\d{1,4})(?!\d)")
"""asv names an environment after the variables that it sets in it, among other things."""


def _places(compared: Sequence[Compared], current: Sequence[Timing], last: Commit | None) -> Table:
    head = tables.columns(
        "machine", "measured by", "processor", "device", "threads", "commit", "date", "shapes",
        "load", "memory bandwidth", "matrix product",
        numeric=("threads", "shapes", "memory bandwidth", "matrix product"),
    )  # fmt: skip
    records = {id(each.record): each.record for each in compared}
    counts = Counter(id(each.record) for each in compared)
    benches = [_bench_place(record, counts[key]) for key, record in records.items()]
    asv = [_asv_place(own, last) for own in _by_place(current).values() if last]
    caption = "Where, when and by what the times on this page were taken"
    return Table("places", caption, head, (*benches, *asv))


def _by_place(current: Sequence[Timing]) -> dict[tuple[str, str], list[Timing]]:
    found: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for t in current:
        if _known(t):
            found[t.machine, t.environment].append(t)
    return found


def _bench_place(record: BenchRecord, shapes: int) -> tuple[Cell, ...]:
    found, peaks = bench_records.setting(record), record.peaks
    product = peaks.flops_per_s.get("float32")
    return (
        tables.text(found.host or found.processor, MACHINES),
        tables.text("kernels bench"),
        tables.text(found.processor),
        tables.text(found.device),
        tables.amount(found.threads, str(found.threads)),
        tables.text(bench_records.short(record)),
        tables.text(record.started[:10]),
        tables.amount(shapes, str(shapes)),
        tables.text(" to ".join(words.number(load, 2) for load in record.load)),
        tables.amount(peaks.bytes_per_s, f"{words.number(peaks.bytes_per_s / 1e9, 3)} GB/s"),
        tables.amount(product, f"{bench_records.flops(product)}/s" if product else words.NOTHING),
    )


def _asv_place(timings: Sequence[Timing], last: Commit) -> tuple[Cell, ...]:
    first = timings[0]
    shapes = len({(t.claim, t.shape) for t in timings})
    limit = _THREADS.search(first.environment)
    threads = int(limit[1]) if limit else None
    return (
        tables.text(first.machine, MACHINES),
        tables.text("asv"),
        tables.text(str(first.hardware.get("cpu", ""))),
        tables.text(""),
        tables.amount(threads, str(threads) if threads else words.NOTHING),
        tables.text(last.short),
        tables.text(last.date.date().isoformat()),
        tables.amount(shapes, str(shapes)),
        tables.text(""),
        tables.amount(None, words.NOTHING),
        tables.amount(None, words.NOTHING),
    )


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
    several = len({t.environment for t in timings}) > 1
    rows = tuple(_timing_row(t, reference, several) for t in ordered)
    when = f" at {commit.short}" if commit else ""
    return Table("latest", f"Time and error by backend and shape{when}", head, rows)


def _order(backend: str) -> tuple[int, str]:
    known = list(figures.BACKENDS)
    return (known.index(backend) if backend in known else len(known), backend)


def _timing_row(
    t: Timing, reference: Mapping[tuple[str, str, str, str], float | None], several: bool
) -> tuple[Cell, ...]:
    base = reference.get((t.machine, t.environment, t.claim, t.shape))
    ratio = base / t.seconds if base and t.seconds and _known(t) else None
    return (
        tables.text(t.backend),
        tables.text(t.shape),
        tables.text(t.claim),
        _median(t),
        tables.text(words.spread(t.low, t.high, "seconds") if t.low != t.high else ""),
        tables.amount(ratio, words.times(ratio) if ratio else words.NOTHING),
        tables.amount(t.error, words.number(t.error, 2) if t.error is not None else words.NOTHING),
        tables.text(t.machine),
        tables.text(t.environment if several else ""),
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
    timed = [commit for commit in commits if commit.sha in by_commit]
    recent = timed[-PAGE:]
    cells = {commit.sha: commit_cells(commit) for commit in recent}
    ordered = [t for commit in reversed(recent) for t in by_commit[commit.sha]]
    rows = tables.Made(lambda t: (*cells[t.commit], *_across_cells(t)), ordered)
    left = f"; asv's results have those of the {len(timed) - PAGE:,} before" if timed[PAGE:] else ""
    return Table("across", f"Times across commits, newest first{left}", head, rows)


def heads(commits: Iterable[Commit]) -> dict[str, str]:
    """Each commit at length, as a reader who points at it wants it."""
    return {c.short: f"{c.short} {c.date.date().isoformat()} {c.subject}".strip() for c in commits}


def commit_cells(commit: Commit) -> tuple[Cell, Cell, Cell]:
    return (
        tables.text(commit.short),
        tables.text(commit.date.date().isoformat()),
        tables.text(commit.subject),
    )


def comparison_cell(
    before: Commit | None, commit: Commit, compared: Callable[[str, str], str | None]
) -> Cell:
    """A link to the page on what a commit changed, where there is one."""
    page = compared(before.sha, commit.sha) if before else None
    return tables.text(f"against {before.short}", page) if before and page else tables.text("")


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
    name: str, timings: Sequence[Timing], commits: Sequence[Commit], hues: Mapping[str, int]
) -> Iterator[History]:
    """One chart a machine, since times of two machines do not compare; one panel a shape.

    A single commit is no history: the tables have it.
    """
    of_machine: dict[str, list[Timing]] = defaultdict(list)
    for t in timings:
        if _known(t):
            of_machine[t.machine].append(t)
    for machine, found in of_machine.items():
        at = {t.commit for t in found}
        timed = [commit for commit in commits if commit.sha in at][-PAGE:]
        recent = {commit.sha for commit in timed}
        of_shape: dict[tuple[str, str], list[Timing]] = defaultdict(list)
        for t in found:
            if t.commit in recent:
                of_shape[t.claim, t.shape].append(t)
        panels = _with_room([_panel(*shape, own, timed) for shape, own in of_shape.items()])
        if panels and len(timed) > 1:
            yield History(
                title=f"Time of {name} across commits on {machine}",
                note="Medians in seconds; bands are the quartiles of the samples.",
                hues=hues,
                commits=tuple(commit.short for commit in timed),
                panels=panels,
                heads=heads(timed),
            )


def _with_room(panels: Sequence[Panel]) -> tuple[Panel, ...]:
    """Those that a page has room for, at least one."""
    marks = accumulate(len(panel.points) for panel in panels)
    shown = sum(total <= MARKS for total in marks)
    return tuple(panels[: min(max(shown, 1), PANELS)])


def _panel(claim: str, shape: str, timings: Sequence[Timing], commits: Sequence[Commit]) -> Panel:
    short = {commit.sha: commit.short for commit in commits}
    groups: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for t in timings:
        groups[t.commit, t.backend].append(t)
    points = [
        Point(backend, short[commit], *_mean(found)) for (commit, backend), found in groups.items()
    ]
    return Panel(
        f"{claim}.{shape} (s)" if claim else f"{shape} (s)", tuple(points), log=True, unit="seconds"
    )


def _mean(timings: Sequence[Timing]) -> tuple[float, float, float]:
    """Of the environments that asv timed, most often one."""
    known = list(timed_points(timings))
    return fmean(t.seconds for t in known), min(t.low for t in known), max(t.high for t in known)
