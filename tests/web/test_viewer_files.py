"""Pages as files: `scale view --html` and `scale solve --html` as a user runs them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_solve import PROBLEM
from tests.commands import scale
from tests.runs.simulated import Broken, Fuse, fresh, manifest
from tests.servers import serving
from tests.web.test_viewer import shown
from tests.web.test_viewer_text import tags
from tests.web.viewed import hostile, sweep, viewing

from scale_reasoning.cli import main
from scale_reasoning.engines.sim import Sim, Speeds
from scale_reasoning.runs.folder import locked
from scale_reasoning.runs.store import reading
from scale_reasoning.web.viewer.export import export
from scale_reasoning.web.viewer.shelf import Shelf
from scale_reasoning.web.viewer.site import Site


def links(page: Path) -> list[str]:
    found = [attributes for _, attributes in tags(page.read_text(encoding="utf-8"))]
    return [str(address) for each in found for address in (each.get("href"), each.get("src")) if address]


def test_an_export_has_every_page_as_a_file_and_no_link_leads_out_of_it(tmp_path: Path) -> None:
    run, out = sweep(tmp_path / "run", problems=2, samples=2), tmp_path / "out"
    done = scale("view", str(run), "--html", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out / "index.html")
    pages = sorted(out.glob("*.html"))
    names = {page.name for page in pages}
    assert len(names) == 1 + 2 * 6 + 2 * 4 * 2 + 4
    assert f"{len(names)} pages" in done.stderr
    reached = {"index.html"}
    for page in pages:
        assert "Content-Security-Policy" in page.read_text(encoding="utf-8")
        for link in links(page):
            target = link.partition("#")[0]
            assert target in ("", "data:,") or (out / target).is_file(), (page.name, link)
            reached.add(target)
    assert names <= reached


def test_an_export_of_an_unfinished_run_has_no_dangling_link(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    with pytest.raises(Broken):
        fresh(run, manifest([{"name": "cot"}], samples=2), 4, Fuse(Sim(Speeds(spread=0.1)), 3), attempts=1)
    assert scale("view", str(run), "--html", str(out)).returncode == 0
    for page in out.glob("*.html"):
        targets = {link.partition("#")[0] for link in links(page)} - {"", "data:,"}
        assert all((out / target).is_file() for target in targets), page.name


def test_an_export_s_filters_are_files_and_its_slider_has_the_whole_table(tmp_path: Path) -> None:
    run, out = sweep(tmp_path / "run", problems=3, samples=2), tmp_path / "out"
    assert scale("view", str(run), "--html", str(out)).returncode == 0
    with reading(run) as store:
        wrong = sum(outcome.correct is False for outcome in store.outcomes(0))
    assert shown((out / "r0-c0-wrong.html").read_text()) == wrong > 0
    page = (out / "r0-c0.html").read_text()
    assert "data-table" in page
    assert "data-source" not in page
    assert "<form" not in page


ROWS: list[dict[str, Any]] = [
    {"name": "cot"},
    {"name": "vote", "samples": 2},
    {"name": "scale", "route": "system2"},
    {"name": "scale", "tau": 0.5},
]


def test_an_export_of_many_rows_compares_each_with_the_first_and_those_that_losses_are_read_from(
    tmp_path: Path,
) -> None:
    run, out = sweep(tmp_path / "run", ROWS, problems=3, samples=1), tmp_path / "out"
    shelf = Shelf([run])
    told: list[tuple[int, int]] = []
    try:
        count = export(shelf, out, lambda *counts: told.append(counts))
    finally:
        shelf.close()
    pairs = {
        re.findall(r"r0-c(\d)", page.name)[0] + re.findall(r"r0-c(\d)", page.name)[1] for page in out.glob("compare-*")
    }
    assert pairs == {"01", "02", "03", "23"}
    assert told[-1] == (len(list(out.iterdir())), 0)
    assert [written for written, _ in told] == list(range(1, len(told) + 1))
    assert count == len(list(out.glob("*.html")))
    assert sum(file.stat().st_size for file in out.iterdir()) / (4 * 3) * 100 < 5_000_000


def test_a_comparison_in_an_export_leaves_what_is_folded_to_the_attempts(tmp_path: Path) -> None:
    run, out = sweep(tmp_path / "run", ROWS[1:3], problems=1, samples=1), tmp_path / "out"
    assert scale("view", str(run), "--html", str(out)).returncode == 0
    with viewing(run) as viewer:
        for name in ("compare-r0-c0-r0-c1-p0-s0-s0.html",):
            live, saved = viewer.get(name).text, (out / name).read_text()
            assert live.count("Reasoning <span") > saved.count("Reasoning <span") == 0
            assert live.count('<li class="step') > saved.count('<li class="step') > 0
            assert "On <a href" in saved


def test_an_export_shows_its_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    run = sweep(tmp_path / "run", problems=1, samples=1)
    monkeypatch.setattr("scale_reasoning.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    assert main(["view", str(run), "--html", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert re.search(r"\d+ pages written, \d+ known to follow", said)


def test_a_message_of_an_earlier_call_is_shown_once(tmp_path: Path) -> None:
    run = sweep(tmp_path / "run", problems=1, samples=1)
    with viewing(run) as viewer:
        page = viewer.get("r0-c0-p0-s0-calls.html").text
    shown = [text for text in re.findall(r'<div class="typed">(.*?)</div>', page, re.DOTALL) if len(text) > 200]
    assert len(shown) == len(set(shown)) > 2
    assert "the same as in <a href=" in page
    ids = {attributes.get("id") for _, attributes in tags(page)}
    targets = [str(attributes.get("href")) for tag, attributes in tags(page) if tag == "a"]
    assert {target[1:] for target in targets if target.startswith("#")} <= ids


def test_an_export_goes_into_a_new_folder_only(tmp_path: Path) -> None:
    run = sweep(tmp_path / "run", problems=1, samples=1)
    refused = scale("view", str(run), "--html", str(tmp_path))
    assert refused.returncode == 2
    assert "not empty" in refused.stderr


@pytest.mark.parametrize("exists", [False, True])
def test_an_interrupted_export_leaves_nothing_and_is_made_again(tmp_path: Path, exists: bool) -> None:
    shelf, out = Shelf([sweep(tmp_path / "run", problems=1, samples=1)]), tmp_path / "new" / "out"
    if exists:
        out.mkdir(parents=True)

    def interrupt(written: int, _: int) -> None:
        if written == 3:
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            export(shelf, out, interrupt)
        assert not (list(out.iterdir()) if exists else out.exists())
        (out if exists else out.parent).joinpath(".scale-view-killed").mkdir()
        count = export(shelf, out)
    finally:
        shelf.close()
    assert len(list(out.glob("*.html"))) == count
    assert (out / "viewer.css").is_file()
    assert out.stat().st_mode & 0o777 == (tmp_path / "new").stat().st_mode & 0o777


def test_an_export_says_when_a_run_was_running_and_not_that_it_is(tmp_path: Path) -> None:
    with pytest.raises(Broken):
        fresh(tmp_path / "run", manifest([{"name": "cot"}]), 4, Fuse(Sim(Speeds(spread=0.1)), 3), attempts=1)
    shelf = Shelf([tmp_path / "run"])
    try:
        with locked(tmp_path / "run"):
            export(shelf, tmp_path / "out")
            live = Site(shelf, live=True).make_page("r0-c0.html", {})[0]
    finally:
        shelf.close()
    assert "a process" in live
    for name in ("index.html", "r0-c0.html"):
        page = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert re.search(r'class="state [\w-]+">[\w ]+</span> <span class="times">at <time', page)
        assert "process" not in page


def test_what_cannot_be_looked_at_exits_2_and_says_why(tmp_path: Path) -> None:
    run = sweep(tmp_path / "run", problems=1, samples=1)
    for words, told in (
        ((str(tmp_path / "none"),), "holds no run"),
        ((str(run), "--port", "99999"), "--port 99999"),
        ((str(run), "--host", "203.0.113.1", "--no-browser"), "--host 203.0.113.1"),
    ):
        done = scale("view", *words)
        assert done.returncode == 2, done.stderr
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_a_solved_problem_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    file = tmp_path / "trace.html"
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "Qwen/Qwen3-32B")
        done = scale("solve", *at, "--answer", "12", "--html", str(file), "--quiet", PROBLEM)
        asked = len(server.bodies)
    assert (done.returncode, done.stdout) == (0, "12\n")
    assert asked == 13
    page = file.read_text(encoding="utf-8")
    assert all(link.startswith("#") or link == "data:," for link in links(file))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "unsafe" not in policy[1]
    assert policy[1].count("sha256-") == 2
    ids = {attributes.get("id") for _, attributes in tags(page)}
    assert {link.removeprefix("#") for link in links(file) if link.startswith("#")} <= ids
    assert page.count('<article class="call"') == 13
    assert "not run" in page
    assert "recorded" in page


def test_a_page_that_cannot_be_written_is_refused_before_a_token_is_spent(tmp_path: Path) -> None:
    with serving() as server:
        at = ("--base-url", server.base_url, "--model", "q")
        (tmp_path / "there.html").write_text("mine")
        for file in (tmp_path / "there.html", tmp_path / "no" / "x.html"):
            done = scale("solve", *at, "--html", str(file), PROBLEM)
            assert done.returncode == 2
            assert "--html" in done.stderr
        assert server.bodies == []
    assert (tmp_path / "there.html").read_text() == "mine"


def test_a_hostile_run_exports_harmlessly(tmp_path: Path) -> None:
    run, out = hostile(tmp_path / "run"), tmp_path / "out"
    assert scale("view", str(run), "--html", str(out)).returncode == 0
    for page in out.glob("*.html"):
        assert [a for tag, a in tags(page.read_text()) if tag == "script"] == [{"src": "viewer.js", "defer": None}]
