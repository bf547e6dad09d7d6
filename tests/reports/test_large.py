"""A long history: what it costs in bytes, how it is split over pages, and that it says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from claimbench.reports import kernel_views, pages, standings, tables
from claimbench.reports.history import Commit
from claimbench.suite import records
from claimbench.suite.verdicts import judge

from . import large, synthetic
from .large import Large

COMMITS, CLAIMS = 7, 3
PAGE = 3  # commits


def undrawn(figure: object, prefix: str) -> str | None:
    return None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Large:
    return large.write(tmp_path_factory.mktemp("large"), COMMITS, CLAIMS)


@pytest.fixture
def written(made: Large, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A report of it, whose pages have room for few commits."""
    monkeypatch.chdir(made.results.parent)
    monkeypatch.setattr(kernel_views, "PAGE", PAGE)
    monkeypatch.setattr(pages.charts, "draw", undrawn)
    first = pages.build(made.results, tmp_path / "html", made.asv_results, made.claims)
    return first.parent


def test_an_archive_has_the_records_that_reading_them_all_gives(made: Large) -> None:
    archive, plain = records.Archive(made.results), records.read(made.results)
    assert set(archive) == set(made.commits)
    assert sorted(r.model_dump_json() for commit in archive for r in archive[commit]) == sorted(
        r.model_dump_json() for r in plain
    )
    counted = [
        sorted((o.count, o.started, o.load) for o in found)
        for found in (archive.origins, records.origins(plain))
    ]
    assert counted[0] == counted[1]


def test_a_history_says_what_judging_each_commit_by_itself_says(made: Large) -> None:
    plain = records.read(made.results)
    commits = [Commit(sha, sha[:7], "", synthetic.COMMITS[0].date) for sha in made.commits]
    for found in standings.standings(made.claims, records.Archive(made.results), [], commits):
        [standing] = [tier for tier in found.tiers if tier.tier == "smoke"]
        assert len(standing.history) == COMMITS
        for moment in standing.history:
            own = [r for r in plain if r.provenance.commit == moment.commit.sha]
            whole = judge(found.claim, "smoke", own)
            assert moment.verdict.outcome == whole.outcome
            for label, finding in whole.findings.items():
                brief = moment.verdict.findings[label]
                assert (brief.effect, brief.interval, brief.n) == (
                    finding.effect,
                    finding.interval,
                    finding.n,
                )


def test_processes_of_their_own_say_the_same(made: Large, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = [Commit(sha, sha[:7], "", synthetic.COMMITS[0].date) for sha in made.commits]
    alone = standings.standings(made.claims, records.Archive(made.results), [], commits)
    monkeypatch.setattr(standings, "PAYS", 1)
    monkeypatch.setattr(standings, "cpu_count", lambda: 2)
    beside = standings.standings(made.claims, records.Archive(made.results), [], commits)
    assert beside == alone


def test_only_what_a_page_shows_of_itself_keeps_its_records(made: Large) -> None:
    commits = [Commit(sha, sha[:7], "", synthetic.COMMITS[0].date) for sha in made.commits]
    [first, *_] = standings.standings(made.claims, records.Archive(made.results), [], commits)
    kept = [bool(moment.records) for moment in first.best.history]
    assert kept == [False] * (COMMITS - 1) + [True]
    assert first.best.verdict.evidence is not None


def test_older_commits_stand_on_further_pages(written: Path, made: Large) -> None:
    page = f"claims/{made.claims[0].id}"
    shas = [sha[:7] for sha in reversed(made.commits)]
    files = [f"{page}.html", f"{page}/across-2.html", f"{page}/across-3.html"]
    told = [_commits_in(written / file) for file in files]
    assert [one for part in told for one in part] == shas
    assert [len(part) for part in told] == [PAGE, PAGE, COMMITS - 2 * PAGE]
    assert not (written / f"{page}/across-4.html").exists()
    assert 'rel="next" href="../claims/' in (written / files[0]).read_text()
    table = json.loads((written / "data" / page / "across.json").read_text())
    assert len(table["rows"]) == COMMITS
    assert _commits_in(written / "index/commits-3.html") == shas[2 * PAGE :]


def _commits_in(page: Path) -> Sequence[str]:
    return re.findall(r'<th scope="row">\s*([0-9a-f]{7,8})\s*</th>', page.read_text())


def test_each_page_is_small_with_its_data(written: Path) -> None:
    """The bound of 1.5 MB is for a real page, with charts and 100 commits; here a tenth will do."""
    for page in written.rglob("*.html"):
        beside = written / "data" / page.relative_to(written).with_suffix("")
        size = sum(path.stat().st_size for path in (page, *beside.glob("*.*")))
        assert size < 150_000, page


@pytest.mark.parametrize("rows", [0, 4, 5, 9, 10, 11])
def test_parts_have_every_row_once(rows: int) -> None:
    cells = tuple((tables.text(str(place)),) for place in range(rows))
    table = tables.Table("t", "c", tables.columns("n"), cells, 5, further="More")
    parts = tables.parts(table)
    assert [*table.rows[:5], *(row for part in parts for row in part.rows)] == list(cells)
    assert all(part.rows for part in parts)
    assert [part.number for part in parts] == list(range(2, len(parts) + 2))
