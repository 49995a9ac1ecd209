"""What assessors and allocators are (paper, eqs 3-4). Their tables are in assessors/ and allocators/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from scale_reasoning.types import Assessment, Step

if TYPE_CHECKING:
    from scale_reasoning.strategies.subproblem import Subproblem

HARDEST = 1.0
"""The difficulty where none can be assessed: System 2 in case of doubt."""


class Assessor(Protocol):
    """How difficult a sub-problem is (eq 3): a frozen dataclass whose fields are its options."""

    def is_ahead(self) -> bool:
        """Whether it needs no earlier solution, so that all sub-problems are assessed at once."""
        ...

    def most_calls(self, tries: int) -> int:
        """How many calls it makes per sub-problem at most, without drafts; `tries` is the option of SCALE."""
        ...

    def most_drafts(self) -> int:
        """How many System 1 drafts of a sub-problem it asks for at most."""
        ...

    async def assess(self, subproblem: Subproblem) -> Assessment:
        """Assesses the difficulty, in [0, 1]. What cannot be assessed has difficulty `HARDEST` and a note."""
        ...


class Allocator(Protocol):
    """What is spent on a sub-problem (eq 4): a frozen dataclass whose fields are its options."""

    def assesses(self, number: int, of: int) -> bool:
        """Whether it may ask for the difficulty of sub-problem `number` of `of`."""
        ...

    def most_drafts(self) -> int:
        """How many System 1 drafts of a sub-problem it asks for at most."""
        ...

    async def allocate(self, subproblem: Subproblem) -> Step:
        """Solves the sub-problem and returns one of its solutions."""
        ...
