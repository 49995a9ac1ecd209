"""Drafts in System 1 first, and solves again in System 2 where the drafts do not stand a check.

With two bounds, only what is rated between them is drafted (arXiv 2602.17633): easier steps stay in System 1, harder
ones go to System 2 at once. Without bounds nothing is assessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies.confidence import compute_confidence
from scale_reasoning.strategies.number import Number
from scale_reasoning.strategies.options import check_options, count, option
from scale_reasoning.strategies.subproblem import Draft, Subproblem
from scale_reasoning.types import Mode, Step

MOST_SHOWN = 60
"""Characters of a result in a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalate:
    """Drafts in System 1, and solves again in System 2 where the drafts do not stand a check.

    d <= low: System 1; d > high: System 2; between them, or where there is no bound: drafts that are checked.

    Drafts are accepted if all have one result and the mean confidence in them is at least `accept`. Where the server
    gives no log-probabilities, several drafts are accepted by their results alone; one draft never is.
    """

    low: float | None = option(None, "difficulty up to which a step is solved in System 1 unchecked", low=0, high=1)
    high: float | None = option(None, "difficulty above which a step is solved in System 2 at once", low=0, high=1)
    drafts: int = count(2, "System 1 drafts that must agree", client_most=16)
    accept: float = option(0.75, "least confidence in drafts that agree; 0: agreement is enough", low=0, high=1)

    NUMBER: ClassVar[Number] = Number(option="accept", symbol="accept", closed="high")

    def __post_init__(self) -> None:
        check_options(self)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ConfigError(f"low = {self.low}: must be at most high = {self.high}")

    def assesses(self, number: int, of: int) -> bool:
        """See Allocator."""
        return self.low is not None or self.high is not None

    def most_drafts(self) -> int:
        """See Allocator."""
        return self.drafts

    async def allocate(self, subproblem: Subproblem) -> Step:
        """See Allocator."""
        if self.low is not None and await subproblem.difficulty() <= self.low:
            return await subproblem.solve(Mode.SYSTEM1)
        if self.high is not None and await subproblem.difficulty() > self.high:
            return await subproblem.solve(Mode.SYSTEM2)
        drafts = await subproblem.draft(self.drafts)
        if objection := self._find_objection(subproblem, drafts):
            subproblem.reject(drafts, objection)
            return await subproblem.solve(Mode.SYSTEM2, objection)
        subproblem.keep(drafts[0])
        subproblem.reject(drafts[1:], "it agrees with the draft that was kept")
        return await subproblem.solve(Mode.SYSTEM1, self._say_accepted(drafts))

    def _find_objection(self, subproblem: Subproblem, drafts: Sequence[Draft]) -> str | None:
        """Why the drafts do not stand; None if they do."""
        if missing := sum(draft.answer is None for draft in drafts):
            return f"{missing} of {len(drafts)} drafts {'has' if missing == 1 else 'have'} no result"
        if len({draft.same for draft in drafts}) > 1:
            results = ", ".join(map(_write_result, drafts))
            return f"{len(drafts)} drafts disagree: {results}"
        confidence = _average_confidence(drafts)
        if confidence is None:
            return "the server gives no log-probabilities to check one draft by" if len(drafts) == 1 else None
        unsure = subproblem.compare(confidence) < self.accept
        return f"confidence {confidence:.2f} is below {self.accept:g}" if unsure else None

    def _say_accepted(self, drafts: Sequence[Draft]) -> str:
        confidence = _average_confidence(drafts)
        unknown = ", no log-probabilities" if self.accept else ""
        sure = unknown if confidence is None else f", confidence {confidence:.2f}"
        result = _write_result(drafts[0])
        agree = f"{len(drafts)} drafts agree: {result}" if len(drafts) > 1 else f"a draft: {result}"
        return agree + sure


def _write_result(draft: Draft) -> str:
    result = draft.answer or ""
    return result if len(result) <= MOST_SHOWN else f"{result[:MOST_SHOWN]}…"


def _average_confidence(drafts: Sequence[Draft]) -> float | None:
    known = [sure for draft in drafts if (sure := compute_confidence(draft.logprobs)) is not None]
    return fmean(known) if len(known) == len(drafts) else None
