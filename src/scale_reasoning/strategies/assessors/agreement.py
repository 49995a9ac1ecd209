"""One minus the share of System 1 drafts that agree, the largest class of equal results (arXiv 2310.03094)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scale_reasoning.strategies.allocation import HARDEST
from scale_reasoning.strategies.confidence import compute_confidence
from scale_reasoning.strategies.options import check_options, count, option
from scale_reasoning.strategies.subproblem import Draft, Subproblem
from scale_reasoning.types import Assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One minus the share of System 1 drafts that agree.

    k drafts vote. The first draft of the largest class is the System 1 solution.
    """

    drafts: int = count(3, "System 1 drafts that vote", client_most=16)
    weigh: Literal["votes", "confidence"] = option(
        "votes", "what a draft counts: 1, or the confidence in it (1 without log-probabilities)"
    )

    def __post_init__(self) -> None:
        check_options(self)

    def is_ahead(self) -> bool:
        """See Assessor."""
        return False

    def most_calls(self, tries: int) -> int:
        """See Assessor."""
        return 0

    def most_drafts(self) -> int:
        """See Assessor."""
        return self.drafts

    async def assess(self, subproblem: Subproblem) -> Assessment:
        """See Assessor."""
        drafts = await subproblem.draft(self.drafts)
        classes: dict[str, list[Draft]] = {}
        for draft in drafts:
            if draft.same is not None:
                classes.setdefault(draft.same, []).append(draft)
        if not classes:
            return Assessment(assessor="agreement", difficulty=HARDEST, fallback="no draft has a result")
        largest = max(classes.values(), key=self._weigh)
        subproblem.keep(largest[0])
        unknown = self.weigh == "confidence" and any(draft.logprobs is None for draft in largest)
        return Assessment(
            assessor="agreement",
            difficulty=1 - self._weigh(largest) / self.drafts,
            fallback="no log-probabilities: votes" if unknown else "",
        )

    def _weigh(self, drafts: Sequence[Draft]) -> float:
        if self.weigh == "votes":
            return len(drafts)
        known = [compute_confidence(draft.logprobs) for draft in drafts]
        return sum(1.0 if confidence is None else confidence for confidence in known)
