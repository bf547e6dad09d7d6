"""Pages: HTML that opens from disk, with no network, under a policy that lets nothing else in."""

from __future__ import annotations

import base64
import gc
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from itertools import count
from os.path import relpath
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from joblib import Parallel, cpu_count, delayed
from markupsafe import Markup

from claimbench.suite import records
from claimbench.suite.definitions import Claim
from claimbench.suite.rules import Outcome
from claimbench.suite.writing import whole_folder

from . import (
    bench_records,
    charts,
    compare_views,
    history,
    kernel_numerics,
    machine_views,
    tables,
    views,
    words,
)
from .figures import Figure
from .tables import Part, Table
from .thresholds import Overridden
from .views import Report

_PACKAGE = "claimbench.reports"
FIRST = "index.html"
PAYS = 20
"""Pages that take longer to draw than a process that draws them takes to start."""

MARKS = {
    Outcome.SUPPORTED: "\N{BLACK CIRCLE}",
    Outcome.REFUTED: "\N{WHITE CIRCLE}",
    Outcome.INCONCLUSIVE: "\N{CIRCLE WITH LEFT HALF BLACK}",
    Outcome.NOT_MEASURED: "\N{MIDDLE DOT}",
}

Draw = Callable[[Figure, str], str | None]
"""From a figure and a prefix for its ids to SVG, or `None` where it cannot be drawn."""


def _printed(value: Any) -> Any:
    """What a template prints: texts from records and claim files lose what is invisible in them."""
    return words.inert(value) if type(value) is str else value


environment = Environment(
    loader=PackageLoader(_PACKAGE),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_printed,
    trim_blocks=True,
    lstrip_blocks=True,
)


def build(
    results: Path,
    out: Path,
    asv_results: Path | None,
    claims: Sequence[Claim],
    compare: Sequence[str] = (),
    gated: Overridden | None = None,
    also: Sequence[Path] = (),
) -> Path:
    """Read everything and write the report; returns the path of its first page.

    Args:
        compare: `base..head` of pairs that are to have a page besides those that always have one.
        gated: the claims with the tolerances that the gate uses.
        also: folders of records and bench records beside those of `results`.
    """
    with _uncollected():
        made = _read(results, asv_results, claims, compare, gated, also)
    return write_report(made, out, asv_pages=published_by_asv(asv_results))


@contextmanager
def _uncollected() -> Iterator[None]:
    """A million objects, none in a ring: to look for rings among them takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _read(
    results: Path,
    asv_results: Path | None,
    claims: Sequence[Claim],
    compare: Sequence[str],
    gated: Overridden | None,
    also: Sequence[Path],
) -> Report:
    found = records.Archive(results, *also)
    timings = history.timings(asv_results) if asv_results and asv_results.is_dir() else []
    commits = history.commits(found, timings)
    chosen = compare_views.chosen(claims, commits, found, timings, results, compare, gated)
    benches, kept = bench_records.read(results, *also), records.baselines()
    numerics = kernel_numerics.read(results, *also)
    return views.report(claims, found, timings, commits, benches, kept, chosen, numerics)


def published_by_asv(asv_results: Path | None) -> Path | None:
    """The first page of what `asv publish` made of the same results, where it did."""
    page = asv_results.parent / "html" / "index.html" if asv_results else None
    return page if page and page.is_file() else None


def write_report(
    report: Report, out: Path, draw: Draw | None = None, asv_pages: Path | None = None
) -> Path:
    """Write all pages and the data beside them; returns the path of the first page.

    Nothing is in its place before all of it is written, so that a failure leaves the last report.
    """
    draw = draw or charts.draw
    asv = relpath(asv_pages, out).replace(os.sep, "/") if asv_pages else ""
    stamp = report.index.stamp
    with whole_folder(out) as folder:
        _each(
            partial(_page, folder, file, template, stamp, draw, **shown)
            for file, template, shown in _pages(report, asv)
        )
        _write(folder / "results.json", tables.dump(report.results))
    return out / FIRST


def _pages(report: Report, asv: str) -> Iterator[tuple[str, str, dict[str, object]]]:
    """File, template and content of every page; those that take longest to draw come first."""
    for kernel in report.kernels:
        yield kernel.file, "kernel.html.j2", {"page": kernel}
    yield FIRST, "index.html.j2", {"index": report.index, "kernels": report.kernels, "asv": asv}
    for claim in report.claims:
        yield claim.file, "claim.html.j2", {"page": claim}
    compared = report.comparisons
    yield compare_views.INDEX, "compare.html.j2", {"page": compared.index}
    for pair in compared.pages:
        yield pair.file, "comparison.html.j2", {"page": pair}
    yield machine_views.FILE, "machines.html.j2", {"page": report.machines}


def _each(tasks: Iterable[Callable[[], object]]) -> None:
    """Do all, side by side where there are so many that processes of their own pay."""
    found = list(tasks)
    jobs = min(cpu_count(), len(found) // PAYS)
    if jobs < 2:
        for task in found:
            task()
    else:
        try:
            Parallel(n_jobs=jobs, batch_size=1)(map(delayed(_called), found))
        except BrokenProcessPool:
            raise ChildProcessError("a process that drew pages was killed") from None


def _called(task: Callable[[], object]) -> None:
    task()


def _page(
    out: Path,
    file: str,
    template: str,
    stamp: tuple[tuple[str, str], ...],
    draw: Draw,
    **shown: object,
) -> Path:
    """Write a page, and beside it the data of every table that it links."""
    root = "../" * file.count("/")
    places = count(1)
    linked: dict[str, Table] = {}

    def drawn(figure: Figure) -> Markup | None:
        svg = draw(figure, f"f{next(places)}-")
        # Rebuilt from an allowlist by `drawings`, so that there is nothing left to escape.
        return Markup(svg) if svg else None

    def data(table: Table) -> str:
        stem = f"data/{file.removesuffix('.html')}/{words.slug(table.name)}"
        linked[stem] = table
        return root + stem

    def further(table: Table) -> str:
        return root + _part_file(file, tables.parts(table)[0])

    text = environment.get_template(template).render(
        **_frame(),
        **shown,
        root=root,
        stamp=stamp,
        lacking=charts.lacking(),
        draw=drawn,
        data=data,
        further=further,
    )
    for stem, table in linked.items():
        _write(out / f"{stem}.csv", tables.as_csv(table))
        _write(out / f"{stem}.json", tables.as_json(table))
        for part in tables.parts(table):
            _part(out, file, stem, part, stamp)
    return _write(out / file, text)


def _part(out: Path, whole: str, stem: str, part: Part, stamp: tuple[tuple[str, str], ...]) -> None:
    """Write a page of the rows that a page has no room for; their data lie with that page's."""
    file = _part_file(whole, part)
    before = replace(part, number=part.number - 1)
    pages = [("Newer", "prev", _part_file(whole, before) if before.number > 1 else whole)]
    if part.last < len(part.table.rows):
        after = replace(part, number=part.number + 1)
        pages.append((part.table.further, "next", _part_file(whole, after)))
    text = environment.get_template("part.html.j2").render(
        **_frame(),
        root="../" * file.count("/"),
        stamp=stamp,
        lacking="",
        page=part,
        of=whole.removesuffix(".html"),
        whole=whole,
        stem=stem,
        pages=pages,
    )
    _write(out / file, text)


def _part_file(whole: str, part: Part) -> str:
    return f"{whole.removesuffix('.html')}/{words.slug(part.table.name)}-{part.number}.html"


@cache
def _frame() -> dict[str, object]:
    """What all pages share."""
    style, *scripts = (
        (files(_PACKAGE) / "static" / name).read_text(encoding="utf-8")
        for name in ("style.css", "report.js", "charts.js")
    )
    script = "\n".join(scripts)
    return {
        "style": Markup(style),
        "script": Markup(script),
        "policy": _policy(style, script),
        "marks": MARKS,
    }


def _policy(style: str, script: str) -> str:
    """Nothing but our own style and script, named by digest: 'self' means nothing on file://."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
