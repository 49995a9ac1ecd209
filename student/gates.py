"""What the student can do, measured through the engine that serves it, on operations that no training row had.

Decides the gates: what must be true of the student before anything is built on it. Requests are the strategies' own.
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
from scale_reasoning.engines import EMBEDDED, endpoints
from scale_reasoning.engines.llama import Llama
from scale_reasoning.lm import LM
from scale_reasoning.replies import parse_number, parse_outline
from scale_reasoning.together import together
from scale_reasoning.types import Attempt, Completion, Request
from student.rows import MAX_STEPS, Overheard, kind_of, scale

EASY, HARD, BETWEEN = ("add1", "sub1", "mod4"), ("mul1",), ("add2", "sub2")
KINDS = (*EASY, *BETWEEN, *HARD)
SLOTS = 8
NATURAL = 300
"""Steps, as they come in test problems, over which ratings are held against failures."""
SEED = 3
MOST_PROBLEMS = 5000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """A step of a problem, as it is asked about in both modes and to be rated."""

    turn: Turn
    system1: Request
    system2: Request
    rating: Request


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A test problem: how it is asked to be decomposed, and its steps that no training row had."""

    truth: Chain
    decomposition: Request
    places: Sequence[Place]


def problems(split: Split, learned: frozenset[Turn]) -> Iterator[Asked]:
    """Problems as SCALE asks about them when all before went right; those that the teacher decomposes wrong are left
    out.
    """
    for index in range(MOST_PROBLEMS):
        truth = chain(index, split=split, seed=SEED, level=LAPTOP)
        by_route = [_calls(truth, route) for route in ("system1", "system2", "threshold")]
        (first, completion), *fast = by_route[0]
        if list(parse_outline(completion.text, MAX_STEPS)) != outline(truth):
            continue
        ratings = [request for request, _ in by_route[2] if request.schema and request.schema.name == "difficulty"]
        slow = by_route[1][1:]
        yield Asked(
            truth=truth,
            decomposition=first,
            places=[
                Place(turn=link.turn, system1=one, system2=two, rating=rating)
                for link, (one, _), (two, _), rating in zip(truth.links, fast, slow, ratings, strict=True)
                if link.turn not in learned
            ],
        )


def _calls(truth: Chain, route: str) -> list[tuple[Request, Completion]]:
    overheard, attempt = Overheard(Teacher()), Attempt(problem_id=truth.problem_id, sample=0)
    lm = LM(endpoints(overheard, EMBEDDED), attempt=attempt)
    asyncio.run(scale(candidates=1, route=route).solve(truth.problem, lm))
    return overheard.heard


@dataclass(slots=True)
class Tally:
    """Right replies among those asked for, and the tokens they took."""

    asked: int = 0
    right: int = 0
    tokens: int = 0

    def add(self, right: bool, completion: Completion) -> None:  # noqa: FBT001 a result, not a switch
        """Counts a reply."""
        self.asked, self.right = self.asked + 1, self.right + right
        self.tokens += completion.usage.completion_tokens or 0

    @property
    def share(self) -> float:
        """Of the asked, those right."""
        return self.right / max(1, self.asked)

    def __str__(self) -> str:
        return f"{self.share:.3f} of {self.asked}, {self.tokens / max(1, self.asked):.0f} tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Tallies by mode and kind of step, the decompositions', and of steps as they come (rating, whether System 1
    failed).
    """

    system1: dict[str, Tally]
    system2: dict[str, Tally]
    decompositions: Tally
    rated: list[tuple[float, bool]]

    @property
    def auc(self) -> float:
        """The probability that a step that System 1 fails is rated above one that it does not, ties half; nan where
        all failed or none.
        """
        failed = [rating for rating, wrong in self.rated if wrong]
        right = [rating for rating, wrong in self.rated if not wrong]
        won = sum((a > b) + (a == b) / 2 for a in failed for b in right)
        return won / (len(failed) * len(right)) if failed and right else nan


class Exam:
    """A model that is asked about SLOTS problems at a time, each in order, so that what prompts share is read once; and
    what it got right so far.
    """

    def __init__(self, llama: Llama) -> None:
        self.llama, self.idle = llama, asyncio.Semaphore(SLOTS)
        one, two = ({kind: Tally() for kind in KINDS} for _ in "12")
        self.found = Found(system1=one, system2=two, decompositions=Tally(), rated=[])

    async def at_once(self, problem: Asked, parts: Parts) -> None:
        """System 1 alone, on the problem's steps."""
        async with self.idle:
            for place in problem.places:
                if place in parts.system1:
                    await self._step(self.found.system1, place, place.system1)

    async def all(self, problem: Asked, parts: Parts) -> None:
        """Everything that is to be asked about a problem."""
        async with self.idle:
            if problem in parts.decomposed:
                completion = await self.llama.generate(problem.decomposition)
                self.found.decompositions.add(_outline(completion) == outline(problem.truth), completion)
            for place in problem.places:
                if place in parts.system1:
                    right = await self._step(self.found.system1, place, place.system1)
                    if place in parts.rated:
                        self.found.rated.append((_rating(await self.llama.generate(place.rating)), not right))
                if place in parts.system2:
                    await self._step(self.found.system2, place, place.system2)

    async def _step(self, tallies: dict[str, Tally], place: Place, request: Request) -> bool:
        completion = await self.llama.generate(request)
        right = final_answer(completion.text) == str(place.turn.result)
        tallies[kind_of(place.turn)].add(right, completion)
        return right


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Of the problems that are asked about: the steps for each mode, those that are rated, and the decomposed."""

    system1: frozenset[Place]
    system2: frozenset[Place]
    rated: frozenset[Place]
    decomposed: frozenset[Asked]


def shares(each: int) -> dict[str, int]:
    """How many steps of a kind System 1 is asked for: `each` of the hard, half as many of each easy kind."""
    return {kind: each if kind in HARD else each // 2 if kind in EASY else each // 4 for kind in KINDS}


def parts(asked: Sequence[Asked], each: int) -> Parts:
    """Steps in System 1 by `shares`; `each` and a few in System 2, as many of every kind; `each` decompositions; the
    first NATURAL steps are rated.
    """
    places = [place for problem in asked for place in problem.places]
    seen, system1, system2 = Counter[str](), set(places[:NATURAL]), set[Place]()
    for place in places:
        kind = kind_of(place.turn)
        seen[kind] += 1
        if seen[kind] <= shares(each)[kind]:
            system1.add(place)
        if seen[kind] <= -(-each // len(KINDS)):
            system2.add(place)
    return Parts(
        system1=frozenset(system1),
        system2=frozenset(system2),
        rated=frozenset(places[:NATURAL]),
        decomposed=frozenset(asked[:each]),
    )


async def system1_failures(model: Path, asked: Sequence[Asked], each: int) -> dict[str, float]:
    """How often System 1 fails by kind of step, of `each` steps of every kind."""
    async with await Llama.start(model, slots=SLOTS, window=1024) as llama:
        exam, wanted = Exam(llama), parts(asked, each)
        await together(exam.at_once(problem, wanted) for problem in asked)
    return {kind: round(1 - tally.share, 2) for kind, tally in exam.found.system1.items()}


async def examine(model: Path, asked: Sequence[Asked], each: int) -> Found:
    """All that the gates are about, by `parts`."""
    async with await Llama.start(model, slots=SLOTS, window=1024) as llama:
        exam, wanted = Exam(llama), parts(asked, each)
        await together(exam.all(problem, wanted) for problem in asked)
    return exam.found


def _rating(completion: Completion) -> float:
    try:
        return parse_number(completion.text)
    except ValueError:
        return 1.0


def _outline(completion: Completion) -> list[str]:
    try:
        return list(parse_outline(completion.text, MAX_STEPS))
    except ValueError:
        return []


def enough(split: Split, learned: frozenset[Turn], each: int) -> list[Asked]:
    """So many problems of a split that every kind of step is met as often as it is asked for."""
    counts, found = Counter[str](), list[Asked]()
    for problem in problems(split, learned):
        found.append(problem)
        counts.update(kind_of(place.turn) for place in problem.places)
        if all(counts[kind] >= share for kind, share in shares(each).items()) and len(found) >= each:
            break
    return found


def told(found: Found) -> list[tuple[str, str, str, bool]]:
    """The gates: what, its figure, what it should be, whether it is."""
    thought = list(found.system2.values())
    share = sum(tally.right for tally in thought) / max(1, sum(tally.asked for tally in thought))
    lines = [("System 2, a step", f"{share:.3f}", ">= 0.95", share >= 0.95)]
    for kind in KINDS:
        one, two = found.system1[kind], found.system2[kind]
        wanted, met = ("", True)
        if kind in EASY:
            wanted, met = ">= 0.9", one.share >= 0.9
        if kind in HARD:
            wanted, met = "<= 0.3", one.share <= 0.3
        lines.append((f"System 1, {kind}", str(one), wanted, met))
        lines.append((f"System 2, {kind}", str(two), "", True))
    exact = found.decompositions
    lines.append(("decomposition exact", f"{exact.share:.3f} of {exact.asked}", ">= 0.95", exact.share >= 0.95))
    lines.append(("difficulty, AUC", f"{found.auc:.3f} of {len(found.rated)}", ">= 0.85", found.auc >= 0.85))
    return lines
