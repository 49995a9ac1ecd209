"""Cells made by hand: a row of outcomes a problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scale_reasoning.report.metrics import Cell
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import Usage

SCALE = {"name": "scale", "tau": 0.2}


def outcome(problem_id: str = "p0", sample: int = 0, **more: Any) -> Outcome:
    usage = more.pop("usage", Usage(prompt_tokens=50, completion_tokens=100, reasoning_tokens=0, cached_tokens=10))
    correct = more.pop("correct", True)
    answer = more.pop("answer", "1" if correct else "2")
    fields: dict[str, Any] = {
        "pending": False,
        "failure": None,
        "answer": answer,
        "answers": (answer,),
        "iterations": 4,
        "hard": 1,
        "truncated": False,
        "unparsed": False,
        "difficulties": (),
        "calls": 4,
        "usage": usage,
        "by_stage": {"solve": usage},
        "by_mode": {"system2": usage},
        "seconds": 2.0,
        "model_seconds": 1.0,
    }
    return Outcome(problem_id=problem_id, sample=sample, correct=correct, **{**fields, **more})


def pending(problem_id: str = "p0", sample: int = 0) -> Outcome:
    return outcome(problem_id, sample, pending=True, correct=None, failure="unreachable", answer=None)


def failed(problem_id: str = "p0", sample: int = 0, kind: str = "parse") -> Outcome:
    return outcome(problem_id, sample, correct=False, failure=kind, answer=None, unparsed=kind == "parse")


def cell(outcomes: Sequence[Outcome], **more: Any) -> Cell:
    ids = {one.problem_id for one in outcomes}
    fields: dict[str, Any] = {
        "run": "runs/a",
        "dataset": "aime24",
        "model": "m",
        "strategy": SCALE,
        "problems": len(ids),
        "samples": max((one.sample for one in outcomes), default=0) + 1,
    }
    return Cell(**{**fields, **more}, outcomes=tuple(outcomes))


def graded(rows: Sequence[Sequence[bool]], **more: Any) -> Cell:
    """A problem a row, a sample an entry."""
    return cell(
        [outcome(f"p{i:04}", j, correct=correct) for i, row in enumerate(rows) for j, correct in enumerate(row)], **more
    )
