"""Runs made by hand, in their folders, without a model: every attempt's grade, steps and tokens are given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.runs.manifest import CellSpec, DatasetSpec, Manifest
from scale_reasoning.runs.store import Store, create
from scale_reasoning.together import together
from scale_reasoning.types import (
    Attempt,
    Failure,
    Grade,
    Mode,
    Problem,
    Record,
    Solution,
    Spending,
    Step,
    Usage,
)

QWEN3 = ModelSpec(model="Qwen/Qwen3-32B", base_url="http://127.0.0.1:1/v1")
QWQ = ModelSpec(model="Qwen/QwQ-32B", system1_model="Qwen/Qwen3-32B", base_url="http://127.0.0.1:1/v1")
COT: dict[str, Any] = {"name": "cot"}
SCALE: dict[str, Any] = {"name": "scale", "tau": 0.2}
PROBLEMS = {"aime24": 30, "aime25": 30, "amc23": 40}
GOLD, WRONG = "1", "2"


@dataclass(frozen=True, kw_only=True)
class Made:
    """A cell: `right` of each problem's samples are right, the first ones; the last `failed` and `pending` attempts of
    the cell are not answered. `tokens` of each attempt are those of its solutions, `others` those of decomposing.
    """

    strategy: dict[str, Any]
    right: Sequence[int]
    dataset: str = "aime24"
    model: ModelSpec = QWEN3
    tokens: int | None = 1000
    spread: int = 0
    others: int = 0
    steps: int = 1
    hard: int = 1
    failed: int = 0
    pending: int = 0

    def end(self, place: int, samples: int) -> str:
        """How the attempt in a place ended: pending, failed or, with an answer, an empty text."""
        left = len(self.right) * samples - place
        return "pending" if left <= self.pending else "failed" if left <= self.pending + self.failed else ""


def spread_right(right: int, problems: int = 30, samples: int = 8) -> list[int]:
    """So many right attempts: whole problems first, then one in part."""
    whole, rest = divmod(right, samples)
    return [samples] * whole + [rest] * (whole < problems) + [0] * (problems - whole - 1)


def write_run(folder: Path, cells: Sequence[Made], *, samples: int = 8, resolved: dict[str, Any] | None = None) -> Path:
    """Writes a finished run, or one in which attempts are pending."""
    specs = tuple(
        CellSpec(dataset=DatasetSpec(name=each.dataset), model=each.model, strategy=each.strategy) for each in cells
    )
    problems = {
        each.dataset: [Problem(id=f"p{n:02}", text=f"Problem {n}.", answer=GOLD) for n in range(len(each.right))]
        for each in cells
    }
    manifest = Manifest(cells=specs, samples=samples, resolved=resolved or {}).normalise()
    with create(folder, manifest, problems) as store:
        asyncio.run(_save(store, cells, samples))
    return folder


async def _save(store: Store, cells: Sequence[Made], samples: int) -> None:
    """Saves every attempt; of the pending ones every second, as if the others had not begun."""
    await together(
        store.save(number, _record(each, f"p{problem:02}", sample, right=sample < right, how=how))
        for number, each in enumerate(cells)
        for problem, right in enumerate(each.right)
        for sample in range(samples)
        if (how := each.end(problem * samples + sample, samples)) != "pending" or sample % 2
    )


def _record(made: Made, problem: str, sample: int, *, right: bool, how: str) -> Record:
    tokens = None if made.tokens is None else made.tokens + (made.spread if sample % 2 else -made.spread)
    solve = Usage(prompt_tokens=1, completion_tokens=tokens, reasoning_tokens=0, cached_tokens=0)
    other = Usage(prompt_tokens=1, completion_tokens=made.others, reasoning_tokens=0, cached_tokens=0)
    total = solve + other
    answer = None if how else GOLD if right else WRONG
    modes = [Mode.SYSTEM2] * made.hard + [Mode.SYSTEM1] * (made.steps - made.hard)
    steps = tuple(
        Step(subproblem="s", difficulty=None, mode=mode, text="", reasoning="", finish_reason="stop", usage=solve)
        for mode in modes
    )
    failure = {
        "": None,
        "failed": Failure(kind="unanswered", blame="model", message="no answer"),
        "pending": Failure(kind="unreachable", blame="world", message="no server"),
    }[how]
    return Record(
        attempt=Attempt(problem_id=problem, sample=sample),
        strategy=made.strategy,
        model=made.model.model or "",
        solution=None if how == "pending" else Solution(answer=answer, steps=steps),
        grade=None if how == "pending" else Grade(correct=answer == GOLD, grader="integer"),
        calls=(),
        usage=Spending(total=total, by_stage={"decompose": other, "solve": solve}, by_mode={"system2": total}),
        failure=failure,
        seconds=1.0,
    )
