"""What holds for every grader in the table."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.patience import ends_in_time
from tests.speed import limit_examples

from scale_reasoning.graders import GRADERS, Grader
from scale_reasoning.graders.symbolic import Symbolic
from scale_reasoning.types import Grade, Problem, Solution

GOLDS = {"integer": ("116", "-7", "0", "1234"), "symbolic": ("116", r"\frac{1}{2}", r"2\sqrt{3}", "(1, 2)", "x+1")}
REFORMATTED = ("{}", " {} ", "${}$", r"\boxed{{{}}}", r"\left. {} \right.", "{}.", r"\({}\)", r"\displaystyle {}")


@pytest.fixture(params=GRADERS, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def grader(name: str) -> Iterator[Grader]:
    grader = GRADERS[name]()
    yield grader
    if isinstance(grader, Symbolic):
        asyncio.run(grader.close())


def graded(grader: Grader, gold: str, answer: str | None) -> Grade:
    return asyncio.run(grader.grade(Problem(id="p", text="?", answer=gold), Solution(answer=answer)))


def test_every_grader_has_gold_answers_to_be_tried_on():
    assert GOLDS.keys() == GRADERS.keys()


def test_the_gold_answer_is_correct(name: str, grader: Grader):
    for gold in GOLDS[name]:
        assert graded(grader, gold, gold) == Grade(correct=True, grader=name)


def test_no_answer_is_wrong_with_a_reason(name: str, grader: Grader):
    for gold in GOLDS[name]:
        for answer in (None, "", " \n"):
            grade = graded(grader, gold, answer)
            assert not grade.correct
            assert grade.reason == "no answer"


def test_reformatting_does_not_change_the_verdict(name: str, grader: Grader):
    golds = GOLDS[name]
    for gold, answer in [(gold, answer) for gold in golds for answer in golds]:
        verdicts = {graded(grader, gold, form.format(answer)).correct for form in REFORMATTED}
        assert verdicts == {gold == answer}, (gold, answer)


@pytest.mark.hypothesis
def test_no_text_is_an_error(name: str, grader: Grader):
    @settings(max_examples=limit_examples(60), deadline=None)
    @given(st.text() | st.text(alphabet="\\{}$frac,.123 =^_()sqrtbox%+-*/"))
    def check(answer: str):
        assert isinstance(graded(grader, GOLDS[name][0], answer), Grade)

    check()


LONG = {
    "digits": "1" * 1_000_000,
    "braces": "{" * 1_000_000,
    "letters": "a" * 1_000_000,
    "boxes": r"\boxed{" * 200_000,
    "fractions": r"\frac" * 300,
}
ENDLESS = {"tower": "9^{9^{9}}", "parentheses": "(" * 1_900}
"""What symbolic grading gives up after its seconds."""


@pytest.mark.parametrize(
    "answer",
    [
        *(pytest.param(answer, id=name) for name, answer in LONG.items()),
        *(pytest.param(answer, id=name, marks=pytest.mark.slow) for name, answer in ENDLESS.items()),
    ],
)
def test_any_answer_is_graded_in_bounded_time(grader: Grader, name: str, answer: str):
    with ends_in_time(time.monotonic):
        assert not graded(grader, GOLDS[name][0], answer).correct
