"""A control: all sub-problems in one mode. Assesses nothing."""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.strategies.options import check_options, option
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Mode, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """A control: all steps in one mode."""

    mode: Mode = option(Mode.SYSTEM2, "mode of all steps")

    def __post_init__(self) -> None:
        check_options(self)

    def assesses(self, number: int, of: int) -> bool:
        """See Allocator."""
        return False

    def most_drafts(self) -> int:
        """See Allocator."""
        return 0

    async def allocate(self, subproblem: Subproblem) -> Step:
        """See Allocator."""
        return await subproblem.solve(self.mode)
