"""How `scale tune` spends the problems of a run: in rounds on those it tunes on, then on those it holds out.

Decides the split and the rounds. What is dropped after a round, and what is chosen, is decided in tuning/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from scale_reasoning.errors import ConfigError
from scale_reasoning.types import Problem

FIRST = 16
"""Problems of the first round; each further one has twice as many, the earlier ones included."""
FEWEST = 4
"""Problems of a tuning, below which nothing can be held out and compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a tuning decides by. Its run stores the problems in the order in which they are used.

    rounds: how many problems the candidates have had after each round; the last number is all that are tuned on.
    held_out: how many problems come after them. tokens: the most new tokens per problem in the mean, None for no limit.
    margin: the accuracy that fewer tokens may cost, in [0, 1]. level: the chance that the best candidate is dropped.
    planned: the attempts that each cell needs, as far as that is decided; empty before the first decision.
    """

    rounds: tuple[int, ...]
    held_out: int
    tokens: float | None = None
    margin: float = 0.02
    level: float = 0.1
    planned: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        growing = all(before < after for before, after in zip((0, *self.rounds), self.rounds, strict=False))
        if not self.rounds or not growing or self.held_out < 1:
            raise ConfigError(f"tuning, rounds = {self.rounds}: must grow, with held_out = {self.held_out} above 0")
        if not 0 < self.level < 1 or not 0 <= self.margin < 1:
            raise ConfigError(f"tuning, level = {self.level}, margin = {self.margin}: must be shares of 1")

    @property
    def problems(self) -> int:
        """All problems."""
        return self.rounds[-1] + self.held_out


def plan_rounds(problems: int, hold_out: float) -> tuple[tuple[int, ...], int]:
    """The rounds over so many problems, and how many are held out: a share, at least one. Raises ConfigError."""
    if problems < FEWEST:
        raise ConfigError(f"{problems} problems are too few to tune on some and hold out others: at least {FEWEST}")
    held_out = min(problems - 1, max(1, round(problems * hold_out)))
    rounds, most = [min(FIRST, problems - held_out)], problems - held_out
    while rounds[-1] < most:
        rounds.append(min(2 * rounds[-1], most))
    return tuple(rounds), held_out


def shuffle(problems: Sequence[Problem], seed: int) -> tuple[Problem, ...]:
    """The problems in an order that follows from the seed and their ids alone."""
    return tuple(sorted(problems, key=lambda problem: hashlib.sha256(f"{seed}\x1f{problem.id}".encode()).digest()))
