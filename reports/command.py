"""What the commands `report` and `gate` do. Each gives its exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from claimbench.suite.checking import all_claim_files, followed_claims, position
from claimbench.suite.definitions import TierName
from claimbench.suite.project import kept, root

from . import gate as gating
from . import measure as measuring
from . import pages
from .comparison import Allowed
from .history import resolve
from .thresholds import overridden


def report(results: Path, out: Path, asv_results: Path, compare: Sequence[str] = ()) -> int:
    claims = followed_claims()
    gated = overridden(claims, Path())
    also = [folder for folder in kept(root()) if folder.resolve() != results.resolve()]
    index = pages.build(results, out, asv_results, claims, compare, gated, also)
    asv = pages.published_by_asv(asv_results)
    graphs = f"which it links: {asv}" if asv else "which `asv publish` makes"
    print(
        f"{index}: claims, records and asv's times by commit; asv graphs the times alone, {graphs}"
    )
    return 0


def gate(
    base: str,
    head: str,
    tier: TierName | None,
    measure: bool,
    results: Path,
    out: Path | None,
    asv_results: Path,
    allowed: Sequence[Allowed] = (),
) -> int:
    claims, notes = overridden(followed_claims(), Path())
    if measure:
        measuring.in_turns(claims, resolve(base), resolve(head), results)
    return gating.run(
        base,
        head,
        results,
        out,
        tier,
        asv_results,
        claims=claims,
        line_of=line_of,
        allowed=allowed,
        notes=notes,
    )


def line_of(claim: str, keys: Sequence[str]) -> int:
    """The line of a claim's file that a key stands on; 1 for a claim that has no file."""
    return next((position(source, tuple(keys))[0] for source in _files_of(claim)), 1)


def _files_of(claim: str) -> Iterator[bytes]:
    return (p.read_bytes() for p in all_claim_files() if p.name == f"{claim}.toml")
