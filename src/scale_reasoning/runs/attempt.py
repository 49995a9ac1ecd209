"""One attempt: a strategy on a problem, from the first call to a record.

This is where errors are caught: a failed attempt is data, and its record says who is to blame.
"""

from __future__ import annotations

import asyncio
import hashlib

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.errors import ConfigError, GradeError, ScaleError
from scale_reasoning.events import Listener
from scale_reasoning.graders import Grader, grader_for
from scale_reasoning.journal import Journal
from scale_reasoning.lm import LM, Strategy
from scale_reasoning.runs.language import require_language
from scale_reasoning.spending import spending
from scale_reasoning.strategies import describe
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.together import Turn
from scale_reasoning.types import Attempt, Failure, Grade, Mode, Problem, Record, Solution


async def attempt(
    problem: Problem,
    strategy: Strategy,
    endpoints: Endpoints,
    *,
    sample: int = 0,
    seed: int = 0,
    grader: Grader | None = None,
    journal: Journal | None = None,
    listener: Listener | None = None,
    turn: Turn | None = None,
) -> Record:
    """Runs one attempt, and grades it if the problem has a gold answer. `turn` paces its calls (see together.py).

    Infrastructure and model errors are in the record (`failure`). Raises ConfigError, before the first call where a
    model was not trained for the problem.
    """
    require_language(endpoints, problem)
    now = asyncio.get_running_loop().time
    started = now()
    named = Attempt(problem_id=problem.id, sample=sample)
    lm = LM(endpoints, attempt=named, seed=seed, journal=journal, listener=listener, turn=turn)
    solution, failure = await _solve(problem, strategy, lm)
    grade, ungraded = await _grade(problem, solution, failure, grader)
    calls = lm.calls
    return Record(
        attempt=named,
        strategy=describe(strategy),
        model=_model(endpoints),
        solution=solution,
        grade=grade,
        calls=calls,
        usage=spending(calls),
        failure=failure or ungraded,
        seconds=now() - started,
    )


async def solve(
    problem: Problem | str, strategy: Strategy | None = None, *, endpoints: Endpoints, answer: str | None = None
) -> Record:
    """Solves a text or a Problem with a strategy (SCALE by default) and returns the record."""
    if isinstance(problem, str):
        problem = problem_of(problem, answer)
    return await attempt(problem, strategy or Scale(), endpoints)


def problem_of(text: str, answer: str | None = None) -> Problem:
    """A problem without a dataset. Its id is a digest of its text, so that the same text gets the same seeds."""
    return Problem(id=f"text-{hashlib.sha256(text.encode()).hexdigest()[:12]}", text=text, answer=answer)


async def _solve(problem: Problem, strategy: Strategy, lm: LM) -> tuple[Solution | None, Failure | None]:
    try:
        solution = await strategy.solve(problem, lm)
    except ConfigError:
        raise
    except ScaleError as error:
        message = "; ".join([str(error), *getattr(error, "__notes__", ())])
        return None, Failure(kind=error.kind, blame=error.blame, message=message, path=error.path)
    return solution, unanswered(solution)


def unanswered(solution: Solution) -> Failure | None:
    """The failure of a solution without an answer, None if it has one."""
    if solution.answer is not None:
        return None
    if solution.chains:
        return Failure(kind="unanswered", blame="model", message="no chain has a final answer, so there is no vote")
    if solution.steps and solution.steps[-1].finish_reason == "length":
        return Failure(kind="truncated", blame="model", message="the last solution was cut off by the token limit")
    return Failure(kind="unanswered", blame="model", message="the last solution has no answer")


async def _grade(
    problem: Problem, solution: Solution | None, failure: Failure | None, grader: Grader | None
) -> tuple[Grade | None, Failure | None]:
    """The grade, or why there is none. Without a gold answer, or after an infrastructure error, there is no grade. A
    model error without a solution is graded as no answer.
    """
    if problem.answer is None or (failure is not None and failure.blame == "world"):
        return None, None
    try:
        grader = grader or grader_for(problem.answer)
        return await grader.grade(problem, solution or Solution(answer=None)), None
    except GradeError as error:
        return None, Failure(kind=error.kind, blame=error.blame, message=str(error))


def _model(endpoints: Endpoints) -> str:
    """System 2's model, and System 1's if it is another."""
    names = dict.fromkeys(endpoints[mode].model for mode in (Mode.SYSTEM2, Mode.SYSTEM1) if mode in endpoints)
    return " + ".join(names)
