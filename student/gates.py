"""Measures what the student can do, with the engine that serves it, on operations that no training row has.

Decides the gates: what must be true of the student before it is used. Requests are the strategies' own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

from scale_reasoning.answers import final_answer
from scale_reasoning.arithmetic.chains import Split, Turn
from scale_reasoning.arithmetic.problems import LAPTOP, Chain, chain
from scale_reasoning.arithmetic.teacher import Teacher, outline
from scale_reasoning.engines import endpoints
from scale_reasoning.engines.catalogue import STUDENT
from scale_reasoning.engines.llama import Llama
from scale_reasoning.lm import LM
from scale_reasoning.replies import parse_number, parse_outline
from scale_reasoning.together import together
from scale_reasoning.types import Attempt, Completion, Request
from student.rows import MAX_STEPS, RecordingTeacher, kind_of, scale

EASY, HARD, BETWEEN = ("add1", "sub1", "mod4"), ("mul1",), ("add2", "sub2")
KINDS = (*EASY, *BETWEEN, *HARD)
SLOTS = 8
NATURAL = 300
"""The number of consecutive steps of test problems on which ratings are compared with failures."""
SEED = 3
MOST_PROBLEMS = 5000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExamStep:
    """A step of a problem, with its requests in both modes and for its rating."""

    turn: Turn
    system1: Request
    system2: Request
    rating: Request


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExamProblem:
    """A test problem: the request to decompose it, and its steps that no training row has."""

    truth: Chain
    decomposition: Request
    steps: Sequence[ExamStep]


def problems(split: Split, learned: frozenset[Turn]) -> Iterator[ExamProblem]:
    """Problems with SCALE's requests when all earlier steps are right, without those that the teacher decomposes
    wrongly.
    """
    for index in range(MOST_PROBLEMS):
        truth = chain(index, split=split, seed=SEED, level=LAPTOP)
        by_route = [_record_calls(truth, route) for route in ("system1", "system2", "threshold")]
        (first, completion), *fast = by_route[0]
        if list(parse_outline(completion.text, MAX_STEPS)) != outline(truth):
            continue
        ratings = [request for request, _ in by_route[2] if request.schema and request.schema.name == "difficulty"]
        slow = by_route[1][1:]
        yield ExamProblem(
            truth=truth,
            decomposition=first,
            steps=[
                ExamStep(turn=link.turn, system1=one, system2=two, rating=rating)
                for link, (one, _), (two, _), rating in zip(truth.links, fast, slow, ratings, strict=True)
                if link.turn not in learned
            ],
        )


def _record_calls(truth: Chain, route: str) -> list[tuple[Request, Completion]]:
    recording, attempt = RecordingTeacher(Teacher()), Attempt(problem_id=truth.problem_id, sample=0)
    lm = LM(endpoints(recording, STUDENT), attempt=attempt)
    asyncio.run(scale(candidates=1, route=route).solve(truth.problem, lm))
    return recording.calls


@dataclass(slots=True)
class Tally:
    """Counts replies, right ones, and their tokens."""

    asked: int = 0
    right: int = 0
    tokens: int = 0

    def add(self, right: bool, completion: Completion) -> None:  # noqa: FBT001 a result, not a switch
        """Counts a reply."""
        self.asked, self.right = self.asked + 1, self.right + right
        self.tokens += completion.usage.completion_tokens or 0

    @property
    def share(self) -> float:
        """The share of right replies."""
        return self.right / max(1, self.asked)

    def __str__(self) -> str:
        return f"{self.share:.3f} of {self.asked}, {self.tokens / max(1, self.asked):.0f} tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamResult:
    """Tallies by mode and kind of step and of decompositions; for rated steps (rating, whether System 1 failed)."""

    system1: dict[str, Tally]
    system2: dict[str, Tally]
    decompositions: Tally
    rated: list[tuple[float, bool]]

    @property
    def auc(self) -> float:
        """The probability that a step that System 1 fails is rated above one that it solves; ties count half.

        nan where it failed all or none.
        """
        failed = [rating for rating, wrong in self.rated if wrong]
        right = [rating for rating, wrong in self.rated if not wrong]
        won = sum((a > b) + (a == b) / 2 for a in failed for b in right)
        return won / (len(failed) * len(right)) if failed and right else nan


class Exam:
    """Asks a model about SLOTS problems at a time, each in order so that shared prompts are read once."""

    def __init__(self, llama: Llama) -> None:
        self.llama, self.idle = llama, asyncio.Semaphore(SLOTS)
        one, two = ({kind: Tally() for kind in KINDS} for _ in "12")
        self.result = ExamResult(system1=one, system2=two, decompositions=Tally(), rated=[])

    async def ask_system1(self, problem: ExamProblem, parts: Parts) -> None:
        """Asks System 1 about the problem's steps."""
        async with self.idle:
            for step in problem.steps:
                if step in parts.system1:
                    await self._step(self.result.system1, step, step.system1)

    async def ask_all(self, problem: ExamProblem, parts: Parts) -> None:
        """Asks everything about a problem."""
        async with self.idle:
            if problem in parts.decomposed:
                completion = await self.llama.generate(problem.decomposition)
                self.result.decompositions.add(_read_outline(completion) == outline(problem.truth), completion)
            for step in problem.steps:
                if step in parts.system1:
                    right = await self._step(self.result.system1, step, step.system1)
                    if step in parts.rated:
                        self.result.rated.append((_read_rating(await self.llama.generate(step.rating)), not right))
                if step in parts.system2:
                    await self._step(self.result.system2, step, step.system2)

    async def _step(self, tallies: dict[str, Tally], step: ExamStep, request: Request) -> bool:
        completion = await self.llama.generate(request)
        right = final_answer(completion.text) == str(step.turn.result)
        tallies[kind_of(step.turn)].add(right, completion)
        return right


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The steps for each mode, the rated steps and the decomposed problems."""

    system1: frozenset[ExamStep]
    system2: frozenset[ExamStep]
    rated: frozenset[ExamStep]
    decomposed: frozenset[ExamProblem]


def shares(each: int) -> dict[str, int]:
    """System 1's steps per kind: `each` of the hard kinds, half of the easy ones, a quarter of the others."""
    return {kind: each if kind in HARD else each // 2 if kind in EASY else each // 4 for kind in KINDS}


def choose_parts(asked: Sequence[ExamProblem], each: int) -> Parts:
    """Chooses the parts of an exam.

    System 1 gets steps by `shares`, System 2 about `each` in total, as many of every kind. `each` problems are
    decomposed, and the first NATURAL steps are rated.
    """
    steps = [step for problem in asked for step in problem.steps]
    seen, system1, system2 = Counter[str](), set(steps[:NATURAL]), set[ExamStep]()
    for step in steps:
        kind = kind_of(step.turn)
        seen[kind] += 1
        if seen[kind] <= shares(each)[kind]:
            system1.add(step)
        if seen[kind] <= -(-each // len(KINDS)):
            system2.add(step)
    return Parts(
        system1=frozenset(system1),
        system2=frozenset(system2),
        rated=frozenset(steps[:NATURAL]),
        decomposed=frozenset(asked[:each]),
    )


async def system1_failures(model: Path, asked: Sequence[ExamProblem], each: int) -> dict[str, float]:
    """How often System 1 fails by kind of step, of `each` steps per kind."""
    async with await Llama.start(model, slots=SLOTS, window=1024) as llama:
        exam, chosen = Exam(llama), choose_parts(asked, each)
        await together(exam.ask_system1(problem, chosen) for problem in asked)
    return {kind: round(1 - tally.share, 2) for kind, tally in exam.result.system1.items()}


async def examine(model: Path, asked: Sequence[ExamProblem], each: int) -> ExamResult:
    """Measures everything that the gates need."""
    async with await Llama.start(model, slots=SLOTS, window=1024) as llama:
        exam, chosen = Exam(llama), choose_parts(asked, each)
        await together(exam.ask_all(problem, chosen) for problem in asked)
    return exam.result


def _read_rating(completion: Completion) -> float:
    try:
        return parse_number(completion.text)
    except ValueError:
        return 1.0


def _read_outline(completion: Completion) -> list[str]:
    try:
        return list(parse_outline(completion.text, MAX_STEPS))
    except ValueError:
        return []


def choose_problems(split: Split, learned: frozenset[Turn], each: int) -> list[ExamProblem]:
    """Enough problems of a split to have each kind of step as often as `shares` says."""
    counts, found = Counter[str](), list[ExamProblem]()
    for problem in problems(split, learned):
        found.append(problem)
        counts.update(kind_of(step.turn) for step in problem.steps)
        if all(counts[kind] >= share for kind, share in shares(each).items()) and len(found) >= each:
            break
    return found


def check_gates(result: ExamResult) -> list[tuple[str, str, str, bool]]:
    """The gates: name, figure, requirement, and whether it is met."""
    thought = list(result.system2.values())
    share = sum(tally.right for tally in thought) / max(1, sum(tally.asked for tally in thought))
    lines = [("System 2, a step", f"{share:.3f}", ">= 0.95", share >= 0.95)]
    for kind in KINDS:
        one, two = result.system1[kind], result.system2[kind]
        wanted, met = ("", True)
        if kind in EASY:
            wanted, met = ">= 0.9", one.share >= 0.9
        if kind in HARD:
            wanted, met = "<= 0.3", one.share <= 0.3
        lines.append((f"System 1, {kind}", str(one), wanted, met))
        lines.append((f"System 2, {kind}", str(two), "", True))
    exact = result.decompositions
    lines.append(("decomposition exact", f"{exact.share:.3f} of {exact.asked}", ">= 0.95", exact.share >= 0.95))
    lines.append(("difficulty, AUC", f"{result.auc:.3f} of {len(result.rated)}", ">= 0.85", result.auc >= 0.85))
    return lines
