r"""Grades by mathematical equality: `\sqrt{8}` is `2\sqrt2`, `[0,1)` is not `(0,1)`.

Decides when two answers are one, with the math-verify library as judge of expressions. Knows nothing of processes
beyond that an expression which never ends (`9^{9^{9}}`) must be judged in one that can be killed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import Any, Literal, Self

from scale_reasoning.answers import MAX_CHARS, normalise, rational
from scale_reasoning.errors import GradeError
from scale_reasoning.graders.reading import Boxes, latex, read, spoken
from scale_reasoning.graders.workers import Killed, Workers
from scale_reasoning.types import JSON, Grade, Problem, Solution

MatchType = Literal["latex", "expr"]
"""What is looked for in prose: LaTeX between delimiters, plain numbers and arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Symbolic:
    """Equality of expressions, sets, intervals, equations and matrices.

    An answer of more than `answers.MAX_CHARS` characters, or one that takes more than `timeout_seconds` to judge, is
    incorrect, with that as its reason. At most `workers` judgements run at once, each in a process of its own that
    starts when first needed. `close` (or `async with`) ends them; a grader that was closed may be used again.
    """

    timeout_seconds: float = 5.0
    workers: int = 2
    _workers: Workers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pool = Workers(f"{__name__}:judge", count=self.workers, timeout_seconds=self.timeout_seconds)
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
        with `boxes="listed"` do boxes side by side make a list. Raises `GradeError` when no worker will start.
        """
        wanted, given = read(gold, "listed"), read(spoken(response), boxes)
        if not given[0].text:
            return _wrong("no answer")
        if given[0].bare and len(given[0].text) > MAX_CHARS:
            return _wrong(f"the answer has more than {MAX_CHARS} characters")
        if _plainly_same(wanted[0].text, given[0].text):
            return Grade(correct=True, grader="symbolic")
        if _other_base(wanted[0].text, given[0].text):
            return _wrong("another number, or another base")
        case = {
            "gold": [[reading.text, reading.bare] for reading in wanted],
            "response": [[reading.text, reading.bare] for reading in given],
            "match_types": list(match_types),
            "precision": precision,
        }
        return self._grade(await self._workers.call(case))

    def _grade(self, verdict: JSON | Killed) -> Grade:
        if isinstance(verdict, Killed):
            why = f"took over {self.timeout_seconds:g} s" if verdict.timed_out else "could not bear the answer"
            return _wrong(f"grading {why}")
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


def _plainly_same(gold: str, answer: str) -> bool:
    plain = normalise(gold)
    if plain and plain == normalise(answer):
        return True
    number = None if "=" in plain else rational(gold)  # of an equation only a variable's value is a number
    return number is not None and number == rational(answer)


def _other_base(gold: str, answer: str) -> bool:
    """Whether the answer names a base (`52_8`) and is not the gold numeral: math-verify does not read the base."""
    wanted, given = (_NUMERAL.fullmatch(normalise(text)) for text in (gold, answer))
    if wanted is None or given is None or given["base"] is None:
        return False
    return (wanted["digits"], wanted["base"] or "10") != (given["digits"], given["base"])


_NUMERAL = re.compile(r"(?P<digits>[0-9]+)(?:_\{?(?P<base>[0-9]+)\}?)?")


def judge(case: JSON) -> bool | str:
    """A worker's function: the verdict, or why there is none. `Symbolic.same` makes the case; None only loads."""
    math_verify: Any = import_module("math_verify")  # it has no types
    if case is None:
        return False
    try:
        gold, answer = (_parsed(case[side], case["match_types"]) for side in ("gold", "response"))
        if not answer:
            return "no answer was found in the response"
        same = math_verify.verify(gold, answer, float_rounding=case["precision"], timeout_seconds=None)
        return same and not _far_apart(gold[0], answer[0], 10.0 ** (1 - case["precision"]))
    except Exception as error:  # noqa: BLE001 - whatever an answer breaks, it is not right
        return f"the answer cannot be compared ({type(error).__name__})"


def _parsed(readings: list[tuple[str, bool]], match_types: list[str]) -> list[Any]:
    """The first reading that parses: an expression with its text, or its text alone."""
    math_verify: Any = import_module("math_verify")
    configs = {"latex": math_verify.LatexExtractionConfig, "expr": math_verify.ExprExtractionConfig}
    texts: list[Any] = []
    for text, bare in readings:
        as_latex = bare and "latex" in match_types
        source = rf"\boxed{{{latex(text)}}}" if as_latex else text
        wanted = ["latex"] if as_latex else match_types
        parsed: list[Any] = math_verify.parse(source, [configs[kind]() for kind in wanted], parsing_timeout=None)
        if any(not isinstance(part, str) for part in parsed):
            return parsed
        texts = texts or parsed
    return texts


def _far_apart(gold: Any, answer: Any, tolerance: float) -> bool:
    """Whether two numbers differ more than rounding explains. math-verify compares decimal places, so to it all tiny
    numbers are one: 1/2004! and 1/2006!, 0.0000671 and 0.0000672.
    """
    sympy: Any = import_module("sympy")
    percent = sympy.UnevaluatedExpr  # 28% is 28 to math-verify
    if any(not isinstance(x, sympy.Expr) or not x.is_number or x.has(percent) for x in (gold, answer)):
        return False
    a, b = gold.evalf(), answer.evalf()
    return bool(a != 0 and b != 0 and abs(a - b) > tolerance * abs(a))
