"""A target is reached with no more attempts than it can need, whatever share of them succeeds."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from tests.runs.simulated import manifest, problems

from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.run import needed, run_by
from scale_reasoning.runs.store import create
from scale_reasoning.synth.target import Target
from scale_reasoning.types import Attempt, Failure, Grade, Problem, Record, Solution, Spending, Usage

COT = {"name": "cot"}


class Teacher:
    """Makes attempts that are right in a share of cases, and counts what is in flight."""

    def __init__(self, share: float, *, pending: int = 0) -> None:
        self.share, self.pending = share, pending
        self.made = Counter[str]()
        self.ended: list[bool] = []
        self.most: list[tuple[int, int, int]] = []
        self.in_flight = Counter[str]()

    async def __call__(self, cell: int, problem: Problem, sample: int) -> Record:
        self.made[problem.id] += 1
        self.in_flight[problem.id] += 1
        self.most.append((self.in_flight.total(), sum(self.ended), len(self.ended)))
        dice = random.Random(f"{problem.id}/{sample}")
        await asyncio.sleep(0.001 * dice.random())
        self.in_flight[problem.id] -= 1
        if self.pending:
            self.pending -= 1
            failure = Failure(kind="unreachable", blame="world", message="gone")
            return record(problem, sample, failure=failure)
        return record(problem, sample, right=dice.random() < self.share)

    def heard(self, cell: int, outcome: Outcome) -> None:
        """Counts an attempt as ended when the goal hears of it, which is after it was saved."""
        if not outcome.pending:
            self.ended.append(outcome.correct is True)


def record(problem: Problem, sample: int, *, right: bool = False, failure: Failure | None = None) -> Record:
    return Record(
        attempt=Attempt(problem_id=problem.id, sample=sample),
        strategy=COT,
        model="t",
        solution=None if failure else Solution(answer="1"),
        grade=None if failure else Grade(correct=right, grader="integer"),
        calls=(),
        usage=Spending(total=Usage(), by_stage={}, by_mode={}),
        failure=failure,
        seconds=0.0,
    )


def pursue(
    folder: Path, teacher: Teacher, wanted: int, *, count: int = 400, samples: int = 1, every: bool = False
) -> Target:
    with create(folder, manifest([COT], samples=samples), {"d": problems(count)}) as store:
        target = Target(store, wanted, every=every)

        def heard(cell: int, outcome: Outcome) -> None:
            target.count_outcome(cell, outcome)
            teacher.heard(cell, outcome)

        asyncio.run(run_by(teacher, store, attempts_in_flight=1024, goal=target, on_outcome=heard))
        assert target.enough() or not needed(store, target)
        return target


def test_a_teacher_that_is_always_right_makes_exactly_the_target(tmp_path: Path) -> None:
    teacher = Teacher(1.0)
    assert pursue(tmp_path / "run", teacher, 50).enough()
    assert teacher.made.total() == 50
    assert list(teacher.made) == [f"p{n:05}" for n in range(50)]


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
def test_what_is_in_flight_is_bounded_by_what_is_missing(tmp_path: Path, share: float) -> None:
    teacher = Teacher(share)
    assert pursue(tmp_path / "run", teacher, 50).enough()
    for in_flight, right, ended in teacher.most:
        if ended == 0:
            assert in_flight <= 50
        elif right:
            assert in_flight <= max(0, 50 - right) / (right / ended) + 8
    assert teacher.made.total() < 50 / share * 1.5


def test_no_problem_is_tried_twice_at_a_time_nor_once_it_is_solved(tmp_path: Path) -> None:
    teacher = Teacher(0.5)
    target = pursue(tmp_path / "run", teacher, 1000, count=30, samples=6)
    assert not target.enough()
    tries = {f"p{n:05}": next((s for s in range(6) if _right(n, s, 0.5)), 5) + 1 for n in range(30)}
    assert teacher.made == tries


def _right(number: int, sample: int, share: float) -> bool:
    dice = random.Random(f"p{number:05}/{sample}")
    dice.random()
    return dice.random() < share


def test_every_problem_is_tried_before_any_is_tried_again(tmp_path: Path) -> None:
    order: list[str] = []

    class Noting(Teacher):
        async def __call__(self, cell: int, problem: Problem, sample: int) -> Record:
            order.append(f"{problem.id}/{sample}")
            return record(problem, sample)

    pursue(tmp_path / "run", Noting(0.0), 4, count=4, samples=2)
    assert order == [f"p{n:05}/{s}" for s in range(2) for n in range(4)]


def test_where_every_right_attempt_is_kept_samples_count_one_by_one(tmp_path: Path) -> None:
    teacher = Teacher(1.0)
    assert pursue(tmp_path / "run", teacher, 50, count=10, samples=8, every=True).enough()
    assert teacher.made.total() == 50


def test_attempts_that_the_world_failed_are_made_again_and_are_no_sign_of_a_weak_model(tmp_path: Path) -> None:
    teacher = Teacher(1.0, pending=5)
    assert pursue(tmp_path / "run", teacher, 10, count=10).enough()
    assert max(in_flight for in_flight, *_ in teacher.most) <= 10
    assert teacher.made.total() == 15


def test_two_strategies_on_one_problem_are_one_trace(tmp_path: Path) -> None:
    teacher = Teacher(1.0)
    plan = manifest([COT, {"name": "scale"}], samples=1)
    with create(tmp_path / "run", plan, {"d": problems(9)}) as store:
        target = Target(store, 9)
        asyncio.run(run_by(teacher, store, attempts_in_flight=64, goal=target, on_outcome=target.count_outcome))
    assert teacher.made == {f"p{n:05}": 1 for n in range(9)}


def test_problems_of_which_no_trace_can_be_kept_are_not_tried(tmp_path: Path) -> None:
    teacher = Teacher(1.0)
    with create(tmp_path / "run", manifest([COT], samples=2), {"d": problems(5)}) as store:
        target = Target(store, 5, hopeless=[("d", "p00001"), ("d", "p00003")])
        asyncio.run(run_by(teacher, store, attempts_in_flight=64, goal=target, on_outcome=target.count_outcome))
        assert not needed(store, target)
    assert set(teacher.made) == {"p00000", "p00002", "p00004"}
