"""Which claims use a kernel on which shapes, and how fast it is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from claimbench.suite.definitions import Claim, Shape

from . import bench_records, tables, words
from .bench_records import Compared
from .history import Commit, Timing
from .kernel_figures import sizes_of
from .tables import Cell, Table


@dataclass(frozen=True)
class Found:
    """The fastest backend on a shape, by one tool on one machine.

    Attributes:
        over_reference, over_peer: how many times faster it is; `None` where the other has no time.
        where: tool, machine and commit.
    """

    backend: str
    seconds: float
    over_reference: float | None
    over_peer: float | None
    peer: str
    where: str


def table(
    users: Sequence[Claim],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
    compared: Sequence[Compared],
    links: Mapping[str, str],
) -> Table:
    """A row for each shape of each claim and each place where it was timed.

    Args:
        links: from the id of a claim to its page, as the kernel's page reaches it.
    """
    head = tables.columns(
        "claim", "shape", "tier", "inputs", "fastest backend", "time",
        "against the reference", "against the best peer", "best peer", "measured by",
        numeric=("time", "against the reference", "against the best peer"),
    )  # fmt: skip
    timed: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for t in timings:
        timed[t.claim, t.shape].append(t)
    rows = []
    for claim in users:
        for label, shape in claim.shapes.items():
            found: list[Found | None] = [
                *_by_asv(timed[claim.id, label], commits),
                *_by_bench([c for c in compared if c.shape == f"{claim.id}.{label}"]),
            ]
            first = _cells(claim, label, shape, links[claim.id])
            rows += [(*first, *_of(each)) for each in found or [None]]
        if not claim.shapes:
            nothing = tables.text("")
            rows.append((tables.text(claim.id, links[claim.id]), *[nothing] * (len(head) - 1)))
    return Table("uses", "Claims that stand on it, and the shapes that they use", head, tuple(rows))


def _cells(claim: Claim, label: str, shape: Shape, link: str) -> tuple[Cell, ...]:
    return (
        tables.text(claim.id, link),
        tables.text(label),
        tables.text(shape.tier),
        tables.text(sizes_of(shape.inputs)),
    )


def _of(found: Found | None) -> tuple[Cell, ...]:
    if found is None:
        return (*[tables.text("")] * 5, tables.text("not timed"))
    return (
        tables.text(found.backend),
        tables.amount(found.seconds, words.seconds(found.seconds)),
        _ratio(found.over_reference),
        _ratio(found.over_peer),
        tables.text(found.peer),
        tables.text(found.where),
    )


def _ratio(ratio: float | None) -> Cell:
    return tables.amount(ratio, words.NOTHING if ratio is None else words.times(ratio))


def _by_asv(timings: Sequence[Timing], commits: Sequence[Commit]) -> Iterator[Found]:
    """On each machine, at the newest commit that was timed there."""
    places = {commit.sha: place for place, commit in enumerate(commits)}
    machines: dict[str, list[Timing]] = defaultdict(list)
    for t in timings:
        if words.finite(t.seconds) and t.commit in places:
            machines[t.machine].append(t)
    for machine, known in machines.items():
        newest = max(places[t.commit] for t in known)
        times = {t.backend: t.seconds or 0 for t in known if places[t.commit] == newest}
        reference = times.get("reference")
        best = min(times, key=lambda name: (times[name], name == "reference"))
        ratio = reference / times[best] if reference and times[best] > 0 else None
        where = f"asv on {machine}, at {commits[newest].short}"
        yield Found(best, times[best], ratio, None, "", where)


def _by_bench(compared: Sequence[Compared]) -> Iterator[Found]:
    for each in compared:
        found, best = bench_records.lead(each), each.best
        if found is None or best is None:
            continue
        yield Found(
            backend=found.backend,
            seconds=best.item_s * best.items_of_shape,
            over_reference=found.over_reference,
            over_peer=found.over_peer,
            peer=found.peer,
            where=f"kernels bench on {found.setting}, at {found.commit}",
        )
