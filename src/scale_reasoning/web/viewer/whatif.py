"""What another threshold would have done: each attempt again over the journal, at every tau where it changes.

An attempt goes the same way for all tau between two difficulties it meets, so it is replayed once a stretch, and the
stretches cover [0, 1] exactly. Where a call is missing the stretch is not run: nothing here is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from scale_reasoning.graders import Grader
from scale_reasoning.journal import Journal
from scale_reasoning.lm import Endpoints, Strategy
from scale_reasoning.runs.outcome import Outcome, outcome_of
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.types import Problem
from scale_reasoning.web.viewer.replay import Remembering, replay

GRID = tuple(number / 100 for number in range(101))
"""The thresholds that a slider stops at."""


def tau_of(strategy: Strategy) -> float | None:
    """The strategy's threshold; None where it has none to ask about."""
    match strategy:
        case Scale(route="threshold", tau=tau):
            return tau
        case Vote(base=base):
            return tau_of(base)
        case _:
            return None


def at_tau(strategy: Strategy, tau: float) -> Strategy:
    """The strategy with another threshold."""
    match strategy:
        case Scale():
            return replace(strategy, tau=tau)
        case Vote(base=base):
            return replace(strategy, base=at_tau(base, tau))
        case _:
            return strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One attempt at every tau from `low` up to, and not at, `high` (None: to 1): its outcome, or the missing call."""

    low: float
    high: float | None
    outcome: Outcome | None
    missing: str | None

    def __contains__(self, tau: float) -> bool:
        return self.low <= tau and (self.high is None or tau < self.high)


async def stretches(
    problem: Problem,
    strategy: Strategy,
    endpoints: Endpoints,
    journal: Journal,
    *,
    sample: int,
    seed: int,
    grader: Grader | None,
) -> tuple[Stretch, ...]:
    """The attempt at every tau in [0, 1]. Ends, for each replay begins at a higher difficulty that was paid for."""
    journal, found, low = Remembering(journal), list[Stretch](), 0.0
    while True:
        again = await replay(
            problem, at_tau(strategy, low), endpoints, journal, sample=sample, seed=seed, grader=grader
        )
        high = min((d for d in again.difficulties if d > low), default=None)
        outcome = outcome_of(again.record) if again.complete else None
        found.append(Stretch(low=low, high=high, outcome=outcome, missing=again.missing))
        if high is None or high > 1:
            return tuple(found)
        low = high


@dataclass(slots=True, kw_only=True)
class At:
    """A whole cell at one threshold, over the attempts that the journal has whole. Tokens None where uncounted."""

    ran: int = 0
    graded: int = 0
    right: int = 0
    tokens: int | None = 0
    iterations: int = 0
    hard: int = 0


@dataclass(slots=True)
class Table:
    """Every threshold of the grid, filled attempt by attempt: `done` of `planned` were looked up."""

    planned: int
    done: int = 0
    error: str | None = None
    rows: Sequence[At] = field(default_factory=lambda: tuple(At() for _ in GRID))

    @property
    def ready(self) -> bool:
        """Whether nothing more will come."""
        return self.error is not None or self.done == self.planned

    def add(self, attempt: Sequence[Stretch]) -> None:
        """Counts one attempt in."""
        for tau, row in zip(GRID, self.rows, strict=True):
            outcome = next((stretch.outcome for stretch in attempt if tau in stretch), None)
            if outcome is not None and not outcome.pending:
                _count(row, outcome)
        self.done += 1


def _count(row: At, outcome: Outcome) -> None:
    tokens = outcome.usage.completion_tokens
    row.ran += 1
    row.graded += outcome.correct is not None
    row.right += outcome.correct is True
    row.tokens = None if tokens is None or row.tokens is None else row.tokens + tokens
    row.iterations += outcome.iterations
    row.hard += outcome.hard
