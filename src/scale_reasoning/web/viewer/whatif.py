"""The effect of another threshold: replays each attempt from the journal at every tau where it changes.

An attempt is the same for all tau between two of its difficulties, so one replay per range covers [0, 1] exactly. Where
the journal lacks a call, the range is not run: nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from scale_reasoning.lm import Strategy
from scale_reasoning.runs.outcome import Outcome, outcome_of
from scale_reasoning.strategies.allocators.threshold import Threshold
from scale_reasoning.strategies.options import list_parts, nested
from scale_reasoning.web.viewer.replay import CachingJournal, StoredAttempt, replay

T = TypeVar("T")

GRID = tuple(number / 100 for number in range(101))
"""The thresholds that a slider stops at."""


def find_tau(strategy: Strategy) -> float | None:
    """The strategy's threshold; None if it has none, or several."""
    found = {part.tau for part in nested(strategy) if isinstance(part, Threshold)}
    return found.pop() if len(found) == 1 else None


def set_tau(strategy: T, tau: float) -> T:
    """The strategy, or a part of one, with another threshold."""
    if isinstance(strategy, Threshold):
        return replace(strategy, tau=tau)
    return replace(cast("Any", strategy), **{name: set_tau(inner, tau) for name, inner in list_parts(strategy)})


@dataclass(frozen=True, slots=True, kw_only=True)
class TauRange:
    """One attempt at every tau in [low, high) (high None: to 1): its outcome, or the path of the missing call."""

    low: float
    high: float | None
    outcome: Outcome | None
    missing: str | None

    def __contains__(self, tau: float) -> bool:
        return self.low <= tau and (self.high is None or tau < self.high)


async def find_ranges(stored: StoredAttempt) -> tuple[TauRange, ...]:
    """Replays the attempt at every tau in [0, 1]. It ends, because each replay starts at a higher known difficulty."""
    stored = replace(stored, journal=CachingJournal(stored.journal))
    ranges, low = list[TauRange](), 0.0
    while True:
        found = await replay(replace(stored, strategy=set_tau(stored.strategy, low)))
        high = min((d for d in found.difficulties if d > low), default=None)
        outcome = outcome_of(found.record) if found.complete else None
        ranges.append(TauRange(low=low, high=high, outcome=outcome, missing=found.missing))
        if high is None or high > 1:
            return tuple(ranges)
        low = high


@dataclass(slots=True, kw_only=True)
class ThresholdTotals:
    """A cell at one threshold, over the attempts that the journal has completely. Tokens are None if uncounted."""

    ran: int = 0
    graded: int = 0
    right: int = 0
    tokens: int | None = 0
    iterations: int = 0
    hard: int = 0


@dataclass(slots=True)
class ThresholdTable:
    """A cell at every threshold of GRID; `done` of `planned` attempts are looked up."""

    planned: int
    done: int = 0
    error: str | None = None
    rows: Sequence[ThresholdTotals] = field(default_factory=lambda: tuple(ThresholdTotals() for _ in GRID))

    @property
    def ready(self) -> bool:
        """Whether it is complete, or has failed."""
        return self.error is not None or self.done == self.planned

    def add(self, ranges: Sequence[TauRange]) -> None:
        """Adds one attempt."""
        for tau, row in zip(GRID, self.rows, strict=True):
            outcome = next((each.outcome for each in ranges if tau in each), None)
            if outcome is not None and not outcome.pending:
                _add(row, outcome)
        self.done += 1


def _add(row: ThresholdTotals, outcome: Outcome) -> None:
    tokens = outcome.usage.completion_tokens
    row.ran += 1
    row.graded += outcome.correct is not None
    row.right += outcome.correct is True
    row.tokens = None if tokens is None or row.tokens is None else row.tokens + tokens
    row.iterations += outcome.iterations
    row.hard += outcome.hard
