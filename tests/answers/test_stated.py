"""The answer that a text states in so many words."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.patience import ends_in_time

from scale_reasoning.answers import final_answer, stated_answer
from scale_reasoning.answers.stated import MAX_RESULT
from scale_reasoning.graders.symbolic import Symbolic


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # The text calls it its answer.
        ("So 3 + 4 = 7. The answer is 21.", "21"),
        ("The final answer is **21** dollars.", "21 dollars"),
        ("**Answer:** 21 dollars", "21 dollars"),
        ("Answer: 4:50 pm", "4:50 pm"),
        ("x + 1 = 4, so the answer is $x = 3$.", "3"),
        (r"The answer is \(\frac{3}{4}\).", r"\frac{3}{4}"),
        ("The answer is $21.50.", "$21.50"),
        ("Therefore, the answer is: 3 * 4 = 12 eggs.", "12 eggs"),
        ("The answer is 42. Let me check: 6 * 7 = 42.", "42"),
        ("The answer is 5, because 2 + 3 = 5.", "5"),
        ("The answer is 4. No: the answer is 6.", "6"),
        ("The work.\n#### 21", "21"),
        # A bold result in the last line.
        ("4 * 5 = 20 and one more.\n\nEach person pays **21 dollars**.", "21 dollars"),
        # The right side of an equation at the end.
        ("3 * 12 = 36 metres.", "36 metres"),
        ("= 36 metres", "36 metres"),
        ("12 + 3 = 15\n15 - 4 = 11", "11"),
        (r"\[ 3 \times 8 = 24 \]", "24"),
        ("$3 + 4 = 7$ dollars", "7 dollars"),
        ("x = 1/3 \\approx 0.33", "1/3"),
        ("3 * 3 = $9", "$9"),
        # Nothing but a result.
        ("$18", "$18"),
        ("21 dollars", "21 dollars"),
        ("-2.5", "-2.5"),
        ("4:50 pm", "4:50 pm"),
    ],
)
def test_a_statement_is_an_answer(text: str, answer: str) -> None:
    assert stated_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n ",
        "Each person pays 21 dollars.",
        "The answer is not known.",
        "The answer is isosceles.",
        "**3** boxes and **4** bags.",
        "A = 3 and B = 4",
        "So it is any $x != 5$",
        "It is $n a$, where $a = 5$",
        "$\\sum_{k=0}^{9} k$",
        "1. First\n2. Second",
        "We need 3 = 2 + 1 in order to begin, and then we have to look at the rest of all the boxes here.",
        "x = y",
        "The answer is " + "9" * (MAX_RESULT + 1),
        "What is 3 + 4?",
    ],
)
def test_anything_else_is_no_answer(text: str) -> None:
    assert stated_answer(text) is None


@given(st.text(alphabet="The answer is = 12**$\\[]().,\n", max_size=200))
def test_what_is_found_is_short_and_has_a_digit(text: str) -> None:
    found = stated_answer(text)
    if found is not None:
        assert len(found) <= MAX_RESULT
        assert any(character.isdigit() for character in found)


PIECES = ["answer ", "answer is ", "=", "= 1 ", "**1", "**", "1 ", "$", "\\", "####", "\n", "a and "]


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_is_read_in_bounded_time(piece: str) -> None:
    with ends_in_time():
        stated_answer(piece * (1_000_000 // len(piece)))


SHARED = Path(os.environ.get("SCALE_SHARED", Path(__file__).parents[2] / "../shared")) / "data"
KEPT = (("grading_cases.jsonl", "response"), ("found_grading.jsonl", "answer"))


@pytest.mark.skipif(not all((SHARED / file).is_file() for file, _ in KEPT), reason="the cases of other projects")
def test_what_is_stated_in_the_kept_and_public_cases_gets_the_grade_of_the_whole_text() -> None:
    async def grade_all() -> tuple[int, list[str]]:
        stated, wrong = 0, list[str]()
        async with Symbolic() as grader:
            for file, key in KEPT:
                for case in map(json.loads, (SHARED / file).read_text().splitlines()):
                    text = case[key]
                    if final_answer(text) or len(text.split()) < 2 or (found := stated_answer(text)) is None:
                        continue
                    stated += 1
                    if (await grader.same(case["gold"], found)).correct != case["expected"]:
                        wrong.append(case["id"])
        return stated, wrong

    stated, wrong = asyncio.run(grade_all())
    assert stated >= 20
    assert wrong == []
