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
from scale_reasoning.strategies.solving import RESULT_MAX_TOKENS, TAIL_CHARACTERS
from scale_reasoning.strategies.vote import Vote
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
    engine = script(FORCED, ("difficulty", "hard to say"), ("Answer this last", last), steps=4)
    record = run(engine, scale)
    assert sum(call.path.endswith("force") for call in record.calls) == 4
    assert len(engine.requests) == 1 + (4 + 1) * (1 + 1) + 4


@pytest.mark.parametrize("strategy", [CoT, Scale])
def test_another_word_for_on_limit_is_refused(strategy: Any) -> None:
    with pytest.raises(ConfigError, match="on_limit = 'wait': must be one of cut, force"):
        strategy(on_limit="wait")


# A solution without a box


def ask_script(text: str, *, asked: str = "It is \\boxed{14}.") -> Scripted:
    """Solutions that are `text`; a second question gets `asked`."""
    return Scripted(
        [
            ("Give only the result", asked),
            ("decomposition", json.dumps({"subproblems": ["What is a?", "What is b?"]})),
            ("difficulty", "0.9"),
            ("", text),
        ]
    )


@pytest.mark.parametrize(
    ("text", "answer", "form", "calls"),
    [
        ("So \\boxed{14}. The answer is 15.", "14", "boxed", 1),
        ("The answer is 14.", "14", "stated", 1),
        ("Each pays 14 dollars.", "14", "asked", 2),
        ("", "14", "asked", 2),
    ],
)
def test_an_answer_is_read_in_the_box_else_as_stated_else_asked_for(
    text: str, answer: str, form: str, calls: int
) -> None:
    record = run(ask_script(text), CoT())
    assert record.solution is not None
    assert (record.solution.answer, record.solution.form, len(record.calls)) == (answer, form, calls)
    assert record.failure is None


def test_a_result_is_asked_for_in_system_1_with_the_solution_as_a_turn_and_its_tokens_count() -> None:
    engine = ask_script("Each pays 14 dollars.")
    record = run(engine, CoT())
    first, second = engine.requests
    assert (second.mode, second.max_tokens) == (Mode.SYSTEM1, RESULT_MAX_TOKENS)
    assert second.messages[: len(first.messages)] == first.messages
    assert [(m.role, m.content) for m in second.messages[len(first.messages) :]] == [
        ("assistant", "Each pays 14 dollars."),
        ("user", "Give only the result of this, in \\boxed{}."),
    ]
    assert [call.path for call in record.calls] == ["solve", "solve/ask"]
    step = steps(record)[0]
    assert (step.text, step.asked) == ("Each pays 14 dollars.", "It is \\boxed{14}.")
    assert step.usage == sum((call.usage for call in record.calls[1:]), record.calls[0].usage)


def test_a_step_without_a_result_is_asked_for_it_before_the_next_step_sees_it() -> None:
    engine = ask_script("Each pays 14 dollars.")
    record = run(engine, Scale(candidates=1))
    assert [call.path for call in record.calls if "solve" in call.path] == [
        "step1/solve",
        "step1/solve/ask",
        "step2/solve",
        "step2/solve/ask",
    ]
    seen = [message.content for message in engine.requests[-1].messages if message.role == "assistant"]
    assert seen == ["Each pays 14 dollars.\n\nIt is \\boxed{14}.", "Each pays 14 dollars."]


def test_a_reply_without_a_result_leaves_the_attempt_unanswered_after_one_question() -> None:
    record = run(ask_script("I do not know.", asked="Nor now."), CoT())
    assert record.solution is not None
    assert (record.solution.answer, record.solution.form, len(record.calls)) == (None, None, 2)
    assert record.failure is not None
    assert record.failure.kind == "unanswered"


@pytest.mark.parametrize("text", ["The answer is 14.", "Each pays 14 dollars."])
def test_with_answers_boxed_only_the_box_counts_and_nothing_is_asked_for(text: str) -> None:
    record = run(ask_script(text), CoT(answers="boxed"))
    assert record.solution is not None
    assert (record.solution.answer, len(record.calls)) == (None, 1)


def test_reasoning_states_no_answer() -> None:
    thought = Completion(text="Hm.", reasoning="The answer is 7. \\boxed{7}", finish_reason="stop")
    record = run(Scripted([("Give only", "No."), ("", thought)]), CoT())
    assert record.solution is not None
    assert record.solution.answer is None


def test_what_was_cut_off_states_no_answer_and_is_not_asked_for_it() -> None:
    cut = Completion(text="The answer is 1", finish_reason="length")
    record = run(Scripted([("Give only", "\\boxed{14}"), ("", cut)]), CoT())
    assert record.solution is not None
    assert (record.solution.answer, len(record.calls)) == (None, 1)
    assert record.failure is not None
    assert record.failure.kind == "truncated"


def test_a_model_that_always_thinks_and_has_no_other_is_not_asked() -> None:
    engine = ask_script("Each pays 14 dollars.")
    record = run_virtual(attempt(PROBLEM, CoT(), endpoints(engine, "QwQ-32B")))
    assert [call.path for call in record.calls] == ["solve"]


def test_where_the_window_has_no_room_for_the_question_the_solution_stands() -> None:
    record = run(Scripted([("Give only", ContextOverflow("too long", 5000, 4096)), ("", "Each pays 14.")]), CoT())
    assert notes(record) == ("ended without an answer, with no room left in the window to ask for it",)
    assert record.failure is not None
    assert record.failure.kind == "unanswered"


def test_a_vote_counts_answers_of_every_form_and_takes_that_of_the_winning_chain() -> None:
    texts = iter(["The answer is 14.", "So \\boxed{3}.", "Each pays 14 dollars."])
    engine = Scripted([("Give only", "14"), ("", lambda _: next(texts))])
    record = run(engine, Vote(samples=3))
    assert record.solution is not None
    assert (record.solution.answer, record.solution.form) == ("14", "stated")
    assert [chain.form for chain in record.solution.chains] == ["stated", "boxed", "asked"]
