"""Who says whether an answer is right: the table of graders, and which one a gold answer asks for.

To add one: a file here with one `grade`, and a row in `GRADERS`. A grader imports what is heavy when it grades.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

from scale_reasoning.errors import ConfigError
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


def grader_for(gold: str, name: str | None = None) -> Grader:
    """The grader called `name`; without a name the shared one that fits a gold answer: `integer` or `symbolic`.

    The shared integer grader asks the symbolic one about unfinished arithmetic: `115+1` equals 116.
    """
    if name is not None:
        return GRADERS[name]()
    return _symbolic() if integer_of(gold) is None else _integer()


def check_name(name: str | None, flag: str = "grader") -> None:
    """Raises `ConfigError` for the name of no grader. None, no name, is right."""
    if name is not None and name not in GRADERS:
        raise ConfigError(f"{flag} {name}: must be one of {', '.join(GRADERS)}")


@cache
def _symbolic() -> Symbolic:
    return Symbolic()


@cache
def _integer() -> Integer:
    return Integer(arithmetic=_symbolic())
