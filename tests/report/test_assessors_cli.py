"""`scale report --assessor` and `scale plot reliability` on runs of a scripted engine that fails where it says so."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.commands import scale
from tests.runs.simulated import go, manifest

from scale_reasoning.arithmetic.problems import Chain, chain
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.report.assessors.truths import Chains
from scale_reasoning.runs.store import create
from scale_reasoning.strategies import make
from scale_reasoning.types import Assessment, Mode, Problem, Request

CHAINS = [chain(n) for n in range(12)]
LINKS = sum(len(each.links) for each in CHAINS)
ROUTE: dict[str, Any] = {"name": "scale", "candidates": 1, "route": "probe", "assessors": "rated draft agreement"}


def find_chain(request: Request) -> Chain:
    said = "\n".join(message.content for message in request.messages)
    return next(each for each in CHAINS if each.text in said)


def outline(request: Request) -> str:
    return json.dumps({"subproblems": [link.subproblem for link in find_chain(request).links]})


def is_hard(request: Request) -> bool:
    """Every chain is hard in its last step, and in all steps where its number is odd."""
    asked, links = request.messages[-1].content, find_chain(request).links
    return links[-1].subproblem in asked or int(find_chain(request).problem_id[-6:]) % 2 == 1


def solve(request: Request) -> str:
    asked = request.messages[-1].content
    result = next(link.result for link in find_chain(request).links if link.subproblem in asked)
    wrong = request.mode is Mode.SYSTEM1 and is_hard(request) and request.seed % 3 > 0
    return f"It is \\boxed{{{result + wrong}}}."


def rate(request: Request) -> str:
    return json.dumps({"difficulty": 0.7 if is_hard(request) else 0.1})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "probed"
    engine = Scripted([("decomposition", outline), ("difficulty", rate), ("", solve)])
    with create(folder, manifest([ROUTE]), {"d": [each.problem for each in CHAINS]}) as store:
        go(store, engine)
    return folder


def lines_of(*words: str) -> list[dict[str, Any]]:
    done = scale("report", "--assessor", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["lines"]


def test_each_assessor_has_a_line_with_its_measures_and_costs(run: Path) -> None:
    rated, draft, agreement = lines_of(str(run))
    assert [line["assessor"] for line in (rated, draft, agreement)] == ["rated", "draft", "agreement"]
    assert (rated["steps"], rated["problems"], rated["row"]) == (LINKS * 2, len(CHAINS), 1)
    assert rated["auroc_low"] <= rated["auroc"] <= rated["auroc_high"]
    assert 0.5 < rated["auroc"] < 1
    assert agreement["fails"] > rated["fails"], "of three drafts that are mostly wrong, most are"
    assert [line["calls"] for line in (rated, draft, agreement)] == [1, 2, 3]
    assert (draft["fallback"], rated["fallback"]) == (1, 0), "this server has no log-probabilities"
    assert rated["risk50"] <= rated["risk80"] <= rated["fails"]
    assert rated["system2_steps"] is None


def test_gold_and_a_file_of_the_same_results_say_the_same_where_system_2_is_right(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "right.jsonl"
    rows = [{"problem": each.problem_id, "subproblem": link.subproblem, "answer": f"{link.result}.0"}
            for each in CHAINS for link in each.links]  # fmt: skip
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = [lines_of(str(run), "--truth", truth) for truth in ("system2", "gold", str(file))]
    measured = [[{key: line[key] for key in ("steps", "fails", "auroc", "ece_high", "map")} for line in lines]
                for lines in found]  # fmt: skip
    assert measured[0] == measured[1] == measured[2]
    assert found[1][0]["system2_fails"] == 0
    assert found[1][0]["system2_steps"] == LINKS * 2
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    said = scale("report", "--assessor", str(run), "--truth", str(file)).stdout
    assert f"2 of {LINKS * 2} left out, steps: their right result is not known" in said


def test_the_tables_have_the_truth_and_a_map_that_can_be_used(run: Path) -> None:
    said = scale("report", "--assessor", str(run)).stdout
    assert "System 1 fails where its draft's result differs from System 2's" in said
    for line in lines_of(str(run)):
        make("scale", {"assess": "calibrated", "assess.of": line["assessor"], "assess.map": line["map"]})
        assert f"--assess calibrated --set assess.of={line['assessor']} --set 'assess.map={line['map']}'" in said
    assert scale("report", "--assessor", str(run), "--format", "latex").stdout.startswith(r"\begin{table*}")
    rows = list(csv.DictReader(io.StringIO(scale("report", "--assessor", str(run), "--format", "csv").stdout)))
    assert [float(row["auroc"]) for row in rows] == pytest.approx([line["auroc"] for line in lines_of(str(run))])


def test_where_no_step_fails_the_auroc_is_null(tmp_path: Path) -> None:
    right = Scripted([("decomposition", outline), ("difficulty", rate), ("", lambda request: "It is \\boxed{7}.")])
    with create(tmp_path / "right", manifest([ROUTE]), {"d": [each.problem for each in CHAINS[:3]]}) as store:
        go(store, right)
    for line in lines_of(str(tmp_path / "right")):
        assert (line["fails"], line["auroc"], line["auroc_low"], line["map"]) == (0, None, None, None)
        assert line["risk50_high"] is None
    assert "AUROC is - where" in scale("report", "--assessor", str(tmp_path / "right")).stdout


def test_flags_and_runs_that_do_not_fit_are_refused(run: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    with create(plain, manifest([{"name": "cot"}]), {"d": [CHAINS[0].problem]}) as store:
        go(store, Scripted([("", "It is \\boxed{7}.")]))
    for words, said in (
        (["report", "--assessor", str(plain)], "scale draft RUN --out NEW"),
        (["report", "--assessor", str(run), "--layout", "cells"], "leave out --layout"),
        (["report", "--truth", "gold", str(run)], "belongs to --assessor"),
        (["report", "--assessor", str(run), "--truth", "none.jsonl"], "must be system2, gold or a file"),
        (["plot", "tau", str(run), "--truth", "gold"], "belongs to reliability"),
    ):
        done = scale(*words)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_reliability_diagram_is_drawn_the_same_each_time(run: Path, tmp_path: Path) -> None:
    drawn: list[bytes] = []
    for name in ("one.svg", "two.svg"):
        done = scale("plot", "reliability", str(run), "--out", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]
    assert re.search(rb"<svg", drawn[0])
    done = scale("plot", "reliability", str(run), "--truth", "gold")
    assert done.stdout.strip() == str(run / "reliability.png")


def test_the_right_result_of_a_sub_problem_is_read_from_its_chain() -> None:
    one = CHAINS[0]
    found = Chains()
    for link in one.links:
        assert found.find(one.problem, link.subproblem) == str(link.result)
        assert found.find(Problem(id="mine", text=one.text), link.question) == str(link.result)
    assert found.find(one.problem, one.text) == str(one.answer)
    assert found.find(one.problem, "How many angels?") is None
    assert found.find(Problem(id="mine", text="Prove it."), one.links[0].subproblem) is None


def test_the_draft_of_agreement_is_the_first_of_the_largest_class() -> None:
    from scale_reasoning.report.assessors.steps import choose_draft

    drafts = ["3", "4", None, "4.0", "5"]
    assert choose_draft(Assessment(assessor="agreement", difficulty=0), drafts) == "4"
    assert choose_draft(Assessment(assessor="calibrated draft", difficulty=0), drafts) == "3"
    assert choose_draft(Assessment(assessor="agreement", difficulty=0), [None, None]) is None
