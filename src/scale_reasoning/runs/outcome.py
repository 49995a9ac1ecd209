"""An attempt in numbers: small, flat, enough for every metric. The record has everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from scale_reasoning.answers import answer_class
from scale_reasoning.types import JSON, BudgetBy, Form, Mode, Record, Solution, Usage


class Outcome(msgspec.Struct, frozen=True, kw_only=True, rename={"pending": "owed"}):
    """One attempt in numbers. `pending` is stored under the key `owed`, as it was first called.

    pending: an infrastructure error ended it; never scored. correct: None when pending or without a gold answer, else
    False for every model failure. iterations: sub-problems, rounds or 1 for a single chain, summed over voting chains.
    hard: iterations in System 2. answers: the class of each voting chain's answer (one entry where there is no
    voting), None for none; forms: where each was read, empty in outcomes from before there were forms. budget_by: what
    enforced thinking budgets, each once; empty where there was none.
    """

    problem_id: str
    sample: int
    pending: bool
    correct: bool | None
    failure: str | None
    answer: str | None
    answers: tuple[str | None, ...]
    iterations: int
    hard: int
    truncated: bool
    unparsed: bool
    difficulties: tuple[float | None, ...]
    calls: int
    usage: Usage
    by_stage: Mapping[str, Usage]
    by_mode: Mapping[str, Usage]
    seconds: float
    model_seconds: float
    forms: tuple[Form | None, ...] = ()
    budget_by: tuple[BudgetBy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The outcomes of one strategy on one dataset with one model.

    `name` and `created` are those of the run. `elsewhere` attempts belong to other shards, or a tuning does not need
    them. `models` are the models of both modes; empty: `model` is that of both.
    """

    run: str
    dataset: str
    model: str
    strategy: Mapping[str, JSON]
    problems: int
    samples: int
    outcomes: tuple[Outcome, ...]
    elsewhere: int = 0
    models: Mapping[Mode, str] = field(default_factory=dict[Mode, str])
    name: str | None = None
    created: str | None = None

    @property
    def planned(self) -> int:
        """The number of attempts: problems x samples, without those that are made elsewhere or not needed."""
        return self.problems * self.samples - self.elsewhere

    @property
    def budget_by(self) -> str:
        """What enforced the thinking budgets of its attempts; empty where there was none."""
        return " and ".join(sorted({each for outcome in self.outcomes for each in outcome.budget_by}))


def outcome_of(record: Record) -> Outcome:
    """The outcome of a record."""
    solution, failure = record.solution, record.failure
    chains = _chains(solution)
    steps = [step for chain in chains for step in chain.steps]
    return Outcome(
        problem_id=record.attempt.problem_id,
        sample=record.attempt.sample,
        pending=failure is not None and failure.blame == "world",
        correct=None if record.grade is None else record.grade.correct,
        failure=None if failure is None else failure.kind,
        answer=None if solution is None else solution.answer,
        answers=tuple(None if chain.answer is None else answer_class(chain.answer) for chain in chains) or (None,),
        iterations=len(steps),
        hard=sum(step.mode is Mode.SYSTEM2 for step in steps),
        truncated=any(step.finish_reason == "length" for step in steps),
        unparsed=_unparsed(record),
        difficulties=tuple(step.difficulty for step in steps),
        calls=len(record.calls),
        usage=record.usage.total,
        by_stage=record.usage.by_stage,
        by_mode=record.usage.by_mode,
        seconds=record.seconds,
        model_seconds=sum(call.seconds for call in record.calls),
        forms=tuple(chain.form for chain in chains) or (None,),
        budget_by=tuple(sorted({step.budget_by for step in steps if step.budget_by})),
    )


def _unparsed(record: Record) -> bool:
    solution, failure = record.solution, record.failure
    if solution is None:
        return failure is not None and failure.kind == "parse"
    # Older records, from before the field existed, only have it in their notes.
    return any("be read" in note for note in solution.notes) if solution.unparsed is None else solution.unparsed


def _chains(solution: Solution | None) -> tuple[Solution, ...]:
    return () if solution is None else solution.chains or (solution,)
