"""What the pages show: every number, word and figure is decided here, none in a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimbench.suite.definitions import Claim
from claimbench.suite.records import Archived, Record

from . import claim_views, compare_views, kernel_views, results
from .claim_views import ClaimPage
from .compare_views import Chosen, Comparisons
from .history import Commit, Timing
from .kernel_numerics import NumericsRecord
from .kernel_views import KernelPage
from .machine_sightings import sightings
from .machine_views import MachinesPage, machines_page
from .overview import Index, overview
from .standings import standings

if TYPE_CHECKING:
    from claimbench.suite.kernel_bench import BenchRecord


@dataclass(frozen=True)
class Report:
    index: Index
    claims: tuple[ClaimPage, ...]
    kernels: tuple[KernelPage, ...]
    comparisons: Comparisons
    machines: MachinesPage
    results: dict[str, Any]


def report(
    claims: Sequence[Claim],
    records: Archived | Sequence[Record],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
    benches: Sequence[BenchRecord] = (),
    kept: Sequence[Record] = (),
    chosen: Chosen | None = None,
    numerics: Sequence[NumericsRecord] = (),
) -> Report:
    """The whole report, from what was measured; the last of the commits is the newest.

    Args:
        kept: baselines that come with the suite.
        chosen: the pairs of commits that have a page; the usual ones unless given.
        numerics: records of the kernels' errors by depth and size.
    """
    found = standings(claims, records, timings, commits, kept)
    links = {claim.id: claim_views.file_of(claim.id) for claim in claims}
    chosen = chosen or compare_views.chosen(claims, commits, records, timings)
    seen = sightings(records, timings, benches, chosen.turns.values(), kept)
    machines = machines_page(seen, commits)
    compared = compare_views.comparisons(records, timings, commits, chosen, machines, links)
    return Report(
        index=overview(found, claims, commits, benches, compared.href),
        claims=tuple(page for each in found for page in claim_views.claim_pages(each)),
        kernels=tuple(
            kernel_views.kernel_pages(claims, timings, commits, links, benches, numerics)
        ),
        comparisons=compared,
        machines=machines,
        results=results.as_json(found, commits),
    )
