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

    @property
    def usable(self) -> Outcome | None:
        """The outcome, unless an infrastructure error left the attempt pending."""
        return None if self.outcome is None or self.outcome.pending else self.outcome

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
    """A cell at one value, over the `ran` attempts that the journal has completely. Tokens are None if uncounted.

    compared: those of them that the journal also has at the cell's own value; own_*: what these have there.
    changed: attempts that go another way than at the own value; known: those of them that ran; regraded: those of them
    with a grade in both; gained, lost: wrong to right, right to wrong. unmatched: attempts that the journal does not
    have at the own value, so that it is not known whether they change.
    """

    ran: int = 0
    graded: int = 0
    right: int = 0
    tokens: int | None = 0
    iterations: int = 0
    hard: int = 0
    compared: int = 0
    own_right: int = 0
    own_tokens: int | None = 0
    own_iterations: int = 0
    own_hard: int = 0
    changed: int = 0
    known: int = 0
    regraded: int = 0
    gained: int = 0
    lost: int = 0
    unmatched: int = 0


@dataclass(slots=True)
class Table:
    """A cell at every value of GRID; `done` of `planned` attempts are looked up. value: the cell's own."""

    number: Number
    value: float
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
        own = next((each for each in ranges if self.value in each), None)
        for value, row in zip(GRID, self.rows, strict=True):
            here = next((each for each in ranges if value in each), None)
            if here is not None and here.usable is not None:
                _add(row, here.usable)
            if own is None or own.usable is None:
                row.unmatched += 1
            else:
                _add_change(row, own.usable, here.usable if here else None, changed=here is not own)
        self.done += 1


def make_table(number: Number, value: float, planned: int) -> Table:
    """An empty table, or one that says why it stays empty."""
    if planned <= MOST_LOOKED_UP:
        return Table(number, value, planned)
    return Table(number, value, planned, error=f"{planned:,} attempts; up to {MOST_LOOKED_UP:,} are looked up")


def _add(row: Totals, outcome: Outcome) -> None:
    tokens = outcome.usage.completion_tokens
    row.ran += 1
    row.graded += outcome.correct is not None
    row.right += outcome.correct is True
    row.tokens = None if tokens is None or row.tokens is None else row.tokens + tokens
    row.iterations += outcome.iterations
    row.hard += outcome.hard


def _add_change(row: Totals, own: Outcome, here: Outcome | None, *, changed: bool) -> None:
    row.changed += changed
    if here is None:
        return
    tokens = own.usage.completion_tokens
    row.compared += 1
    row.own_right += own.correct is True
    row.own_tokens = None if tokens is None or row.own_tokens is None else row.own_tokens + tokens
    row.own_iterations += own.iterations
    row.own_hard += own.hard
    if changed:
        row.known += 1
        row.regraded += own.correct is not None and here.correct is not None
        row.gained += own.correct is False and here.correct is True
        row.lost += own.correct is True and here.correct is False
