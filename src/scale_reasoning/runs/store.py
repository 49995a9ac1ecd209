"""A run in its SQLite file: problems, completed calls, attempts.

Every completed model call is stored before it is used, so a kill loses at most the calls in flight. Does not know how
attempts are made.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from scale_reasoning.errors import ConfigError, EngineError, StoreError
from scale_reasoning.journal import key as key_of
from scale_reasoning.printable import one_line
from scale_reasoning.runs import database
from scale_reasoning.runs.folder import (
    DATABASE,
    MANIFEST,
    clear,
    locked,
    make,
    opened,
    opened_to_read,
    read_manifest,
    store_errors,
    write_manifest,
)
from scale_reasoning.runs.manifest import Manifest
from scale_reasoning.runs.outcome import Outcome, outcome_of
from scale_reasoning.runs.rounds import Tuning
from scale_reasoning.runs.rows import Rows
from scale_reasoning.types import JSON, Completion, Mode, Problem, Record, Request, Usage

T = TypeVar("T")


class Paid(NamedTuple):
    """Stored completions and their new tokens, without the tokens of the `uncounted` ones."""

    calls: int
    tokens: int
    uncounted: int


class Store:
    """An open run. Use `create`, `resume` or `reading`, each a context manager."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, manifest: Manifest, *, new: bool = False) -> None:
        self.folder, self.manifest, self.new = folder, manifest, new
        self.rows = Rows(folder, connection)
        self.reused = 0
        """Calls answered by a completion with another token limit."""

    # Journal

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal. A reply that ended by itself within this request's limit is used, whatever its own limit was."""
        row = self.rows.one("SELECT completion FROM completions WHERE key = ?", (key,))
        if row is None and self.manifest.reuse and request.max_tokens is not None:
            row = self.rows.one(
                "SELECT completion FROM completions WHERE loose = ? AND cut = 0 AND tokens <= ? ORDER BY tokens, key",
                (_loose(request), request.max_tokens),
            )
            self.reused += row is not None
        return None if row is None else self.rows.decode(row[0], Completion)

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal."""
        await self.rows.write(
            "INSERT OR REPLACE INTO completions VALUES (?, ?, ?, ?, ?, ?)",
            (key, _loose(request), completion.usage.completion_tokens, completion.finish_reason != "stop",
             msgspec.json.encode(request), msgspec.json.encode(completion)),
        )  # fmt: skip

    # Attempts

    async def save(self, cell: int, record: Record) -> Outcome:
        """Stores an attempt's record in place of an earlier, pending one."""
        outcome = outcome_of(record)
        await self.rows.write(
            "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?)",
            (cell, outcome.problem_id, outcome.sample, outcome.pending, msgspec.json.encode(outcome),
             msgspec.json.encode(record)),
        )  # fmt: skip
        return outcome

    def done(self) -> set[tuple[int, str, int]]:
        """(cell, problem id, sample) of every attempt that is not pending."""
        rows = self.rows.all("SELECT cell, problem, sample FROM attempts WHERE NOT owed")
        return {
            (self.rows.require(int, cell), self.rows.require(str, problem), self.rows.require(int, sample))
            for cell, problem, sample in rows
        }

    def outcomes(self, cell: int) -> Iterator[Outcome]:
        """A cell's outcomes, pending ones included, in the order of the dataset."""
        for stored, blob in self._column("outcome", cell):
            outcome = self.rows.decode(blob, Outcome)
            self._require_name(stored, outcome.problem_id, outcome.sample)
            yield outcome

    def records(self, cell: int) -> Iterator[Record]:
        """A cell's records, pending ones included, in the order of the dataset."""
        for stored, blob in self._column("record", cell):
            record = self._record(blob)
            self._require_name(stored, record.attempt.problem_id, record.attempt.sample)
            yield record

    def record(self, cell: int, problem_id: str, sample: int) -> Record | None:
        """One attempt's record, None if it has not run yet."""
        row = self.rows.one(
            "SELECT record FROM attempts WHERE cell = ? AND problem = ? AND sample = ?", (cell, problem_id, sample)
        )
        return None if row is None else self._record(row[0])

    def written(self) -> int:
        """The number of the newest attempt's row, which grows with every stored attempt."""
        row = self.rows.one("SELECT coalesce(max(rowid), 0) FROM attempts", ())
        return 0 if row is None else self.rows.require(int, row[0])

    def outcomes_since(self, cell: int, written: int, shape: type[T]) -> Iterator[T]:
        """A cell's outcomes saved after row `written`, unordered; `shape` has some of their fields."""
        for (blob,) in self.rows.all("SELECT outcome FROM attempts WHERE rowid > ? AND cell = ?", (written, cell)):
            yield self.rows.decode(blob, shape)

    def with_steps_over(self, cell: int, tokens: int) -> set[tuple[str, int]]:
        """(problem id, sample) of a cell's attempts with a step, of any chain, of more than `tokens` tokens."""
        rows = self.rows.all(database.LONG_STEPS, (cell, tokens, tokens))
        return {(self.rows.require(str, problem), self.rows.require(int, sample)) for problem, sample in rows}

    def paid(self) -> Paid:
        """The completions in the journal."""
        row = self.rows.one("SELECT count(*), coalesce(sum(tokens), 0), count(*) - count(tokens) FROM completions", ())
        return Paid(0, 0, 0) if row is None else Paid(*(self.rows.require(int, number) for number in row))

    def list_own_usage(self) -> Iterator[tuple[str, Mode, Usage]]:
        """Model, mode and usage of the completions in the journal that were not taken from other runs, summed by model,
        mode and the counts that are known.
        """
        taken = self.manifest.resolved.get("taken_calls", 0)
        for model, mode, *counts in self.rows.all(database.OWN_USAGE, (taken,)):
            prompt, completion, cached = (None if one is None else self.rows.require(int, one) for one in counts)
            if mode not in tuple(Mode):
                raise self.rows.damage("a call has no mode")
            usage = Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached)
            yield self.rows.require(str, model), Mode(mode), usage

    def served(self) -> list[str]:
        """The names of the models in the servers' replies."""
        rows = self.rows.all("SELECT DISTINCT json_extract(CAST(completion AS TEXT), '$.model') FROM completions")
        return sorted(name for (name,) in rows if name and isinstance(name, str))

    @property
    def begun(self) -> bool:
        """Whether a call has succeeded: there is a completion, or an attempt that is not pending."""
        return self.paid()[0] > 0 or bool(self.done())

    def problems(self, dataset: str) -> list[Problem]:
        """The run's problems of a dataset, in order."""
        rows = self.rows.all("SELECT position, id, text, answer FROM problems WHERE dataset = ?", (dataset,))
        return [
            Problem(
                id=self.rows.require(str, id_),
                text=self.rows.require(str, text),
                answer=None if answer is None else self.rows.require(str, answer),
            )
            for _, id_, text, answer in sorted(rows, key=lambda row: self.rows.require(int, row[0]))
        ]

    @property
    def planned(self) -> int:
        """The number of attempts in the manifest."""
        return sum(map(self.planned_of, range(len(self.manifest.cells))))

    def planned_of(self, cell: int) -> int:
        """The number of a cell's attempts in the manifest; of a tuning, of those that it needs."""
        dataset = self._dataset(cell)
        planned, needed = self.manifest.count_units(dataset, self.problems(dataset)), self.manifest.count_needed(cell)
        return planned if needed is None else min(planned, needed)

    def resolve(self, resolved: Mapping[str, JSON]) -> None:
        """Adds to what the manifest records about its names."""
        self.rows.refuse_if_moved()
        self.manifest = replace(self.manifest, resolved={**self.manifest.resolved, **resolved})
        write_manifest(self.folder, self.manifest)

    def remember(self, synthesis: Mapping[str, JSON]) -> None:
        """Records in the manifest what traces the run is for."""
        self.manifest = replace(self.manifest, synthesis=synthesis)
        write_manifest(self.folder, self.manifest)

    def rename(self, name: str) -> None:
        """Records the run's name in the manifest."""
        self.manifest = replace(self.manifest, name=name)
        write_manifest(self.folder, self.manifest)

    def plan(self, tuning: Tuning) -> None:
        """Records in the manifest what a tuning has decided, unless it is there."""
        if self.manifest.tuning != tuning:
            self.manifest = replace(self.manifest, tuning=tuning)
            write_manifest(self.folder, self.manifest)

    def _column(self, column: str, cell: int) -> Iterator[tuple[list[Any], object]]:
        """([problem id, sample], value) of a column for a cell's attempts, in the order of the dataset.

        They are sorted here, because SQLite would first write any number of rows to a temporary file.
        """
        places = self.rows.all(database.PLACES, (self._dataset(cell), cell))
        select = f"SELECT {column} FROM attempts WHERE cell = ? AND problem = ? AND sample = ?"  # noqa: S608  our words
        for _, *stored in sorted(
            places, key=lambda row: [self.rows.require(int, row[0]), self.rows.require(int, row[2])]
        ):
            if (row := self.rows.one(select, (cell, *stored))) is not None:
                yield stored, row[0]

    def _record(self, blob: object) -> Record:
        record = self.rows.decode(blob, Record)
        if not isinstance(record.strategy.get("name"), str):
            raise self.rows.damage("a record's strategy has no name")
        return record

    def _require_name(self, stored: list[Any], problem_id: str, sample: int) -> None:
        """Raises StoreError unless an attempt is stored under its own problem and sample."""
        if stored != [problem_id, sample] or not 0 <= sample < self.manifest.samples:
            raise self.rows.damage(f"an attempt is stored under another's name ({one_line(repr(stored), 80)})")

    def _dataset(self, cell: int) -> str:
        return self.manifest.cells[cell].dataset.name


@contextlib.contextmanager
def create(folder: Path, manifest: Manifest, problems: Mapping[str, Iterable[Problem]]) -> Generator[Store]:
    """Creates a run in a folder without one.

    The run is removed if it cannot be set up, or ends with a ConfigError or EngineError before any call has succeeded.
    """
    if (folder / MANIFEST).exists() or (folder / DATABASE).exists():
        raise StoreError(f"{folder} already has a run: resume it (--resume {folder}) or name another --out")
    made = make(folder)
    unused = contextlib.ExitStack()
    with unused, locked(folder):
        unused.callback(clear, folder, made)
        with opened(folder, new=True) as connection:
            _fill(folder, connection, problems)
            write_manifest(folder, manifest)
            store = Store(folder, connection, manifest, new=True)
            keep = True
            try:
                yield store
            except (ConfigError, EngineError):
                keep = store.begun
                raise
            finally:
                if keep:
                    unused.pop_all()


def _fill(folder: Path, connection: sqlite3.Connection, problems: Mapping[str, Iterable[Problem]]) -> None:
    rows = [
        (dataset, position, problem.id, problem.text, problem.answer)
        for dataset, listed in problems.items()
        for position, problem in enumerate(listed)
    ]
    with store_errors(folder), connection:
        connection.executemany("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", rows)


@contextlib.contextmanager
def resume(folder: Path) -> Generator[Store]:
    """Opens a run to continue it, and locks it against other processes."""
    manifest = read_manifest(folder)
    with locked(folder), opened(folder, new=False) as connection:
        yield Store(folder, connection, manifest)


@contextlib.contextmanager
def reading(folder: Path) -> Generator[Store]:
    """Opens a run to read it, also while it is in progress. Nothing in the folder changes."""
    manifest = read_manifest(folder)
    with opened_to_read(folder) as connection:
        yield Store(folder, connection, manifest)


def _loose(request: Request) -> str:
    """The key of a request without its token limit."""
    return hashlib.sha256(key_of(replace(request, max_tokens=None)).encode()).hexdigest()
