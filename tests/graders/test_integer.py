import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.errors import GradeError
from scale_reasoning.graders import grader_for
from scale_reasoning.graders.integer import Integer
from scale_reasoning.graders.symbolic import Symbolic
from scale_reasoning.types import Grade, Problem, Solution


def graded(gold: str | None, answer: str | None) -> Grade:
    problem = Problem(id="p", text="?", answer=gold)
    return asyncio.run(Integer().grade(problem, Solution(answer=answer)))


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("116", "116"),
        ("1234", "1,234"),
        ("1234", "1{,}234"),
        ("1625", r"1\,625"),
        ("25", "025"),
        ("025", "25"),
        ("33", "33.0"),
        ("116", r"\text{116}"),
        ("116", "m+n=116"),
        ("116", "m + n = 116."),
        ("116", "100m+n = 116"),
        ("116", r"116^\circ"),
        ("116", r"\$116"),
        ("116", r"so \boxed{116}"),
        ("116", "$116$"),
        ("116", r"116 \text{ cm}"),
        ("116", r"116\,\text{cm}^2"),
        ("116", "116 dollars"),
        ("116", r"\mathbf{116}"),
        ("-7", "\u22127"),
        ("70000", r"\$70,\!000"),
        ("1,234", "1234"),
        ("116", "116 = 116"),
    ],
)
def test_spellings_of_the_integer_are_correct(gold: str, answer: str):
    assert graded(gold, answer) == Grade(correct=True, grader="integer")


@pytest.mark.parametrize(
    "answer",
    [
        "73 or 74",
        "73, 74",
        r"73 \text{ or } 74",
        r"73 \text{ and } 74",
        r"\pm 73",
        r"\{73\}",
        "(73)(1)",
        "73, 73",
        r"73\%",
        "73 percent",
        "73.5",
        "73.0001",
        "72.9999999999",
        r"\approx 73",
        "about 73",
        r"73 \text{ million}",
        r"73 \text{ (mod 100)}",
        "73x",
        "73i",
        "73!",
        "73_8",
        "72+1",
        "73^1",
        r"\frac{146}{2}",
        "146/2",
        "72=73",
        "x=1,y=73",
        "x = 74 or x = 73",
        "x > 73",
        r"x \ne 73",
        r"x \approx y = 73",
        "7 3",
        "7,3",
        r"7\,3",
        "seventy-three",
        "73 \U0001d7d1",
        "٧٣",
    ],
)
def test_anything_but_one_integer_is_refused_with_a_reason(answer: str):
    grade = graded("73", answer)
    assert not grade.correct
    assert grade.reason is not None
    assert "not one integer" in grade.reason


def test_another_integer_is_plainly_wrong():
    assert graded("116", "117") == Grade(correct=False, grader="integer")
    assert graded("116", "-116") == Grade(correct=False, grader="integer")


@pytest.mark.parametrize("answer", [None, "", "  "])
def test_no_answer_is_wrong_and_says_so(answer: str | None):
    assert graded("116", answer) == Grade(correct=False, grader="integer", reason="no answer")


@pytest.mark.parametrize("gold", [None, "", "1/2", "3.5", r"\sqrt2", "116 or 117"])
def test_a_gold_answer_that_is_no_integer_is_the_benchmarks_fault(gold: str | None):
    with pytest.raises(GradeError, match=r"'p'.*not an integer"):
        graded(gold, "1")


@given(st.integers(), st.integers())
def test_two_integers_agree_only_when_equal(gold: int, answer: int):
    assert graded(str(gold), f"${answer:,}$").correct == (gold == answer)


@pytest.mark.parametrize(("gold", "kind"), [("116", Integer), ("1,234", Integer), ("1/2", Symbolic), ("x+1", Symbolic)])
def test_the_gold_answer_chooses_its_grader(gold: str, kind: type):
    assert isinstance(grader_for(gold), kind)
    assert grader_for(gold) is grader_for(gold)
