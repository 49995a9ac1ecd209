"""One attempt: a strategy on a problem, from the first call to a record. The attempt loop's one place to catch errors.

A bad attempt is data, not a crash: whatever the world or the model did ends in a record that says whose doing it was.
"""

from __future__ import annotations

import asyncio
import hashlib

from scale_reasoning.errors import ConfigError, GradeError, ScaleError
from scale_reasoning.graders import Grader, grader_for
from scale_reasoning.journal import Journal
from scale_reasoning.lm import LM, Endpoints, Listener, Strategy, spending
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
    """Runs one attempt and grades it when the problem has a gold answer. `turn` paces its calls (see together.py).

    World and model failures end in the record (`failure`); raises ConfigError, which is nobody's attempt.
    """
    now = asyncio.get_running_loop().time
    started = now()
    named = Attempt(problem_id=problem.id, sample=sample)
    lm = LM(endpoints, attempt=named, seed=seed, journal=journal, listener=listener, turn=turn)
    solution, failure = await _solved(problem, strategy, lm)
    grade, ungraded = await _graded(problem, solution, failure, grader)
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
    """The ten-line way: solves a text (or a Problem) with a strategy (SCALE by default) and returns the record."""
    if isinstance(problem, str):
        problem = problem_of(problem, answer)
    return await attempt(problem, strategy or Scale(), endpoints)


def problem_of(text: str, answer: str | None = None) -> Problem:
    """A problem outside any dataset; its id is a digest of its text, so that the same text gets the same seeds."""
    return Problem(id=f"text-{hashlib.sha256(text.encode()).hexdigest()[:12]}", text=text, answer=answer)


async def _solved(problem: Problem, strategy: Strategy, lm: LM) -> tuple[Solution | None, Failure | None]:
    try:
        solution = await strategy.solve(problem, lm)
    except ConfigError:
        raise
    except ScaleError as error:
        message = "; ".join([str(error), *getattr(error, "__notes__", ())])
        return None, Failure(kind=error.kind, blame=error.blame, message=message, path=error.path)
    return solution, unanswered(solution)


def unanswered(solution: Solution) -> Failure | None:
    """What is missing of a solution without an answer; None when it has one."""
    if solution.answer is not None:
        return None
    if solution.chains:
        return Failure(kind="unanswered", blame="model", message="no chain has a final answer: nobody voted")
    if solution.steps and solution.steps[-1].finish_reason == "length":
        return Failure(kind="truncated", blame="model", message="the last solution was cut off by the token limit")
    return Failure(kind="unanswered", blame="model", message=r"the last solution has no \boxed{} answer")


async def _graded(
    problem: Problem, solution: Solution | None, failure: Failure | None, grader: Grader | None
) -> tuple[Grade | None, Failure | None]:
    """No gold or a world failure: no grade. A model failure without a solution is graded as no answer."""
    if problem.answer is None or (failure is not None and failure.blame == "world"):
        return None, None
    try:
        grader = grader or grader_for(problem.answer)
        return await grader.grade(problem, solution or Solution(answer=None)), None
    except GradeError as error:
        return None, Failure(kind=error.kind, blame=error.blame, message=str(error))


def _model(endpoints: Endpoints) -> str:
    """System 2's model, and System 1's where it is another."""
    names = dict.fromkeys(endpoints[mode].model for mode in (Mode.SYSTEM2, Mode.SYSTEM1) if mode in endpoints)
    return " + ".join(names)
