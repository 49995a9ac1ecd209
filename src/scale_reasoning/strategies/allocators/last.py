"""Rules for the last sub-problem, which carries the answer; another allocator decides on those before it."""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.strategies.allocation import Allocator
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.options import check_options, option, part
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Mode, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class LastThinks:
    """The last sub-problem is solved in System 2 without an assessment."""

    then: Allocator = part(Threshold, "allocator of the steps before the last")

    def assesses(self, number: int, of: int) -> bool:
        """See Allocator."""
        return number < of and self.then.assesses(number, of)

    def most_drafts(self) -> int:
        """See Allocator."""
        return self.then.most_drafts()

    async def allocate(self, subproblem: Subproblem) -> Step:
        """See Allocator."""
        if subproblem.number == subproblem.of:
            return await subproblem.solve(Mode.SYSTEM2)
        return await self.then.allocate(subproblem)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDifficulty:
    """The last sub-problem has a fixed difficulty, as in the code that the paper's authors released."""

    then: Allocator = part(Threshold, "allocator of all steps, which takes the difficulty of the last one as given")
    difficulty: float = option(0.9, "difficulty of the last step", low=0, high=1)

    def __post_init__(self) -> None:
        check_options(self)

    def assesses(self, number: int, of: int) -> bool:
        """See Allocator."""
        return number < of and self.then.assesses(number, of)

    def most_drafts(self) -> int:
        """See Allocator."""
        return self.then.most_drafts()

    async def allocate(self, subproblem: Subproblem) -> Step:
        """See Allocator."""
        if subproblem.number == subproblem.of:
            subproblem.given = self.difficulty
        return await self.then.allocate(subproblem)
