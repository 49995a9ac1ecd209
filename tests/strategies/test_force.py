"""What happens where System 2 meets its limit, for CoT and SCALE."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from scale_reasoning import (
    Completion,
    ConfigError,
    CoT,
    Mode,
    Problem,
    Record,
    Request,
    Scale,
    Scripted,
    attempt,
    endpoints,
    run_virtual,
)
from scale_reasoning.errors import ContextOverflow
from scale_reasoning.lm import Strategy
from scale_reasoning.strategies.force import TAIL_CHARACTERS
from scale_reasoning.types import Stage, Step

PROBLEM = Problem(id="p", text="Find x if 2x is 14.")
CUT = Completion(text="So far", reasoning="two times seven", finish_reason="length")
FORCED: tuple[str, Any] = ("Time is up", "\\boxed{7}")


def script(*more: tuple[str, Any], steps: int = 3) -> Scripted:
    return Scripted(
        [
            *more,
            ("decomposition", json.dumps({"subproblems": [f"What is {n}?" for n in "abcdefgh"[:steps]]})),
            ("difficulty", lambda r: '{"difficulty": 0.9}' if "is b?" in r.messages[-1].content else "0.1"),
            ("", lambda r: CUT if r.mode is Mode.SYSTEM2 else "It is \\boxed{1}."),
        ]
    )


def run(engine: Scripted, strategy: Strategy) -> Record:
    return run_virtual(attempt(PROBLEM, strategy, endpoints(engine, "Qwen3-32B")))


def steps(record: Record) -> tuple[Step, ...]:
    assert record.solution is not None
    return record.solution.steps


def notes(record: Record) -> tuple[str, ...]:
    assert record.solution is not None
    return record.solution.notes


def test_by_default_a_solution_that_was_cut_off_stands_as_it_is_and_is_noted() -> None:
    record = run(script(), CoT())
    assert len(record.calls) == 1
    assert (steps(record)[0].text, notes(record)) == ("So far", ("cut off by the token limit",))
    assert record.failure is not None
    assert record.failure.kind == "truncated"


def test_a_forced_call_is_in_system_1_and_sees_the_same_context_and_what_was_thought() -> None:
    engine = script(FORCED)
    record = run(engine, CoT(on_limit="force"))
    first, second = engine.requests
    assert (second.mode, second.max_tokens) == (Mode.SYSTEM1, 512)
    assert second.messages[: len(first.messages)] == first.messages
    thought, asked = second.messages[len(first.messages) :]
    assert (thought.role, thought.content) == ("assistant", "two times seven\n\nSo far")
    assert asked.role == "user"
    assert [(call.path, call.stage) for call in record.calls] == [
        ("solve", Stage.SOLVE),
        ("solve/force", Stage.SOLVE),
    ]


def test_a_forced_step_has_the_second_calls_text_the_usage_of_both_and_loses_nothing_written() -> None:
    record = run(script(FORCED), CoT(on_limit="force"))
    (step,) = steps(record)
    assert (step.text, step.finish_reason, step.mode) == ("\\boxed{7}", "stop", Mode.SYSTEM2)
    assert step.reasoning == "two times seven\n\nSo far"
    assert step.usage == record.usage.total
    assert notes(record) == ("cut off by the token limit: the answer was asked for in a second call",)
    assert record.failure is None
    assert record.solution is not None
    assert record.solution.answer == "7"


def test_a_long_thought_is_shown_by_its_end_and_kept_whole() -> None:
    long = Completion(text="", reasoning="a" * TAIL_CHARACTERS + "the end", finish_reason="length")
    engine = script(FORCED, ("Find x", long))
    record = run(engine, CoT(on_limit="force"))
    shown = engine.requests[1].messages[-2].content
    assert (len(shown), shown[-7:]) == (TAIL_CHARACTERS, "the end")
    assert steps(record)[0].reasoning == long.reasoning


def test_a_thought_that_the_server_hides_leaves_no_empty_turn() -> None:
    engine = script(FORCED, ("Find x", Completion(text="", finish_reason="length")))
    run(engine, CoT(on_limit="force"))
    assert engine.requests[1].messages[-2].content == "(nothing yet)"


def test_system_1_is_never_forced_and_a_solution_that_ended_by_itself_neither() -> None:
    for strategy, reply in (
        (CoT(on_limit="force", mode=Mode.SYSTEM1), CUT),
        (CoT(on_limit="force"), "It is \\boxed{7}."),
    ):
        assert len(run(script(("Find x", reply)), strategy).calls) == 1


def test_scale_forces_the_steps_that_were_cut_off_and_later_steps_see_the_forced_results() -> None:
    engine = script(FORCED)
    record = run(engine, Scale(candidates=1, on_limit="force"))
    assert [call.path for call in record.calls if call.path.endswith("force")] == ["step2/solve/force"]
    assert [step.text for step in steps(record)] == ["It is \\boxed{1}.", "\\boxed{7}", "It is \\boxed{1}."]
    assert notes(record) == ("step2: cut off by the token limit: the answer was asked for in a second call",)
    shown = [message.content for message in engine.requests[-1].messages if message.role == "assistant"]
    assert shown == ["It is \\boxed{1}.", "\\boxed{7}"]


def test_a_forced_answer_that_is_cut_off_too_is_truncated_and_the_note_says_so() -> None:
    record = run(script(("Time is up", CUT)), CoT(on_limit="force"))
    assert notes(record)[0].endswith("in a second call, which was cut off too")
    assert record.failure is not None
    assert record.failure.kind == "truncated"


def test_where_the_window_has_no_room_for_a_forced_answer_the_cut_solution_stands() -> None:
    record = run(script(("Time is up", ContextOverflow("too long"))), CoT(on_limit="force"))
    assert (steps(record)[0].text, len(record.calls)) == ("So far", 1)
    assert notes(record) == ("cut off by the token limit, with no room left in the window to ask for the answer",)


def test_scale_makes_at_most_n_calls_more_when_every_step_is_forced_and_one_is_done_again_with_answers_only() -> None:
    asked = count()

    def last(_: Request) -> Completion:
        if next(asked) == 0:
            raise ContextOverflow("too long", prompt_tokens=10**6)
        return CUT

    scale = Scale(candidates=1, tries=1, max_steps=4, on_limit="force")
    engine = script(FORCED, ("difficulty", "hard to say"), ("Solve this last", last), steps=4)
    record = run(engine, scale)
    assert sum(call.path.endswith("force") for call in record.calls) == 4
    assert len(engine.requests) == 1 + (4 + 1) * (1 + 1) + 4


@pytest.mark.parametrize("strategy", [CoT, Scale])
def test_another_word_for_on_limit_is_refused(strategy: Any) -> None:
    with pytest.raises(ConfigError, match="on_limit = 'wait': must be one of cut, force"):
        strategy(on_limit="wait")
