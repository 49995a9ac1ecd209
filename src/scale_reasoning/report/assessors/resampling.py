"""Intervals of measures over steps: a percentile bootstrap that draws whole problems, because their steps are alike.

The problem is the unit, as in the other reports. Needs no array library.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scale_reasoning.report.assessors.measures import Level
from scale_reasoning.report.intervals import ALPHA

DRAWS = 1000
LEAST_DEFINED = 0.9
"""Share of the draws in which a measure must be defined, else it has no interval."""

Measure = Callable[[Sequence[Level]], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measure with its 95 % interval; None is undefined or unknown."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedStep:
    """A step: its difficulty, whether it fails, and what the difficulty costs (tokens None: unknown)."""

    problem_id: str
    difficulty: float
    fails: bool
    calls: int
    tokens: int | None
    fallback: str


def draw_problems(count: int, seed: int, draws: int = DRAWS) -> list[Mapping[int, int]]:
    """For each draw, how often each of `count` problems is in it."""
    chance = random.Random(seed)
    return [Counter(chance.choices(range(count), k=count)) for _ in range(draws)]


def measure_all(
    steps: Sequence[AssessedStep], measures: Mapping[str, Measure], draws: Sequence[Mapping[int, int]]
) -> dict[str, Measured]:
    """Each measure of the steps' difficulties, with its interval. `draws` number the problems in the steps' order.

    There is no interval if all draws are equal: drawing again what never fails does not show how rare failures are.
    """
    grouped = _group(steps)
    levels = _count(grouped, dict.fromkeys(range(len(grouped.problems)), 1))
    drawn = [_count(grouped, draw) for draw in draws] if len(grouped.problems) > 1 else []
    found = {name: _measure(measure(levels), map(measure, drawn)) for name, measure in measures.items()}
    return {name: Measured(value=each.value) if each.low == each.high else each for name, each in found.items()}


def average(values: Sequence[tuple[str, int | None]], draws: Sequence[Mapping[int, int]]) -> Measured:
    """The mean of numbers of steps, each with its problem; unknown if one number is."""
    sums: dict[str, list[int]] = {}
    for problem, value in values:
        if value is None:
            return Measured()
        both = sums.setdefault(problem, [0, 0])
        both[0], both[1] = both[0] + value, both[1] + 1
    pairs = list(sums.values())

    def divide(draw: Mapping[int, int]) -> float:
        return sum(pairs[p][0] * n for p, n in draw.items()) / sum(pairs[p][1] * n for p, n in draw.items())

    if not pairs:
        return Measured()
    whole = divide(dict.fromkeys(range(len(pairs)), 1))
    return _measure(whole, map(divide, draws) if len(pairs) > 1 else ())


@dataclass(frozen=True, slots=True)
class _Grouped:
    """The difficulties from the easiest on; for each problem its steps: the difficulty's place, and failure."""

    difficulties: Sequence[float]
    problems: Sequence[Sequence[tuple[int, bool]]]


def _group(steps: Sequence[AssessedStep]) -> _Grouped:
    difficulties = sorted({step.difficulty for step in steps})
    places = {difficulty: place for place, difficulty in enumerate(difficulties)}
    problems: dict[str, list[tuple[int, bool]]] = {}
    for step in steps:
        problems.setdefault(step.problem_id, []).append((places[step.difficulty], step.fails))
    return _Grouped(difficulties, list(problems.values()))


def _count(grouped: _Grouped, draw: Mapping[int, int]) -> list[Level]:
    """The levels of the problems, each as often as it was drawn."""
    steps, fails = [0] * len(grouped.difficulties), [0] * len(grouped.difficulties)
    for problem, times in draw.items():
        for place, failing in grouped.problems[problem]:
            steps[place] += times
            if failing:
                fails[place] += times
    return [Level(*each) for each in zip(grouped.difficulties, steps, fails, strict=True) if each[1]]


def _measure(value: float | None, drawn: map[float | None] | map[float] | tuple[()]) -> Measured:
    found = list(drawn)
    known = sorted(each for each in found if each is not None)
    if value is None or not known or len(known) < LEAST_DEFINED * len(found):
        return Measured(value=value)
    return Measured(value=value, low=_quantile(known, ALPHA / 2), high=_quantile(known, 1 - ALPHA / 2))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between the values next to the place."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
