"""One minus the confidence in a System 1 draft. The draft is kept when the step stays in System 1: it costs no call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from scale_reasoning.strategies.allocation import HARDEST
from scale_reasoning.strategies.assessors.rated import Rated
from scale_reasoning.strategies.confidence import Over, compute_confidence
from scale_reasoning.strategies.options import check_options, option
from scale_reasoning.strategies.subproblem import Subproblem
from scale_reasoning.types import Assessment

UNKNOWN = Rated()
"""What is asked where the server gives no log-probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """One minus the confidence in a System 1 draft, by its own probabilities; 1 for a draft without a result."""

    over: Over = option("digits", "tokens of the draft that count: those with digits, or all")

    NEEDS_LOGPROBS: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self)

    def is_ahead(self) -> bool:
        """See Assessor."""
        return False

    def most_calls(self, tries: int) -> int:
        """See Assessor. Those of the rating that is asked for without log-probabilities."""
        return UNKNOWN.most_calls(tries)

    def most_drafts(self) -> int:
        """See Assessor."""
        return 1

    async def assess(self, subproblem: Subproblem) -> Assessment:
        """See Assessor."""
        (draft,) = await subproblem.draft(1)
        if draft.answer is None:
            return Assessment(assessor="draft", difficulty=HARDEST, fallback="the draft has no result")
        confidence = compute_confidence(draft.logprobs, self.over)
        if confidence is None:
            rated = await subproblem.ask(UNKNOWN)
            return replace(rated, assessor="draft", fallback="no log-probabilities: the rating that the model says")
        return Assessment(assessor="draft", difficulty=1 - confidence)
