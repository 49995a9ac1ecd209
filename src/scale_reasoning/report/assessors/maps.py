"""From difficulties to chances of failure: the map that the assessor `calibrated` takes.

Isotonic regression where there are many steps, Platt's sigmoid where there are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

from scale_reasoning.report.assessors.measures import Bin, Level

ISOTONIC_FROM = 200
"""Steps from which the fit is isotonic; with fewer it follows chance."""
NEWTON_STEPS = 100
POINTS = 10
"""Pieces in which a sigmoid is written."""


def fit_map(levels: Sequence[Level]) -> str | None:
    """The points DIFFICULTY:PROBABILITY of the fit; None if no step fails, or all do."""
    steps, fails = sum(level.steps for level in levels), sum(level.fails for level in levels)
    if not 0 < fails < steps:
        return None
    points = list_corners(levels) if steps >= ISOTONIC_FROM else draw_sigmoid(levels)
    written: dict[str, float] = {}
    for difficulty, chance in points:
        written[f"{difficulty:.4g}"] = max(chance, *written.values(), 0.0)
    return " ".join(f"{difficulty}:{chance:.3g}" for difficulty, chance in written.items())


def pool_violators(levels: Sequence[Level]) -> list[Bin]:
    """The isotonic fit: blocks of levels whose failure shares rise. `difficulty` is that of a block's first level."""
    blocks: list[Bin] = []
    for level in levels:
        blocks.append(Bin(*level))
        while len(blocks) > 1 and blocks[-2].fails * blocks[-1].steps >= blocks[-1].fails * blocks[-2].steps:
            last, before = blocks.pop(), blocks.pop()
            blocks.append(Bin(before.difficulty, before.steps + last.steps, before.fails + last.fails))
    return blocks


def list_corners(levels: Sequence[Level]) -> list[tuple[float, float]]:
    """The first and the last difficulty of every block, with the block's share of failures."""
    blocks = pool_violators(levels)
    starts = [block.difficulty for block in blocks]
    corners: list[tuple[float, float]] = []
    for start, after, block in zip(starts, [*starts[1:], None], blocks, strict=True):
        end = max(level.difficulty for level in levels if after is None or level.difficulty < after)
        corners += [(each, block.fails / block.steps) for each in dict.fromkeys((start, end))]
    return corners


def fit_sigmoid(levels: Sequence[Level]) -> tuple[float, float]:
    """Slope and offset of Platt's sigmoid 1 / (1 + exp(-(slope d + offset))), by Newton's method.

    The targets are Platt's, which keep away from 0 and 1. A slope below 0 becomes 0: a map must not fall.
    """
    steps, fails = sum(level.steps for level in levels), sum(level.fails for level in levels)
    high, low = (fails + 1) / (fails + 2), 1 / (steps - fails + 2)
    targets = [(d, n, (f * high + (n - f) * low) / n) for d, n, f in levels]
    slope = offset = 0.0
    for _ in range(NEWTON_STEPS):
        gradient, curvature = [0.0, 0.0], [1e-6, 0.0, 1e-6]
        for d, n, target in targets:
            chance = sigmoid(slope * d + offset)
            error, weight = n * (chance - target), n * chance * (1 - chance)
            gradient = [gradient[0] + error * d, gradient[1] + error]
            curvature = [curvature[0] + weight * d * d, curvature[1] + weight * d, curvature[2] + weight]
        determinant = curvature[0] * curvature[2] - curvature[1] ** 2
        move = ((curvature[2] * gradient[0] - curvature[1] * gradient[1]) / determinant,
                (curvature[0] * gradient[1] - curvature[1] * gradient[0]) / determinant)  # fmt: skip
        slope, offset = slope - _bound(move[0]), offset - _bound(move[1])
        if max(map(abs, move)) < 1e-10:
            break
    if slope >= 0:
        return slope, offset
    share = sum(n * target for _, n, target in targets) / steps
    return 0.0, log(share / (1 - share))


def draw_sigmoid(levels: Sequence[Level]) -> list[tuple[float, float]]:
    """Points of the sigmoid between which the map is linear."""
    slope, offset = fit_sigmoid(levels)
    return [(place / POINTS, sigmoid(slope * place / POINTS + offset)) for place in range(POINTS + 1)]


def sigmoid(x: float) -> float:
    """The logistic function."""
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def _bound(move: float) -> float:
    """A step that cannot overshoot far."""
    return max(-5.0, min(5.0, move))
