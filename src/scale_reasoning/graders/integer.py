r"""Grades competition answers, which are integers, exactly.

Decides which spellings are the same integer (`1{,}234`, `025`, `m+n=116`, `116^\circ`). Refuses whatever is not one
integer: sets, hedges, percentages, approximations. Does no arithmetic: unfinished sums and powers are refused too, or
handed to the symbolic grader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scale_reasoning.answers import MAX_CHARS, final_answer, normalise
from scale_reasoning.answers.compact import compact
from scale_reasoning.answers.notation import plain
from scale_reasoning.answers.numbers import other_variable, rational_of, stated_number
from scale_reasoning.answers.units import without_units
from scale_reasoning.answers.wording import read_wording
from scale_reasoning.errors import GradeError
from scale_reasoning.graders.symbolic import Symbolic
from scale_reasoning.types import Grade, Problem, Solution

_WHOLE = re.compile(r"[0-9]{1,400}")
_DIVISION = re.compile(r"/|\\frac")
_ARITHMETIC = re.compile(
    r"(?=.*(?:[-+*/^!(|]|\\))"
    r"(?:[0-9]+|[-+*/^!(){}|]|\[[0-9]\]|\\(?:frac|binom|cdot|times|div|sqrt)(?![A-Za-z]))+",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Integer:
    """Exact, not lenient: `33.5` is not 33, `73 or 74` is not right, `2^5` is not the integer 32.

    Of an equation the right side counts (`m+n=116`), unless the left is another number (`115=116`). An answer of more
    than `answers.MAX_CHARS` characters is refused unread. Unfinished arithmetic (`115+1`) is judged by `arithmetic`,
    and refused where that is None.
    """

    arithmetic: Symbolic | None = None

    async def grade(self, problem: Problem, solution: Solution) -> Grade:
        """Raises `GradeError` when the problem's answer is no integer."""
        gold = parse_integer(problem.answer or "")
        if gold is None:
            raise GradeError(f"problem {problem.id!r}: the gold answer {problem.answer!r} is not an integer")
        answer = solution.answer
        if answer is None or not answer.strip():
            return _wrong("no answer")
        if len(answer) > MAX_CHARS:
            return _wrong(f"the answer has more than {MAX_CHARS} characters")
        if _WHOLE.fullmatch(answer):
            return Grade(correct=int(answer) == gold, grader="integer")
        pair = without_units(plain(problem.answer or ""), plain(final_answer(answer) or answer))
        if pair is None:
            return _wrong(f"another unit: {answer[:100]!r}")
        wanted, text = map(compact, pair)
        if other_variable(wanted, text):
            return _wrong(f"another variable: {answer[:100]!r}")
        bare = "=" not in wanted
        if (given := _parse_stated(text, bare)) is None and (result := read_wording(pair[1]).result):
            text = compact(result)
            given = _parse_stated(text, bare)
        if given is not None:
            return Grade(correct=given == gold, grader="integer")
        return await self._grade_arithmetic(gold, text) or _wrong(f"not one integer: {answer[:100]!r}")

    async def _grade_arithmetic(self, gold: int, text: str) -> Grade | None:
        """The grade of arithmetic whose value is the gold answer; None for anything else."""
        value = text.rpartition("=")[2]
        if self.arithmetic is None or not _ARITHMETIC.fullmatch(value):
            return None
        grade = await self.arithmetic.same(str(gold), value)
        return grade if grade.correct else None


def parse_integer(answer: str) -> int | None:
    """The integer that an answer spells; None for anything else, also for arithmetic."""
    if _WHOLE.fullmatch(answer):
        return int(answer)
    text = normalise(answer)
    number = None if _DIVISION.search(text) else rational_of(text)
    return number.numerator if number is not None and number.denominator == 1 else None


def _parse_stated(text: str, gold_is_bare: bool) -> int | None:  # noqa: FBT001
    """The integer that an answer states. With a bare gold answer, the left side of an equation does not matter."""
    read = stated_number if gold_is_bare else rational_of
    number = None if _DIVISION.search(text.rpartition("=")[2]) else read(text)
    return number.numerator if number is not None and number.denominator == 1 else None


def _wrong(reason: str) -> Grade:
    return Grade(correct=False, grader="integer", reason=reason)
