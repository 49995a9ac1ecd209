r"""Grades by mathematical equality: `\sqrt{8}` is `2\sqrt2`, `[0,1)` is not `(0,1)`.

Decides what is asked of the judge of expressions (graders/judging) and what its silence means. Knows nothing of
processes beyond that an expression which never ends (`9^{9^{9}}`) must be judged in one that can be killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Literal, Self

from scale_reasoning.answers import MAX_CHARS
from scale_reasoning.errors import GradeError
from scale_reasoning.graders.comparing import Open, Settled, settle
from scale_reasoning.graders.judging import judge
from scale_reasoning.graders.reading import Boxes, read, spoken
from scale_reasoning.graders.workers import Killed, Workers
from scale_reasoning.types import JSON, Grade, Problem, Solution

MatchType = Literal["latex", "expr"]
"""What is looked for in prose: LaTeX between delimiters, plain numbers and arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Symbolic:
    """Equality of expressions, sets, intervals, equations and matrices.

    An answer of more than `answers.MAX_CHARS` characters, or one that takes more than `timeout_seconds` of processor
    time to judge, is incorrect, with that as its reason. How busy the machine is changes no verdict: a judgement that
    lasts `workers.WALL_FACTOR` times as long without having used that time is made again alone, and then raises
    `GradeError`.

    There are at most `workers` processes, of at most `workers.MAX_BYTES` of memory each; they start when first needed.
    `close` (or `async with`) ends them; a grader that was closed may be used again.
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
        """Compares the solution's answer to the problem's. Raises `GradeError` when the problem has none."""
        if not problem.answer:
            raise GradeError(f"problem {problem.id!r} has no gold answer to compare with")
        if solution.answer is None:
            return _wrong("no answer")
        if len(solution.answer) > MAX_CHARS:
            return _wrong(f"the answer has more than {MAX_CHARS} characters")
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

        Floats are rounded to `precision` decimal places. Of several boxes in the response the last one counts: only
        with `boxes="listed"` do boxes side by side make a list. Raises `GradeError` when no worker will start, or when
        the machine is too busy for a verdict.
        """
        wanted, given = read(gold, "listed"), read(spoken(response), boxes)
        if not given[0].text:
            return _wrong("no answer")
        if given[0].bare and len(given[0].text) > MAX_CHARS:
            return _wrong(f"the answer has more than {MAX_CHARS} characters")
        narrow = len(set(match_types)) < 2
        settled = (Open(gold=wanted, answer=given),) if narrow and not given[0].bare else settle(wanted, given)
        if isinstance(settled, Settled):
            return Grade(correct=settled.correct, grader="symbolic", reason=settled.reason)
        for pair in settled:
            grade = self._grade(await self._workers.call(_case(pair, match_types, precision)))
            if not grade.correct:
                return grade
        return Grade(correct=True, grader="symbolic")

    def _grade(self, verdict: JSON | Killed) -> Grade:
        if isinstance(verdict, Killed):
            if verdict.timed_out:
                return _wrong(f"grading took over {self.timeout_seconds:g} s")
            return _wrong("the grading process died of the answer")
        return Grade(correct=verdict is True, grader="symbolic", reason=verdict if isinstance(verdict, str) else None)

    async def close(self) -> None:
        """Ends the worker processes."""
        self._workers.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _wrong(reason: str) -> Grade:
    return Grade(correct=False, grader="symbolic", reason=reason)


def _case(pair: Open, match_types: Sequence[MatchType], precision: int) -> JSON:
    """What `judging.judge` is told."""
    return {
        "gold": [[reading.text, reading.bare] for reading in pair.gold],
        "response": [[reading.text, reading.bare] for reading in pair.answer],
        "match_types": list(match_types),
        "precision": precision,
        "relation": pair.relation,
    }
