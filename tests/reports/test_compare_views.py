"""Comparison pages say what the gate says, and there are not too many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claimbench.reports import (
    compare_lines,
    compare_page,
    compare_pairs,
    compare_tables,
    compare_views,
    gate,
    pages,
    rounds,
    tables,
    views,
)
from claimbench.reports.compare_pairs import MOST
from claimbench.reports.compare_views import PairPage
from claimbench.reports.comparison import KINDS, Kind, Line
from claimbench.reports.history import DIRTY, Commit, Timing, UsageError
from claimbench.reports.thresholds import Overridden
from claimbench.reports.views import Report
from claimbench.suite.cells import cells
from claimbench.suite.records import Record

from . import synthetic, test_gate, test_rounds
from .synthetic import COMMITS
from .test_pages import HOSTILE, LONG, all_pages, assert_whole, undrawn

CLAIM = synthetic.claim()
BASE, HEAD = COMMITS[1:]
START = datetime(2026, 1, 1, tzinfo=UTC)


def many(count: int) -> list[Commit]:
    """Commits whose short names are all the same."""
    return [
        Commit(f"{n:040x}", "0" * 7, f"Step {n}", START + timedelta(days=n)) for n in range(count)
    ]


def shifted(record: Record, by: float) -> Record:
    scores = (
        score.model_copy(update={"metrics": {k: v + by for k, v in score.metrics.items()}})
        for score in record.scores
    )
    return record.model_copy(update={"scores": tuple(scores)})


def planted() -> list[Record]:
    """At head the kernel lost, the forest won, and the linear method lacks a set."""
    change = {"kernel": -0.05, "forest": 0.03}
    return [
        shifted(record, change.get(record.method, 0)) if at_head else record
        for record in synthetic.records(CLAIM, "smoke")
        for at_head in [record.provenance.commit == HEAD.sha]
        if not (at_head and (record.method, record.data) == ("linear", "d1"))
    ]


def slowed() -> list[Timing]:
    return [
        replace(t, seconds=9 * t.seconds, low=9 * t.low, high=9 * t.high, samples=())
        if t.commit == HEAD.sha and t.backend == "cpu" and t.seconds and t.low and t.high
        else t
        for t in synthetic.timings(CLAIM)
    ]


def made(
    records: Sequence[Record], timings: Sequence[Timing] = (), commits: Sequence[Commit] = COMMITS
) -> Report:
    return views.report([CLAIM], records, timings, commits)


def page_of(report: Report, base: Commit = BASE, head: Commit = HEAD) -> PairPage:
    [page] = [
        page
        for page in report.comparisons.pages
        if (page.base.commit, page.head.commit) == (base, head)
    ]
    return page


def lines(page: PairPage, kind: Kind) -> dict[str, compare_lines.LineView]:
    [section] = [section for section in page.sections if section.kind == kind]
    return {view.name: view for view in section.lines}


def test_what_changed_stands_in_its_section_with_its_interval() -> None:
    page = page_of(made(planted(), slowed()))
    assert [section.kind for section in page.sections] == list(KINDS)
    worse, better = lines(page, "worse"), lines(page, "better")
    assert worse.keys() == {"accuracy of kernel", "time of cpu on smith2020_kernel_wins.small"}
    lost = worse["accuracy of kernel"]
    assert (lost.base.text, lost.head.text) == ("67.44%", "62.64%")
    assert lost.change.text == "\N{MINUS SIGN}4.80 points"
    assert lost.interval.text.startswith("[\N{MINUS SIGN}4.80,")
    assert lost.tolerance.text == "1 point"
    assert lost.support == "95% interval, 36 pairs"
    assert "accuracy of forest" in better
    [missing] = lines(page, "not measured").values()
    assert (
        missing.reason == "linear: no record at head in 2 of 12 cells; first: draw on d1, trial 0"
    )
    assert missing.rule == ("compare.html#rule-expected", "what is expected")
    slower = worse["time of cpu on smith2020_kernel_wins.small"]
    assert (slower.change.text, slower.tolerance.text) == ("+500.0%", "25.0%")
    assert slower.rule[0] == "compare.html#rule-without-rounds"
    assert page.conclusion == "worse (exit status 1)"


def test_a_page_has_the_gates_lines_and_no_other() -> None:
    records, timings = planted(), slowed()
    report = made(records, timings)
    assert len(report.comparisons.pages) == 3
    for page in report.comparisons.pages:
        names = page.base.commit.sha, page.head.commit.sha
        said = gate.compare([CLAIM], records, timings, *names, page.tier)
        shown = [view.line for section in page.sections for view in section.lines]
        assert shown == list(said.lines)
        assert page.counts == {kind: len(said.of(kind)) for kind in KINDS}
        assert page.notes == said.notes
        for section in page.sections:
            assert len(section.table.rows) == len(section.lines)


def test_verdicts_and_times_stand_side_by_side() -> None:
    page = page_of(made(synthetic.records(CLAIM, "smoke"), slowed()))
    whole, *rules = [[cell.text for cell in row] for row in page.claims.rows]
    assert whole[1:4] == ["all together", "supported", "supported"]
    assert [rule[1] for rule in rules] == ["beats_forest", "beats_linear"]
    assert all(rule[4].endswith("points") and rule[7].startswith("[") for rule in rules)
    [slower] = [row for row in page.times.rows if row[1].text == "cpu"]
    assert [cell.text for cell in slower[3:8]] == [
        "5 ms", "4.8 ms to 5.5 ms", "30 ms", "28.8 ms to 33 ms", "6\N{MULTIPLICATION SIGN}",
    ]  # fmt: skip


def test_times_of_two_machines_have_no_ratio() -> None:
    other = [
        replace(t, hardware={"cpu": "Other"}) if t.commit == HEAD.sha else t
        for t in synthetic.timings(CLAIM)
    ]
    page = page_of(made([], other))
    assert {row[7].value for row in page.times.rows} == {None}
    assert "cpu None -> 'Other'" in page.times.rows[0][-1].text


def test_a_verdict_is_remade_once_for_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def judge(claim: object, tier: object, found: Sequence[Record]) -> object:
        seen.append(found[0].provenance.commit)
        return compare_tables.Verdict(CLAIM, "smoke", "inconclusive")  # type: ignore[arg-type]

    monkeypatch.setattr(compare_page, "judge", judge)
    made(synthetic.records(CLAIM, "smoke"))
    assert sorted(seen) == [commit.sha for commit in COMMITS]


# Rounds and tolerances, as the gate has them.


def in_turns(folder: Path) -> PairPage:
    taken = test_rounds.turns(test_rounds.times(1.5))
    rounds.write(test_rounds.taken([taken], [taken]), folder)
    claim = test_rounds.TIMED
    found = test_gate.both(claim, [0.9] * 3, [0.9] * 3)
    timings = [
        Timing(
            commit, "box", "py3", claim.kernel, "numba", "toy", test_rounds.LABEL, 0.002,
            error=1e-7, samples=(0.002, 0.002),
        )
        for commit in (test_rounds.BASE, test_rounds.HEAD)
    ]  # fmt: skip
    commits = [Commit(name, name[:7], "", START) for name in (test_rounds.BASE, test_rounds.HEAD)]
    chosen = compare_views.chosen([claim], commits, found, timings, folder)
    assert [pair.names for pair in chosen.pairs] == list(chosen.turns)
    report = views.report([claim], found, timings, commits, chosen=chosen)
    return report.comparisons.pages[0]


def test_times_come_from_the_rounds_of_the_results_folder(tmp_path: Path) -> None:
    page = in_turns(tmp_path)
    [slower] = lines(page, "worse").values()
    assert slower.rule == ("compare.html#rule-a-time", "times in turns")
    assert slower.support == "90% interval, 20 rounds"
    assert slower.change.text.startswith("+5")
    assert slower.tolerance.text == "5.0%"
    [row] = page.times.rows
    assert row[-1].text == "in turns, 20 rounds"
    assert row[7].value == pytest.approx(1.5, rel=0.02)


def test_a_commit_with_files_changed_has_no_rounds_of_the_commit(tmp_path: Path) -> None:
    rounds.write(test_rounds.taken([]), tmp_path)
    names = [test_rounds.BASE, test_rounds.HEAD, test_rounds.HEAD + DIRTY]
    commits = [Commit(name, name[:7], "", START) for name in names]
    found = [
        record
        for name in names
        for record in test_gate.measured(test_rounds.TIMED, name, [0.9] * 3)
    ]
    chosen = compare_views.chosen([test_rounds.TIMED], commits, found, [], tmp_path)
    assert list(chosen.turns) == [(test_rounds.BASE, test_rounds.HEAD)]


def test_tolerances_are_the_gates() -> None:
    metric = CLAIM.metrics["accuracy"].model_copy(update={"tolerance": 0.2})
    lenient = CLAIM.model_copy(update={"metrics": {"accuracy": metric}})
    gated = Overridden([lenient], ["set to 0.2"])
    chosen = compare_views.chosen([CLAIM], COMMITS, planted(), [], gated=gated)
    report = views.report([CLAIM], planted(), [], COMMITS, chosen=chosen)
    page = page_of(report)
    assert page.counts["worse"] == page.counts["better"] == 0
    assert page.notes[0] == "set to 0.2"


@pytest.mark.parametrize(
    ("unit", "base", "change", "tolerance", "shown"),
    [
        ("fraction", 0.5, -0.25, 0.01, ("50.00%", "\N{MINUS SIGN}25.00 points", "1 point")),
        ("fraction", 0.5, 0.005, 0.025, ("50.00%", "+0.50 points", "2.5 points")),
        ("s", 0.002, 0.0001, 0.0001, ("2 ms", "+5.0%", "5.0%")),
        ("bytes", 2.0**22, -(2.0**21), 2.0**20, ("4 MiB", "\N{MINUS SIGN}2 MiB", "1 MiB")),
        ("nats", 1.5, 0.25, 0.1, ("1.5", "+0.25 nats", "0.1 nats")),
    ],
)
def test_values_read_in_their_unit(
    unit: str, base: float, change: float, tolerance: float, shown: tuple[str, str, str]
) -> None:
    line = Line(
        kind="worse", subject="c", what="metric", name="n", reason="r", claim="c", base=base,
        head=base + change, change=change, unit=unit, tolerance=tolerance,
    )  # fmt: skip
    [view] = compare_lines.line_views([line], False, {})
    assert (view.base.text, view.change.text, view.tolerance.text) == shown
    assert view.change.value == change


def test_a_line_of_which_nothing_is_known_is_a_row_all_the_same() -> None:
    line = Line(kind="unchanged", subject="c", what="metric", name="n", reason="r", claim="")
    twice = list(compare_lines.line_views([line, line], False, {}))
    assert [view.id for view in twice] == ["line-c-n", "line-c-n-2"]
    table = tables.Table("t", "c", compare_lines.COLUMNS, tuple(view.cells for view in twice))
    assert [column.name for column in table.heads] == [
        "what", "claim or kernel", "decided by", "reason",
    ]  # fmt: skip


def test_every_rule_that_decides_is_told() -> None:
    told = {anchor for anchor, _, _ in compare_lines.rules()}
    anchors = {anchor for anchor, _ in compare_lines._RULES.values()} | {"without-rounds"}
    assert {f"rule-{anchor}" for anchor in anchors} <= told


# Which pairs.


def test_many_commits_have_few_pages() -> None:
    commits = many(60)
    cell = cells(CLAIM, "smoke")[0]
    report = made([synthetic.record(cell, commit) for commit in commits], (), commits)
    shown = report.comparisons.pages
    assert len(shown) == 2 * MOST - 1  # the newest two are both
    assert shown[0].base.commit, shown[0].head.commit == commits[-2:]
    assert len({page.file for page in shown}) == len(shown)
    assert report.comparisons.href(commits[-2].sha, commits[-1].sha) == shown[0].file
    assert report.comparisons.href(commits[0].sha, commits[1].sha) is None
    assert len(report.comparisons.index.commits.rows) == 60


def test_more_claims_have_fewer_pairs() -> None:
    assert [compare_pairs.limit(claims) for claims in (0, 1, 25, 50, 1000)] == [
        MOST,
        MOST,
        12,
        6,
        3,
    ]


def test_neighbours_are_those_that_were_measured_alike() -> None:
    commits = many(5)
    tiers = [{"smoke"}, {"quick"}, {"smoke", "quick"}, set(), {"times"}]
    measured = {c.sha: found for c, found in zip(commits, tiers, strict=True)}
    pairs = compare_pairs.usual(commits, measured, MOST)
    assert [(commits.index(base), commits.index(head)) for base, head in pairs] == [(1, 2), (0, 2)]
    asked = compare_pairs.resolved([f"{commits[0].sha}..{commits[4].sha}"], commits)
    assert len(compare_pairs.usual(commits, measured, MOST, asked)) == 3


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("HEAD", "names no two commits; write BASE..HEAD"),
        ("..HEAD", "names no two commits"),
        (f"{BASE.sha}..{BASE.sha}", "are one commit"),
        (f"nowhere..{BASE.sha}", "no commit is called 'nowhere'"),
    ],
)
def test_a_pair_that_cannot_be_is_an_error_with_the_way_out(asked: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        compare_pairs.resolved([asked], COMMITS)


@pytest.mark.parametrize(
    ("measured", "why"),
    [("d" * 40 + DIRTY, "only with files changed"), ("e" * 40, "gate --measure")],
)
def test_a_commit_without_anything_measured_has_no_page(
    measured: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_pairs, "resolve", lambda name, known: "d" * 40)
    with pytest.raises(UsageError, match=why):
        compare_pairs.resolved(["HEAD~1..HEAD"], [Commit(measured, "x", "", START)])


def test_nothing_measured_and_one_commit_have_an_empty_page(tmp_path: Path) -> None:
    for commits in ((), COMMITS[:1]):
        report = made(synthetic.records(CLAIM, "smoke", commits), (), commits)
        assert report.comparisons.pages == ()
        out = pages.write_report(report, tmp_path, draw=undrawn).parent
        assert "there is no pair" in (out / "compare.html").read_text(encoding="utf-8")
        assert_whole(out)


def test_a_pair_with_nothing_in_common_says_so() -> None:
    first, second = COMMITS[:2]
    records = [
        *synthetic.records(CLAIM, "smoke", [first]),
        *synthetic.records(CLAIM, "quick", [second]),
    ]
    asked = [f"{first.sha}..{second.sha}"]
    chosen = compare_views.chosen([CLAIM], COMMITS[:2], records, [], asked=asked)
    report = views.report([CLAIM], records, [], COMMITS[:2], chosen=chosen)
    page = page_of(report, first, second)
    assert page.notes[0].startswith("no tier has records of both commits")
    assert page.counts["not measured"] == sum(page.counts.values())


# Pages.


def test_what_was_not_measured_stands_first(tmp_path: Path) -> None:
    report = made(planted(), slowed())
    out = pages.write_report(report, tmp_path, draw=undrawn).parent
    text = (out / page_of(report).file).read_text(encoding="utf-8")
    places = [text.index(f'id="kind-{kind.replace(" ", "-")}"') for kind in KINDS]
    assert places == sorted(places)
    [lost] = [line for line in text.split("<tr") if "accuracy of kernel" in line]
    assert "\N{MINUS SIGN}4.80 points" in lost
    assert '<a href="../claims/smith2020_kernel_wins.html">' in lost
    assert_whole(out)


def test_hostile_names_make_pages_that_are_inert(tmp_path: Path) -> None:
    strange = [
        Commit(name, name, HOSTILE, START) for name in (HOSTILE, f"../../{HOSTILE}", LONG, "a b")
    ]
    records = [
        record.model_copy(update={"error": HOSTILE, "scores": ()})
        if record.method == "linear"
        else record
        for record in synthetic.records(CLAIM, "smoke", strange)
    ]
    timings = [
        replace(t, backend=HOSTILE, machine=HOSTILE, hardware={HOSTILE: HOSTILE})
        for t in synthetic.timings(CLAIM, strange)
    ]
    report = made(records, timings, strange)
    assert len(report.comparisons.pages) == 5  # of neighbours, and of the last with the others
    out = pages.write_report(report, tmp_path / "report", draw=undrawn).parent
    assert_whole(out)
    assert {path.name for path in tmp_path.iterdir()} == {"report"}
    for page in all_pages(out):
        assert "img" not in page.tags
        assert page.tags.count("script") == 1
        assert not set(page.path.read_text(encoding="utf-8")) & set("\u202e\u2066\x00")
