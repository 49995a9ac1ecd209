r"""Every kind of pair in pairs.tsv: each row says whether the answer is equal to the gold answer."""

import asyncio
from pathlib import Path

import pytest

from scale_reasoning.answers import answer_class
from scale_reasoning.answers.compact import compact
from scale_reasoning.answers.notation import plain
from scale_reasoning.answers.numbers import other_variable
from scale_reasoning.answers.units import without_units
from scale_reasoning.graders import grader_for
from scale_reasoning.types import Grade, Problem, Solution

_, *ROWS = (line.split("\t") for line in Path(__file__).with_name("pairs.tsv").read_text(encoding="utf-8").splitlines())
KINDS = list(dict.fromkeys(kind for kind, *_ in ROWS))


def graded(pairs: list[tuple[str, str]]) -> list[Grade]:
    async def one(gold: str, answer: str) -> Grade:
        return await grader_for(gold).grade(Problem(id="p", text="?", answer=gold), Solution(answer=answer))

    async def every() -> list[Grade]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(*pair)) for pair in pairs]
        return [task.result() for task in tasks]

    return asyncio.run(every())


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_of_every_kind_are_graded_as_they_should_be(kind: str):
    rows = [row for row in ROWS if row[0] == kind]
    assert len(rows) > 10
    grades = graded([(gold, answer) for _, _, gold, answer in rows])
    assert [row for row, grade in zip(rows, grades, strict=True) if grade.correct != (row[1] == "yes")] == []


@pytest.mark.parametrize("form", [r"\boxed{{{}}}", "${}$", "The answer is {}."])
def test_what_stands_around_an_answer_changes_no_verdict(form: str):
    rows = [row for row in ROWS[::5] if not set("$*`=.!") & set(row[3]) and not row[3].startswith("\\[")]
    grades = graded([(gold, form.format(answer)) for _, _, gold, answer in rows])
    assert [row for row, grade in zip(rows, grades, strict=True) if grade.correct != (row[1] == "yes")] == []


def test_every_answer_is_equal_to_itself():
    answers = [text for row in ROWS for text in row[2:] if text != "$"]
    grades = graded([(text, text) for text in dict.fromkeys(answers)])
    assert all(grade.correct for grade in grades)


def test_a_class_holds_no_answers_that_the_graders_tell_apart():
    """But for the units and the variable that a class leaves out: votes are over answers to one question."""
    rows = [row for row in ROWS if row[1] == "no" and row[0] != "units"]
    unequal = [(plain(gold), plain(answer)) for _, _, gold, answer in rows]
    told = [(gold, answer) for gold, answer in unequal if answer_class(gold) == answer_class(answer)]
    assert [pair for pair in told if without_units(*pair) and not other_variable(*map(compact, pair))] == []
