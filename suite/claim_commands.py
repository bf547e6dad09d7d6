"""Commands about claim files: list, describe, check, new. Each gives its exit code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from . import records
from .answers import ALL_GOOD, WRONG_USAGE, last_verdicts, print_json, print_table
from .cells import cells
from .checking import Complaint, all_claim_files, check, doubles, load_claims
from .definitions import Claim, DefinitionError, TierName, schema, tier_names
from .registry import unknown
from .writing import write


def list_claims(tag: str | None, results: Path, as_json: bool) -> int:
    chosen = [claim for claim in load_claims() if tag is None or tag in claim.tags]
    last = last_verdicts(results)
    if as_json:
        print_json([summary(claim, last) for claim in chosen])
        return ALL_GOOD
    if not chosen:
        known = sorted({t for claim in load_claims() for t in claim.tags})
        raise DefinitionError(unknown("tag", tag, known))
    show_list(chosen, last)
    return ALL_GOOD


def show_list(claims: Sequence[Claim], last: dict[str, Any]) -> None:
    """A line for each claim."""
    table = Table(box=None, pad_edge=False)
    table.add_column("claim", no_wrap=True)
    for heading in ("title", "kernel", "tiers and their cost", "last verdict"):
        table.add_column(heading, overflow="fold")
    for claim in claims:
        tiers = ", ".join(f"{t} {span(claim.tiers[t].seconds)}" for t in tier_names(claim))
        row = claim.id, claim.title, claim.kernel, tiers, _last_line(claim, last)
        table.add_row(*map(Text, row))  # as it is: brackets in a title are no mark-up
    print_table(table)


def summary(claim: Claim, last: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": claim.id,
        "title": claim.title,
        "tags": claim.tags,
        "kernel": claim.kernel,
        "tiers": {tier: claim.tiers[tier].seconds for tier in tier_names(claim)},
        "last_verdict": {t: last[k] for t in claim.tiers if (k := f"{claim.id} {t}") in last},
    }


def _last_line(claim: Claim, last: dict[str, Any]) -> str:
    found = [f"{t}: {last[k]['outcome']}" for t in claim.tiers if (k := f"{claim.id} {t}") in last]
    return ", ".join(found) or "not measured"


def describe(name: str, results: Path, as_json: bool) -> int:
    [claim] = load_claims([name])
    if as_json:
        print_json(claim.model_dump(mode="json") | summary(claim, last_verdicts(results)))
    else:
        show(claim, results)
    return ALL_GOOD


def show(claim: Claim, results: Path) -> None:
    """Everything that a reader may want to know of a claim."""
    source = claim.source
    print(f"{claim.title}\n")
    print(
        f"  {source.authors}: {source.paper}. {source.identifier}, {source.locator}\n  {source.url}"
    )
    print(f"  {'(paraphrased) ' if source.paraphrase else ''}{source.statement}\n")
    for published in claim.published:
        at = "".join(f", {key} = {value}" for key, value in published.at.items())
        spread = f" +- {published.spread:g}" if published.spread is not None else ""
        unit = claim.metrics[published.metric].unit
        line = f"{published.method}{at}: {published.metric} {published.value:g}{spread} {unit}"
        print(f"  published  {line} ({published.basis})")
    for section, calls in (
        ("method", claim.methods),
        ("protocol", claim.protocols),
        ("rule", claim.rules),
    ):
        for label, call in calls.items():
            arguments = ", ".join(f"{key} = {value}" for key, value in call.arguments.items())
            print(f"  {section:<9}  {label}: {call.name}({arguments})")
    print(f"  kernel     {claim.kernel}")
    last = last_verdicts(results)
    for tier in tier_names(claim):
        plan = claim.tiers[tier]
        stand_in = f"; {plan.stand_in}" if plan.stand_in else ""
        count = len(cells(claim, tier))
        print(f"  {tier:<9}  {', '.join(plan.data)}{stand_in}")
        print(f"  {'':<9}  {count} cells, about {_cost(claim, tier, results)}")
    print(f"  last       {_last_line(claim, last)}")


def _cost(claim: Claim, tier: TierName, results: Path) -> str:
    """Seconds on this machine where it has run, else as declared."""
    wanted = {cell.digest for cell in cells(claim, tier)}
    took = {r.cell: r.seconds for r in records.read(results) if r.cell in wanted and not r.error}
    if len(took) == len(wanted):
        return f"{sum(took.values()):.1f} s here when last run"
    return f"{span(claim.tiers[tier].seconds)} on 2 cores, as declared"


def span(seconds: float) -> str:
    """A time in the unit that a reader would choose; what takes years is for another machine."""
    for limit, size, name in ((600, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {name}"
    days = seconds / 86_400
    return f"{days:.0f} days" if days < 730 else f"{days / 365.25:.0f} years"


def check_files(paths: Sequence[Path], print_schema: bool, as_json: bool) -> int:
    if print_schema:
        print_json(schema())
        return ALL_GOOD
    found = [*_claim_paths(paths)] if paths else all_claim_files()
    results = [check(path) for path in found]
    complaints = [c for result in results if isinstance(result, list) for c in result]
    complaints += doubles(found)
    if as_json:
        print_json([vars(complaint) for complaint in complaints])
    else:
        _print_complaints(complaints, len(found))
    return WRONG_USAGE if complaints or not found else ALL_GOOD


def _claim_paths(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.toml")) if path.is_dir() else [path]


def _print_complaints(complaints: Sequence[Complaint], files: int) -> None:
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    summary = f"{files} claim files, {len(complaints)} errors"
    print(summary if files else "no claim file here", file=sys.stderr if complaints else sys.stdout)


def new_claim(name: str, folder: Path) -> int:
    path = folder / f"{name}.toml"
    if not re.fullmatch(r"[a-z][a-z0-9_]{,99}", name):
        raise DefinitionError(f"{name!r} is no id; wanted snake case: author, year, statement")
    if path.exists():
        raise DefinitionError(f"{path} exists")
    if not folder.is_dir():
        raise DefinitionError(f"there is no folder {folder}; name one with --folder")
    write(path, (Path(__file__).parent / "claim_template.toml").read_bytes())
    print(f"{path}: fill it in, then `claimbench check {path}`")
    return ALL_GOOD
