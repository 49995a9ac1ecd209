"""What was tried on a step, and what was said of its difficulty: in the viewer and in exports, as text only."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from tests.commands import scale
from tests.runs.simulated import go, manifest
from tests.web.test_viewer_text import tags
from tests.web.viewed import HOSTILE, viewing

from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.runs.store import create, reading
from scale_reasoning.types import Completion, Mode, Problem, Request, Token

PROBLEM = Problem(id="p", text="What is 3 + 4?", answer="7")


def make_run(folder: Path, *strategies: dict[str, Any], said: str = "A draft. ", results: int = 1000) -> Path:
    """A run of one attempt with two steps; `results` is how many different results drafts have."""

    def solve(request: Request) -> Completion:
        thinks = request.mode is Mode.SYSTEM2
        text = f"{said}\\boxed{{{'7' if thinks else request.seed % results}{said if said == HOSTILE else ''}}}"
        known = (Token(text="7", logprob=math.log(0.5)),) if request.logprobs is not None else None
        return Completion(text=text, finish_reason="stop", logprobs=known)

    rules = [("decomposition", '{"subproblems": ["One?", "Two?"]}'), ("difficulty", '{"difficulty": 0.7}'), ("", solve)]
    with create(folder, manifest(strategies, samples=1), {"d": [PROBLEM]}) as store:
        go(store, Scripted(rules))
    return folder


def text_of(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", page).split())


def test_a_step_shows_what_was_tried_and_why_its_solution_was_taken(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"name": "scale", "candidates": 1, "route": "escalate"})
    with reading(run) as store:
        record = next(store.records(0))
    with viewing(run) as viewer:
        page = viewer.get("r0-c0-p0-s0.html").text
    assert record.solution is not None
    shown = text_of(page)
    for number, step in enumerate(record.solution.steps, 1):
        assert len(step.trials) == 2
        assert f"Why this solution: {step.reason}." in shown
        assert f'<details id="step{number}-trials"><summary>' in page
        tried = sum(trial.usage.completion_tokens or 0 for trial in step.trials)
        assert (step.usage.completion_tokens or 0) - tried == step.own_tokens == 3
    assert shown.count("Made and not taken 2 solutions, in the tokens of this step") == 2
    assert shown.count("· confidence 0.50 · 3 tokens Not taken: 2 drafts disagree: ") == 4
    assert sum(step.usage.completion_tokens or 0 for step in record.solution.steps) == sum(
        call.usage.completion_tokens or 0 for call in record.calls if call.path.startswith("step")
    )


def test_assessments_have_their_source_and_a_rating_alone_needs_none(tmp_path: Path) -> None:
    drafted = make_run(tmp_path / "drafted", {"name": "scale", "candidates": 1, "assess": "agreement"})
    rated = make_run(tmp_path / "rated", {"name": "scale", "candidates": 1})
    with viewing(drafted) as viewer:
        assert "difficulty 0.67, assessor agreement" in text_of(viewer.get("r0-c0-p0-s0.html").text)
    with viewing(rated) as viewer:
        assert "assessor rated" not in text_of(viewer.get("r0-c0-p0-s0.html").text)


def test_hostile_drafts_make_no_element(tmp_path: Path) -> None:
    for name, strategy in {
        "escalate": {"route": "escalate", "accept": 0.0},
        "agreement": {"assess": "agreement"},
    }.items():
        run = make_run(tmp_path / name, {"name": "scale", "candidates": 1, **strategy}, said=HOSTILE)
        with viewing(run) as viewer:
            for page in ("r0-c0.html", "r0-c0-p0-s0.html", "r0-c0-p0-s0-calls.html"):
                found = tags(viewer.get(page).text)
                assert not [tag for tag, _ in found if tag in ("img", "iframe", "object", "embed")]
                assert [each for tag, each in found if tag == "script"] == [{"src": "viewer.js", "defer": None}]
                for _, attributes in found:
                    assert not [key for key in attributes if key.startswith("on") or key == "style"]
                    assert "//" not in (attributes.get("href") or "")


def test_an_export_has_trials_assessments_and_reasons(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"name": "scale", "candidates": 1, "route": "escalate", "low": 0.1})
    assert scale("export", str(run)).returncode == 0
    (line,) = (run / "records.jsonl").read_text().splitlines()
    step = json.loads(line)["solution"]["steps"][0]
    assert step["reason"].startswith("2 drafts disagree: ")
    assert step["assessments"] == [{"assessor": "rated", "difficulty": 0.7, "fallback": "", "calls": 1, "tokens": 2}]
    assert [sorted(trial) for trial in step["trials"]] == [
        ["answer", "confidence", "finish_reason", "mode", "text", "usage", "why"]
    ] * 2
