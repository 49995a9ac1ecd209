"""Another allocator, and afterwards what System 1 and several assessors make of the sub-problem: data about assessors.

The solution is the other allocator's: the further calls come after it, at paths of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies.allocation import Allocator, Assessor
from scale_reasoning.strategies.allocators.always import Always
from scale_reasoning.strategies.assessors import ASSESSORS
from scale_reasoning.strategies.options import check_options, count, option, part
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.suggest import describe_unknown
from scale_reasoning.types import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Solves by `then`; makes System 1 drafts and asks the assessors that were not asked. See docs/evaluation.md."""

    then: Allocator = part(Always, "allocator that solves the steps")
    drafts: int = count(3, "System 1 drafts that are made of every step", client_most=16)
    assessors: str = option("rated expected draft agreement", "assessors that are asked about every step, by name")

    def __post_init__(self) -> None:
        check_options(self)
        if not self.assessors.split():
            raise ConfigError("assessors: must name at least one")
        for name in self.assessors.split():
            if name not in ASSESSORS:
                raise ConfigError(f"assessors: {describe_unknown('assessor', name, ASSESSORS)}")

    def list_assessors(self) -> Sequence[Assessor]:
        """The assessors, with their default options, each once."""
        return [ASSESSORS[name]() for name in dict.fromkeys(self.assessors.split())]

    def assesses(self, number: int, of: int) -> bool:
        """See Allocator."""
        return self.then.assesses(number, of)

    def most_drafts(self) -> int:
        """See Allocator."""
        return max(self.then.most_drafts(), self.drafts, *(each.most_drafts() for each in self.list_assessors()))

    def most_observed(self, tries: int) -> int:
        """How many calls the assessors make per sub-problem at most, without drafts."""
        return sum(each.most_calls(tries) for each in self.list_assessors())

    async def allocate(self, subproblem: Subproblem) -> Step:
        """See Allocator."""
        step = await self.then.allocate(subproblem)
        return await subproblem.observe(step, self.drafts, self.list_assessors())
