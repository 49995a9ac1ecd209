"""Grades saved attempts again, votes included, without a model: with another grader or a later version's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from scale_reasoning.errors import GradeError
from scale_reasoning.graders import grader_for
from scale_reasoning.runs.attempt import unanswered
from scale_reasoning.runs.cells import read_cell
from scale_reasoning.runs.outcome import Cell, Outcome, outcome_of
from scale_reasoning.runs.store import Store, reading
from scale_reasoning.strategies.solving import Answers, read_answer
from scale_reasoning.strategies.vote import elect
from scale_reasoning.together import together
from scale_reasoning.types import JSON, Problem, Record, Solution

AT_A_TIME = 16
"""Records that are graded concurrently."""


@dataclass(slots=True, kw_only=True)
class RegradeCounts:
    """How many records were graded again, and how many grades changed; `ungraded` says why some could not be graded."""

    records: int = 0
    to_right: int = 0
    to_wrong: int = 0
    first: int = 0
    ungraded: list[str] = field(default_factory=list[str])

    @property
    def changed(self) -> int:
        """The number of grades that changed."""
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


async def regrade(store: Store, grader: str | None = None, answers: Answers | None = None) -> RegradeCounts:
    """Grades every record of a run again and stores the grades and outcomes; pending records stay as they are.

    `grader` defaults to the run's, `answers` to each record's strategy's.
    """
    found = RegradeCounts()
    async for cell, _, new in regrade_each(store, found, grader, answers):
        await store.save(cell, new)
    return found


def regrade_cells(folder: Path, answers: Answers) -> list[Cell]:
    """Every cell of a run with its outcomes as another reading of the answers has them. Stores nothing.

    Pending attempts, and those that could not be graded, stay as they are.
    """
    with reading(folder) as store:
        cells = [read_cell(store, number) for number in range(len(store.manifest.cells))]
        outcomes = asyncio.run(_collect_outcomes(store, answers))
    return [replace(cell, outcomes=tuple(outcomes.get(number, ()))) for number, cell in enumerate(cells)]


async def _collect_outcomes(store: Store, answers: Answers) -> dict[int, list[Outcome]]:
    found: dict[int, list[Outcome]] = {}
    async for cell, _, new in regrade_each(store, RegradeCounts(), answers=answers):
        found.setdefault(cell, []).append(outcome_of(new))
    return found


async def regrade_each(
    store: Store, found: RegradeCounts, grader: str | None = None, answers: Answers | None = None
) -> AsyncIterator[tuple[int, Record, Record]]:
    """(cell, record, record graded again) of every record, counted in `found`. Stores nothing."""
    name = grader or store.manifest.grader
    for cell, spec in enumerate(store.manifest.cells):
        problems = {problem.id: problem for problem in store.problems(spec.dataset.name)}
        records = list(store.records(cell))
        for start in range(0, len(records), AT_A_TIME):
            some = records[start : start + AT_A_TIME]
            graded = await together(
                _regrade(one, problems[one.attempt.problem_id], name, answers, found) for one in some
            )
            for old, new in zip(some, graded, strict=True):
                yield cell, old, new


async def _regrade(
    record: Record, problem: Problem, grader: str | None, answers: Answers | None, found: RegradeCounts
) -> Record:
    if record.solution is None and record.failure is not None and record.failure.blame == "world":
        return record
    try:
        new = await _grade(record, problem, grader, answers or answers_of(record.strategy))
    except GradeError as error:
        found.ungraded.append(f"problem {problem.id}, sample {record.attempt.sample}: {error}")
        return record
    found.count(record, new)
    return new


def with_answer_found(solution: Solution, answers: Answers = "any") -> Solution:
    """The solution with the answer found in its text again: first those of the chains, then the vote.

    What the notes say besides the vote, such as why it was stopped, stays.
    """
    if solution.chains:
        counted = elect(solution.chains, solution.tie_from).notes
        new = elect([with_answer_found(chain, answers) for chain in solution.chains], solution.tie_from)
        return replace(new, notes=(*new.notes, *(note for note in solution.notes if note not in counted)))
    if not solution.steps:
        return solution
    answer = read_answer(solution.steps[-1], answers)
    return replace(solution, answer=answer.text, form=answer.form)


def answers_of(strategy: Mapping[str, JSON]) -> Answers:
    """How a described strategy reads answers; "boxed" for one from before there was a choice."""
    for part in ("base", "first"):
        if isinstance(under := strategy.get(part), Mapping):
            return answers_of(cast("Mapping[str, JSON]", under))
    return "any" if strategy.get("answers") == "any" else "boxed"


async def _grade(record: Record, problem: Problem, name: str | None, answers: Answers) -> Record:
    solution = None if record.solution is None else with_answer_found(record.solution, answers)
    failure = record.failure if solution is None else unanswered(solution)
    if problem.answer is None:
        return replace(record, solution=solution, failure=failure)
    grader = grader_for(problem.answer, name)
    grade = await grader.grade(problem, solution or Solution(answer=None))
    return replace(record, solution=solution, failure=failure, grade=grade)
