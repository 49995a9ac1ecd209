"""Which attempt of a run is next, and when: all as fast as possible, or only those that a goal can need.

Decides the order towards a goal: every problem once before any is tried again, and no problem twice at a time. The goal
decides when it is reached.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One sample of one problem in all cells with its dataset and model, one after another.

    So a call that two cells have in common is paid for once.
    """

    problem: Problem
    sample: int
    cells: tuple[int, ...]


class Goal(Protocol):
    """What can end a run before all its attempts are made.

    An attempt counts towards one part of the goal, its `place`; once that is `reached`, its other attempts are not
    needed.
    """

    def count_outcome(self, cell: int, outcome: Outcome) -> None:
        """One attempt ended."""
        ...

    def enough(self) -> bool:
        """Whether nothing more is needed."""
        ...

    def room(self) -> int:
        """How many attempts may be in flight now, at least 1 unless there is enough."""
        ...

    def place(self, cell: int, problem_id: str, sample: int) -> Hashable:
        """The part of the goal that an attempt counts towards."""
        ...

    def reached(self, place: Hashable) -> bool:
        """Whether this part needs no further attempt."""
        ...


class All:
    """All units in their order, without a goal."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._left: Iterator[Unit] = iter(units)

    async def next(self) -> Unit | None:
        """The next unit, None if there are no more."""
        return next(self._left, None)

    async def ended(self, unit: Unit) -> None:
        """Does nothing."""

    def needs(self, cell: int, unit: Unit) -> bool:
        """Whether this cell's attempt of a unit is still needed."""
        return True


class Towards:
    """The units that a goal needs; the next one is returned when the goal has room for it."""

    def __init__(self, goal: Goal, units: Iterable[Unit]) -> None:
        self._goal = goal
        self._left: dict[Hashable, deque[Unit]] = {}
        for unit in units:
            self._left.setdefault(self._place(unit), deque()).append(unit)
        self._ready = deque(self._left)
        self._in_flight = 0
        self._changed = asyncio.Condition()

    async def next(self) -> Unit | None:
        """Waits for the next unit; None if there is enough, or if there are no more."""
        async with self._changed:
            await self._changed.wait_for(self._decided)
            if self._goal.enough() or not self._ready:
                return None
            self._in_flight += 1
            return self._left[self._ready.popleft()].popleft()

    async def ended(self, unit: Unit) -> None:
        """Makes room for others. The next unit of this part, if it is needed, comes after all other parts."""
        place = self._place(unit)
        async with self._changed:
            self._in_flight -= 1
            if self._left[place] and self._wants(place):
                self._ready.append(place)
            over = self._goal.enough() or not (self._ready or self._in_flight)
            self._changed.notify_all() if over else self._changed.notify(self._room())

    def needs(self, cell: int, unit: Unit) -> bool:
        """Whether this cell's attempt of a unit is still needed."""
        return not self._goal.reached(self._goal.place(cell, unit.problem.id, unit.sample))

    def _decided(self) -> bool:
        while self._ready and not self._wants(self._ready[0]):
            self._ready.popleft()
        if self._goal.enough() or not (self._ready or self._in_flight):
            return True
        return bool(self._ready) and self._room() > 0

    def _wants(self, place: Hashable) -> bool:
        """Whether the next unit of this part is needed by any of its cells."""
        unit = self._left[place][0]
        return any(self.needs(cell, unit) for cell in unit.cells)

    def _room(self) -> int:
        return max(0, self._goal.room() - self._in_flight)

    def _place(self, unit: Unit) -> Hashable:
        return self._goal.place(unit.cells[0], unit.problem.id, unit.sample)
