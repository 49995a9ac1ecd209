"""The runs that are looked at: which they are, what is known of each, read anew only where something was written.

Hands out cells (a strategy on a dataset with a model) with their problems, a small mark for every attempt, their
numbers, records and what other thresholds would have done. Knows nothing of HTML.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec

from scale_reasoning.errors import ConfigError, ScaleError, StoreError
from scale_reasoning.graders import Grader, grader_for
from scale_reasoning.report.metrics import Summary, summarise
from scale_reasoning.runs.folder import DAMAGED, MANIFEST
from scale_reasoning.runs.manifest import CellSpec, Manifest
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.runs.store import Store, model_of, reading
from scale_reasoning.strategies import describe, unusual
from scale_reasoning.types import JSON, Problem, Record
from scale_reasoning.web.viewer.replay import Known, Replay, endpoints_of, replay
from scale_reasoning.web.viewer.whatif import Stretch, Table, stretches, tau_of

Place: TypeAlias = tuple[int, int]
"""A problem's position in its dataset and a sample's number: where an attempt stands in the grid."""


MOST_LOOKED_UP = 1_000_000
"""Attempts that are made again over the journal for the slider: more would be at work for hours."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the grid needs of a usage."""

    completion_tokens: int | None


class Mark(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename={"pending": "owed"}):
    """What the grid and its filters need of an outcome; see Outcome for the fields. Small, for there may be 100,000."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A run that cannot be read, and why."""

    folder: Path
    reason: str


class Shelf:
    """Every cell of the given runs, in order; `broken` are the runs among them that cannot be read.

    Raises ConfigError where a folder holds none, and the reason where none can be read.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="numbers")
        self.runs = [found for folder in folders for found in _runs_in(folder)]
        self.cells: list[Viewed] = []
        self.broken: list[Broken] = []
        for number, folder in enumerate(self.runs):
            try:
                self.cells += _cells_of(number, folder, self._pool)
            except ScaleError as error:
                if len(self.runs) == 1:
                    raise
                self.broken.append(Broken(folder=folder, reason=str(error)))
        if not self.cells:
            raise StoreError("; ".join(each.reason for each in self.broken))

    def read_ahead(self) -> None:
        """Reads every cell in the background, so that the first page need not."""
        for cell in self.cells:
            self._pool.submit(cell.refresh)

    def cell(self, run: int, cell: int) -> Viewed | None:
        """The cell at an address."""
        return next((each for each in self.cells if (each.run, each.cell) == (run, cell)), None)

    def close(self) -> None:
        """Ends work in the background."""
        for cell in self.cells:
            cell.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


class Viewed:
    """One cell. Methods may be called from any thread; each opens the run anew, for it may be in progress."""

    def __init__(self, store: Store, *, run: int, cell: int, problems: list[Problem], pool: ThreadPoolExecutor) -> None:
        self.run, self.cell, self.folder, self._pool = run, cell, store.folder, pool
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._written = -1
        self._summed: tuple[int, Future[Summary]] | None = None
        self._asked: tuple[int, Table] | None = None
        self.marks: dict[Place, Mark] = {}
        self.histogram: dict[str, int] = {}
        """How often each difficulty was recorded."""
        self.completed = 0
        self.manifest: Manifest = store.manifest
        self.problems = problems
        self.planned = store.planned_of(cell)
        """Attempts that the manifest asks for."""
        self.positions = {problem.id: place for place, problem in enumerate(self.problems)}
        self.strategy = self.spec.made()

    @property
    def spec(self) -> CellSpec:
        """What the manifest says of it."""
        return self.manifest.cells[self.cell]

    @property
    def model(self) -> str:
        """Its model or models."""
        return model_of(self.spec.model)

    @property
    def pending(self) -> int:
        """Attempts that have not run, or that the world failed."""
        return self.planned - self.completed

    @property
    def tau(self) -> float | None:
        """Its threshold, None where nothing is routed by one."""
        return tau_of(self.strategy)

    def options(self) -> dict[str, JSON]:
        """Its options that are not the strategy's defaults, and tau."""
        return unusual(describe(self.strategy))

    def refresh(self) -> int:
        """Reads what was written since the last time; a number that grows with every attempt."""
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

    def summary(self, until: float | None) -> Summary | None:
        """Its numbers; None when they are not counted by then, on the monotonic clock. Counted once a change."""
        with self._lock:
            if self._summed is None or (self._summed[0] != self._written and self._summed[1].done()):
                self._summed = (self._written, self._pool.submit(self._summarised))
            future = self._summed[1]
        try:
            return future.result(None if until is None else max(0.0, until - time.monotonic()))
        except TimeoutError:
            return None

    def _summarised(self) -> Summary:
        with reading(self.folder) as store:
            outcomes = tuple(store.outcomes(self.cell))
        whole = Cell(
            run=str(self.folder),
            dataset=self.spec.dataset.name,
            model=self.model,
            strategy=self.spec.strategy,
            problems=len(self.problems),
            samples=self.manifest.samples,
            outcomes=outcomes,
            elsewhere=len(self.problems) * self.manifest.samples - self.planned,
        )
        return summarise(whole)

    def with_steps_over(self, tokens: int) -> set[Place]:
        """Attempts with a step of more tokens."""
        with reading(self.folder) as store:
            found = store.with_steps_over(self.cell, tokens)
            return {(self.positions[name], n) for name, n in found if name in self.positions}

    def record(self, place: Place) -> Record | None:
        """One attempt's record, None when it has not run."""
        with reading(self.folder) as store:
            return store.record(self.cell, self.problems[place[0]].id, place[1])

    def replayed(self, place: Place) -> Replay:
        """The attempt again over the journal: its calls with their messages. Raises ScaleError."""
        with reading(self.folder) as store:
            return asyncio.run(
                replay(
                    self.problems[place[0]], self.strategy, endpoints_of(self.spec.model), store, sample=place[1],
                    seed=self.manifest.seed,
                )
            )  # fmt: skip

    def stretches(self, place: Place) -> tuple[Stretch, ...]:
        """The attempt at every threshold. Raises ScaleError."""
        with reading(self.folder) as store:
            return asyncio.run(self._stretches(store, place))

    async def _stretches(self, store: Store, place: Place) -> tuple[Stretch, ...]:
        return await stretches(
            self.problems[place[0]], self.strategy, endpoints_of(self.spec.model), store, sample=place[1],
            seed=self.manifest.seed, grader=self._grader(place[0]),
        )  # fmt: skip

    def _grader(self, position: int) -> Grader | None:
        gold = self.problems[position].answer
        if gold is None:
            return None
        name = self.manifest.grader
        verdicts: Mapping[str | None, bool] = {
            mark.answer: mark.correct
            for sample in range(self.manifest.samples)
            if (mark := self.marks.get((position, sample))) is not None and mark.correct is not None
        }
        return Known(verdicts, grader_for(gold, name))

    def table(self) -> Table:
        """The cell at every threshold, as far as it was looked up; a thread goes on with it."""
        with self._lock:
            if self._asked is None or (self._asked[0] != self._written and self._asked[1].ready):
                self._asked = (self._written, _table(self.planned))
                threading.Thread(target=self._fill, args=(self._asked[1],), daemon=True).start()
            return self._asked[1]

    def filled(self) -> Table:
        """The cell at every threshold, all of it; counted once."""
        if self._asked is None:
            self._asked = (self._written, _table(self.planned))
            self._fill(self._asked[1])
        return self._asked[1]

    def _fill(self, table: Table) -> None:
        async def fill() -> None:
            if table.error is not None:
                return
            with reading(self.folder) as store:
                for problem, sample in self.manifest.units(self.spec.dataset.name, self.problems):
                    if self.stop.is_set():
                        return
                    table.add(await self._stretches(store, (self.positions[problem.id], sample)))

        try:
            asyncio.run(fill())
        except ScaleError as error:
            table.error = str(error)


def _cells_of(number: int, folder: Path, pool: ThreadPoolExecutor) -> list[Viewed]:
    """The cells of one run, which is opened once. Raises ScaleError."""
    with reading(folder) as store:
        names = dict.fromkeys(cell.dataset.name for cell in store.manifest.cells)
        problems = {name: store.problems(name) for name in names}
        return [
            Viewed(store, run=number, cell=place, problems=problems[spec.dataset.name], pool=pool)
            for place, spec in enumerate(store.manifest.cells)
        ]


def _table(planned: int) -> Table:
    """An empty table, or one that says why it stays so."""
    if planned <= MOST_LOOKED_UP:
        return Table(planned)
    return Table(planned, error=f"{planned:,} attempts; up to {MOST_LOOKED_UP:,} are looked up")


def _runs_in(folder: Path) -> list[Path]:
    """The folder if it is a run, else the runs right under it."""
    if (folder / MANIFEST).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")) if folder.is_dir() else []
    if not found:
        raise ConfigError(f"{folder} holds no run: there is no {MANIFEST} in it or in a folder right under it")
    return found
