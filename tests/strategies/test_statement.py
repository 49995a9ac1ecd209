"""Who splits a problem's statement, where its parts go, one message per request, and decompositions in System 2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scale_reasoning import Completion, Problem, Record, Request, Scripted, attempt, endpoints, run_virtual
from scale_reasoning.replies import read_statement
from scale_reasoning.strategies import fingerprints, make
from scale_reasoning.types import JSON

PROBLEM = Problem(
    id="p", text="A tank holds 40 litres, and 3 more tanks are as large. We want to know the litres in all."
)
QUESTION = "How many litres do all the tanks hold?"
STATEMENT = json.dumps({"facts": "There are 4 tanks of 40 litres.", "question": QUESTION})


def script(statement: Any = STATEMENT) -> Scripted:
    return Scripted(
        [
            ("statement", statement),
            ("decomposition", json.dumps({"subproblems": ["How many tanks are there?", "How many litres?"]})),
            ("difficulty", '{"difficulty": 0.9}'),
            ("", "It is \\boxed{160}."),
        ]
    )


def run(engine: Scripted, **options: JSON) -> Record:
    return run_virtual(attempt(PROBLEM, make("scale", {"candidates": 1, **options}), endpoints(engine, "model")))


def paths(record: Record) -> list[str]:
    return [call.path for call in record.calls]


def test_the_model_splits_the_statement_once_and_the_last_step_is_its_question() -> None:
    record = run(script(), split_by="model", last_step="question")
    assert record.solution is not None
    assert paths(record).count("split") == 1
    assert [step.subproblem for step in record.solution.steps] == ["How many tanks are there?", QUESTION]


def test_steps_see_the_facts_that_the_model_found() -> None:
    engine = script()
    run(engine, split_by="model", steps_see="facts")
    solving = [request for request in engine.requests if "Answer this" in request.messages[-1].content]
    assert solving
    for request in solving:
        assert "Facts: There are 4 tanks of 40 litres." in request.messages[1].content
        assert PROBLEM.text not in request.messages[1].content


def test_no_split_is_asked_for_where_nothing_needs_it() -> None:
    assert "split" not in paths(run(script(), split_by="model", steps_see="problem"))


@pytest.mark.parametrize("reply", ["no idea", '{"facts": "x"}', '{"facts": "x", "question": ""}', "[1, 2]"])
def test_a_rule_splits_what_the_model_does_not_and_the_record_says_so(reply: str) -> None:
    record = run(script(reply), split_by="model", last_step="question", tries=2)
    assert record.solution is not None
    assert [path for path in paths(record) if path.startswith("split")] == ["split", "split/try2"]
    assert record.solution.notes[0] == "no split of the statement could be read: a rule splits it"
    assert record.solution.steps[-1].subproblem in PROBLEM.text


def test_a_problem_without_facts_is_shown_whole_and_its_question_is_the_last_step() -> None:
    engine = script(json.dumps({"facts": "", "question": QUESTION}))
    record = run(engine, split_by="model", steps_see="facts", last_step="question")
    assert record.solution is not None
    assert record.solution.steps[-1].subproblem == QUESTION
    assert not any("Facts:" in message.content for request in engine.requests for message in request.messages)


def test_the_prompt_of_the_split_is_among_the_fingerprints_where_it_is_sent() -> None:
    assert set(fingerprints(make("scale", {"split_by": "model"}))) == {"scale", "statement"}
    assert set(fingerprints(make("scale", {}))) == {"scale"}


def test_a_statement_is_read_in_fences_and_with_single_backslashes() -> None:
    read = read_statement('Here:\n```json\n{"facts": "Let \\( x = 3 \\).", "question": "What is \\frac{x}{2}?"}\n```')
    assert read.value == ("Let \\( x = 3 \\).", "What is \\frac{x}{2}?")


def test_in_one_message_every_request_is_one_user_message() -> None:
    engine = script()
    run(engine, messages="one", context="answers")
    assert {tuple(message.role for message in request.messages) for request in engine.requests} == {("user",)}
    last = engine.requests[-1].messages[0].content
    assert (
        last.index(PROBLEM.text)
        < last.index("How many tanks are there?\n\\boxed{160}")
        < last.index("How many litres?")
    )


def test_a_second_call_in_one_message_adds_turns_to_it() -> None:
    cut = Completion(text="", reasoning="I count the tanks", finish_reason="length")
    engine = Scripted(
        [
            ("decomposition", '{"subproblems": ["How many litres?"]}'),
            ("difficulty", '{"difficulty": 0.9}'),
            ("Time is up", "\\boxed{160}"),
            ("", lambda request: cut),
        ]
    )
    run(engine, messages="one", on_limit="force")
    assert [message.role for message in engine.requests[-1].messages] == ["user", "assistant", "user"]


def modes_of(engine: Scripted, schema: str) -> set[str]:
    return {request.mode.value for request in engine.requests if request.schema and request.schema.name == schema}


def limits_of(requests: list[Request], schema: str) -> set[int | None]:
    return {request.max_tokens for request in requests if request.schema and request.schema.name == schema}


def test_decompositions_can_be_made_in_system_2_and_nothing_else_is() -> None:
    engine = script()
    run(engine, decompose_in="system2", system2_max_tokens=9000)
    assert modes_of(engine, "decomposition") == {"system2"}
    assert modes_of(engine, "difficulty") == {"system1"}
    assert limits_of(engine.requests, "decomposition") == {9000}
