"""The page that says where a run's attempts are lost."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.runs.simulated import go, manifest
from tests.web.test_viewer_text import tags
from tests.web.viewed import HOSTILE, sweep, viewing

from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.report.losses import find_losses
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.store import create
from scale_reasoning.types import Problem
from scale_reasoning.web.viewer.export import export
from scale_reasoning.web.viewer.pages import Pages
from scale_reasoning.web.viewer.shelf import Shelf

ROWS: list[dict[str, Any]] = [
    {"name": "cot"},
    {"name": "scale", "route": "system2"},
    {"name": "scale", "route": "system1"},
    {"name": "scale", "tau": 0.5},
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sweep(tmp_path_factory.mktemp("runs") / "four", ROWS, problems=8)


def links(markup: str) -> list[str]:
    return [
        str(attributes["href"]) for tag, attributes in tags(markup) if tag == "a" and "-p" in str(attributes["href"])
    ]


def test_every_problem_that_was_lost_or_won_is_a_link_to_its_attempt(run: Path) -> None:
    losses = find_losses(list(enumerate(cells_of(run), 1))).losses
    changed = [(loss.row_b, one) for loss in losses for one in (*loss.lost_on, *loss.won_on)]
    assert changed
    with viewing(run) as viewer:
        assert 'href="r0-losses.html"' in viewer.get("r0-c3.html").text
        page = viewer.get("r0-losses.html").text
        assert links(page) == [f"r0-c{row - 1}-p{int(one.id[1:])}-s{one.samples[0]}.html" for row, one in changed]
        assert all(viewer.get(link).status == 200 for link in links(page))
    assert page.count("<tbody><tr>") == 1
    assert len(re.findall(r'<th scope="row">', page)) == len(losses) == 7
    assert "Missing rows" not in page


def test_a_run_of_one_row_has_no_link_but_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    sweep(tmp_path / "one", [{"name": "cot"}], problems=1)
    with viewing(tmp_path / "one") as viewer:
        assert "losses" not in viewer.get("r0-c0.html").text
        page = viewer.get("r0-losses.html").text
        assert "Missing rows" in page
        assert "--strategy scale:route=system2" in page
        assert viewer.get("r1-losses.html").status == 404


def test_a_run_without_chain_of_thought_and_scale_says_so(tmp_path: Path) -> None:
    sweep(tmp_path / "vote", [{"name": "vote", "samples": 2}], problems=1)
    with viewing(tmp_path / "vote") as viewer:
        assert "no row of chain of thought or of SCALE" in viewer.get("r0-losses.html").text


def test_a_hostile_id_makes_no_element_and_no_other_link(tmp_path: Path) -> None:
    asked = Problem(id=HOSTILE, text="Which?", answer="1")
    with create(tmp_path / "run", manifest([{"name": "cot"}], samples=1), {"d": [asked]}) as store:
        go(store, Scripted([("", "There is no answer.")]))
    with viewing(tmp_path / "run") as viewer:
        page = viewer.get("r0-losses.html").text
    assert links(page) == ["r0-c0-p0-s0.html"]
    assert not [tag for tag, _ in tags(page) if tag in ("img", "iframe")]
    assert not [key for _, attributes in tags(page) for key in attributes if key.startswith("on") or key == "style"]
    assert [attributes for tag, attributes in tags(page) if tag == "script"] == [{"src": "viewer.js", "defer": None}]


def test_an_export_has_the_page(run: Path, tmp_path: Path) -> None:
    shelf = Shelf([run])
    try:
        export(shelf, tmp_path / "pages")
    finally:
        shelf.close()
    page = (tmp_path / "pages" / "r0-losses.html").read_text(encoding="utf-8")
    assert links(page)
    assert all((tmp_path / "pages" / link).is_file() for link in links(page))


def test_a_live_page_does_not_wait_for_losses_that_take_long(run: Path) -> None:
    shelf, free = Shelf([run]), threading.Event()
    try:
        shelf.pool.submit(free.wait)  # the one thread that computes has something else to do
        page = Pages(shelf, live=True).make_losses(shelf.list_cells(0))
    finally:
        free.set()
        shelf.close()
    assert "The losses are being computed" in page
    assert "data-live" in page
