"""How well difficulties predict failures: AUROC, Brier score, calibration error, risk by coverage.

All measures read levels: how many steps have a difficulty, and how many of them fail. So steps with equal difficulties
are never put in an order. docs/statistics.md has the definitions and their sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum
from typing import NamedTuple

MOST_BINS = 10


class Level(NamedTuple):
    """A difficulty, how many steps have it, and how many of them fail."""

    difficulty: float
    steps: int
    fails: int


class Bin(NamedTuple):
    """Levels next to one another: their mean difficulty, their steps, and how many of them fail."""

    difficulty: float
    steps: int
    fails: int


def count_levels(steps: Iterable[tuple[float, bool]]) -> list[Level]:
    """The levels of some steps, from the easiest on."""
    found: dict[float, list[int]] = {}
    for difficulty, fails in steps:
        counts = found.setdefault(difficulty, [0, 0])
        counts[0] += 1
        counts[1] += fails
    return [Level(difficulty, *found[difficulty]) for difficulty in sorted(found)]


def compute_auroc(levels: Sequence[Level]) -> float | None:
    """The chance that a step that fails is rated harder than one that does not; a tie counts half. None if no step
    fails, or all do.
    """
    fails = sum(level.fails for level in levels)
    holds = sum(level.steps for level in levels) - fails
    if not fails or not holds:
        return None
    easier, won = 0, 0.0
    for _, steps, failing in levels:
        won += failing * (easier + (steps - failing) / 2)
        easier += steps - failing
    return won / (fails * holds)


def compute_brier(levels: Sequence[Level]) -> float | None:
    """The mean squared distance between the difficulty and the outcome (1: fails)."""
    steps = sum(level.steps for level in levels)
    squares = fsum(level.fails * (1 - level[0]) ** 2 + (level.steps - level.fails) * level[0] ** 2 for level in levels)
    return squares / steps if steps else None


def fill_bins(levels: Sequence[Level], most: int = MOST_BINS) -> list[Bin]:
    """At most so many bins with about the same number of steps. A level is in one bin: that of its middle step."""
    total, before = sum(level.steps for level in levels), 0
    bins: dict[int, list[Level]] = {}
    for level in levels:
        middle = (before + level.steps / 2) / total if total else 0
        bins.setdefault(min(most - 1, int(middle * most)), []).append(level)
        before += level.steps
    return [_join(each) for each in bins.values()]


def _join(levels: Sequence[Level]) -> Bin:
    steps = sum(level.steps for level in levels)
    return Bin(fsum(d * n for d, n, _ in levels) / steps, steps, sum(level.fails for level in levels))


def compute_ece(levels: Sequence[Level]) -> float | None:
    """The expected calibration error: over bins of equal mass, the mean distance between difficulty and failure."""
    steps = sum(level.steps for level in levels)
    return fsum(abs(n * d - fails) for d, n, fails in fill_bins(levels)) / steps if steps else None


def compute_risk(levels: Sequence[Level], coverage: float) -> float | None:
    """The share that fails among the easiest `coverage` of the steps; a level that is cut counts in proportion."""
    left = wanted = coverage * sum(level.steps for level in levels)
    failing = 0.0
    for _, steps, fails in levels:
        if left <= 0:
            break
        failing += fails * min(1.0, left / steps)
        left -= steps
    return failing / wanted if wanted else None


def compute_aurc(levels: Sequence[Level]) -> float | None:
    """The area under the curve of risk by coverage: the mean risk over the coverages 1/n, 2/n to 1.

    Within a level it is the mean over all orders of its steps.
    """
    total = sum(level.steps for level in levels)
    area, before, failing = 0.0, 0, 0
    harmonic = _sum_harmonic(total)
    for _, steps, fails in levels:
        each = fails / steps
        area += (failing - each * before) * (harmonic[before + steps] - harmonic[before]) + fails
        before, failing = before + steps, failing + fails
    return area / total if total else None


_HARMONIC = [0.0]


def _sum_harmonic(last: int) -> Sequence[float]:
    """The harmonic numbers from 0 to `last` at least; they are kept, because a bootstrap asks for them often."""
    for n in range(len(_HARMONIC), last + 1):
        _HARMONIC.append(_HARMONIC[-1] + 1 / n)
    return _HARMONIC
