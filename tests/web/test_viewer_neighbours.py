"""The links to the problems and the attempts before and after one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runs.simulated import Broken, Fuse, fresh, manifest
from tests.web.test_viewer_text import tags
from tests.web.viewed import sweep, viewing

from scale_reasoning.engines.sim import Sim, Speeds
from scale_reasoning.web.viewer.cell import Place
from scale_reasoning.web.viewer.neighbours import find_neighbours


def find(place: Place, has: set[Place], *, problems: int = 3, samples: int = 2) -> dict[str, str]:
    found = find_neighbours(place, problems=problems, samples=samples, has=has.__contains__, href=str)
    return {each.keys: each.href for each in (*found.before, *found.after)}


def test_the_order_is_that_of_the_grid_and_the_sample_stays_the_same_from_problem_to_problem() -> None:
    everything = {(p, s) for p in range(3) for s in range(2)}
    assert find((1, 0), everything) == {"k": "(0, 0)", "j": "(2, 0)", "Shift+K": "(0, 1)", "Shift+J": "(1, 1)"}
    assert find((1, 1), everything) == {"k": "(0, 1)", "j": "(2, 1)", "Shift+K": "(1, 0)", "Shift+J": "(2, 0)"}


def test_the_first_has_nothing_before_it_and_the_last_nothing_after_it() -> None:
    everything = {(p, s) for p in range(3) for s in range(2)}
    assert find((0, 0), everything) == {"j": "(1, 0)", "Shift+J": "(0, 1)"}
    assert find((2, 1), everything) == {"k": "(1, 1)", "Shift+K": "(2, 0)"}


def test_attempts_that_have_not_run_are_passed_over() -> None:
    assert find((0, 0), {(0, 0), (2, 1)}) == {"j": "(2, 1)", "Shift+J": "(2, 1)"}


def test_one_sample_per_problem_has_no_links_between_attempts() -> None:
    assert find((1, 0), {(0, 0), (1, 0), (2, 0)}, samples=1) == {"k": "(0, 0)", "j": "(2, 0)"}


def links(markup: str) -> dict[str, str]:
    found = [attributes for tag, attributes in tags(markup) if tag == "a" and attributes.get("aria-keyshortcuts")]
    return {str(each["aria-keyshortcuts"]): str(each["href"]) for each in found}


def test_attempts_their_calls_and_comparisons_link_to_their_own_kind(tmp_path: Path) -> None:
    sweep(tmp_path, problems=3, samples=2)
    with viewing(tmp_path) as viewer:
        page = viewer.get("r0-c0-p1-s0.html").text
        assert "problem 2 of 3" in page
        assert links(page) == {
            "k": "r0-c0-p0-s0.html",
            "j": "r0-c0-p2-s0.html",
            "Shift+K": "r0-c0-p0-s1.html",
            "Shift+J": "r0-c0-p1-s1.html",
        }
        assert links(viewer.get("r0-c0-p1-s0-calls.html").text)["j"] == "r0-c0-p2-s0-calls.html"
        compared = links(viewer.get("compare-r0-c0-r0-c1-p1-s0-s1.html").text)
        assert compared == {
            "k": "compare-r0-c0-r0-c1-p0-s0-s1.html",
            "j": "compare-r0-c0-r0-c1-p2-s0-s1.html",
        }


def test_a_run_in_progress_has_no_link_to_what_has_not_run(tmp_path: Path) -> None:
    with pytest.raises(Broken):
        fresh(tmp_path, manifest([{"name": "cot"}], samples=1), 6, Fuse(Sim(Speeds(spread=0.1)), 3), attempts=1)
    with viewing(tmp_path) as viewer:
        grid = {attributes.get("href") for _, attributes in tags(viewer.get("r0-c0.html").text)}
        page = next(name for name in sorted(map(str, grid)) if "-p" in name)
        seen = set[str]()
        while page not in seen:
            seen.add(page)
            page = links(viewer.get(page).text).get("j", page)
        assert seen == {name for name in map(str, grid) if "-p" in name}
