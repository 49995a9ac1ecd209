"""The page that says how well the difficulties of a run predict failures of System 1."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.report.test_assessors_cli import CHAINS, ROUTE, outline, rate, solve
from tests.runs.simulated import go, manifest
from tests.web.test_viewer_text import tags
from tests.web.viewed import sweep, viewing

from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.report.assessors.lines import measure_assessors, read_assessed
from scale_reasoning.runs.store import create
from scale_reasoning.web.viewer.finding import Found
from scale_reasoning.web.viewer.reliability import Diagram, Reliability, ReliabilitySection, compute_reliability
from scale_reasoning.web.viewer.rendering import POLICY, render
from scale_reasoning.web.viewer.shelf import Shelf
from scale_reasoning.web.viewer.site import Site


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "probed"
    engine = Scripted([("decomposition", outline), ("difficulty", rate), ("", solve)])
    with create(folder, manifest([ROUTE], samples=1), {"d": [each.problem for each in CHAINS]}) as store:
        go(store, engine)
    return folder


def make_page(folder: Path, name: str = "r0-reliability.html") -> str:
    shelf = Shelf([folder])
    try:
        return Site(shelf, live=False).make_page(name, {})[0]
    finally:
        shelf.close()


def test_the_page_has_the_report_s_numbers_and_a_diagram_per_assessor_and_truth(run: Path) -> None:
    page = make_page(run)
    lines = measure_assessors(read_assessed(run, None, "system2"), "system2").lines
    assert [line.assessor for line in lines] == ["rated", "draft", "agreement"]
    for line in lines:
        assert f"{line.auroc:.3f} [{line.auroc_low:.3f}, {line.auroc_high:.3f}]" in page
    assert page.count("<figure>") == 2 * len(lines), "the chains of arithmetic have right results of their own"
    assert "in at most 10 groups with about equally many steps" in page
    assert "Against System 2" in page
    assert "Against the right results" in page
    assert 'href="r0-reliability.html"' in make_page(run, "r0-c0.html")


def test_the_dots_of_a_diagram_have_all_steps_and_are_within_its_frame(run: Path) -> None:
    section = compute_reliability(run).sections[0]
    rated = section.diagrams[0]
    assert [dot.difficulty for dot in rated.dots] == [0.1, 0.7]
    assert sum(dot.steps for dot in rated.dots) == rated.steps == sum(len(each.links) for each in CHAINS)
    failing = sum(dot.fails * dot.steps for dot in rated.dots)
    assert failing == pytest.approx(float(section.rows[0]["S1 fails % [95 %]"].split()[0]) / 100 * rated.steps, abs=0.1)
    for dot in rated.dots:
        assert 34 <= float(dot.x) <= 224
        assert all(8 <= float(y) <= 148 for y in (dot.y, dot.y_low, dot.y_high))
        assert float(dot.y_high) <= float(dot.y) <= float(dot.y_low)


def test_a_run_without_drafts_says_what_is_missing(tmp_path: Path) -> None:
    sweep(tmp_path, problems=1, samples=1)
    page = make_page(tmp_path)
    assert "nothing can be measured" in page
    assert "<figure>" not in page
    assert "reliability" not in make_page(tmp_path, "r0-c0.html")
    with viewing(tmp_path) as viewer:
        assert viewer.get("r0-reliability.html").status == 200
        assert viewer.get("r1-reliability.html").status == 404


def test_a_hostile_assessor_is_shown_as_text(run: Path, tmp_path: Path) -> None:
    name: Any = "<script>window.hacked = 1</script>"
    section = compute_reliability(run).sections[0]
    assert all(re.fullmatch(r"[\d., ]+", one.risk) for one in section.diagrams)
    hostile = Reliability(sections=[ReliabilitySection(
        title="t", truth=name, rows=[{"assessor": name}], notes=[name], maps=[name],
        diagrams=[Diagram(name=name, where=name, steps=1, dots=section.diagrams[0].dots, risk="")])])  # fmt: skip
    found = Found(value=hostile, at=datetime.now(UTC))
    page = render("reliability.html", policy=POLICY, run=name, up="r0-c0.html", found=found, live=False)
    assert [attributes for tag, attributes in tags(page) if tag == "script"] == [{"src": "viewer.js", "defer": None}]
    assert not any("style" in attributes for _, attributes in tags(page))
    assert json.dumps(name) not in page
