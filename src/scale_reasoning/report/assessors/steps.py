"""From a run's records to steps with difficulties: which draft is System 1's, and whether it fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scale_reasoning.answers import answer_class
from scale_reasoning.report.assessors.resampling import AssessedStep
from scale_reasoning.report.assessors.truths import Truth, grade_all
from scale_reasoning.runs.regrade import answers_of
from scale_reasoning.runs.store import Store
from scale_reasoning.strategies.solving import Answers, read_answer
from scale_reasoning.types import Assessment, Mode, Problem, Step


@dataclass(slots=True, kw_only=True)
class CellSteps:
    """The steps of a cell. assessors: those with difficulties, by assessor, in order. system2: for each solution of
    System 2, the problem and whether it is wrong; None where System 2 is the truth. left_out: how many steps are not
    compared, by reason. pending: attempts that have no record yet.
    """

    assessors: dict[str, list[AssessedStep]] = field(default_factory=dict[str, list[AssessedStep]])
    system2: list[tuple[str, bool]] | None = None
    left_out: Counter[str] = field(default_factory=Counter[str])
    pending: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A step with its drafts' results, its own result, and the right one."""

    problem_id: str
    step: Step
    drafts: Sequence[str | None]
    result: str | None
    right: str


def read_steps(store: Store, cell: int, truth: Truth | None) -> CellSteps:
    """The steps of a cell that have drafts and assessments. `truth` None: System 2's result is the right one."""
    found = CellSteps(system2=None if truth is None else [])
    seen = list(_list_seen(store, cell, truth, found))
    answers = [(each.right, answer) for each in seen for answer in (*each.drafts, each.result) if answer is not None]
    graded = grade_all(answers if truth is not None else ())

    def is_wrong(right: str, answer: str | None) -> bool:
        if answer is None:
            return True
        return not graded[right, answer] if truth is not None else answer_class(answer) != answer_class(right)

    for each in seen:
        for assessment in each.step.assessments:
            wrong = is_wrong(each.right, choose_draft(assessment, each.drafts))
            found.assessors.setdefault(assessment.assessor, []).append(_rate(each.problem_id, assessment, wrong))
        if found.system2 is not None and each.step.mode is Mode.SYSTEM2:
            found.system2.append((each.problem_id, is_wrong(each.right, each.result)))
    return found


def _rate(problem_id: str, assessment: Assessment, wrong: bool) -> AssessedStep:  # noqa: FBT001
    return AssessedStep(
        problem_id=problem_id,
        difficulty=assessment.difficulty,
        fails=wrong,
        calls=assessment.calls,
        tokens=assessment.tokens,
        fallback=assessment.fallback,
    )


def _list_seen(store: Store, cell: int, truth: Truth | None, found: CellSteps) -> Iterator[_Seen]:
    spec = store.manifest.cells[cell]
    problems = {problem.id: problem for problem in store.problems(spec.dataset.name)}
    answers = answers_of(spec.strategy)
    found.pending = store.planned_of(cell)
    for record in store.records(cell):
        if record.failure is not None and record.failure.blame == "world":
            continue
        found.pending -= 1
        for step in record.solution.steps if record.solution else ():
            seen = _see(problems[record.attempt.problem_id], step, truth, answers)
            if isinstance(seen, _Seen):
                yield seen
            else:
                found.left_out[seen] += 1


def _see(problem: Problem, step: Step, truth: Truth | None, answers: Answers) -> _Seen | str:
    """The step, or why it is left out."""
    drafts, result = list_drafts(step, answers), read_answer(step, answers).text
    if not drafts or not step.assessments:
        return "they have no drafts or no assessments"
    if truth is None and step.mode is not Mode.SYSTEM2:
        return "System 2 did not solve them"
    right = result if truth is None else truth.find(problem, step.subproblem)
    if right is None:
        return "System 2 has no result" if truth is None else "their right result is not known"
    return _Seen(problem_id=problem.id, step=step, drafts=drafts, result=result, right=right)


def list_drafts(step: Step, answers: Answers) -> list[str | None]:
    """The results of a step's System 1 drafts, in the order of their numbers; the solution's too, if it is a draft."""
    drafts = [trial.answer for trial in step.trials if trial.mode is Mode.SYSTEM1]
    if step.draft is not None:
        drafts.insert(step.draft - 1, read_answer(step, answers).text)
    return drafts


def choose_draft(assessment: Assessment, drafts: Sequence[str | None]) -> str | None:
    """The result of the draft that System 1 would have used: the first one, and for `agreement` the first one of the
    largest class of equal results.
    """
    if assessment.assessor.split()[-1] != "agreement":
        return drafts[0]
    classes = [answer_class(answer) for answer in drafts if answer is not None]
    if not classes:
        return None
    largest = Counter(classes).most_common(1)[0][0]  # of equal ones the first
    return next(answer for answer in drafts if answer is not None and answer_class(answer) == largest)
