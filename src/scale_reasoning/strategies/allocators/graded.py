"""The difficulty decides how much may be written or thought, not only in which mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scale_reasoning.endpoint import Thinking
from scale_reasoning.errors import ConfigError
from scale_reasoning.servers import EFFORTS
from scale_reasoning.strategies.options import check_options, option
from scale_reasoning.strategies.pairs import read_pairs
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Mode, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """The difficulty decides how much System 2 may write or think in a step.

    Of the levels, the first whose number is not below the difficulty decides. `max` is no effort, but System 2 with its
    usual limit; the effort of that name is `effort-max`.
    """

    levels: str = option(
        "0.3:none 0.7:2048 1:max",
        "up to which difficulty what: none is System 1; a number caps System 2's new tokens, max leaves its limit, "
        "low to xhigh or effort-max is the model's own effort, budget-N a thinking budget of N tokens",
    )

    def __post_init__(self) -> None:
        check_options(self)
        if read_pairs("levels", self.levels, _read_level)[-1][0] < 1:
            raise ConfigError(f"levels = {self.levels!r}: the last level must be for difficulties up to 1")

    def list_thinking(self) -> Sequence[Thinking]:
        """The efforts and thinking budgets of the levels."""
        return [_read_thinking(level) for _, level in read_pairs("levels", self.levels, _read_level)]

    def assesses(self, number: int, of: int) -> bool:
        """See Allocator."""
        return True

    def most_drafts(self) -> int:
        """See Allocator."""
        return 0

    async def allocate(self, subproblem: Subproblem) -> Step:
        """See Allocator."""
        levels, difficulty = read_pairs("levels", self.levels, _read_level), await subproblem.difficulty()
        level = next(level for most, level in levels if difficulty <= most)
        if level == "none":
            return await subproblem.solve(Mode.SYSTEM1)
        subproblem.cap_tokens(int(level) if level.isdecimal() else None)
        subproblem.tell_thinking(_read_thinking(level))
        return await subproblem.solve(Mode.SYSTEM2, _describe(level))


BUDGET, EFFORT = "budget-", "effort-"
BARE = tuple(word for word in EFFORTS if word != "max")
"""Efforts that need no prefix; `max` alone means System 2 with its usual limit."""


def _read_level(text: str) -> str:
    number = text.removeprefix(BUDGET)
    if text in ("none", "max", *BARE) or text.removeprefix(EFFORT) in EFFORTS or (number.isdecimal() and int(number)):
        return text
    raise ValueError(f"a level is none, max, a number of tokens, {', '.join(BARE)}, {EFFORT}max or {BUDGET}N")


def _read_thinking(level: str) -> Thinking:
    if level.startswith(BUDGET):
        return Thinking(budget=int(level.removeprefix(BUDGET)))
    word = level.removeprefix(EFFORT)
    return Thinking(effort=word if level != "max" and word in EFFORTS else None)


def _describe(level: str) -> str:
    """Why the solution is as it is, in words; empty for System 2 with its usual limit."""
    thinking = _read_thinking(level)
    if thinking.budget is not None:
        return f"a thought of at most {thinking.budget:,} tokens"
    if thinking.effort is not None:
        return f"effort {thinking.effort}"
    return f"at most {int(level):,} tokens" if level.isdecimal() else ""
