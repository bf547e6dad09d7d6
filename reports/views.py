"""What the pages show: every number, word and figure is decided here, none in a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claimbench.suite.definitions import Claim
from claimbench.suite.records import Record

from . import claim_views, kernel_views, results
from .claim_views import ClaimPage
from .history import Commit, Timing
from .kernel_views import KernelPage
from .overview import Index, overview
from .standings import standings

if TYPE_CHECKING:
    from claimbench.suite.kernel_bench import BenchRecord


@dataclass(frozen=True)
class Report:
    index: Index
    claims: tuple[ClaimPage, ...]
    kernels: tuple[KernelPage, ...]
    results: dict[str, Any]


def report(
    claims: Sequence[Claim],
    records: Sequence[Record],
    timings: Sequence[Timing],
    commits: Sequence[Commit],
    benches: Sequence[BenchRecord] = (),
    kept: Sequence[Record] = (),
) -> Report:
    """The whole report, from what was measured; the last of the commits is the newest.

    Args:
        kept: baselines that come with the suite.
    """
    found = standings(claims, records, timings, commits, kept)
    links = {claim.id: claim_views.file_of(claim.id) for claim in claims}
    return Report(
        index=overview(found, claims, commits),
        claims=tuple(page for each in found for page in claim_views.claim_pages(each)),
        kernels=tuple(kernel_views.kernel_pages(claims, timings, commits, links, benches)),
        results=results.as_json(found, commits),
    )
