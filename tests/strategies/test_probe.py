"""The allocator `probe`: the solution of another allocator, and what System 1 and the assessors make of each step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.laws.test_strategies import able, tried

from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import ConfigError, ContextOverflow
from scale_reasoning.journal import MemoryJournal
from scale_reasoning.strategies import make
from scale_reasoning.types import Completion, Mode, Record, Request, Solution, Step, Token

THEN: list[dict[str, Any]] = [
    {"route": "system2"},
    {"route": "system1"},
    {"tau": 0.5},
    {"tau": 0.5, "assess.context": "titles"},
    {"tau": 0.5, "assess": "draft"},
    {"tau": 0.4, "assess": "agreement"},
    {"tau": 0.4, "assess": "calibrated", "assess.of": {"name": "rated", "context": "titles"}},
    {"route": {"name": "escalate", "drafts": 2}},
    {"route": {"name": "within", "tokens": 60, "reserve": 5}},
    {"route": "last-difficulty"},
]


def both(settings: dict[str, Any], **more: Any) -> tuple[Record, Record, int, int]:
    """The record of an allocator alone, that of `probe` over its journal, and the requests of each."""
    journal, first, second = MemoryJournal(), able(), able()
    alone = run_virtual(tried(make("scale", settings), first, journal=journal))
    route = settings.get("route", {"name": "threshold", **({"tau": settings["tau"]} if "tau" in settings else {})})
    rest = {key: value for key, value in settings.items() if key not in ("route", "tau")}
    probe = make("scale", {**rest, "route": {"name": "probe", "then": route, **more}})
    return alone, run_virtual(tried(probe, second, journal=journal)), len(first.requests), len(second.requests)


def plain(step: Step) -> Step:
    return replace(step, trials=(), assessments=(), usage=step.usage.__class__())


def solved(record: Record) -> Solution:
    assert record.solution is not None
    return replace(record.solution, steps=tuple(map(plain, record.solution.steps)), notes=())


@pytest.mark.parametrize("settings", THEN, ids=str)
def test_the_solution_is_that_of_the_other_allocator_and_its_calls_are_not_paid_again(settings: dict[str, Any]) -> None:
    alone, probed, _, paid = both(settings)
    assert solved(alone) == solved(probed)
    paths = {call.path for call in probed.calls}
    assert {call.path for call in alone.calls} <= paths
    assert paid == len(probed.calls) - len(alone.calls) > 0
    assert alone.solution is not None
    assert probed.solution is not None
    for was, now in zip(alone.solution.steps, probed.solution.steps, strict=True):
        assert now.assessments[: len(was.assessments)] == was.assessments
        assert {each.assessor.split()[-1] for each in now.assessments} == {"rated", "expected", "draft", "agreement"}
        assert len(now.trials) + (now.draft is not None) == 3
        assert now.draft == was.draft


def test_drafts_are_made_once_and_count_for_each_assessor_that_needs_them() -> None:
    _, probed, _, paid = both({"route": "system2"}, drafts=4)
    assert probed.solution is not None
    assert paid == 3 * (4 + 2)
    for step in probed.solution.steps:
        calls = {each.assessor: each.calls for each in step.assessments}
        tokens = {each.assessor: each.tokens for each in step.assessments}
        # The server gives no log-probabilities, so `draft` needs the rating too.
        assert calls == {"rated": 1, "expected": 1, "draft": 2, "agreement": 3}
        written = [trial.usage.completion_tokens or 0 for trial in step.trials]
        assert tokens["agreement"] == sum(written[:3])
        assert tokens["draft"] == (tokens["rated"] or 0) + written[0]
        assert {trial.why for trial in step.trials} == {"made to see what System 1 does"}


def test_with_log_probabilities_a_draft_is_all_that_its_assessor_needs() -> None:
    def reply(request: Request) -> Completion:
        tokens = (Token(text="7", logprob=-0.1),) if request.logprobs is not None else None
        return Completion(text=r"\boxed{7}", finish_reason="stop", logprobs=tokens)

    engine = Scripted([*able().rules[:4], ("", reply)])
    probe = make("scale", {"route": "probe", "assessors": "draft calibrated"})
    record = run_virtual(tried(probe, engine))
    assert record.solution is not None
    for step in record.solution.steps:
        assert [(each.assessor, each.calls) for each in step.assessments] == [("draft", 1), ("calibrated draft", 1)]


def test_what_does_not_fit_the_window_is_left_out_and_the_solution_stays() -> None:
    def reply(request: Request) -> Completion:
        if request.mode is Mode.SYSTEM1:
            raise ContextOverflow("too long", prompt_tokens=10**6)
        return Completion(text=r"\boxed{7}", finish_reason="stop")

    engine = Scripted([*able().rules[:4], ("", reply)])
    record = run_virtual(tried(make("scale", {"route": "probe"}), engine))
    assert record.solution is not None
    assert [(step.mode, step.trials) for step in record.solution.steps] == [(Mode.SYSTEM2, ())] * 3
    assert "step1: the drafts or assessments that were to be compared did not fit the window" in record.solution.notes


@pytest.mark.parametrize(("names", "said"), [("rated guess", "no assessor 'guess'"), (" ", "at least one")])
def test_an_unknown_assessor_is_refused_by_name(names: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make("scale", {"route": "probe", "assessors": names})
