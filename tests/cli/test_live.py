"""The live view of a step with drafts: one heading, the drafts, the decision with its reason."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from scale_reasoning.cli.formatting import format_strategy
from scale_reasoning.cli.live import LiveView
from scale_reasoning.engines import endpoints
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.strategies import make
from scale_reasoning.types import Completion, Mode, Problem, Request, Token

PROBLEM = Problem(id="p", text="What is 3 + 4?", answer="7")
MODEL = "Qwen/Qwen3-32B"


def show(capsys: pytest.CaptureFixture[str], settings: dict[str, Any], results: int = 1000) -> list[str]:
    """The lines that `scale solve` prints for one attempt."""

    def solve(request: Request) -> Completion:
        if request.mode is Mode.SYSTEM2:
            return Completion(text="Surely \\boxed{7}", finish_reason="stop")
        tokens = (Token(text="7", logprob=math.log(0.5)),) if request.logprobs is not None else None
        return Completion(text=f"A guess \\boxed{{{request.seed % results}}}", finish_reason="stop", logprobs=tokens)

    outline = json.dumps({"subproblems": ["What are 3 and 4?", "What is their sum?"]})
    rules = [("decomposition", outline), ("difficulty", '{"difficulty": 0.7}'), ("", solve)]
    view = LiveView()
    with view.show():
        made = make("scale", {"candidates": 1, **settings})
        view.end(run_virtual(attempt(PROBLEM, made, endpoints(Scripted(rules), MODEL), listener=view.hear)))
    return capsys.readouterr().err.splitlines()


def step(lines: list[str], number: int) -> list[str]:
    (start,) = [at for at, line in enumerate(lines) if line.startswith(f"step {number}/2")]
    return [line for line in lines[start : start + 7] if line]


def test_drafts_that_disagree_are_followed_by_the_reason_and_the_solution(capsys: pytest.CaptureFixture[str]) -> None:
    head, text, *drafts, decision, solution = step(show(capsys, {"route": "escalate"}), 1)[:6]
    assert (head, text) == ("step 1/2  2 drafts in System 1", "  What are 3 and 4?")
    results = [draft.split()[2] for draft in drafts]
    assert [draft.split()[:2] for draft in drafts] == [["draft", "1:"], ["draft", "2:"]]
    assert decision == f"  not assessed  → System 2  2 drafts disagree: {', '.join(results)}"
    assert solution == "  Surely \\boxed{7}"


def test_a_draft_that_is_kept_is_shown_in_full_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = show(capsys, {"route": "escalate", "accept": 0.5}, results=1)
    assert step(lines, 2)[4:6] == [
        "  not assessed  → System 1, a draft is kept  2 drafts agree: 0, confidence 0.50",
        "  A guess \\boxed{0}",
    ]
    assert sum("A guess" in line for line in lines) == 2


def test_a_difficulty_names_its_source_if_it_is_not_the_usual_one(capsys: pytest.CaptureFixture[str]) -> None:
    rated = show(capsys, {})
    assert step(rated, 1)[0] == "step 1/2  difficulty 0.70 ███████░░░  → System 2"
    drafted = step(show(capsys, {"assess": "draft"}, results=1), 1)
    assert drafted[0] == "step 1/2  1 draft in System 1"
    assert drafted[3] == "  difficulty 0.50 █████░░░░░ (draft)  → System 1, a draft is kept"
    given = show(capsys, {"route": "last-difficulty"})
    assert step(given, 2)[0] == "step 2/2  difficulty 0.90 █████████░ (given)  → System 2"


def test_a_fallback_is_labelled(capsys: pytest.CaptureFixture[str]) -> None:
    lines = step(show(capsys, {"assess": "expected"}), 1)
    assert "(expected: no rating could be read)" in lines[0]


def test_a_strategy_is_named_with_its_allocator_and_what_differs_from_the_defaults() -> None:
    def named(name: str, **settings: Any) -> str:
        return format_strategy(make(name, settings))

    assert named("scale") == "scale, route threshold, tau 0.5"
    assert named("scale", route="system1", candidates=2) == "scale, route system1, candidates 2"
    assert named("scale", route="escalate", drafts=3) == "scale, route escalate, drafts 3, accept 0.75"
    assert named("scale", assess="agreement", tau=0.2) == "scale, route threshold, tau 0.2, assess agreement"
    assert named("scale", route="within", then="random") == "scale, route within, then random, share 0.5"
    assert named("vote", base="scale", samples=4, **{"base.tau": 0.2}) == "vote, base scale, tau 0.2, samples 4"
    assert named("cot") == "cot"
