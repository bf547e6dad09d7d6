"""The command line: what each command takes. What it does is imported when it is called.

Exit codes: 0 all good; 1 a claim refuted or a metric worse; 2 wrong usage or invalid definition;
3 inconclusive, or something expected was not measured; 4 infrastructure.
"""

from __future__ import annotations

import importlib
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from . import stopping
from .inert import inert
from .threads import thread_limits

app = typer.Typer(
    help="Published claims about neural tangent kernels and deep learning, as benchmarks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Data sets: where they come from, fetch them, verify them.")
kernels_app = typer.Typer(help="Kernels: correctness first, then time.")
new_app = typer.Typer(help="Scaffolds.")
results_app = typer.Typer(help="Results folders: joined, and read for what got worse slowly.")
ci_app = typer.Typer(help="Continuous integration.")
for name, part in {
    "data": data_app,
    "kernels": kernels_app,
    "results": results_app,
    "new": new_app,
    "ci": ci_app,
}.items():
    app.add_typer(part, name=name, no_args_is_help=True)


class TierChoice(StrEnum):
    smoke = "smoke"
    quick = "quick"
    full = "full"


class BenchTierChoice(StrEnum):
    smoke = "smoke"
    quick = "quick"
    full = "full"
    standard = "standard"
    sweep = "sweep"


class ForgeChoice(StrEnum):
    github = "github"
    gitlab = "gitlab"


class AllowChoice(StrEnum):
    inconclusive = "inconclusive"


class DeviceChoice(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class DtypeChoice(StrEnum):
    float32 = "float32"
    float64 = "float64"


Claims = Annotated[list[str] | None, typer.Argument(metavar="[CLAIM]...", help="Ids of claims.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Results = Annotated[Path, typer.Option(envvar="CLAIMBENCH_RESULTS", help="Folder of the records.")]
Data = Annotated[
    Path | None, typer.Option(envvar="CLAIMBENCH_DATA", help="A local mirror of the data.")
]
Backend = Annotated[str | None, typer.Option(help="Run every kernel on this backend.")]
AsvResults = Annotated[Path, typer.Option(help="Folder of asv's results.")]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="tcp://host:port of dask, or slurm:workers=N,..."),
]
RESULTS, ASV_RESULTS, HTML = Path("results"), Path(".asv/results"), Path("html")


def _do(target: str, *args: Any, **kwargs: Any) -> None:
    """Import `module:function` beside this package, call it, and leave with what it answers."""
    module, _, function = target.partition(":")
    try:
        with stopping.on_signals():
            found = getattr(importlib.import_module(module, __package__), function)
            code = found(*args, **kwargs)
    except stopping.Stopped as e:
        print(stopping.TOLD, file=sys.stderr)
        code = e.exit_code
    sys.exit(code)


@app.command("list")
def list_(
    tag: Annotated[str | None, typer.Option(help="Only claims with this tag.")] = None,
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """The claims, what each tier costs, and the last verdicts."""
    _do(".claim_commands:list_claims", tag, results, json)


@app.command()
def describe(
    claim: Annotated[str, typer.Argument(help="Id of a claim.")],
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """Source, published values, data, methods, kernel, rules and cost of a claim."""
    _do(".claim_commands:describe", claim, results, json)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Claim files or folders.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema.")] = False,
    json: Json = False,
) -> None:
    """Validate claim files: every error of every file, with file:line:column."""
    _do(".claim_commands:check_files", paths or [], schema, json)


@app.command()
def run(
    claims: Claims = None,
    tier: Annotated[TierChoice, typer.Option(help="How much to run.")] = TierChoice.smoke,
    method: Annotated[str | None, typer.Option(help="Run this method only.")] = None,
    backend: Backend = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where.")] = DeviceChoice.auto,
    jobs: Annotated[int, typer.Option(min=1, help="Processes of this machine to run it.")] = 1,
    scheduler: Scheduler = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Use no earlier record.")] = False,
    results: Results = RESULTS,
    data: Data = None,
    json: Json = False,
    open_: Annotated[bool, typer.Option("--open", help="Make the report and open it.")] = False,
) -> None:
    """Run what is missing of the claims and judge them; repeat the command to go on."""
    _do(
        ".run_command:run_claims",
        claims or [],
        tier.value,
        method=method,
        backend=backend,
        device=device.value,
        jobs=jobs,
        scheduler=scheduler,
        fresh=fresh,
        results=results,
        data=data,
        as_json=json,
        open_report=open_,
    )


@app.command()
def gram(
    name: Annotated[str, typer.Argument(metavar="DATA", help="A data set.")],
    kernel: Annotated[str, typer.Option(help="The kernel.")] = "cntk_gram",
    with_: Annotated[
        str, typer.Option("--with", help="Its arguments as TOML: depths = [5, 8], windows = [0].")
    ] = "",
    samples: Annotated[int | None, typer.Option(min=1, help="The first so many; all.")] = None,
    dtype: Annotated[
        DtypeChoice, typer.Option(help="Of samples and matrix.")
    ] = DtypeChoice.float32,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would take.")] = False,
    backend: Backend = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where.")] = DeviceChoice.auto,
    jobs: Annotated[int, typer.Option(min=1, help="Processes of this machine.")] = 1,
    scheduler: Scheduler = None,
    results: Results = RESULTS,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Write each matrix to a .npy file there.")
    ] = None,
    json: Json = False,
) -> None:
    """A Gram matrix of a data set, tile by tile; repeat the command to go on."""
    _do(
        ".gram_command:compute_gram",
        name,
        kernel,
        with_,
        samples=samples,
        dtype=dtype.value,
        plan_only=plan,
        backend=backend,
        device=device.value,
        jobs=jobs,
        scheduler=scheduler,
        results=results,
        data=data,
        out=out,
        as_json=json,
    )


@app.command()
def report(
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(help="Folder for the pages.")] = HTML,
    asv_results: AsvResults = ASV_RESULTS,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="BASE..HEAD", help="A page for these two commits too; repeatable."),
    ] = None,
) -> None:
    """Static HTML of everything in the results folder, readable from disk."""
    _do("claimbench.reports.command:report", results, out, asv_results, compare or [])


@app.command()
def gate(
    base: Annotated[str, typer.Argument(help="Commit to compare with.")],
    head: Annotated[str, typer.Argument(help="Commit that may have made something worse.")],
    tier: Annotated[TierChoice | None, typer.Option(help="Tier; the largest measured.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure both first: by asv, then times in turns.")
    ] = False,
    allow: Annotated[
        list[AllowChoice] | None, typer.Option(help="Do not fail for what was not measured.")
    ] = None,
    results: Results = RESULTS,
    out: Annotated[
        Path | None, typer.Option(help="Folder for Markdown, JSON, JUnit XML and SARIF.")
    ] = None,
    asv_results: AsvResults = ASV_RESULTS,
) -> None:
    """Compare two commits; fail if a claim, an accuracy or a time got worse."""
    _do(
        "claimbench.reports.command:gate",
        base,
        head,
        tier and tier.value,
        measure,
        results,
        out,
        asv_results,
        allowed=[choice.value for choice in allow or ()],
    )


@data_app.command("list")
def data_list(data: Data = None, json: Json = False) -> None:
    """Every data set, its licence, and whether it is here."""
    _do(".data_commands:data_list", data, json)


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str], typer.Argument(help="Data sets, a collection, a tier, or `all`.")],
) -> None:
    """Download from the publisher or a mirror, checked by SHA-256; offline afterwards."""
    _do(".data_commands:data_fetch", names)


@data_app.command("verify")
def data_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Check the files that are here against their digests."""
    _do(".data_commands:data_verify", names or [], data, json)


Names = Annotated[list[str] | None, typer.Argument(metavar="[KERNEL]...", help="Kernels.")]


@kernels_app.command("list")
def kernels_list(json: Json = False) -> None:
    """Every kernel, its backends and the claims that use it."""
    _do(".kernel_commands:list_kernels", json)


@kernels_app.command("check")
def kernels_check(
    kernels: Names = None,
    backend: Backend = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where.")] = DeviceChoice.auto,
    json: Json = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the random inputs; drawn unless given.")
    ] = None,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="Each backend in a process that is held; Linux.")
    ] = False,
    memory: Annotated[
        float, typer.Option(min=0.1, help="GiB that such a process may address; not with CUDA.")
    ] = 16,
    seconds: Annotated[float, typer.Option(min=1, help="That such a process may take.")] = 300,
) -> None:
    """Hold backends against the float64 reference, and to how a backend must behave."""
    limits = (seconds, memory) if isolated else None
    _do(".kernel_commands:check_kernels", kernels or [], backend, device.value, json, seed, limits)


@kernels_app.command("bench")
def kernels_bench(
    kernels: Names = None,
    tier: Annotated[
        BenchTierChoice, typer.Option(help="The claims' shapes of a tier, or the kernels' own.")
    ] = BenchTierChoice.smoke,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 7,
    device: Annotated[DeviceChoice, typer.Option(help="Where.")] = DeviceChoice.auto,
    peers: Annotated[bool, typer.Option(help="Time other implementations too.")] = True,
    threads: Annotated[int, typer.Option(min=1, help="Threads that each may use.")] = 1,
    budget: Annotated[
        float, typer.Option(min=1, help="Seconds; slow contenders run fewer rounds for it.")
    ] = 480,
    out: Annotated[Path | None, typer.Option(help="Write the record to this JSON file.")] = None,
    json: Json = False,
) -> None:
    """Time backends that are right, and their peers, side by side in interleaved rounds."""
    os.environ.update(thread_limits(threads))
    _do(
        ".kernel_bench:bench_kernels",
        kernels or [],
        tier.value,
        rounds,
        device.value,
        out=out,
        peers=peers,
        budget_s=budget,
        as_json=json,
    )


@results_app.command("merge")
def results_merge(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", exists=True, file_okay=False, help="Results folders."),
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Where to; one of them, if there.")],
    json: Json = False,
) -> None:
    """Join results folders of several machines or jobs; in any order, as often as you like."""
    _do(".merging:merge_results", folders, out, json)


@results_app.command("drift")
def results_drift(
    results: Results = RESULTS, asv_results: AsvResults = ASV_RESULTS, json: Json = False
) -> None:
    """What got worse over the history in steps too small for the gate; needs asv."""
    _do("claimbench.reports.drift:run", results, asv_results, json)


@new_app.command("claim")
def new_claim(
    name: Annotated[str, typer.Argument(help="Id: author, year, statement, in snake case.")],
    folder: Annotated[Path, typer.Option(help="Where to put the file.")] = Path("suite/claims"),
) -> None:
    """A claim file to fill in."""
    _do(".claim_commands:new_claim", name, folder)


# Without a callback typer would take the only command for the whole of `ci`.
@ci_app.callback()
def ci() -> None:
    """Continuous integration."""


@ci_app.command("init")
def ci_init(
    forge: Annotated[ForgeChoice, typer.Argument(help="Where the repository is.")],
    folder: Annotated[Path, typer.Option(help="The repository's root.")] = Path(),
    branch: Annotated[str, typer.Option(help="The branch whose history is kept.")] = "main",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
) -> None:
    """Files that measure every pull request, every night and every commit of a branch."""
    _do(".ci.scaffold:init", forge.value, folder, branch=branch, force=force, dry_run=dry_run)


def main() -> None:
    """Run a command; an error that a user can mend is one message and an exit code."""
    try:
        app()
    except Exception as e:
        codes = [_EXIT_CODES[c.__name__] for c in type(e).__mro__ if c.__name__ in _EXIT_CODES]
        if not codes:
            raise
        print(f"claimbench: {inert(str(e))}", file=sys.stderr)
        sys.exit(codes[0])


_EXIT_CODES = {
    "DefinitionError": 2,
    "UsageError": 2,
    "DataError": 4,
    "HistoryError": 4,
    "MissingExtra": 4,
    "NoBackend": 4,
    "OSError": 4,
    "PluginError": 4,
    "PoolError": 4,
    "RecordError": 4,
    "StoreError": 4,
}
"""By name of the exception: importing their modules here would slow every start."""
