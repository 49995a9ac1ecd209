r"""Grades by mathematical equality: `\sqrt{8}` is `2\sqrt2`, `[0,1)` is not `(0,1)`.

Decides what judging.py compares, and what its result means. Expressions are judged in a process that can be killed,
because some never end (`9^{9^{9}}`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Literal, Self

from scale_reasoning.answers import MAX_CHARS
from scale_reasoning.errors import GradeError
from scale_reasoning.graders.comparing import RIGHT, Comparison, compare, wrong
from scale_reasoning.graders.judging import judge
from scale_reasoning.graders.reading import Boxes, drop_reasoning, read
from scale_reasoning.graders.workers import WorkerDeath, Workers
from scale_reasoning.types import JSON, Grade, Problem, Solution

MatchType = Literal["latex", "expr"]
"""What is searched for in prose: LaTeX between delimiters, or plain numbers and arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Symbolic:
    """Equality of expressions, sets, intervals, equations and matrices.

    An answer of more than `answers.MAX_CHARS` characters, or one that takes more than `timeout_seconds` of processor
    time, is incorrect, and the reason says so. The load of the machine changes no grade: a judgement that lasts
    `workers.WALL_FACTOR` times as long without using that time is repeated alone. If that fails too, it raises
    `GradeError`.

    There are at most `workers` processes, each with at most `workers.MAX_BYTES` of memory. They start when first
    needed. `close` (or `async with`) ends them; a closed grader can be used again.
    """

    timeout_seconds: float = 5.0
    workers: int = 2
    _workers: Workers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        function = f"{judge.__module__}:{judge.__name__}"
        pool = Workers(function, count=self.workers, timeout_seconds=self.timeout_seconds)
        object.__setattr__(self, "_workers", pool)

    def __reduce__(self) -> tuple[partial[Symbolic], tuple[()]]:
        return partial(Symbolic, timeout_seconds=self.timeout_seconds, workers=self.workers), ()

    async def grade(self, problem: Problem, solution: Solution) -> Grade:
        """Compares the solution's answer with the problem's. Raises `GradeError` when the problem has none."""
        if not problem.answer:
            raise GradeError(f"problem {problem.id!r} has no gold answer to compare with")
        if solution.answer is None:
            return wrong("no answer")
        if len(solution.answer) > MAX_CHARS:
            return wrong(f"the answer has more than {MAX_CHARS} characters")
        return await self.same(problem.answer, solution.answer)

    async def same(
        self,
        gold: str,
        response: str,
        *,
        match_types: Sequence[MatchType] = ("latex", "expr"),
        precision: int = 6,
        boxes: Boxes = "last",
    ) -> Grade:
        """Whether the response gives the gold answer. Both may be whole texts or bare expressions.

        Floats are rounded to `precision` decimal places. Of several boxes in the response the last one counts; with
        `boxes="listed"`, boxes next to each other make a list. Raises `GradeError` when no worker starts, or when the
        machine is too busy to judge.
        """
        wanted, given = read(gold, "listed"), read(drop_reasoning(response), boxes)
        if not given[0].text:
            return wrong("no answer")
        if given[0].bare and len(given[0].text) > MAX_CHARS:
            return wrong(f"the answer has more than {MAX_CHARS} characters")
        narrow = len(set(match_types)) < 2
        outcome = (Comparison(gold=wanted, answer=given),) if narrow and not given[0].bare else compare(wanted, given)
        if isinstance(outcome, Grade):
            return outcome
        for comparison in outcome:
            grade = self._grade(await self._workers.call(_make_case(comparison, match_types, precision)))
            if not grade.correct:
                return grade
        return RIGHT

    def _grade(self, result: JSON | WorkerDeath) -> Grade:
        if isinstance(result, WorkerDeath):
            if result.timed_out:
                return wrong(f"grading took over {self.timeout_seconds:g} s")
            return wrong("the answer ended the grading process")
        return Grade(correct=result is True, grader="symbolic", reason=result if isinstance(result, str) else None)

    async def close(self) -> None:
        """Ends the worker processes."""
        self._workers.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _make_case(comparison: Comparison, match_types: Sequence[MatchType], precision: int) -> JSON:
    """The argument of `judging.judge`."""
    return {
        "gold": [[reading.text, reading.bare] for reading in comparison.gold],
        "response": [[reading.text, reading.bare] for reading in comparison.answer],
        "match_types": list(match_types),
        "precision": precision,
        "relation": comparison.relation,
    }
