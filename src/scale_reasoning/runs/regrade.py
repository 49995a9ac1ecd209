"""Grade and vote anew over saved text, no model needed: for another grader, or with the graders of a later version."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from scale_reasoning.answers import final_answer
from scale_reasoning.errors import GradeError
from scale_reasoning.graders import grader_for
from scale_reasoning.runs.attempt import unanswered
from scale_reasoning.runs.store import Store
from scale_reasoning.strategies.vote import elect
from scale_reasoning.together import together
from scale_reasoning.types import Problem, Record, Solution

AT_A_TIME = 16
"""Records that are graded at once."""


@dataclass(slots=True, kw_only=True)
class Regraded:
    """How many records were graded anew, and what became of their verdicts; `ungraded` says why some have none now."""

    records: int = 0
    to_right: int = 0
    to_wrong: int = 0
    first: int = 0
    ungraded: list[str] = field(default_factory=list[str])

    @property
    def changed(self) -> int:
        """Verdicts that are not what they were."""
        return self.to_right + self.to_wrong + self.first

    def count(self, old: Record, new: Record) -> None:
        """Counts one record."""
        self.records += 1
        was, now = (None if each.grade is None else each.grade.correct for each in (old, new))
        if was is None and now is not None:
            self.first += 1
        elif was is not now:
            self.to_right += now is True
            self.to_wrong += now is False


async def regrade(store: Store, grader: str | None = None) -> Regraded:
    """Grades every record of a run anew and keeps the verdicts; a record that is pending stays as it is.

    `grader` is the run's own where none is named. What is kept of an attempt at hand is derived anew for all records.
    """
    found = Regraded()
    async for cell, _, new in judged(store, found, grader):
        await store.save(cell, new)
    return found


async def judged(store: Store, found: Regraded, grader: str | None = None) -> AsyncIterator[tuple[int, Record, Record]]:
    """Cell, record as it is, and as it would be, of every record; counted in `found`. Keeps nothing."""
    name = grader or store.manifest.grader
    for cell, spec in enumerate(store.manifest.cells):
        problems = {problem.id: problem for problem in store.problems(spec.dataset.name)}
        records = list(store.records(cell))
        for start in range(0, len(records), AT_A_TIME):
            some = records[start : start + AT_A_TIME]
            graded = await together(_judged(one, problems[one.attempt.problem_id], name, found) for one in some)
            for old, new in zip(some, graded, strict=True):
                yield cell, old, new


async def _judged(record: Record, problem: Problem, grader: str | None, found: Regraded) -> Record:
    if record.solution is None and record.failure is not None and record.failure.blame == "world":
        return record
    try:
        new = await _graded(record, problem, grader)
    except GradeError as error:
        found.ungraded.append(f"problem {problem.id}, sample {record.attempt.sample}: {error}")
        return record
    found.count(record, new)
    return new


def answered(solution: Solution) -> Solution:
    """The solution with its answer found anew in its text: chains first, then the vote over them."""
    if solution.chains:
        return elect([answered(chain) for chain in solution.chains])
    if not solution.steps:
        return solution
    return replace(solution, answer=final_answer(solution.steps[-1].text))


async def _graded(record: Record, problem: Problem, name: str | None) -> Record:
    solution = None if record.solution is None else answered(record.solution)
    failure = record.failure if solution is None else unanswered(solution)
    if problem.answer is None:
        return replace(record, solution=solution, failure=failure)
    grader = grader_for(problem.answer, name)
    grade = await grader.grade(problem, solution or Solution(answer=None))
    return replace(record, solution=solution, failure=failure, grade=grade)
