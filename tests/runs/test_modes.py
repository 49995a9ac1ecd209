"""How the ten questions are asked: as SCALE asks, few at a time, and no longer than the deadline."""

from __future__ import annotations

import asyncio

import pytest

from scale_reasoning.engines import Connection, endpoints
from scale_reasoning.engines.scripted import Reply, Scripted
from scale_reasoning.engines.sim import run_virtual
from scale_reasoning.errors import Overloaded
from scale_reasoning.profiles import BRIEF, THOROUGH
from scale_reasoning.prompts import load_own
from scale_reasoning.runs.figures import Measured, count_replies
from scale_reasoning.runs.modes import DEADLINE, IN_FLIGHT, QUESTIONS, examine_modes, measure_modes
from scale_reasoning.strategies import scale
from scale_reasoning.types import Completion, Mode, Request

ANSWERS = {question.text: question for question in QUESTIONS}


def find_question(request: Request) -> str:
    return next(text for text in ANSWERS if text in request.messages[-1].content)


def solve(request: Request) -> str:
    question = ANSWERS[find_question(request)]
    if request.mode is Mode.SYSTEM2:
        return "step " * 60 + f"\\boxed{{{question.answer}}}"
    return "It is 3." if question.several else f"so it is \\boxed{{{question.answer}}}"


def rate(request: Request) -> str:
    return '{"difficulty": %s}' % (0.8 if ANSWERS[find_question(request)].several else 0.1)


def engine(answer: Reply = solve, rating: Reply = rate, seconds: float = 1.0) -> Scripted:
    return Scripted([("difficulty", rating), ("", answer)], seconds=seconds)


def measure(scripted: Scripted, model: str = "Qwen2.5-7B-Instruct") -> Measured:
    return run_virtual(measure_modes(endpoints(scripted, model)))


def test_every_question_is_asked_in_both_modes_and_rated_once() -> None:
    scripted = engine()
    heard: list[str] = []
    measured = run_virtual(measure_modes(endpoints(scripted, "Qwen2.5-7B-Instruct"), heard.append))
    assert len(scripted.requests) == 3 * len(QUESTIONS)
    figures = count_replies(measured)
    assert figures.of == (5, 5)
    assert figures.right == {Mode.SYSTEM1: (5, 0), Mode.SYSTEM2: (5, 5)}
    assert figures.tokens == {Mode.SYSTEM1: (4, 3), Mode.SYSTEM2: (61, 61)}
    assert figures.lost == {Mode.SYSTEM1: 5, Mode.SYSTEM2: 0}
    assert figures.ordered == figures.pairs == 25
    assert heard[0] == "question 1 of 10, in both modes"
    assert len(heard) == 10


def test_questions_and_ratings_are_worded_as_scale_words_them() -> None:
    scripted = engine()
    measure(scripted)
    prompts = load_own(scale.__file__)
    for request in scripted.requests:
        assert request.messages[0].content == prompts.fill("system")
        last, text = request.messages[-1].content, find_question(request)
        assert last.startswith(prompts.fill("problem", problem=text))
        if request.schema is not None:
            assert prompts.fill("subproblem", number="1", subproblem=text) in last
        assert prompts.fill("assess" if request.schema else "solve-whole") in last
        system2 = request.mode is Mode.SYSTEM2
        assert last.endswith(prompts.fill("assess") if request.schema else THOROUGH if system2 else BRIEF)
        assert request.max_tokens == (1024 if system2 else 512 if request.schema else 256)


@pytest.mark.parametrize(
    ("model", "limits"),
    [("Qwen2.5-7B-Instruct", (256, 1024)), ("Qwen3-8B", (256, 4096)), ("claude-sonnet-4.5", (256, 28672)),
     ("smollm2", (256, 512))],
)  # fmt: skip
def test_a_family_that_thinks_has_more_room_and_none_more_than_its_own(model: str, limits: tuple[int, int]) -> None:
    assert tuple(measure(engine(), model).limits[mode] for mode in Mode) == limits


def test_few_questions_are_in_flight_at_a_time() -> None:
    scripted = engine()
    assert measure(scripted).seconds == 9.0
    assert scripted.most_in_flight == IN_FLIGHT


def test_what_a_slow_model_does_not_answer_in_time_is_left_out_and_cancelled() -> None:
    scripted = engine(seconds=60)
    measured = measure(scripted)
    assert measured.seconds == DEADLINE
    assert (len(measured.asked), measured.late) == (4, 6)
    assert scripted.in_flight == 0


def test_a_question_that_fails_is_left_out_with_its_error() -> None:
    def fail(request: Request) -> Completion:
        raise Overloaded("the server is busy")

    scripted = Scripted([("difficulty", rate), ("17 \\+ 25", fail), ("", solve)])
    measured = measure(scripted)
    assert (len(measured.asked), measured.late, measured.failures) == (9, 0, ("the server is busy",))


@pytest.mark.parametrize("rating", ["easy", Completion(text='{"difficulty": 0.5}', finish_reason="length")])
def test_a_rating_that_cannot_be_read_is_none(rating: Reply) -> None:
    assert {each.difficulty for each in measure(engine(rating=rating)).asked} == {None}


def test_a_reply_may_state_its_answer_and_lacks_a_box_then() -> None:
    measured = measure(engine(lambda request: str(ANSWERS[find_question(request)].answer)))
    assert count_replies(measured).right == {Mode.SYSTEM1: (5, 5), Mode.SYSTEM2: (5, 5)}
    assert not any(reply.boxed for asked in measured.asked for reply in asked.replies.values())


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        (Connection(model="student"), "the student is trained"),
        (Connection(model="arithmetic-teacher"), "is not a model"),
    ],
)
def test_models_of_another_language_are_not_asked(connection: Connection, said: str) -> None:
    [finding] = asyncio.run(examine_modes(connection))
    assert finding.verdict == "unknown"
    assert said in finding.found


def test_the_kinds_take_turns_so_that_both_are_there_when_time_runs_out() -> None:
    assert [question.several for question in QUESTIONS] == [False, True] * 5
    assert len(ANSWERS) == len(QUESTIONS)
