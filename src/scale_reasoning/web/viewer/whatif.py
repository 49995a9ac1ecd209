"""The effect of another number of the allocator: replays each attempt from the journal at every value where it changes.

An attempt changes only at values that were compared with the number, so one replay per range covers [0, 1] exactly.
Where the journal lacks a call, the range is not run: nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf, nextafter

from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.outcome import Outcome, outcome_of
from scale_reasoning.strategies.number import Number, set_number
from scale_reasoning.web.viewer.replay import CachingJournal, StoredAttempt, replay

GRID = tuple(number / 100 for number in range(101))
"""The values that a slider stops at."""
MOST_LOOKED_UP = 1_000_000
"""Attempts that are replayed for the slider; more would take hours."""
MOST_RANGES = 1_000
"""Ranges of one attempt; a vote of 16 over 16 steps has fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """One attempt at every value from `low` to `high` (None: to 1): its outcome, or the path of the missing call.

    Of the two ends the one that `closed` names belongs to the range; 0 and 1 always do. first: the least value in it.
    """

    first: float
    low: float
    high: float | None
    closed: str
    outcome: Outcome | None
    missing: str | None

    def __contains__(self, value: float) -> bool:
        if value < self.first or self.high is None:
            return value >= self.first
        return value < self.high if self.closed == "low" else value <= self.high


async def find_ranges(stored: StoredAttempt, number: Number) -> tuple[Range, ...]:
    """Replays the attempt at every value in [0, 1]. It ends, because each replay starts at a higher known value.

    Raises ConfigError for an attempt that changes at more than MOST_RANGES values.
    """
    stored = replace(stored, journal=CachingJournal(stored.journal))
    ranges, low, first = list[Range](), 0.0, 0.0
    while len(ranges) < MOST_RANGES:
        found = await replay(replace(stored, strategy=set_number(stored.strategy, number, first)))
        high = _find_next(found.compared, number, first)
        outcome = outcome_of(found.record) if found.complete else None
        each = Range(first=first, low=low, high=high, closed=number.closed, outcome=outcome, missing=found.missing)
        ranges.append(each)
        if high is None:
            return tuple(ranges)
        low, first = high, high if number.closed == "low" else nextafter(high, inf)
    raise ConfigError(f"it changes at more than {MOST_RANGES:,} values of {number.option}")


def _find_next(compared: Sequence[float], number: Number, first: float) -> float | None:
    """The first value at which the attempt changes, of those compared in a replay at `first`; None if it is past 1."""
    if number.closed == "low":
        return min((value for value in compared if first < value <= 1), default=None)
    return min((value for value in compared if first <= value < 1), default=None)


@dataclass(slots=True, kw_only=True)
class Totals:
    """A cell at one value, over the attempts that the journal has completely. Tokens are None if uncounted."""

    ran: int = 0
    graded: int = 0
    right: int = 0
    tokens: int | None = 0
    iterations: int = 0
    hard: int = 0


@dataclass(slots=True)
class Table:
    """A cell at every value of GRID; `done` of `planned` attempts are looked up."""

    number: Number
    planned: int
    done: int = 0
    error: str | None = None
    rows: Sequence[Totals] = field(default_factory=lambda: tuple(Totals() for _ in GRID))

    @property
    def ready(self) -> bool:
        """Whether it is complete, or has failed."""
        return self.error is not None or self.done == self.planned

    def add(self, ranges: Sequence[Range]) -> None:
        """Adds one attempt."""
        for value, row in zip(GRID, self.rows, strict=True):
            outcome = next((each.outcome for each in ranges if value in each), None)
            if outcome is not None and not outcome.pending:
                _add(row, outcome)
        self.done += 1


def make_table(number: Number, planned: int) -> Table:
    """An empty table, or one that says why it stays empty."""
    if planned <= MOST_LOOKED_UP:
        return Table(number, planned)
    return Table(number, planned, error=f"{planned:,} attempts; up to {MOST_LOOKED_UP:,} are looked up")


def _add(row: Totals, outcome: Outcome) -> None:
    tokens = outcome.usage.completion_tokens
    row.ran += 1
    row.graded += outcome.correct is not None
    row.right += outcome.correct is True
    row.tokens = None if tokens is None or row.tokens is None else row.tokens + tokens
    row.iterations += outcome.iterations
    row.hard += outcome.hard
