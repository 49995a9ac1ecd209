"""Makes candidates for training of the traces that the paper's authors published (datasets/dualthinking.py).

Their answers are graded here, as those of a run are. A problem's id is the digest of its text, as in limo.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from scale_reasoning.datasets import dualthinking
from scale_reasoning.datasets.dataset import hash_rows
from scale_reasoning.datasets.rows import SourceRow, make_id, read_text
from scale_reasoning.errors import ConfigError, GradeError
from scale_reasoning.graders import grader_for
from scale_reasoning.prompts import Prompts
from scale_reasoning.spending import spending
from scale_reasoning.strategies.solving import read_answer
from scale_reasoning.synth.collect import Collection, Origin
from scale_reasoning.synth.funnel import Candidate
from scale_reasoning.synth.trace import make_candidate
from scale_reasoning.types import JSON, Attempt, Grade, Mode, Problem, Record, Solution, Step, Usage

STRATEGY: Mapping[str, JSON] = {"name": "scale"}
MODEL = "QwQ-32B"
"""The model of the dataset's card, where a row names none."""


def collect_published(
    words: Prompts,
    *,
    data_dir: Path | None = None,
    revision: str | None = None,
    part: str | None = None,
    count: int | None = None,
) -> Collection:
    """All published traces, of the first `count` problems. Raises `ConfigError`."""
    published = dualthinking.read(data_dir=data_dir, revision=revision, part=part)
    candidates, problems, samples = list[Candidate](), dict[str, Problem](), Counter[str]()
    for row in published.rows:
        problem = _read_problem(row)
        if problem.id not in problems and len(problems) == count:
            continue
        problem = problems.setdefault(problem.id, problem)
        record = _make_record(row, problem, samples[problem.id])
        samples[problem.id] += 1
        candidates.append(make_candidate(dualthinking.NAME, problem, record, words))
    if not candidates:
        raise ConfigError(f"{published.facts['origin']} has no rows")
    hashed = {"rows": len(problems), "sha256": hash_rows(problems.values())}
    origin = Origin(
        run=dualthinking.NAME,
        planned=len(candidates),
        made=len(candidates),
        strategies=(STRATEGY,),
        models=tuple(dict.fromkeys(one.record.model for one in candidates)),
        seed=None,
        datasets={dualthinking.NAME: {**published.facts, **hashed}},
        resolved={},
    )
    return Collection(origins=(origin,), candidates=tuple(candidates))


def _read_problem(row: SourceRow) -> Problem:
    text = read_text(row, "problem")
    return Problem(id=make_id(text), text=text, answer=read_text(row, "answer"))


def _make_record(row: SourceRow, problem: Problem, sample: int) -> Record:
    steps = _read_steps(row)
    answer = read_answer(steps[-1]) if steps else None
    solution = Solution(answer=answer.text, form=answer.form, steps=steps) if answer else None
    model = row.fields.get("model_name")
    return Record(
        attempt=Attempt(problem_id=problem.id, sample=sample),
        strategy=STRATEGY,
        model=model if isinstance(model, str) and model else MODEL,
        solution=solution,
        grade=asyncio.run(_grade(problem, solution)) if solution else None,
        calls=(),
        usage=spending(()),
        failure=None,
        seconds=0.0,
    )


async def _grade(problem: Problem, solution: Solution) -> Grade | None:
    try:
        return await grader_for(problem.answer or "").grade(problem, solution)
    except GradeError:
        return None


def _read_steps(row: SourceRow) -> tuple[Step, ...]:
    """The steps in order; none where one has no solution. A step with a thought was solved in System 2."""
    texts, scores, thoughts, solutions = (
        _read_object(row, name) for name in ("steps", "steps_scores", "steps_detail", "steps_content")
    )
    keys = sorted(texts, key=lambda key: int(key.removeprefix("step")))
    steps = [
        Step(
            subproblem=str(texts[key]),
            difficulty=_read_score(scores.get(key)),
            mode=Mode.SYSTEM2 if thoughts.get(key) else Mode.SYSTEM1,
            text=str(solutions.get(key) or ""),
            reasoning=str(thoughts.get(key) or ""),
            finish_reason=None,
            usage=Usage(),
        )
        for key in keys
    ]
    return tuple(steps) if all(step.text.strip() for step in steps) else ()


def _read_object(row: SourceRow, name: str) -> Mapping[str, JSON]:
    """The values by step; null, which tables put where a row has fewer steps, is left out."""
    value = row.fields[name]
    if not isinstance(value, Mapping):
        raise ConfigError(f"{row.where}: {name} must be an object, not {type(value).__name__}")
    found = {key: each for key, each in cast("Mapping[str, JSON]", value).items() if each is not None}
    if strange := [key for key in found if not (key.startswith("step") and key[4:].isdecimal())]:
        raise ConfigError(f"{row.where}: {name} has the key {strange[0]!r}; it must be step1, step2, ...")
    return found


def _read_score(value: JSON) -> float | None:
    return float(value) if isinstance(value, int | float) else None
