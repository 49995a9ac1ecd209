"""The problem's own question, found in its text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.patience import ends_in_time

from scale_reasoning.strategies.question import question_of, split_problem


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
    with ends_in_time():
        question_of(piece * (1_000_000 // len(piece)))
        question_of(piece * (1_000_000 // len(piece)) + "x")


@pytest.mark.parametrize(
    ("problem", "facts", "question"),
    [
        ("Tom has 3 apples. He eats one. How many are left?", "Tom has 3 apples. He eats one.", "How many are left?"),
        ("A pen costs 3 dollars. What do 8 pens cost?", "A pen costs 3 dollars.", "What do 8 pens cost?"),
        (
            "Ann has 9 pens. If she sells them for 2 dollars each, how much does she get?",
            "Ann has 9 pens. She sells them for 2 dollars each.",
            "How much does she get?",
        ),
        ("Who won?\nThe red team had 3 points.", None, None),
        ("What is 6 times 7?", None, None),
        ("1 + 1", None, None),
        ("", None, None),
        (
            "A lap takes 3 minutes. How many laps does Ada run in an hour if she has to rest for 2 minutes each time?",
            None,
            None,
        ),
    ],
)  # fmt: skip
def test_facts_are_the_problem_without_its_question_unless_that_states_facts_itself(
    problem: str, facts: str | None, question: str | None
) -> None:
    split = split_problem(problem)
    assert (split and split.facts, split and split.question) == (facts, question)


@given(st.text(alphabet="If he, how? Find 12. ", max_size=200))
@settings(deadline=None)
def test_no_number_of_a_problem_is_lost_when_it_is_split(problem: str) -> None:
    split = split_problem(problem)
    if split is not None:
        assert sorted(filter(str.isdigit, split.facts + split.question)) == sorted(filter(str.isdigit, problem))
