"""A control: System 2 for a share of the sub-problems, by chance. Assesses nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scale_reasoning.strategies.number import Number
from scale_reasoning.strategies.options import check_options, option
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Mode, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """A control: System 2 for a share of the steps, by chance.

    The chance follows the run's seed: the same in every run with it.
    """

    share: float = option(0.5, "share of steps in System 2", low=0, high=1)

    NUMBER: ClassVar[Number] = Number(option="share", symbol="share", closed="high")

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
        thinks = subproblem.compare(subproblem.draw()) < self.share
        return await subproblem.solve(Mode.SYSTEM2 if thinks else Mode.SYSTEM1)
