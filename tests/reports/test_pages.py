"""Pages: to the byte where their words are concerned, and inert whatever they are fed.

To accept a change of the gold pages, look at the difference and run the tests once with
`CLAIMBENCH_ACCEPT=1`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag

import pytest

from claimbench.reports import charts, drawings, pages, views, words
from claimbench.reports.history import Timing
from claimbench.suite import records as results
from claimbench.suite.cells import cells
from claimbench.suite.definitions import Claim

from . import synthetic
from .synthetic import COMMITS

GOLD = Path(__file__).parent / "gold"
HOSTILE = "</script><img src=x onerror=alert(1)>\"'\u202e\u2066\x00"
LONG = "x" * 5000


class Page(HTMLParser):
    """What a page refers to and what it is made of."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.hrefs: list[str] = []
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.headings: list[int] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.handlers += [name for name in found if name.startswith("on") or name == "style"]
        self.loaded += [value or "" for name, value in attrs if name in ("src", "srcset", "data")]
        if identifier := found.get("id"):
            self.ids.append(identifier)
        href = found.get("href") or ""
        if tag == "a":
            self.hrefs.append(href)
        elif href and not href.startswith("#"):
            self.loaded.append(href)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


def all_pages(out: Path) -> list[Page]:
    return [Page(path) for path in sorted(out.rglob("*.html"))]


def undrawn(figure: object, prefix: str) -> str | None:
    return None


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A report with everything in it, charts too where they can be drawn."""
    claim = synthetic.claim()
    found = synthetic.records(claim, "smoke")
    made = views.report([claim], found, synthetic.timings(claim), COMMITS)
    return pages.write_report(made, tmp_path / "report").parent


@pytest.mark.parametrize(
    ("file", "gold"),
    [("index.html", "index.html"), ("claims/smith2020_kernel_wins.html", "claim.html")],
)
def test_gold(file: str, gold: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without charts, style and script, which change with other things than our words."""
    monkeypatch.setattr(charts, "lacking", lambda: "")
    monkeypatch.setattr(words, "first_paragraph", lambda docstring: "As documented.")
    claim = synthetic.claim()
    found = synthetic.records(claim, "smoke")
    made = views.report([claim], found, synthetic.timings(claim), COMMITS)
    pages.write_report(made, tmp_path, draw=undrawn)
    text = (tmp_path / file).read_text(encoding="utf-8")
    text = re.sub(r"(?s)<(style|script)>.*?</\1>", r"<\1></\1>", text)
    text = re.sub(r"sha256-[^']+", "sha256-", text)
    text = re.sub(r"digest [0-9a-f]{12}", "digest ", text)  # of the code that wrote the page
    if os.environ.get("CLAIMBENCH_ACCEPT"):
        (GOLD / gold).write_text(text, encoding="utf-8")
    assert text == (GOLD / gold).read_text(encoding="utf-8")


def assert_whole(out: Path) -> None:
    """Every link leads somewhere, nothing is loaded, and the outline has no gaps."""
    found = {page.path.resolve(): page for page in all_pages(out)}
    for path, page in found.items():
        assert page.loaded == []
        assert page.handlers == []
        assert len(page.ids) == len(set(page.ids)), path
        assert page.headings[0] == 1
        assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
        for href in page.hrefs:
            if href.startswith(("http://", "https://")):
                continue
            target, anchor = urldefrag(href)
            there = (path.parent / target).resolve() if target else path
            assert there.exists(), f"{path}: {href}"
            assert not anchor or anchor in found[there].ids, f"{path}: {href}"


def test_every_link_leads_somewhere(written: Path) -> None:
    assert_whole(written)


def test_policy_names_the_style_and_the_script(written: Path) -> None:
    text = (written / "index.html").read_text(encoding="utf-8")
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src &#39;none&#39;")
    for tag in ("style", "script"):
        [content] = re.findall(rf"(?s)<{tag}>(.*?)</{tag}>", text)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy.replace("&#43;", "+")


def test_results_are_json_without_nan(written: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    content = json.loads((written / "results.json").read_text(), parse_constant=refuse)
    assert content["claims"][0]["tiers"]["smoke"]["outcome"] == "supported"
    for path in (written / "data").rglob("*.json"):
        table = json.loads(path.read_text(), parse_constant=refuse)
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
        assert path.with_suffix(".csv").exists()


def hostile_claim() -> Claim:
    plain = synthetic.claim().model_dump(mode="json")
    source = plain["source"] | {"paper": HOSTILE, "statement": HOSTILE, "locator": LONG}
    shown = {"title": HOSTILE, "notes": HOSTILE, "tags": [HOSTILE], "kernel": HOSTILE}
    label = "l" + "x" * 99  # the longest that a file may have
    return synthetic.claim(
        id=label,
        source=source,
        methods={label: {"ntk_svm": {"depth": 2}}, "forest": {"random_forest": {}}},
        published=[{"method": HOSTILE, "metric": "accuracy", "value": 0.5, "basis": "memory_low"}],
        rules={label: {"superiority": {"metric": "accuracy", "better": label, "worse": "forest"}}},
        **shown,
    )


def test_hostile_content_is_inert(tmp_path: Path) -> None:
    """Names that would be markup, endless or backwards; numbers that are none."""
    claim = hostile_claim()
    found = [
        synthetic.record(cell, commit, data_name=HOSTILE, backends={"k": HOSTILE})
        for commit in COMMITS
        for cell in cells(claim, "smoke")
    ]
    strange = COMMITS[2].__class__(COMMITS[2].sha, LONG, HOSTILE, COMMITS[2].date)
    timing = Timing(
        strange.sha, HOSTILE, HOSTILE, HOSTILE, HOSTILE, claim.id, HOSTILE, math.nan, math.inf,
        error=math.nan,
    )  # fmt: skip
    commits = (*COMMITS[:2], strange)
    made = views.report([claim], found, [timing, *synthetic.timings(claim)], commits)
    out = pages.write_report(made, tmp_path / "report").parent
    assert_whole(out)
    for page in all_pages(out):
        assert "img" not in page.tags
        assert page.tags.count("script") == 1
        text = page.path.read_text(encoding="utf-8")
        assert not set(text) & set("\u202e\u2066\x00")


def test_asv_publish_is_linked_where_it_was_run(tmp_path: Path) -> None:
    results, made = tmp_path / "asv" / "results", tmp_path / "asv" / "html" / "index.html"
    assert pages.published_by_asv(results) is None
    assert pages.published_by_asv(None) is None
    made.parent.mkdir(parents=True)
    made.touch()
    empty, out = views.report([synthetic.claim()], [], [], []), tmp_path / "out"
    index = pages.write_report(empty, out, undrawn, pages.published_by_asv(results))
    [href] = [href for href in Page(index).hrefs if "asv" in href]
    assert (out / href).resolve() == made


def test_a_drawing_keeps_nothing_but_its_shapes() -> None:
    svg = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
      viewBox="0 0 9 9" onload="alert(1)"><script>alert(1)</script><style>*{}</style>
      <a xlink:href="https://example.org"><text>out</text></a><foreignObject/>
      <g id="a" onclick="alert(1)" style="fill: red; font: bold 8px Serif">
      <use xlink:href="#a"/><use xlink:href="https://example.org/b.svg#c"/>
      <path clip-path="url(#a)" d="M0 0"/><text>&lt;b&gt;</text></g></svg>"""
    drawn = drawings.inlined(svg, '"><script>', "p-")
    assert 'aria-label="&quot;&gt;&lt;script&gt;"' in drawn
    assert '<g id="p-a" fill="red" font-size="8" font-weight="bold">' in drawn
    assert '<use href="#p-a" />' in drawn
    assert 'clip-path="url(#p-a)"' in drawn
    assert "&lt;b&gt;" in drawn
    for word in ("alert", "example.org", "<style", "style=", "foreign", "<a "):
        assert word not in drawn


def test_one_trial_has_no_interval(tmp_path: Path) -> None:
    plain = synthetic.claim().model_dump(mode="json")["tiers"]["quick"]
    rules = {"r": {"superiority": {"metric": "accuracy", "better": "kernel", "worse": "forest"}}}
    claim = synthetic.claim(tiers={"quick": plain | {"trials": 1}}, rules=rules)
    made = views.report([claim], synthetic.records(claim, "quick"), [], COMMITS)
    out = pages.write_report(made, tmp_path, draw=undrawn).parent
    assert "one trial, no interval" in (out / "index.html").read_text(encoding="utf-8")


def test_an_empty_folder_gives_a_report(tmp_path: Path) -> None:
    page = pages.build(tmp_path / "none", tmp_path / "out", None, [synthetic.claim()])
    assert "nothing measured yet" in page.read_text(encoding="utf-8")
    assert_whole(page.parent)


def test_no_claims_give_a_report(tmp_path: Path) -> None:
    page = pages.build(tmp_path / "none", tmp_path / "out", tmp_path / "none", [])
    assert "There is no claim." in page.read_text(encoding="utf-8")


def test_build_reads_what_runs_wrote(tmp_path: Path) -> None:
    claim = synthetic.claim()
    for record in synthetic.records(claim, "smoke"):
        results.append(record, tmp_path / "results" / "run.jsonl")
    page = pages.build(tmp_path / "results", tmp_path / "out", None, [claim])
    assert "supported" in page.read_text(encoding="utf-8")


def test_without_chart_libraries_the_tables_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "find_spec", lambda module: None)
    claim = synthetic.claim()
    made = views.report([claim], synthetic.records(claim, "smoke"), [], COMMITS)
    text = pages.write_report(made, tmp_path).read_text(encoding="utf-8")
    assert "<svg" not in text
    assert "pip install &#39;claimbench[report,stats]&#39;" in text


def test_importing_pages_is_light() -> None:
    heavy = {"altair", "matplotlib", "scipy", "torch", "vl_convert"}
    code = f"import sys, claimbench.reports.pages; sys.exit(str({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


def test_kept_records_stand_beside_those_of_the_results_folder(tmp_path: Path) -> None:
    claim = synthetic.claim()
    folders = [tmp_path / name for name in ("results", "kept")]
    for folder, tier in zip(folders, ("smoke", "quick"), strict=True):
        for record in synthetic.records(claim, tier, COMMITS[:1]):
            results.append(record, folder / "run.jsonl")
    index = pages.build(folders[0], tmp_path / "html", None, [claim], also=folders[1:])
    shown = json.loads((index.parent / "results.json").read_text())["claims"][0]["tiers"]
    assert [shown[tier]["outcome"] != "not measured" for tier in ("smoke", "quick")] == [True] * 2
