"""What a step's right result is: System 2's result, the value in a chain of arithmetic, or a file written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

import msgspec

from scale_reasoning.arithmetic.problems import Truth as ChainTruth
from scale_reasoning.arithmetic.problems import chain_of
from scale_reasoning.arithmetic.reading import find_question_owner, truth_in
from scale_reasoning.errors import ConfigError, GradeError
from scale_reasoning.files import read_bounded, why
from scale_reasoning.graders import grader_for
from scale_reasoning.together import together
from scale_reasoning.types import Problem, Solution

SYSTEM2, GOLD = "system2", "gold"
MOST_BYTES = 64 << 20
AT_A_TIME = 16


class Truth(Protocol):
    """Right results of sub-problems."""

    def find(self, problem: Problem, subproblem: str) -> str | None:
        """The right result; None if it is not known."""
        ...


class Chains:
    """The values in chains of arithmetic: those of the dataset `arithmetic`, and others in its words."""

    def find(self, problem: Problem, subproblem: str) -> str | None:
        """See Truth. The value of the quantity that the sub-problem asks for."""
        chain = _read_chain(problem.id, problem.text)
        if chain is None:
            return None
        for link in chain.links:
            if subproblem.strip() in (link.subproblem, link.question):
                return str(link.result)
        owner = find_question_owner(subproblem)
        values = [chain.links[0].turn.left, *(link.result for link in chain.links)]
        return next((str(value) for name, value in zip(chain.owners, values, strict=True) if name == owner), None)


@cache
def _read_chain(problem_id: str, text: str) -> ChainTruth | None:
    try:
        chain = chain_of(problem_id)
    except ConfigError:
        return truth_in(text)
    return chain if chain.text == text else truth_in(text)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a file of right results."""

    problem: str
    subproblem: str
    answer: str


class Listed:
    """Right results from a file."""

    def __init__(self, lines: Collection[Written]) -> None:
        self._answers = {(line.problem, line.subproblem.strip()): line.answer for line in lines}

    def find(self, problem: Problem, subproblem: str) -> str | None:
        """See Truth."""
        return self._answers.get((problem.id, subproblem.strip()))


def read_truth(name: str) -> Truth | None:
    """The truth called so, or that in the file of this name; None for System 2's results. Raises ConfigError."""
    if name == SYSTEM2:
        return None
    if name == GOLD:
        return Chains()
    try:
        lines = read_bounded(Path(name), MOST_BYTES).splitlines()
    except OSError as error:
        raise ConfigError(f"--truth {name}: must be system2, gold or a file ({why(error)})") from error
    written: list[Written] = []
    for number, line in enumerate(lines, 1):
        try:
            written += [msgspec.json.decode(line, type=Written)] if line.strip() else []
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}, line {number}: must have problem, subproblem and answer ({error})") from error
    return Listed(written)


def grade_all(pairs: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], bool]:
    """Whether each answer equals its right result, by (right result, answer), as the graders see it."""
    return asyncio.run(_grade_all(list(dict.fromkeys(pairs))))


async def _grade_all(pairs: list[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    found: dict[tuple[str, str], bool] = {}
    for start in range(0, len(pairs), AT_A_TIME):
        some = pairs[start : start + AT_A_TIME]
        found |= zip(some, await together(_grade(*pair) for pair in some), strict=True)
    return found


async def _grade(right: str, answer: str) -> bool:
    try:
        grade = await grader_for(right).grade(Problem(id="step", text="", answer=right), Solution(answer=answer))
    except GradeError as error:
        raise ConfigError(f"--truth: the right result {right!r} cannot be compared ({error})") from error
    return grade.correct
