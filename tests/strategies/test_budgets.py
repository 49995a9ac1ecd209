"""A budget of thinking tokens: in the request where the server has a key for it, else by a second call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.engines import make_endpoint
from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.engines.scripted import Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.engines.table import OpenEngine
from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.strategies import has_budget, make
from scale_reasoning.strategies.allocators.graded import Graded
from scale_reasoning.strategies.allocators.within import Within
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.types import Completion, Mode, Problem, Record, Request, Step, Usage

PROBLEM = Problem(id="p", text="Find x if 2x is 14.")
CUT = Completion(text="", reasoning="two times seven", finish_reason="length")
FORCED: tuple[str, Any] = ("Time is up", "\\boxed{7}")


def engine(*rules: tuple[str, Any]) -> Scripted:
    outline = '{"subproblems": ["What is a?", "What is b?"]}'
    rating = ("difficulty", lambda r: '{"difficulty": 0.9}' if "is b?" in r.messages[-1].content else "0.1")
    return Scripted([*rules, ("decomposition", outline), rating, ("", "It is \\boxed{7}.")])


def on(server: str, engine: Scripted, model: str = "Qwen3-32B") -> Endpoints:
    spec, opened = ModelSpec(model=model, server=server), OpenEngine(engine=engine, model=model)
    return {mode: each for wanted in Mode for mode, each in make_endpoint(spec, opened, wanted).items()}


def run(endpoints: Endpoints, strategy: Strategy) -> Record:
    return run_virtual(attempt(PROBLEM, strategy, endpoints))


def steps(record: Record) -> Sequence[Step]:
    assert record.solution is not None
    return record.solution.steps


def thoughts(engine: Scripted) -> list[Request]:
    return [request for request in engine.requests if request.mode is Mode.SYSTEM2]


def test_a_server_with_a_key_gets_the_budget_and_the_limit_stays_what_it_was() -> None:
    script = engine()
    record = run(on("vllm", script), CoT(thinking_budget=100, system2_max_tokens=4000))
    (request,) = script.requests
    assert request.extras["thinking_token_budget"] == 100
    assert request.max_tokens == 4000
    assert steps(record)[0].budget_by == "server"
    assert outcome_of(record).budget_by == ("server",)
    assert record.solution is not None
    assert record.solution.notes == ()


def test_elsewhere_the_thought_is_cut_at_the_budget_and_its_answer_is_asked_for() -> None:
    script = engine(FORCED, ("Find x", CUT))
    record = run(on("generic", script), CoT(thinking_budget=100, system2_max_tokens=4000))
    first, second = script.requests
    assert (first.max_tokens, second.max_tokens) == (100, 512)
    assert "thinking_token_budget" not in first.extras
    assert record.solution is not None
    assert record.solution.answer == "7"
    assert steps(record)[0].budget_by == "second call"
    assert record.solution.notes == ("cut off by the thinking budget: the answer was asked for in a second call",)


def test_tokens_for_the_answer_are_held_back_either_way() -> None:
    for server in ("vllm", "generic"):
        script = engine()
        run(on(server, script), CoT(thinking_budget=2000, system2_max_tokens=2000))
        (request,) = script.requests
        assert request.extras.get("thinking_token_budget", request.max_tokens) == 2000 - 512


def test_a_limit_that_cuts_off_a_thought_with_a_servers_budget_is_a_limit_as_ever() -> None:
    script = engine(("Find x", CUT))
    record = run(on("vllm", script), CoT(thinking_budget=100))
    assert record.solution is not None
    assert record.solution.notes == ("cut off by the token limit",)
    assert len(script.requests) == 1


def test_a_server_that_does_not_keep_the_budget_is_noted() -> None:
    long = Completion(
        text="It is \\boxed{7}.", reasoning="hm", usage=Usage(completion_tokens=950, reasoning_tokens=900)
    )
    record = run(on("vllm", engine(("Find x", long))), CoT(thinking_budget=100))
    assert record.solution is not None
    assert record.solution.notes == ("the server does not keep the thinking budget: 900 tokens of thought for 100",)


def test_it_is_noted_too_where_thoughts_are_not_counted_and_where_the_limit_cuts_them_off() -> None:
    long = Completion(text="", reasoning="hm " * 201, finish_reason="length")
    record = run(on("vllm", engine(("Find x", long))), CoT(thinking_budget=100))
    assert record.solution is not None
    (note,) = record.solution.notes
    assert note.startswith("the server does not keep the thinking budget: 201 tokens of thought for 100; cut off")


def test_a_budget_that_neither_a_server_nor_system_1_enforces_is_refused_before_the_first_call() -> None:
    script = engine()
    with pytest.raises(ConfigError, match=r"thinking budget 100: no server enforces it for QwQ-32B.*--system1-model"):
        run(on("generic", script, "QwQ-32B"), CoT(thinking_budget=100))
    assert not script.requests
    run(on("vllm", script, "QwQ-32B"), CoT(thinking_budget=100))
    assert script.requests[0].extras == {"thinking_token_budget": 100}


def test_system_1_and_a_strategy_without_a_budget_send_what_they_always_sent() -> None:
    plain, given = engine(), engine()
    run(on("vllm", plain), CoT(mode=Mode.SYSTEM1))
    run(on("vllm", given), CoT(mode=Mode.SYSTEM1, thinking_budget=100))
    assert plain.requests == given.requests


def test_scale_gives_its_hard_steps_the_budget() -> None:
    script = engine()
    record = run(on("vllm", script), Scale(candidates=1, thinking_budget=100))
    (request,) = thoughts(script)
    assert request.extras["thinking_token_budget"] == 100
    assert [step.budget_by for step in steps(record)] == ["", "server"]
    assert outcome_of(record).budget_by == ("server",)


def test_the_bound_on_calls_counts_the_second_call() -> None:
    assert CoT(answers="boxed").most_calls() == 1
    assert CoT(answers="boxed", thinking_budget=9).most_calls() == 2
    assert CoT(answers="boxed", thinking_budget=9, mode=Mode.SYSTEM1).most_calls() == 1
    graded = Graded(levels="0.5:none 1:budget-9")
    plain = Scale(answers="boxed", route=Graded(levels="0.5:none 1:9")).most_calls()
    assert Scale(answers="boxed", route=graded).most_calls() > plain


def test_a_budget_in_any_part_of_a_strategy_is_found() -> None:
    graded = Graded(levels="1:budget-9")
    with_one = (CoT(thinking_budget=9), Vote(base=Scale(thinking_budget=9)), Scale(route=Within(then=graded)))
    assert all(map(has_budget, with_one))
    assert not any(map(has_budget, (CoT(), Scale(route=Graded()), Scale(route=Graded(levels="1:high")))))


def test_a_level_may_be_an_effort_or_a_budget_and_says_so() -> None:
    script = engine()
    record = run(on("vllm", script, "gpt-oss-20b"), Scale(candidates=1, route=Graded(levels="0.5:none 1:medium")))
    assert thoughts(script)[0].extras == {"reasoning_effort": "medium"}
    assert steps(record)[1].reason == "effort medium"
    script = engine()
    record = run(on("vllm", script), Scale(candidates=1, route=Graded(levels="0.5:none 1:budget-64")))
    assert thoughts(script)[0].extras["thinking_token_budget"] == 64
    assert steps(record)[1].reason == "a thought of at most 64 tokens"


def test_max_is_the_usual_limit_as_ever_and_effort_max_the_word() -> None:
    plain, spelled = engine(), engine()
    run(on("vllm", plain), Scale(candidates=1))
    run(on("vllm", spelled), Scale(candidates=1, route=Graded(levels="0.5:none 1:max")))
    assert plain.requests == spelled.requests
    levels = Graded(levels="0.2:low 0.4:effort-high 0.6:2048 0.8:max 1:effort-max").list_thinking()
    assert [level.effort for level in levels] == ["low", "high", None, None, "max"]


def test_an_effort_that_there_is_not_is_refused_before_the_first_call() -> None:
    script = engine()
    strategy = Scale(candidates=1, route=Within(then=Graded(levels="0.5:none 1:xhigh")))
    with pytest.raises(ConfigError, match=r"effort xhigh: gpt-oss-20b .* takes low, medium, high"):
        run(on("vllm", script, "gpt-oss-20b"), strategy)
    with pytest.raises(ConfigError, match=r"effort xhigh: Qwen3-32B .* takes no effort at all"):
        run(on("vllm", script), strategy)
    assert not script.requests


@pytest.mark.parametrize("level", ["ultra", "budget-0", "budget-", "budget-x", "effort-none", "-5", ""])
def test_a_level_that_is_none_of_these_is_refused(level: str) -> None:
    with pytest.raises(ConfigError, match="levels"):
        make("scale", {"route": "graded", "levels": f"0.5:none 1:{level}"})
