"""The arithmetic teacher: what it writes is true and leads somewhere, and every strategy solves with it."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import Any

import pytest
from tests.arithmetic.test_working import assert_true

from scale_reasoning.arithmetic.chains import OPERATIONS
from scale_reasoning.arithmetic.problems import LEVELS, Chain, chain
from scale_reasoning.arithmetic.teacher import DIFFICULTY, TEACHER, Teacher
from scale_reasoning.arithmetic.working import expression
from scale_reasoning.cli import main
from scale_reasoning.datasets import load
from scale_reasoning.engines import Connection, connect, endpoints
from scale_reasoning.errors import ConfigError
from scale_reasoning.replies import NUMBER, STATEMENT, choice_schema, outline_schema
from scale_reasoning.runs.attempt import attempt
from scale_reasoning.strategies import make
from scale_reasoning.types import Completion, Delta, Message, Mode, Problem, Record, Request, Schema

TEXT = "Ben has 52 cards. Ada has 9 times as many cards as Ben. Dana has 31 fewer cards than Ada. "
TEXT += "How many cards does Dana have?"
FIRST = "Ben has 52 cards. Ada has 9 times as many cards as Ben. How many cards does Ada have?"
SECOND = "Dana has 31 fewer cards than Ada. How many cards does Dana have?"
BOXED = r"Solve it. End with its result in \boxed{}."


def asking(*said: str, mode: Mode = Mode.SYSTEM2, seed: int = 1, **more: Any) -> Request:
    """What the user said first, last and at every second place, and the assistant in between."""
    messages = tuple(Message("assistant" if at % 2 else "user", text) for at, text in enumerate(said))
    return Request(model=TEACHER, messages=messages, mode=mode, seed=seed, **more)


def reply(*said: str, **more: Any) -> Completion:
    return asyncio.run(Teacher().generate(asking(*said, **more)))


def filled(schema: Schema, *said: str, **more: Any) -> Any:
    text = reply(*said, schema=schema, mode=Mode.SYSTEM1, **more).text
    (value,) = json.loads(text).values()
    return value


def records(strategy: str, *, count: int = 20, **settings: Any) -> list[Record]:
    async def solved() -> list[Record]:
        made = make(strategy, settings)
        problems = load("arithmetic", count=count).problems
        return [await attempt(problem, made, endpoints(Teacher(), TEACHER)) for problem in problems]

    return asyncio.run(solved())


# Whole thoughts


def named(truth: Chain, text: str) -> str:
    """The text with every quantity's name replaced by its value."""
    values = dict(zip(truth.owners, (truth.links[0].turn.left, *(link.result for link in truth.links)), strict=True))
    for owner, number in values.items():
        text = re.sub(rf"\b{owner}\b", str(number), text, flags=re.IGNORECASE)
    return text


def test_whole_thoughts_state_nothing_false_in_any_theme():
    for level in LEVELS.values():
        for index in range(40):
            truth = chain(index, level=level)
            thought = reply(f"{truth.text}\n\n{BOXED}")
            assert_true(named(truth, thought.reasoning))
            assert thought.reasoning.endswith(f" = {truth.answer}")
            assert thought.text == f"{expression(truth.links[-1].turn)} = \\boxed{{{truth.answer}}}"


# The stages


def test_system_2_writes_a_step_out_and_concludes_in_a_line():
    made = reply(f"Problem: {TEXT}\n\nSub-problem 1: {FIRST}\n\n{BOXED}")
    assert made.reasoning.split("\n") == [
        "Ben = 52",
        "",
        "Ada = Ben × 9 = 52 × 9",
        "ones: 2×9=18, write 8, carry 1",
        "tens: 5×9=45, 45+1=46, write 468",
        "Ada = 468",
    ]
    assert made.text == r"52 × 9 = \boxed{468}"


def test_system_1_gives_the_result_at_once():
    made = reply(f"Problem: {TEXT}\n\nSub-problem 1: {FIRST}\n\n{BOXED}", mode=Mode.SYSTEM1)
    assert (made.reasoning, made.text) == ("", r"52 × 9 = \boxed{468}")


@pytest.mark.parametrize("carried", [r"52 × 9 = \boxed{468}", r"\boxed{468}", "(no result)"])
@pytest.mark.parametrize("asked", [SECOND, "How many cards does Dana have?"])
def test_a_later_step_works_on_the_result_before_it(carried: str, asked: str):
    first = f"Problem: {TEXT}\n\nSub-problem 1: {FIRST}\n\n{BOXED}"
    made = reply(first, carried, f"Sub-problem 2: {asked}\n\n{BOXED}", mode=Mode.SYSTEM1)
    assert made.text == r"468 - 31 = \boxed{437}"


def test_a_step_that_the_decomposition_left_out_is_made_up_for():
    made = reply(f"Problem: {TEXT}\n\nSub-problem 1: {SECOND}\n\n{BOXED}", mode=Mode.SYSTEM1)
    assert made.text == "52 × 9 = 468\n468 - 31 = \\boxed{437}"


def test_a_forced_answer_is_to_the_question_before():
    first = f"Problem: {TEXT}\n\nSub-problem 1: {FIRST}\n\n{BOXED}"
    assert r"\boxed{468}" in reply(first, "Ben = 52", r"Time is up: \boxed{}", mode=Mode.SYSTEM1).text
    assert r"\boxed{437}" in reply(f"{TEXT}\n\n{BOXED}", "Ben = 52", r"Time is up: \boxed{}", mode=Mode.SYSTEM1).text


def test_most_decompositions_are_exact_and_the_others_lack_a_step_or_turn_two_round():
    truth = chain(3, level=LEVELS["hard"])
    first, *later = (link.subproblem for link in truth.links)
    exact = (f"{truth.start} {first}", *later)
    made = Counter(
        tuple(filled(outline_schema(16), f"Problem: {truth.text}\n\nBreak it.", seed=seed)) for seed in range(200)
    )
    assert 130 < made.pop(exact) < 170
    assert all(set(flawed) <= set(exact) and len(flawed) in (len(exact), len(exact) - 1) for flawed in made)
    assert {len(flawed) for flawed in made} == {len(exact), len(exact) - 1}


def test_a_statement_is_split_at_its_question_wherever_that_stands():
    ends: list[bool] = []
    for problem in load("arithmetic", count=100).problems:
        split = json.loads(reply(problem.text, schema=STATEMENT).text)
        assert re.search(r"\?$|^Find ", split["question"])
        assert sorted(f"{split['facts']} {split['question']}".split()) == sorted(problem.text.split())
        ends.append(problem.text.endswith(split["question"]))
    assert set(ends) == {True, False}


def test_a_problem_of_one_step_has_one_decomposition():
    assert {tuple(filled(outline_schema(16), FIRST, seed=seed)) for seed in range(40)} == {(FIRST,)}


@pytest.mark.parametrize("place", [1, 2, 3])
def test_the_right_version_is_chosen_wherever_it_stands(place: int):
    versions = [[SECOND, FIRST], [FIRST]]
    versions.insert(place - 1, [FIRST, SECOND])
    listed = [
        f"Version {number}:\n" + "\n".join(f"{n}. {step}" for n, step in enumerate(version, 1))
        for number, version in enumerate(versions, 1)
    ]
    assert filled(choice_schema(3), "\n\n".join([f"Problem: {TEXT}", "Below are 3.", *listed, "Choose."])) == place


def test_difficulty_is_that_of_the_step_asked_for_with_earlier_solutions_or_titles_alone():
    titles = f"Problem: {TEXT}\n\nSub-problems before it:\n1. {FIRST}\n\nSub-problem 2: {SECOND}\n\nRate it."
    turns = (f"Problem: {TEXT}\n\nSub-problem 1: {FIRST}\n\n{BOXED}", r"\boxed{468}", f"Sub-problem 2: {SECOND}")
    assert filled(NUMBER, titles) == filled(NUMBER, *turns) == DIFFICULTY["sub3"]
    assert filled(NUMBER, f"Problem: {TEXT}\n\nSub-problem 1: {FIRST}\n\nRate it.") == DIFFICULTY["mul2"]


def test_at_the_default_threshold_every_operation_has_easy_and_hard_kinds():
    assert set(DIFFICULTY) == {f"{operation}{digits}" for operation in OPERATIONS for digits in range(1, 5)}
    for operation in OPERATIONS:
        rising = [DIFFICULTY[f"{operation}{digits}"] for digits in range(1, 5)]
        assert 0 <= rising[0] <= 0.5 < rising[-1] <= 1
        assert rising == sorted(rising)


# As an engine


def test_the_same_request_has_the_same_reply_and_pieces_that_add_up_to_it():
    deltas = list[Delta]()
    request = asking(f"{TEXT}\n\n{BOXED}")
    heard = asyncio.run(Teacher().generate(request, deltas.append))
    assert heard == asyncio.run(Teacher().generate(request))
    assert ("".join(delta.reasoning for delta in deltas), "".join(delta.text for delta in deltas)) == (
        heard.reasoning,
        heard.text,
    )
    assert heard.model == "arithmetic-teacher"


def test_words_are_counted_and_the_limit_cuts_the_reply_after_so_many():
    whole = reply(f"{TEXT}\n\n{BOXED}")
    words = [*whole.reasoning.split(), *whole.text.split()]
    assert (whole.usage.completion_tokens, whole.finish_reason) == (len(words), "stop")
    for limit in range(1, len(words)):
        cut = reply(f"{TEXT}\n\n{BOXED}", max_tokens=limit)
        assert [*cut.reasoning.split(), *cut.text.split()] == words[:limit]
        assert (cut.usage.completion_tokens, cut.finish_reason) == (limit, "length")
        assert whole.reasoning.startswith(cut.reasoning)
    assert reply(f"{TEXT}\n\n{BOXED}", max_tokens=len(words)) == whole


def test_what_it_cannot_read_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"problems of the arithmetic dataset, which this is not: 'What is 2 \+ 2\?'"):
        reply("What is 2 + 2?")
    with pytest.raises(ConfigError, match="Vera is in the sub-problem but not in the problem"):
        reply(f"Problem: {TEXT}\n\nSub-problem 1: How many cards does Vera have?")
    with pytest.raises(ConfigError, match="does not know the schema 'person'"):
        reply(TEXT, schema=Schema(name="person", body={}))
    with pytest.raises(ConfigError, match="the last message has none"):
        filled(choice_schema(2), TEXT)


# In every strategy


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        ("scale", {}),
        ("scale", {"assess_context": "titles"}),
        ("scale", {"context": "answers"}),
        ("scale", {"last_step": "question"}),
        ("scale", {"last_step": "question", "split_by": "model", "messages": "one", "prompts": "paper"}),
        ("scale", {"assess_context": "titles", "context": "answers", "last_step": "question", "last_mode": "system2"}),
        ("scale", {"on_limit": "force", "system2_max_tokens": 20}),
        ("cot", {}),
        ("cot", {"mode": "system1"}),
        ("vote", {}),
        ("inftythink", {}),
        ("inftythink", {"round_max_tokens": 60}),
    ],
)
def test_every_strategy_solves_every_problem(strategy: str, settings: dict[str, Any]):
    made = records(strategy, **settings)
    assert [record.grade and record.grade.correct for record in made] == [True] * 20
    assert {record.model for record in made} == {"arithmetic-teacher"}


def test_scale_routes_some_steps_to_each_system_and_chooses_among_versions():
    solutions = [record.solution for record in records("scale")]
    steps = [step for solution in solutions if solution for step in solution.steps]
    assert Counter(step.mode for step in steps).keys() == set(Mode)
    assert all(bool(step.reasoning) == (step.mode is Mode.SYSTEM2) for step in steps)
    assert any(len(set(solution.candidates)) > 1 for solution in solutions if solution)
    assert not any(solution.notes for solution in solutions if solution)


def test_rounds_carry_on_from_notes():
    (record,) = [
        record for record in records("inftythink", round_max_tokens=60) if record.attempt.problem_id[-2:] == "12"
    ]
    assert record.solution
    assert len(record.solution.steps) > 1
    first, second = (step.reasoning for step in record.solution.steps[:2])
    assert first.split("\n")[0] != second.split("\n")[0]


def test_its_name_alone_opens_it():
    async def solved() -> Record:
        async with connect(Connection(model="arithmetic-teacher")) as opened:
            problem = Problem(id="p", text=TEXT, answer="437")
            return await attempt(problem, make("scale", {}), opened)

    record = asyncio.run(solved())
    assert record.grade
    assert record.grade.correct


def test_scale_solve_answers_and_another_problem_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    assert main(["solve", "--model", "arithmetic-teacher", "--quiet", TEXT]) == 0
    assert capsys.readouterr().out == "437\n"
    assert main(["solve", "--model", "arithmetic-teacher", "--quiet", "What is 2 + 2?"]) == 2
    assert "only solves problems of the arithmetic dataset" in capsys.readouterr().err
