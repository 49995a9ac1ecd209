"""Grade and vote anew over saved text, no model needed: for another grader, or after a grader was mended."""

from __future__ import annotations

from dataclasses import replace

from scale_reasoning.answers import final_answer
from scale_reasoning.graders import GRADERS, grader_for
from scale_reasoning.runs.attempt import unanswered
from scale_reasoning.runs.store import Store
from scale_reasoning.strategies.vote import elect
from scale_reasoning.types import Problem, Record, Solution


async def regrade(store: Store, grader: str | None = None) -> tuple[int, int]:
    """Every record of a run that is not owed, graded anew; (records, verdicts that changed). Raises GradeError."""
    records = changed = 0
    for number, spec in enumerate(store.manifest.cells):
        problems = {problem.id: problem for problem in store.problems(spec.dataset.name)}
        for record in list(store.records(number)):
            if record.solution is None and record.failure is not None and record.failure.blame == "world":
                continue
            again = await _graded(record, problems[record.attempt.problem_id], grader)
            records += 1
            changed += again.grade != record.grade
            await store.save(number, again)
    return records, changed


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
    grader = GRADERS[name]() if name else grader_for(problem.answer)
    grade = await grader.grade(problem, solution or Solution(answer=None))
    return replace(record, solution=solution, failure=failure, grade=grade)
