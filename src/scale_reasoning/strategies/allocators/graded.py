"""The difficulty decides how much may be written, not only in which mode."""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies.options import check_options, option
from scale_reasoning.strategies.pairs import read_pairs
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Mode, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """The difficulty decides how many tokens a step may have.

    Of the levels, the first whose number is not below the difficulty decides.
    """

    levels: str = option(
        "0.3:none 0.7:2048 1:max",
        "up to which difficulty how many new tokens: none is System 1, a number caps System 2, max leaves it its limit",
    )

    def __post_init__(self) -> None:
        check_options(self)
        if read_pairs("levels", self.levels, _read_level)[-1][0] < 1:
            raise ConfigError(f"levels = {self.levels!r}: the last level must be for difficulties up to 1")

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
        subproblem.cap_tokens(None if level == "max" else int(level))
        return await subproblem.solve(Mode.SYSTEM2, f"at most {int(level):,} tokens" if level != "max" else "")


def _read_level(text: str) -> str:
    if text not in ("none", "max") and not (text.isdecimal() and int(text)):
        raise ValueError(text)
    return text
