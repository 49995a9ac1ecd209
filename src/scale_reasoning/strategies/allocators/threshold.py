"""The paper's rule: System 1 if d <= tau, else System 2 (eq 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scale_reasoning.strategies.number import Number
from scale_reasoning.strategies.options import check_options, option
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Mode, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """System 1 for difficulties up to tau, System 2 above."""

    tau: float = option(0.5, "difficulty threshold: System 1 if d <= tau, else System 2", flag=True, low=0, high=1)

    NUMBER: ClassVar[Number] = Number(option="tau", symbol="τ", closed="low")

    def __post_init__(self) -> None:
        check_options(self)

    def assesses(self, number: int, of: int) -> bool:
        """See Allocator."""
        return True

    def most_drafts(self) -> int:
        """See Allocator."""
        return 0

    async def allocate(self, subproblem: Subproblem) -> Step:
        """See Allocator."""
        easy = subproblem.compare(await subproblem.difficulty()) <= self.tau
        return await subproblem.solve(Mode.SYSTEM1 if easy else Mode.SYSTEM2)
