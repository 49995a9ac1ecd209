"""Another allocator while the tokens of the attempt last; every later step keeps enough for a short answer."""

from __future__ import annotations

from dataclasses import dataclass

from scale_reasoning.strategies.allocation import Allocator
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.options import check_options, count, part
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Mode, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Another allocator while the tokens of the attempt last.

    Caps each solution by what is left of `tokens` after `reserve` for each later step. A step with less than twice the
    reserve is solved in System 1. What earlier steps did not use goes to later ones. Decompositions and ratings count
    as spent, but are not capped.
    """

    then: Allocator = part(Threshold, "allocator of the steps for which enough tokens are left")
    tokens: int = count(4096, "new tokens that an attempt may spend")
    reserve: int = count(128, "new tokens held back for each later step", at_most="tokens")

    def __post_init__(self) -> None:
        check_options(self)

    def assesses(self, number: int, of: int) -> bool:
        """See Allocator."""
        return self.then.assesses(number, of)

    def most_drafts(self) -> int:
        """See Allocator."""
        return self.then.most_drafts()

    async def allocate(self, subproblem: Subproblem) -> Step:
        """See Allocator."""
        spent = subproblem.spent()
        if spent is None:
            subproblem.notes.append("the server counts no tokens: the budget does not bind")
            return await self.then.allocate(subproblem)
        left = self.tokens - spent - self.reserve * (subproblem.of - subproblem.number)
        if left < 2 * self.reserve:
            subproblem.cap_tokens(max(left, self.reserve))
            return await subproblem.solve(Mode.SYSTEM1, f"{max(left, 0):,} tokens of {self.tokens:,} are left for it")
        subproblem.cap_tokens(left // (1 + subproblem.count_drafts(self.then)))
        return await self.then.allocate(subproblem)
