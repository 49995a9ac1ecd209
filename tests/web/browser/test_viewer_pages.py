"""The viewer in a real Chromium: every page, the slider, the filters, hostile texts; no error and no request outside.

Needs Debian's chromium and the dependency group `browser`: `make test-browser`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_solve import PROBLEM
from tests.commands import scale
from tests.runs.simulated import Broken, Fuse, again, fresh, manifest
from tests.servers import serving
from tests.web.test_viewer_trials import make_run
from tests.web.viewed import hostile, sweep, viewing

from scale_reasoning.engines.sim import Sim, Speeds
from scale_reasoning.web.viewer.export import export
from scale_reasoning.web.viewer.shelf import Shelf

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
MORE = ("compare-r0-c0-r0-c1-p0-s0-s0.html", "r0-c0-wrong.html", "r0-losses.html", "r0-reliability.html")
PAGES = ("", "r0-c0.html", "r0-c0-p0-s0.html", "r0-c0-p0-s0-calls.html")


def elsewhere(make: Callable[..., Any], *words: Any, **more: Any) -> Any:
    """Playwright keeps an event loop in this thread; what runs a loop of its own does so in another."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(make, *words, **more).result()


class Watched:
    """A page that keeps every complaint and every address it asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.asked.append(request.url))

    def assert_quiet(self, *allowed: str) -> None:
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith(allowed)] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    contexts: list[Any] = []

    def open_page(**settings: Any) -> Watched:
        context = browser.new_context(**settings)
        contexts.append(context)
        return Watched(context.new_page())

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return elsewhere(sweep, tmp_path_factory.mktemp("runs") / "taus", problems=4, samples=3)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_opens_without_a_complaint_and_fits_its_width(
    run: Path, opened: Any, width: int, scheme: str
) -> None:
    watched = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    with viewing(run) as viewer:
        for page in (*PAGES, *MORE):
            watched.page.goto(viewer.url + page)
            watched.page.wait_for_load_state("networkidle")
            assert watched.page.evaluate("document.documentElement.scrollWidth") <= width, page
        watched.page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_links_lead_from_the_list_to_a_message(run: Path, opened: Any) -> None:
    watched = opened()
    page = watched.page
    with viewing(run) as viewer:
        page.goto(viewer.url)
        page.click("table.runs tbody tr:first-child a")
        page.click("table.grid a.box >> nth=0")
        assert page.locator("h2#steps").is_visible()
        page.click("a:has-text('step1/solve')")
        assert page.locator("article:target details.reply .typed").last.is_visible()
        page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_the_slider_of_a_run_tells_recorded_shares_from_what_the_journal_has(run: Path, opened: Any) -> None:
    watched = opened()
    page = watched.page
    with viewing(run) as viewer:
        page.goto(viewer.url + "r0-c0.html")
        page.locator("#whatif-exact", has_text="all 12 go as they were recorded").wait_for()
        page.locator("#number").fill("0.8")
        assert "At τ 0.80: " in page.text_content("#whatif-exact")
        assert "of 12 attempts change, and the journal has all of them" in page.text_content("#whatif-exact")
        assert "recorded difficulties are above τ 0.80; " in page.text_content("#whatif-share")
        assert "the run's own 0.20" in page.text_content("#whatif-share")
        page.locator("#number").fill("0.5")
        assert "not run" in page.text_content("#whatif-exact").lower()
        page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_the_slider_of_an_attempt_marks_the_stretch_and_works_from_the_keyboard(run: Path, opened: Any) -> None:
    watched = opened()
    page = watched.page
    with viewing(run) as viewer:
        page.goto(viewer.url + "r0-c0-p1-s1.html")
        page.focus("#number")
        page.keyboard.press("Home")
        assert page.text_content("#number-value") == "0.00"
        assert page.locator(".whatif tbody tr").first.get_attribute("class") == "chosen"
        page.keyboard.press("End")
        assert page.locator(".whatif tbody tr").last.get_attribute("class") == "chosen"
        page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_the_slider_of_another_number_works_and_trials_unfold(tmp_path: Path, opened: Any) -> None:
    strategies = [{"name": "scale", "candidates": 1, "route": "escalate", "accept": value} for value in (0.2, 0.9)]
    elsewhere(make_run, tmp_path, *strategies, results=1)
    watched = opened()
    page = watched.page
    with viewing(tmp_path) as viewer:
        page.goto(viewer.url + "r0-c0.html")
        page.locator("#whatif-exact", has_text="it goes as it was recorded").wait_for()
        for value, steps in (("0.5", "0 of 2"), ("0.51", "2 of 2")):
            page.locator("#number").fill(value)
            assert f"{steps} steps in System 2" in page.text_content("#whatif-exact")
        assert page.locator("#whatif-share").count() == 0
        page.goto(viewer.url + "r0-c1-p0-s0.html")
        rows = page.locator(".whatif tbody tr")
        assert rows.locator("th").all_text_contents() == ["0.00 to 0.50", "above 0.50 to 1 recorded"]
        for value, chosen in (("0.5", 0), ("0.51", 1)):
            page.locator("#number").fill(value)
            assert rows.nth(chosen).get_attribute("class") == "chosen"
        assert not page.locator("#step1-trials .trial").first.is_visible()
        page.locator("#step1-trials > summary").click()
        assert "confidence 0.50" in page.locator("#step1-trials .trial").first.text_content()
        page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_the_keys_j_and_k_go_from_problem_to_problem_but_not_while_one_types(run: Path, opened: Any) -> None:
    watched = opened()
    page = watched.page
    with viewing(run) as viewer:
        page.goto(viewer.url + "r0-c0-p1-s1.html")
        for key, place in (("j", "p2-s1"), ("j", "p3-s1"), ("k", "p2-s1"), ("J", "p2-s2"), ("K", "p2-s1")):
            page.keyboard.press(f"Shift+{key}" if key.isupper() else key)
            page.wait_for_url(f"**/r0-c0-{place}.html")
        page.goto(viewer.url + "r0-c0.html")
        page.locator("input[name=words]").press_sequentially("jk")
        assert page.url.endswith("/r0-c0.html")
        page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_a_page_says_when_the_viewer_has_ended(tmp_path: Path, opened: Any) -> None:
    plan = manifest([{"name": "cot"}], samples=1)
    with pytest.raises(Broken):
        elsewhere(fresh, tmp_path / "run", plan, 3, Fuse(Sim(Speeds(spread=0.1)), 1), attempts=1)
    page = opened().page
    with viewing(tmp_path / "run") as viewer:
        page.goto(viewer.url)
        assert page.locator(".state").inner_text() == "perhaps running"
    page.locator("#silence", has_text="does not answer").wait_for(timeout=15_000)


def test_filters_and_search_work_without_javascript(run: Path, opened: Any) -> None:
    watched = opened(java_script_enabled=False)
    page = watched.page
    with viewing(run) as viewer:
        page.goto(viewer.url + "r0-c0.html")
        page.click("nav.filters a:has-text('Wrong')")
        assert page.locator("nav.filters a[aria-current]").text_content() == "Wrong"
        assert page.locator("table.grid a.box:not(.dim).right").count() == 0
        page.fill("input[name=words]", "p00002")
        page.click("button")
        assert page.locator("table.grid tbody tr").count() <= 1
        assert "r0-c0-wrong.html?" in page.url
        page.goto(viewer.url + "r0-c0-p0-s0.html")
        assert page.locator(".slider").is_hidden()
        assert page.locator(".whatif table").is_visible()
        page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_the_first_stop_of_the_keyboard_skips_to_the_content(run: Path, opened: Any) -> None:
    page = opened().page
    with viewing(run) as viewer:
        page.goto(viewer.url + "r0-c0.html")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.goto("about:blank")


def test_hostile_texts_run_nothing_ask_for_nothing_and_are_read_as_text(tmp_path: Path, opened: Any) -> None:
    watched = opened()
    page = watched.page
    with viewing(elsewhere(hostile, tmp_path / "run")) as viewer:
        for name in PAGES:
            page.goto(viewer.url + name)
            page.wait_for_load_state("networkidle")
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            assert page.evaluate("window.hacked") is None
            assert (
                page.locator("main img, main script, main iframe, main svg[onload], main a[href^='javascript']").count()
                == 0
            )
        page.goto(viewer.url + "r0-c0-p0-s0.html")
        assert "<script>window.hacked = 1</script>" in page.inner_text("main")
        page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_a_run_in_progress_updates_by_itself(tmp_path: Path, opened: Any) -> None:
    plan = manifest([{"name": "scale", "tau": 0.5}], samples=2)
    with pytest.raises(Broken):
        elsewhere(fresh, tmp_path / "run", plan, 3, Fuse(Sim(Speeds(spread=0.1)), 60), attempts=1)
    watched = opened()
    page = watched.page
    with viewing(tmp_path / "run") as viewer:
        page.goto(viewer.url + "r0-c0.html")
        before = page.locator("table.grid a.box").count()
        assert before < 6
        elsewhere(again, tmp_path / "run", Sim(Speeds(spread=0.1)))
        page.locator("table.grid a.box >> nth=5").wait_for(timeout=15_000)
        page.locator("main:not([data-live])").wait_for(timeout=15_000)
        assert page.locator(".state").inner_text() == "finished"
        assert "UTC" not in page.locator("time").first.inner_text()
        assert "UTC" in page.locator("time").first.get_attribute("title")
        page.goto("about:blank")
        watched.assert_quiet(viewer.url, "data:,", "about:")


def test_an_export_opens_from_the_disk_with_its_slider(run: Path, tmp_path: Path, opened: Any) -> None:
    shelf = Shelf([run])
    elsewhere(export, shelf, tmp_path / "out")
    shelf.close()
    watched = opened()
    page = watched.page
    page.goto((tmp_path / "out" / "index.html").as_uri())
    page.click("table.runs tbody tr:first-child a")
    page.locator("#number").fill("0.8")
    assert "all 12 attempts" in page.text_content("#whatif-exact")
    page.click("nav.filters a:has-text('Wrong')")
    page.click("table.grid a.box:not(.dim) >> nth=0")
    page.click("a:has-text('step1/solve')")
    assert page.evaluate("getComputedStyle(document.querySelector('.typed')).whiteSpace") == "pre-wrap"
    watched.assert_quiet("file://", "data:,")


def test_a_solved_problem_s_one_file_is_styled_and_its_slider_works(tmp_path: Path, opened: Any) -> None:
    file = tmp_path / "trace.html"
    with serving() as server:
        flags = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B", "--html", str(file))
        done = elsewhere(scale, "solve", *flags, PROBLEM)
        assert done.returncode == 0, done.stderr
    watched = opened()
    page = watched.page
    page.goto(file.as_uri())
    assert page.evaluate("getComputedStyle(document.querySelector('.mode')).borderRadius") == "99px"
    page.locator("#number").fill("1")
    assert "Not run" in page.text_content("#whatif-said")
    watched.assert_quiet("file://", "data:,")
