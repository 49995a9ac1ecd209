"""One cell of a run in the viewer: its problems, a small mark per attempt, numbers, records, what-if.

It is read again only after something was written to the run.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

import msgspec

from scale_reasoning.errors import ConfigError, ScaleError, StoreError
from scale_reasoning.graders import Grader, grader_for
from scale_reasoning.report.metrics import Summary, summarise
from scale_reasoning.runs.cells import model_of, read_cell
from scale_reasoning.runs.finding import read_date
from scale_reasoning.runs.folder import DAMAGED
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.runs.store import Store, reading
from scale_reasoning.strategies import describe, label
from scale_reasoning.strategies.number import Number, find_number
from scale_reasoning.types import JSON, Problem, Record
from scale_reasoning.web.viewer.finding import Found, Latest
from scale_reasoning.web.viewer.replay import RecordedGrades, Replay, StoredAttempt, make_endpoints, replay
from scale_reasoning.web.viewer.whatif import Range, Table, find_ranges, make_table

Place: TypeAlias = tuple[int, int]
"""An attempt in the grid: the position of its problem in the dataset, and its sample."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The part of a usage that the grid needs."""

    completion_tokens: int | None


class Mark(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename={"pending": "owed"}):
    """The part of an outcome that the grid needs; see Outcome for the fields. Small, because there may be 100,000."""

    problem_id: str
    sample: int
    pending: bool
    correct: bool | None
    failure: str | None
    answer: str | None
    truncated: bool
    unparsed: bool
    difficulties: tuple[float | None, ...]
    usage: Tokens


class ViewedCell:
    """One cell. Methods may be called from any thread; each opens the run again, because it may be in progress."""

    def __init__(self, store: Store, *, run: int, cell: int, problems: list[Problem], pool: ThreadPoolExecutor) -> None:
        self.run, self.cell, self.folder = run, cell, store.folder
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._written = -1
        self._summary = Latest(pool, self._compute_summary)
        self._table: tuple[int, Table] | None = None
        self.marks: dict[Place, Mark] = {}
        self.histogram: dict[str, int] = {}
        """How often each difficulty was recorded."""
        self.completed = 0
        self.manifest: Manifest = store.manifest
        self.problems = problems
        self.planned = store.planned_of(cell)
        """Attempts that the manifest asks for."""
        self.positions = {problem.id: place for place, problem in enumerate(self.problems)}
        self.strategy = self.spec.make_strategy()
        self.options: Mapping[str, JSON] = label(describe(self.strategy))
        """The options that tell its strategy from others."""
        self.number, self.value = find_number(self.strategy) or (None, None)
        """The number that its slider moves, with its value; None if its strategy has none."""

    @property
    def spec(self) -> CellSpec:
        """The cell in the manifest."""
        return self.manifest.cells[self.cell]

    @property
    def model(self) -> str:
        """Its model or models."""
        return model_of(self.spec.model)

    @property
    def title(self) -> str:
        """The name of its run, or that of the run's folder."""
        return self.manifest.name or self.folder.name

    @property
    def created(self) -> datetime | None:
        """When its run was begun, if the manifest says."""
        return read_date(self.manifest.created)

    @property
    def pending(self) -> int:
        """Attempts that are not final."""
        return self.planned - self.completed

    @property
    def tau(self) -> float | None:
        """Its difficulty threshold; None if its strategy has none."""
        return self.value if self.number and self.number.option == "tau" else None

    def refresh(self) -> int:
        """Reads what was written since the last call; returns a number that grows with every attempt."""
        with self._lock, reading(self.folder) as store:
            written = store.written()
            if written != self._written:
                for mark in store.outcomes_since(self.cell, max(self._written, 0), Mark):
                    if mark.problem_id not in self.positions or not 0 <= mark.sample < self.manifest.samples:
                        raise StoreError(f"{self.folder}: an attempt at no problem of the run: {DAMAGED}")
                    self.marks[self.positions[mark.problem_id], mark.sample] = mark
                self._written = written
                marks = self.marks.values()
                self.completed = sum(not mark.pending for mark in marks)
                counted = Counter(d for mark in marks for d in mark.difficulties if d is not None)
                self.histogram = {str(difficulty): times for difficulty, times in sorted(counted.items())}
            return written

    def summarise(self, deadline: float | None) -> Found[Summary] | None:
        """Its numbers, computed once per change; None if there are none by the deadline (monotonic clock)."""
        return self._summary.find(self._written, deadline)

    def _compute_summary(self) -> Summary:
        with reading(self.folder) as store:
            return summarise(read_cell(store, self.cell))

    def find_long(self, tokens: int) -> set[Place]:
        """The attempts with a step of more tokens."""
        with reading(self.folder) as store:
            found = store.with_steps_over(self.cell, tokens)
            return {(self.positions[name], n) for name, n in found if name in self.positions}

    def read_record(self, place: Place) -> Record | None:
        """One attempt's record; None if it has not run."""
        with reading(self.folder) as store:
            return store.record(self.cell, self.problems[place[0]].id, place[1])

    def replay(self, place: Place) -> Replay:
        """Replays the attempt from the journal, for its calls with their messages. Raises ScaleError."""
        with reading(self.folder) as store:
            return asyncio.run(replay(self._open_attempt(place, store)))

    def find_ranges(self, place: Place) -> tuple[Range, ...]:
        """Replays the attempt at every value of its number. Raises ScaleError."""
        with reading(self.folder) as store:
            return asyncio.run(self._find_ranges(store, place))

    async def _find_ranges(self, store: Store, place: Place) -> tuple[Range, ...]:
        stored = replace(self._open_attempt(place, store), grader=self._make_grader(place[0]))
        return await find_ranges(stored, self._require_number())

    def _open_attempt(self, place: Place, store: Store) -> StoredAttempt:
        return StoredAttempt(
            problem=self.problems[place[0]],
            strategy=self.strategy,
            endpoints=make_endpoints(self.spec.model),
            journal=store,
            sample=place[1],
            seed=self.manifest.seed,
        )

    def _make_grader(self, position: int) -> Grader | None:
        gold = self.problems[position].answer
        if gold is None:
            return None
        name = self.manifest.grader
        grades: Mapping[str | None, bool] = {
            mark.answer: mark.correct
            for sample in range(self.manifest.samples)
            if (mark := self.marks.get((position, sample))) is not None and mark.correct is not None
        }
        return RecordedGrades(grades, grader_for(gold, name))

    def start_table(self) -> Table:
        """The cell at every value of its number, as far as it is looked up; a thread looks up the rest."""
        with self._lock:
            if self._table is None or (self._table[0] != self._written and self._table[1].ready):
                self._table = (self._written, self._make_table())
                threading.Thread(target=self._fill, args=(self._table[1],), daemon=True).start()
            return self._table[1]

    def fill_table(self) -> Table:
        """The cell at every value of its number, complete."""
        if self._table is None:
            self._table = (self._written, self._make_table())
            self._fill(self._table[1])
        return self._table[1]

    def _make_table(self) -> Table:
        return make_table(self._require_number(), self.value or 0.0, self.planned)

    def _require_number(self) -> Number:
        if self.number is None:
            raise ConfigError("its strategy has no number to move")
        return self.number

    def _fill(self, table: Table) -> None:
        async def fill() -> None:
            if table.error is not None:
                return
            with reading(self.folder) as store:
                for problem, sample in self.manifest.list_units(self.spec.dataset.name, self.problems):
                    if self.stop.is_set():
                        return
                    table.add(await self._find_ranges(store, (self.positions[problem.id], sample)))

        try:
            asyncio.run(fill())
        except ScaleError as error:
            table.error = str(error)
