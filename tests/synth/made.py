"""Attempts made by hand, for what turns them into rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scale_reasoning.spending import spending
from scale_reasoning.types import (
    Attempt,
    Grade,
    Mode,
    Problem,
    Record,
    Solution,
    Step,
    Usage,
)


def step(subproblem: str = "What is 2 + 2?", *, text: str = r"\boxed{4}", reasoning: str = "", **more: Any) -> Step:
    fields: dict[str, Any] = {
        "difficulty": 0.9 if reasoning else 0.1,
        "mode": Mode.SYSTEM2 if reasoning else Mode.SYSTEM1,
        "finish_reason": "stop",
        "usage": Usage(prompt_tokens=10, completion_tokens=5, reasoning_tokens=0, cached_tokens=0),
    }
    return Step(subproblem=subproblem, text=text, reasoning=reasoning, **{**fields, **more})


def record(steps: Sequence[Step], *, problem: Problem, sample: int = 0, name: str = "scale", **more: Any) -> Record:
    fields: dict[str, Any] = {
        "solution": Solution(answer="4", steps=tuple(steps)),
        "grade": Grade(correct=True, grader="integer"),
        "failure": None,
    }
    return Record(
        attempt=Attempt(problem_id=problem.id, sample=sample),
        strategy={"name": name},
        model="teacher",
        calls=(),
        usage=spending(()),
        seconds=1.0,
        **{**fields, **more},
    )


PROBLEM = Problem(id="p1", text="Ann has 2 pens and buys 2 more. How many has she?", answer="4")
