"""A run's SQLite file: problems, completions paid for, attempts done.

Every completed model call is in the file before it is used, so a kill loses at most the calls in flight. Writes are
gathered for a turn of the event loop and committed together. Knows nothing of how attempts are made.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.errors import ConfigError, EngineError, StoreError
from scale_reasoning.journal import key as key_of
from scale_reasoning.printable import one_line
from scale_reasoning.runs.folder import (
    DAMAGED,
    DATABASE,
    DATABASE_ERRORS,
    MANIFEST,
    clear,
    identity,
    locked,
    make,
    opened,
    opened_to_read,
    read_manifest,
    told,
    trouble,
    write_manifest,
)
from scale_reasoning.runs.manifest import UNNAMED, Manifest
from scale_reasoning.runs.outcome import Cell, Outcome, outcome_of, possible
from scale_reasoning.types import JSON, Completion, Problem, Record, Request

T = TypeVar("T")


class Paid(NamedTuple):
    """Completions and their new tokens; the tokens leave out the completions that the server did not count."""

    calls: int
    tokens: int
    uncounted: int


class Store:
    """An open run. Use `create`, `resume` or `reading`, each a context manager."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, manifest: Manifest, *, new: bool = False) -> None:
        self.folder, self.manifest, self.new = folder, manifest, new
        self._db = connection
        self._identity = identity(folder)
        self._pending: list[tuple[str, tuple[Any, ...]]] = []
        self._flushed: asyncio.Future[None] | None = None
        self.reused = 0
        """Calls served by a completion of another token limit."""

    # Journal

    async def get(self, key: str, request: Request) -> Completion | None:
        """See Journal. A reply that ended by itself within this request's limit serves it, whatever limit it had."""
        row = self._one("SELECT completion FROM completions WHERE key = ?", (key,))
        if row is None and self.manifest.reuse and request.max_tokens is not None:
            row = self._one(
                "SELECT completion FROM completions WHERE loose = ? AND cut = 0 AND tokens <= ? ORDER BY tokens, key",
                (_loose(request), request.max_tokens),
            )
            self.reused += row is not None
        return None if row is None else self._decoded(row[0], Completion)

    async def put(self, key: str, request: Request, completion: Completion) -> None:
        """See Journal."""
        await self._write(
            "INSERT OR REPLACE INTO completions VALUES (?, ?, ?, ?, ?, ?)",
            (key, _loose(request), completion.usage.completion_tokens, completion.finish_reason != "stop",
             msgspec.json.encode(request), msgspec.json.encode(completion)),
        )  # fmt: skip

    # Attempts

    async def save(self, cell: int, record: Record) -> Outcome:
        """Keeps an attempt's record; one that is pending is kept until a later one takes its place."""
        outcome = outcome_of(record)
        await self._write(
            "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?)",
            (cell, outcome.problem_id, outcome.sample, outcome.pending, msgspec.json.encode(outcome),
             msgspec.json.encode(record)),
        )  # fmt: skip
        return outcome

    def done(self) -> set[tuple[int, str, int]]:
        """(cell, problem id, sample) of every attempt that is not pending."""
        rows = self._all("SELECT cell, problem, sample FROM attempts WHERE NOT owed")
        return {(self._is(int, cell), self._is(str, problem), self._is(int, sample)) for cell, problem, sample in rows}

    def outcomes(self, cell: int) -> Iterator[Outcome]:
        """A cell's outcomes, pending ones included, in the order of the dataset."""
        for blob, *place in self._all(f"SELECT outcome, problem, sample {_OF_CELL}", (self._dataset(cell), cell)):
            outcome = self._decoded(blob, Outcome)
            if _LARGE.search(blob) and not possible(outcome):
                raise self._damaged("a number in an outcome is impossible")
            self._check_place(place, outcome.problem_id, outcome.sample)
            yield outcome

    def records(self, cell: int) -> Iterator[Record]:
        """A cell's records, pending ones included, in the order of the dataset."""
        for blob, *place in self._all(f"SELECT record, problem, sample {_OF_CELL}", (self._dataset(cell), cell)):
            record = self._decoded(blob, Record)
            self._check_place(place, record.attempt.problem_id, record.attempt.sample)
            yield record

    def record(self, cell: int, problem_id: str, sample: int) -> Record | None:
        """One attempt's record; None when it has not run yet."""
        row = self._one(
            "SELECT record FROM attempts WHERE cell = ? AND problem = ? AND sample = ?", (cell, problem_id, sample)
        )
        return None if row is None else self._decoded(row[0], Record)

    def written(self) -> int:
        """Grows with every attempt that is kept: the newest row's number."""
        row = self._one("SELECT coalesce(max(rowid), 0) FROM attempts", ())
        return 0 if row is None else self._is(int, row[0])

    def outcomes_since(self, cell: int, written: int, shape: type[T]) -> Iterator[T]:
        """A cell's outcomes that were kept since `written()` said so much, in no order; `shape` has some of their
        fields.
        """
        for (blob,) in self._all("SELECT outcome FROM attempts WHERE rowid > ? AND cell = ?", (written, cell)):
            yield self._decoded(blob, shape)

    def with_steps_over(self, cell: int, tokens: int) -> set[tuple[str, int]]:
        """(problem id, sample) of a cell's attempts in which a step, of any chain, wrote more than so many tokens."""
        rows = self._all(_LONG_STEPS, (cell, tokens, tokens))
        return {(self._is(str, problem), self._is(int, sample)) for problem, sample in rows}

    def paid(self) -> Paid:
        """The completions in the journal."""
        row = self._one("SELECT count(*), coalesce(sum(tokens), 0), count(*) - count(tokens) FROM completions", ())
        return Paid(0, 0, 0) if row is None else Paid(*(self._is(int, number) for number in row))

    def served(self) -> list[str]:
        """The names that the servers gave their models."""
        rows = self._all("SELECT DISTINCT json_extract(CAST(completion AS TEXT), '$.model') FROM completions")
        return sorted(name for (name,) in rows if name and isinstance(name, str))

    @property
    def begun(self) -> bool:
        """Whether a call has succeeded: a completion, or an attempt that is not pending, was kept."""
        return self.paid()[0] > 0 or bool(self.done())

    def problems(self, dataset: str) -> list[Problem]:
        """The problems of a dataset as the run has them, in order."""
        rows = self._all("SELECT id, text, answer FROM problems WHERE dataset = ? ORDER BY position", (dataset,))
        return [
            Problem(
                id=self._is(str, id_),
                text=self._is(str, text),
                answer=None if answer is None else self._is(str, answer),
            )
            for id_, text, answer in rows
        ]

    @property
    def planned(self) -> int:
        """Attempts that the manifest asks for."""
        return sum(map(self.planned_of, range(len(self.manifest.cells))))

    def planned_of(self, cell: int) -> int:
        """Attempts that the manifest asks of a cell."""
        dataset = self._dataset(cell)
        return self.manifest.count_units(dataset, self.problems(dataset))

    def resolve(self, resolved: Mapping[str, JSON]) -> None:
        """Adds to what the manifest says its names stood for."""
        self._refuse_if_moved()
        self.manifest = replace(self.manifest, resolved={**self.manifest.resolved, **resolved})
        write_manifest(self.folder, self.manifest)

    def remember(self, synthesis: Mapping[str, JSON]) -> None:
        """Says in the manifest what traces the run is made for."""
        self.manifest = replace(self.manifest, synthesis=synthesis)
        write_manifest(self.folder, self.manifest)

    # SQLite

    async def _write(self, sql: str, values: tuple[Any, ...]) -> None:
        loop = asyncio.get_running_loop()
        if self._flushed is None:
            self._flushed = loop.create_future()
            loop.call_soon(self._flush)
        self._pending.append((sql, values))
        await asyncio.shield(self._flushed)

    def _flush(self) -> None:
        future, self._flushed = self._flushed, None
        writes, self._pending = self._pending, []
        if future is None or future.cancelled():
            return
        try:
            self._refuse_if_moved()
            with self._db:
                for sql, values in writes:
                    self._db.execute(sql, values)
        except (sqlite3.Error, StoreError) as error:
            future.set_exception(error if isinstance(error, StoreError) else trouble(self.folder, error))
            future.exception()
        else:
            future.set_result(None)

    def _one(self, sql: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return next(self._all(sql, values), None)

    def _all(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            for row in self._db.execute(sql, values):  # noqa: UP028  `yield from` would close it after the database
                yield row
        except DATABASE_ERRORS as error:
            raise trouble(self.folder, error) from error

    def _decoded(self, blob: object, shape: type[T]) -> T:
        try:
            return msgspec.json.decode(self._is(bytes, blob), type=shape)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self._damaged(f"a row cannot be read ({one_line(str(error), 200)})") from error

    def _is(self, kind: type[T], value: object) -> T:
        if not isinstance(value, kind):
            raise self._damaged(f"a row has {type(value).__name__} where {kind.__name__} belongs")
        return value

    def _check_place(self, place: list[Any], problem_id: str, sample: int) -> None:
        if place != [problem_id, sample] or not 0 <= sample < self.manifest.samples:
            raise self._damaged(f"an attempt is filed under another's name ({one_line(repr(place), 80)})")

    def _damaged(self, what: str) -> StoreError:
        return StoreError(f"{self.folder}: {what}: {DAMAGED}")

    def _refuse_if_moved(self) -> None:
        if identity(self.folder) != self._identity:
            raise StoreError(f"{self.folder}: the folder was moved or removed while the run was at work; --resume it "
                             "where it is now")  # fmt: skip

    def _dataset(self, cell: int) -> str:
        return self.manifest.cells[cell].dataset.name


_LARGE = re.compile(rb"[:,\[]\s*-?(?:[0-9]{13}|[0-9.]+[eE])")
"""Where JSON may have a number of 13 digits or an exponent; few outcomes do, and only those are looked at closely."""

_OF_CELL = """FROM attempts JOIN problems ON problems.id = attempts.problem AND problems.dataset = ?
              WHERE cell = ? ORDER BY position, sample"""


_LONG_STEPS = """
    SELECT problem, sample FROM (SELECT problem, sample, json_extract(CAST(record AS TEXT), '$.solution') AS solution
                                 FROM attempts WHERE cell = ?)
    WHERE EXISTS (SELECT 1 FROM json_each(solution, '$.steps') AS step
                  WHERE step.value ->> '$.usage.completion_tokens' > ?)
       OR EXISTS (SELECT 1 FROM json_each(solution, '$.chains') AS chain, json_each(chain.value, '$.steps') AS step
                  WHERE step.value ->> '$.usage.completion_tokens' > ?)"""


@contextlib.contextmanager
def create(folder: Path, manifest: Manifest, problems: Mapping[str, Iterable[Problem]]) -> Generator[Store]:
    """A new run in a folder that does not hold one yet.

    Where it cannot be set up, or ends with a ConfigError or EngineError before any call has succeeded, no run is left
    behind.
    """
    if (folder / MANIFEST).exists() or (folder / DATABASE).exists():
        raise StoreError(f"{folder} holds a run already: resume it (--resume {folder}) or name another --out")
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
    with told(folder), connection:
        connection.executemany("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", rows)


@contextlib.contextmanager
def resume(folder: Path) -> Generator[Store]:
    """A run to go on with; nobody else may."""
    manifest = read_manifest(folder)
    with locked(folder), opened(folder, new=False) as connection:
        yield Store(folder, connection, manifest)


@contextlib.contextmanager
def reading(folder: Path) -> Generator[Store]:
    """A run to look at, also while it is in progress. Nothing in the folder changes."""
    manifest = read_manifest(folder)
    with opened_to_read(folder) as connection:
        yield Store(folder, connection, manifest)


def cells_of(folder: Path) -> list[Cell]:
    """Every cell of a run with its outcomes."""
    with reading(folder) as store:
        return [_cell(store, number) for number in range(len(store.manifest.cells))]


def _cell(store: Store, number: int) -> Cell:
    spec, samples = store.manifest.cells[number], store.manifest.samples
    problems = len(store.problems(spec.dataset.name))
    return Cell(
        run=str(store.folder),
        dataset=spec.dataset.name,
        model=model_of(spec.model),
        strategy=spec.strategy,
        problems=problems,
        samples=samples,
        outcomes=tuple(store.outcomes(number)),
        elsewhere=problems * samples - store.planned_of(number),
    )


def model_of(spec: ModelSpec) -> str:
    """A cell's model as reports name it: System 2's, and System 1's where it is another."""
    return " + ".join(filter(None, (spec.model or UNNAMED, spec.system1_model)))


def _loose(request: Request) -> str:
    """The key of a request whatever its token limit."""
    return hashlib.sha256(key_of(replace(request, max_tokens=None)).encode()).hexdigest()
