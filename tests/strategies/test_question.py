"""The problem's own question, found in its text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.strategies.question import question_of


@pytest.mark.parametrize(
    ("problem", "question"),
    [
        ("What is 6 times 7?", "What is 6 times 7?"),
        ("Tom has 3 apples. He eats one. How many are left?", "How many are left?"),
        ("Let $x$ be real. Find $x^2$ if $x = 3$.", "Find $x^2$ if $x = 3$."),
        ("Compute $\\binom{8}{4}$.", "Compute $\\binom{8}{4}$."),
        ("Find the area. The circle has radius 5.", "Find the area."),
        ("A train goes 1.5 miles in 3 min. How far does it go in an hour?", "How far does it go in an hour?"),
        ("Let $P$ be a point. $P$ lies on $AB$. Determine $AP$.\n", "Determine $AP$."),
        ("How many ways are there? Express your answer as $m/n$.", "Express your answer as $m/n$."),
        ("Who won?\nThe red team had 3 points.", "Who won?"),
        ("  The sum is 5.  ", "The sum is 5."),
        ("1 + 1", "1 + 1"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_the_last_sentence_that_asks_is_the_question(problem: str, question: str) -> None:
    assert question_of(problem) == question


prose = st.text(alphabet="aA?.!$ \n\"')(]\\whatfind")


@given(st.text() | prose)
@settings(deadline=None)
def test_the_question_is_a_part_of_the_problem_whatever_it_says(problem: str) -> None:
    question = question_of(problem)
    assert question in problem
    assert question == question.strip()
    assert bool(question) == bool(problem.strip()), "a problem always has a question"


@given(st.lists(st.sampled_from(["Tom has 3.", "She won.", "(It rains.)", "$x$ is 2."])), st.text("ab ", max_size=9))
@settings(deadline=None)
def test_a_question_mark_at_the_end_settles_it(before: list[str], words: str) -> None:
    asked = f"How many {words}x?"
    assert question_of(" ".join([*before, asked])) == asked


@pytest.mark.parametrize("piece", [". ", "?", ".)", " ", ".\n", "A. ", "?$ A", "what ", '."'])
def test_a_megabyte_is_searched_at_once(piece: str) -> None:
    started = time.process_time()
    question_of(piece * (1_000_000 // len(piece)))
    question_of(piece * (1_000_000 // len(piece)) + "x")
    assert time.process_time() - started < 2
