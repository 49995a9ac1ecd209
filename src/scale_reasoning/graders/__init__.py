"""Who says whether an answer is right: the table of graders, and which one a gold answer asks for.

To add one: a file here with one `grade`, and a row in `GRADERS`. A grader imports what is heavy when it grades.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

from scale_reasoning.graders.integer import Integer, integer_of
from scale_reasoning.graders.symbolic import Symbolic
from scale_reasoning.types import Grade, Problem, Solution


class Grader(Protocol):
    """Compares a solution's answer with the problem's gold answer."""

    async def grade(self, problem: Problem, solution: Solution) -> Grade:
        """The verdict, in bounded time on any answer. Raises `GradeError` where the gold answer is missing or not of
        this grader's kind, never for what the answer is.
        """
        ...


GRADERS: Mapping[str, Callable[[], Grader]] = {
    "integer": Integer,
    "symbolic": Symbolic,
}


def grader_for(gold: str) -> Grader:
    """The grader that suits a gold answer, the same one each time: `integer` for an integer, else `symbolic`.

    This integer grader has arithmetic worked out by the symbolic one: `115+1` is no integer, but it equals 116.
    """
    return _symbolic() if integer_of(gold) is None else _integer()


@cache
def _symbolic() -> Symbolic:
    return Symbolic()


@cache
def _integer() -> Integer:
    return Integer(arithmetic=_symbolic())
