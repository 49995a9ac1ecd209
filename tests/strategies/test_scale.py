"""SCALE's decisions, one sentence each, on a scripted model."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from scale_reasoning import (
    Completion,
    Mode,
    Problem,
    Record,
    Request,
    Scale,
    Scripted,
    Vote,
    attempt,
    endpoints,
    run_virtual,
)
from scale_reasoning.errors import ContextOverflow
from scale_reasoning.profiles import profile_for
from scale_reasoning.strategies import make
from scale_reasoning.strategies.allocators.always import Always
from scale_reasoning.strategies.allocators.chance import Random
from scale_reasoning.types import JSON, Message

PROBLEM = Problem(id="p", text="Let x be 3. Find 2x + 1.")


def outline(*subproblems: str) -> str:
    return json.dumps({"subproblems": subproblems})


def script(*more: tuple[str, Any], ratings: dict[str, float] | None = None, steps: int = 3) -> Scripted:
    rated = ratings or {}

    def rate(request: Request) -> str:
        said = request.messages[-1].content
        return json.dumps({"difficulty": next((d for name, d in rated.items() if f"named {name}?" in said), 0.5)})

    return Scripted(
        [
            *more,
            ("decomposition", lambda r: outline(*(f"the one named {n}? ({r.seed})" for n in "abcdefgh"[:steps]))),
            ("choice", '{"choice": 2}'),
            ("difficulty", rate),
            ("", "It is \\boxed{7}."),
        ],
        seconds=1.0,
    )


def run(engine: Scripted, **options: JSON) -> Record:
    return run_virtual(attempt(PROBLEM, make("scale", options), endpoints(engine, "model")))


def modes(record: Record) -> list[str]:
    assert record.solution is not None
    return [step.mode.value for step in record.solution.steps]


def test_a_difficulty_of_exactly_tau_goes_to_system_1() -> None:
    record = run(script(ratings={"a": 0.5, "b": 0.51, "c": 0.49}), tau=0.5)
    assert modes(record) == ["system1", "system2", "system1"]


@pytest.mark.parametrize(("seen", "depth"), [("solutions", 2 + 2 * 3), ("titles", 3 + 3)])
def test_the_calls_behind_one_another_are_as_few_as_the_method_allows(seen: str, depth: int) -> None:
    record = run(script(), assess={"name": "rated", "context": seen})
    assert record.seconds == depth
    assert len(record.calls) == 8 + 1 + 2 * 3


def test_the_choice_is_not_asked_for_when_one_distinct_candidate_is_left() -> None:
    record = run(script(("decomposition", outline("the one named a?"))))
    assert record.solution is not None
    assert len(record.solution.candidates) == 8
    assert "select" not in [call.path for call in record.calls]


def test_a_choice_names_the_distinct_candidate_and_selected_is_its_index_among_all() -> None:
    def draft(request: Request) -> str:
        return outline("the one named a?") if request.seed % 2 else outline("the one named b?")

    record = run(script(("decomposition", draft)))
    assert record.solution is not None
    candidates, selected = record.solution.candidates, record.solution.selected
    assert selected is not None
    assert candidates[selected] != candidates[0]
    assert candidates.index(candidates[selected]) == selected


def test_malformed_candidates_are_dropped_and_counted() -> None:
    record = run(script(("decomposition", lambda r: "no" if r.seed % 2 else outline(f"the one named a? {r.seed}"))))
    assert record.solution is not None
    dropped = 8 - len(record.solution.candidates)
    assert 0 < dropped < 8
    assert f"{dropped} of 8 decompositions could not be read and were dropped" in record.solution.notes


def test_when_no_decomposition_can_be_read_the_problem_is_solved_whole_in_system_2() -> None:
    record = run(script(("decomposition", "no")), route="system1")
    assert record.solution is not None
    assert (modes(record), record.solution.steps[0].subproblem) == (["system2"], PROBLEM.text)
    assert len(record.calls) == 3 * 8 + 1


def test_a_difficulty_that_cannot_be_read_counts_as_1_and_is_noted() -> None:
    record = run(script(("difficulty", "hard to say")), tau=0.99)
    assert record.solution is not None
    assert [step.difficulty for step in record.solution.steps] == [1.0] * 3
    assert modes(record) == ["system2"] * 3
    assert sum("no difficulty could be read" in note for note in record.solution.notes) == 3


@pytest.mark.parametrize("route", ["system1", "system2", "random"])
def test_the_controls_assess_nothing(route: str) -> None:
    record = run(script(), route=route)
    assert record.solution is not None
    assert [step.difficulty for step in record.solution.steps] == [None] * 3
    assert not [call for call in record.calls if call.stage == "assess"]
    if route != "random":
        assert modes(record) == [route] * 3


def test_random_routing_gives_system_2_its_share_and_follows_the_seed() -> None:
    hard = total = 0
    for number in range(60):
        problem = Problem(id=f"p{number}", text="?")
        options = Scale(route=Random(share=0.7), candidates=1)
        first, again = (run_virtual(attempt(problem, options, endpoints(script(steps=8), "model"))) for _ in range(2))
        assert modes(first) == modes(again)
        hard, total = hard + modes(first).count("system2"), total + 8
    assert 0.6 < hard / total < 0.8


def test_the_last_step_may_be_the_problems_own_question_and_always_think() -> None:
    engine = script(ratings={"a": 0.1, "b": 0.1})
    record = run(engine, last_step="question", route="last-thinks", tau=0.9)
    assert record.solution is not None
    assert record.solution.steps[-1].subproblem == "Find 2x + 1."
    assert modes(record) == ["system1", "system1", "system2"]
    assert len(record.calls) == 8 + 1 + 2 * 3 - 1


def test_later_steps_see_earlier_solutions_or_their_answers_but_never_their_reasoning() -> None:
    long = Completion(text="A long way to \\boxed{7}.", reasoning="SECRET THOUGHT", finish_reason="stop")
    for context, seen in (("solutions", "A long way to \\boxed{7}."), ("answers", "\\boxed{7}")):
        engine = script(("Answer this", long))
        run(engine, context=context)
        last = engine.requests[-1].messages
        assert [message.content for message in last if message.role == "assistant"] == [seen, seen]
        assert "SECRET" not in str(engine.requests)


def solving(model: str) -> list[tuple[Message, ...]]:
    """What the model was sent to solve each step."""
    engine = script()
    run_virtual(attempt(PROBLEM, Scale(), endpoints(engine, model)))
    return [request.messages for request in engine.requests if request.schema is None]


@pytest.mark.parametrize("model", ["Qwen/Qwen3-32B", "model", "smollm2", "gpt-oss-20b"])
def test_each_steps_prompt_extends_the_one_before(model: str) -> None:
    prompts = solving(model)
    assert [len(prompt) for prompt in prompts] == [2, 4, 6]
    for earlier, later in pairwise(prompts):
        assert later[: len(earlier)] == earlier


def test_the_sentence_of_a_family_stands_in_every_request_for_a_solution_and_in_no_other() -> None:
    profile = profile_for("model").mode(Mode.SYSTEM1)
    assert profile is not None
    assert profile.sentence
    engine = script()
    run_virtual(attempt(PROBLEM, Scale(route=Always(mode=Mode.SYSTEM1)), endpoints(engine, "model")))
    for request in engine.requests:
        asked = [message.content.endswith(profile.sentence) for message in request.messages if message.role == "user"]
        assert asked == [request.schema is None] * len(asked)


def test_a_prompt_that_does_not_fit_goes_on_with_answers_only() -> None:
    def solve(request: Request) -> str:
        if sum(len(message.content) for message in request.messages) > 3000:
            raise ContextOverflow("too long")
        return "x" * 2000 + "\\boxed{7}"

    engine = script(("Answer this", solve), ("difficulty", '{"difficulty": 0.5}'))
    record = run(engine)
    assert record.failure is None
    assert record.solution is not None
    assert record.solution.notes == ("step3: earlier solutions did not fit the window: from here their answers only",)


def test_a_prompt_that_does_not_fit_even_so_fails_labelled_as_the_models_doing() -> None:
    record = run(script(("Answer this", ContextOverflow("too long", 5000, 4096))))
    assert record.failure is not None
    assert (record.failure.kind, record.failure.blame, record.failure.path) == (
        "context_overflow",
        "model",
        "step1/solve",
    )


def test_the_answer_is_the_last_solutions_and_a_boxed_thought_is_no_answer() -> None:
    thought = Completion(text="I am not sure.", reasoning="It is \\boxed{7}.", finish_reason="stop")
    record = run(script(("Give only", "I cannot say."), ("Answer this last", thought)))
    assert record.solution is not None
    assert record.solution.answer is None
    assert record.failure is not None
    assert record.failure.kind == "unanswered"


def test_limits_of_each_mode_reach_the_request() -> None:
    engine = script(ratings={"a": 0.1, "b": 0.9})
    run(engine, system1_max_tokens=11, system2_max_tokens=22)
    limits = {r.mode: r.max_tokens for r in engine.requests if r.schema is None}
    assert limits == {Mode.SYSTEM1: 11, Mode.SYSTEM2: 22}


def test_a_reply_whose_json_was_repaired_is_noted_by_its_place_in_the_order_of_the_calls() -> None:
    def draft(request: Request) -> str:
        text = outline(f"the one named a? {request.seed}")
        return text[:-2] + ",]}" if request.seed % 2 else text

    record = run(
        script(("decomposition", draft), ("choice", "{'choice': 1}"), ("difficulty", '{"difficulty": .5}')),
        candidates=12,
    )
    assert record.solution is not None
    odd = [f"{call.path}: JSON repaired (trailing comma)" for call in record.calls[:12] if call.seed % 2]
    assert 0 < len(odd) < 12
    assert record.solution.notes == (
        *odd,
        "select: JSON repaired (single quotes)",
        "step1/assess: JSON repaired (number without its 0)",
    )
    assert len(record.solution.candidates) == 12


def test_voting_names_a_repaired_reply_by_its_chain() -> None:
    engine = script(("choice", '{"choice": 2,}'))
    record = run_virtual(attempt(PROBLEM, Vote(base=Scale(), samples=2), endpoints(engine, "model")))
    assert record.solution is not None
    assert record.solution.notes == tuple(f"chain{n}: select: JSON repaired (trailing comma)" for n in (1, 2))


# What small models need


def contents(engine: Scripted, schema: str | None) -> list[str]:
    """The last messages of the requests with this schema."""
    name = [request.schema.name if request.schema else None for request in engine.requests]
    return [r.messages[-1].content for r, named in zip(engine.requests, name, strict=True) if named == schema]


def test_steps_may_see_the_facts_without_the_question_which_is_the_last_step() -> None:
    engine = script()
    record = run(engine, candidates=1, steps_see="facts")
    assert record.solution is not None
    assert [step.subproblem for step in record.solution.steps][-1] == "Find 2x + 1."
    assert contents(engine, "decomposition")[0].startswith("Facts: Let x be 3.\n\nThe question: Find 2x + 1.\n\n")
    for request in engine.requests:
        if request.schema is None or request.schema.name == "difficulty":
            first = next(message.content for message in request.messages if message.role == "user")
            assert first.startswith("Facts: Let x be 3.\n\nQuestion 1: ")
    assert not any("2x + 1" in text for text in contents(engine, None)[:-1])


def test_a_problem_that_cannot_be_split_is_shown_whole() -> None:
    engine = script()
    problem = Problem(id="p", text="What is 6 times 7?")
    run_virtual(attempt(problem, Scale(candidates=1, steps_see="facts"), endpoints(engine, "model")))
    assert all("Problem: What is 6 times 7?" in request.messages[1].content for request in engine.requests)


@pytest.mark.parametrize(("model", "candidates", "seen"), [("qwen2.5-coder-1.5b", 1, "Facts"), ("model", 8, "Problem")])
def test_a_family_may_say_how_many_candidates_are_worth_it_and_what_steps_see(
    model: str, candidates: int, seen: str
) -> None:
    engine = script()
    record = run_virtual(attempt(PROBLEM, Scale(), endpoints(engine, model)))
    assert record.solution is not None
    assert len(record.solution.candidates) == candidates
    assert all(request.messages[1].content.startswith(f"{seen}: ") for request in engine.requests)


def test_options_go_before_what_the_family_says() -> None:
    engine = script()
    options = Scale(candidates=3, steps_see="problem")
    record = run_virtual(attempt(PROBLEM, options, endpoints(engine, "qwen2.5-coder-1.5b")))
    assert record.solution is not None
    assert len(record.solution.candidates) == 3
    assert engine.requests[0].messages[1].content.startswith("Problem: ")


def test_the_undivided_problem_may_be_a_candidate_and_is_solved_whole_in_the_mode_of_its_difficulty() -> None:
    engine = script(("choice", '{"choice": 2}'), ("difficulty", '{"difficulty": 0.9}'))
    record = run(engine, candidates=1, whole="candidate")
    assert record.solution is not None
    assert record.solution.candidates[-1] == (PROBLEM.text,)
    assert record.solution.selected == 1
    assert modes(record) == ["system2"]
    assert contents(engine, None)[0].startswith(f"Problem: {PROBLEM.text}\n\nSolve this problem.")


def test_a_question_that_is_repeated_is_kept_once_and_the_last_one_stays_last() -> None:
    engine = script(("decomposition", outline("What is a?", "What is b?", "What is a?")))
    record = run(engine, candidates=1)
    assert record.solution is not None
    assert record.solution.candidates == (("What is b?", "What is a?"),)
