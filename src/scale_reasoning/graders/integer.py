r"""Grades competition answers, which are integers, exactly.

Decides which spellings are the same integer (`1{,}234`, `025`, `m+n=116`, `116^\circ`) and refuses whatever is not
one integer: sets, hedges, percentages, approximations, sums and powers left to the reader. Does no arithmetic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scale_reasoning.answers import MAX_CHARS, rational
from scale_reasoning.errors import GradeError
from scale_reasoning.types import Grade, Problem, Solution

_ARITHMETIC = re.compile(r"/|\\[dtc]?frac")


@dataclass(frozen=True, slots=True)
class Integer:
    """Exactness over leniency: `2^5` is not 32 here, nor is `33.5` nearly 33, nor `73 or 74` half right.

    Of an equation the right-hand side counts (`m+n=116`), unless the left is another number (`115=116`). An answer of
    more than `answers.MAX_CHARS` characters is refused unread.
    """

    async def grade(self, problem: Problem, solution: Solution) -> Grade:
        """Raises `GradeError` when the problem's answer is no integer."""
        gold = integer_of(problem.answer or "")
        if gold is None:
            raise GradeError(f"problem {problem.id!r}: the gold answer {problem.answer!r} is not an integer")
        answer = solution.answer
        if answer is None or not answer.strip():
            return _wrong("no answer")
        if len(answer) > MAX_CHARS:
            return _wrong(f"the answer has more than {MAX_CHARS} characters")
        given = integer_of(answer)
        if given is None:
            return _wrong(f"not one integer: {answer[:100]!r}")
        return Grade(correct=given == gold, grader="integer")


def integer_of(answer: str) -> int | None:
    """The integer an answer spells, None when it is anything else, arithmetic that comes to one included."""
    number = None if _ARITHMETIC.search(answer) else rational(answer)
    return number.numerator if number is not None and number.denominator == 1 else None


def _wrong(reason: str) -> Grade:
    return Grade(correct=False, grader="integer", reason=reason)
