"""The table of graders, and the grader that fits a gold answer.

To add a grader, write a file here with one `grade`, and add a row to `GRADERS`. A grader imports a heavy library only
when it grades.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

from scale_reasoning.errors import ConfigError
from scale_reasoning.graders.integer import Integer, parse_integer
from scale_reasoning.graders.symbolic import Symbolic
from scale_reasoning.types import Grade, Problem, Solution


class Grader(Protocol):
    """Compares a solution's answer with the problem's gold answer."""

    async def grade(self, problem: Problem, solution: Solution) -> Grade:
        """The grade, in bounded time for any answer. Raises `GradeError` where the gold answer is missing or not of
        this grader's kind; never because of the answer.
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
    return _symbolic() if parse_integer(gold) is None else _integer()


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
