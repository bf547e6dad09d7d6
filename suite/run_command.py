"""The command `run`: plan, run what is missing, judge. It gives its exit code."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from . import data as data_sets
from . import locks, records, runner
from .answers import (
    ALL_GOOD,
    INCONCLUSIVE,
    INFRASTRUCTURE,
    MARK,
    REFUTED,
    print_json,
    print_table,
    remember,
)
from .answers import as_json as verdict_as_json
from .cells import Cell, cells
from .checking import followed_claims, load_claims
from .data_commands import use_mirror
from .definitions import Claim, DefinitionError, TierName
from .devices import device_of
from .gram import sweep
from .progress import progress
from .records import Record
from .registry import unknown
from .rules import Outcome
from .runner import Settings
from .solving import untrusted
from .verdicts import Verdict, judge
from .workers import Pool, open_pool


def run_claims(
    names: Sequence[str],
    tier: TierName,
    *,
    method: str | None,
    backend: str | None,
    device: str,
    jobs: int,
    scheduler: str | None,
    fresh: bool,
    results: Path,
    data: Path | None,
    as_json: bool,
    open_report: bool,
) -> int:
    use_mirror(data)
    claims = load_claims(names) if names else followed_claims()
    chosen = _with_tier(claims, tier, named=bool(names))
    wanted = [cell for claim in chosen for cell in cells(claim, tier, only=method)]
    if not wanted:
        labels = sorted({label for claim in chosen for label in claim.methods_of(tier)})
        raise DefinitionError(unknown("method", method, labels))
    _require_data(wanted)
    with (
        locks.held(results, "--results"),
        closing(open_pool(jobs, scheduler, device)) as pool,
    ):
        where = device_of(pool, device)
        settings = Settings(where, backend, fresh, results / runner.GRAMS)
        verdicts, measured = _run(chosen, wanted, tier, settings, pool, results)
    if as_json:
        print_json([verdict_as_json(verdict) for verdict in verdicts])
    else:
        print_verdicts(verdicts)
    if doubt := untrusted(score for record in measured for score in record.scores):
        print(doubt, file=sys.stderr)
    if open_report:
        _open_report(results)
    return exit_code(verdicts, measured)


def _run(
    chosen: Sequence[Claim],
    wanted: Sequence[Cell],
    tier: TierName,
    settings: Settings,
    pool: Pool,
    results: Path,
) -> tuple[list[Verdict], list[Record]]:
    """Measure what is missing, each record on the disk before the next; judge, and remember it."""
    console = Console(stderr=True)
    past = records.read(results)
    sweep(results / runner.GRAMS)
    path = records.new_file(results, past)
    plan = runner.plan(wanted, [*records.baselines(), *past], settings)
    console.print(_plan_line(plan, len(wanted), tier), highlight=False, soft_wrap=True)
    for record in plan.reused:
        records.append(record, path)
    made = []
    tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    running = runner.run(plan.todo, settings, pool, tell)
    with progress(console, plan) as step, closing(running) as pairs:
        for cell, record in pairs:
            records.append(record, path)
            made.append(record)
            step(cell, record)
    verdicts = [judge(claim, tier, [*plan.known, *plan.reused, *made]) for claim in chosen]
    remember(verdicts, results)
    return verdicts, [*plan.known, *made]


def _with_tier(claims: Sequence[Claim], tier: TierName, named: bool) -> list[Claim]:
    without = [claim.id for claim in claims if tier not in claim.tiers]
    if without and (named or len(without) == len(claims)):
        raise DefinitionError(f"{', '.join(without)}: there is no tier {tier!r}")
    return [claim for claim in claims if tier in claim.tiers]


def _require_data(wanted: Sequence[Cell]) -> None:
    """Name everything that is not here before anything is run."""
    names = dict.fromkeys(cell.data for cell in wanted)
    missing = {name: files for name in names if (files := data_sets.missing_files(name))}
    if missing:
        size = sum(file.size or 0 for files in missing.values() for file in files)
        fetched = dict.fromkeys(name.partition("/")[0] for name in missing)
        raise data_sets.DataError(
            f"{len(missing)} data sets are not here ({', '.join(list(missing)[:5])}"
            f"{', ...' if len(missing) > 5 else ''}; {size / 2**20:.0f} MiB or more); run "
            f"`claimbench data fetch {' '.join(fetched)}`, or name a mirror in CLAIMBENCH_DATA"
        )


def _plan_line(plan: runner.Plan, cells_in_all: int, tier: str) -> str:
    parts = [
        f"{len(plan.known)} on record",
        f"{len(plan.reused)} reused from other commits",
        f"{len(plan.todo)} to run, about {max(plan.seconds, 0):.0f} s",
    ]
    return f"tier {tier}: {cells_in_all} cells: {', '.join(parts)}"


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """One line a claim, then one for each of its rules."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("claim / rule", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("effect [95% interval]", overflow="fold")
    for verdict in verdicts:
        data = (
            ", ".join(verdict.data) if len(verdict.data) <= 4 else f"{len(verdict.data)} data sets"
        )
        evidence = verdict.reason or f"{verdict.tier}: {data}"
        table.add_row(MARK[verdict.outcome], verdict.claim.id, verdict.outcome, evidence)
        for label, f in verdict.findings.items():
            interval = f"{f.effect:+.4f} [{f.interval[0]:+.4f}, {f.interval[1]:+.4f}]"
            table.add_row("", f"  {label}", f.outcome, f"{interval} {f.unit}, {f.n} {f.over}")
    print_table(table)


def exit_code(verdicts: Sequence[Verdict], measured: Sequence[Record]) -> int:
    outcomes = {verdict.outcome for verdict in verdicts}
    if any(record.error for record in measured):
        return INFRASTRUCTURE
    if Outcome.REFUTED in outcomes:
        return REFUTED
    return ALL_GOOD if outcomes == {Outcome.SUPPORTED} else INCONCLUSIVE


def _open_report(results: Path) -> None:
    out = Path("html")
    import_module("claimbench.reports.command").report(results, out, Path(".asv/results"))
    webbrowser.open((out / "index.html").resolve().as_uri())
