"""The pages in a real browser: from disk, offline, with and without script, in both themes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claimbench.reports import pages, views

from . import synthetic
from .synthetic import COMMITS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)

CHROMIUM = os.environ.get("CLAIMBENCH_CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium: set CLAIMBENCH_CHROMIUM to the path of one"
)
SCREENSHOTS = os.environ.get("CLAIMBENCH_SCREENSHOTS")
"""A folder that keeps a picture of each page, for whoever reads the check."""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FILES = [
    "index.html",
    "claims/smith2020_kernel_wins.html",
    "kernels/ntk_gram.html",
    "compare.html",
    "compare/bbbbbbb..ccccccc.html",
    "machines.html",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    claim, idle = synthetic.claim(), synthetic.claim(id="idle", title="Nobody ran this")
    found = synthetic.records(claim, "smoke")
    made = views.report([claim, idle], found, synthetic.timings(claim), COMMITS)
    return pages.write_report(made, tmp_path_factory.mktemp("report")).parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        launched = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """A page, and whatever it asked for or complained of beyond its own file."""
    page = browser.new_context(offline=True, **options).new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: trouble.append(request.url))
    page.goto(path.as_uri())
    return page, [line for line in trouble if line != path.as_uri()]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1440])
def test_accessible_and_silent(
    browser: Any, report: Path, file: str, theme: str, width: int
) -> None:
    size = {"width": width, "height": 900}
    page, trouble = opened(browser, report / file, color_scheme=theme, viewport=size)
    found = axe.Axe().run(page)
    assert trouble == []
    assert found.violations_count == 0, found.generate_report()
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0
    if SCREENSHOTS:
        name = f"{Path(file).with_suffix('').as_posix().replace('/', '-')}-{theme}-{width}.png"
        page.screenshot(path=Path(SCREENSHOTS) / name, full_page=True)
    page.context.close()


@pytest.mark.parametrize("file", FILES)
def test_complete_without_script(browser: Any, report: Path, file: str) -> None:
    """The same words, without the tools that script adds."""
    page, trouble = opened(browser, report / file, java_script_enabled=False)
    assert trouble == []
    assert page.locator("h1").is_visible()
    assert page.locator("button, input, select").count() == 0
    shown = page.locator("tbody tr").count()
    scripted, _ = opened(browser, report / file)
    assert scripted.locator("tbody tr").count() == shown > 0
    page.context.close()
    scripted.context.close()


def test_rows_sort_and_filter(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report / "index.html")
    claims = page.locator("table.overview tbody tr")
    head = page.get_by_role("columnheader", name="Claim", exact=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert claims.first.get_attribute("id") == "claim-idle"
    head.get_by_role("button").click()
    assert claims.first.get_attribute("id") == "claim-smith2020_kernel_wins"
    page.locator("select[name='verdict']").select_option("not measured")
    assert [claims.nth(n).is_visible() for n in range(2)] == [False, True]
    assert page.get_by_text("1 of 2 rows").is_visible()
    page.context.close()


def test_filters_are_part_of_the_link(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report / "index.html")
    claims = page.locator("table.overview tbody tr")
    page.goto((report / "index.html").as_uri() + "#verdict=not+measured")
    page.reload()
    assert [claims.nth(n).is_visible() for n in range(2)] == [False, True]
    page.get_by_role("searchbox").first.fill("nobody")
    assert page.evaluate("location.hash") == "#search=nobody&verdict=not+measured"
    page.context.close()


def test_a_chart_tells_what_stands_where_and_holds_one_commit_against_another(
    browser: Any, report: Path
) -> None:
    page, trouble = opened(browser, report / "claims/smith2020_kernel_wins.html")
    plot, tip = page.locator("#across-commits .plot"), page.locator(".tip")
    plot.focus()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text().startswith("aaaaaaa 2026-01-02 First version")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    said = page.locator("#across-commits .plot + p").inner_text()
    assert "bbbbbbb 2026-01-05 Fuse the kernel's loops against aaaaaaa" in said
    assert "cpu, small: 5 ms" in said
    assert "\N{MINUS SIGN}50.0%" in said
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    plot.locator("path[data-value]").last.hover(force=True)
    assert tip.inner_text().startswith("ccccccc 2026-01-09 Halve the memory")
    assert trouble == []
    page.context.close()


def test_marks_tell_without_script_too(browser: Any, report: Path) -> None:
    page, _ = opened(
        browser, report / "claims/smith2020_kernel_wins.html", java_script_enabled=False
    )
    titles = page.locator("#across-commits .plot title").all_text_contents()
    assert any(title.startswith("ccccccc 2026-01-09 Halve the memory\n") for title in titles)
    page.context.close()


def test_deep_links_and_the_skip_link(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report / "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator(".overview a[href*='#rule-']").first.click()
    page.wait_for_url("**/claims/smith2020_kernel_wins.html#rule-beats_forest")
    assert page.locator(":target").get_attribute("id") == "rule-beats_forest"
    page.context.close()


@pytest.mark.parametrize(
    ("base", "head"), [("bbbbbbb", "ccccccc"), ("b" * 40, "c" * 40), ("aaaa", "ccccc")]
)
def test_a_link_names_two_commits(browser: Any, report: Path, base: str, head: str) -> None:
    page = browser.new_context(offline=True).new_page()
    page.goto(f"{(report / 'compare.html').as_uri()}#base={base}&head={head}")
    page.wait_for_url(f"**/compare/{base[0] * 7}..{head[0] * 7}.html")
    assert page.locator("h1").inner_text() == f"From {base[0] * 7} to {head[0] * 7}"
    page.context.close()


@pytest.mark.parametrize(
    ("hash_", "said"),
    [
        ("base=ccccccc&head=aaaaaaa", f"claimbench report --compare {'c' * 40}..{'a' * 40}"),
        ("base=v1.0&head=HEAD~2", "Nothing that was measured at v1.0 is in this report."),
        ("base=aaaaaaa", "Name two commits"),
        ("base=<img src=x onerror=alert(1)>&head=$(reboot)", "Name two commits"),
    ],
)
def test_a_pair_without_a_page_has_a_command(
    browser: Any, report: Path, hash_: str, said: str
) -> None:
    page, trouble = opened(browser, report / "compare.html")
    page.evaluate("hash => { location.hash = hash; }", hash_)
    status = page.get_by_role("status").filter(has_text=said)
    status.wait_for()
    assert "reboot" not in status.inner_text()
    assert trouble == []
    page.context.close()


def test_two_commits_are_chosen_from_lists(browser: Any, report: Path) -> None:
    page, _ = opened(browser, report / "compare.html")
    base, head = page.locator("select[name=base]"), page.locator("select[name=head]")
    assert (base.input_value(), head.input_value()) == ("b" * 40, "c" * 40)
    base.select_option(label="ccccccc 2026-01-09 Halve the memory")
    page.get_by_role("button", name="Compare").click()
    assert page.get_by_text("Name two commits").is_visible()
    base.select_option("a" * 40)
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare/aaaaaaa..ccccccc.html")
    page.go_back()
    assert page.url.endswith("compare.html")
    page.context.close()
