"""A run's SQLite database: its tables, and the checks before a database of unknown origin is queried.

Only a database with exactly the tables of a run is read, because a view, a trigger or a virtual table could do anything
with a query. A query that takes far more work than any run needs is ended.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

from scale_reasoning.errors import StoreError

APPLICATION = 0x5CA1E001
SCHEMA = """
CREATE TABLE problems (dataset TEXT, position INTEGER, id TEXT, text TEXT, answer TEXT, PRIMARY KEY (dataset, id));
CREATE TABLE completions (key TEXT PRIMARY KEY, loose TEXT, tokens INTEGER, cut INTEGER, request BLOB, completion BLOB);
CREATE INDEX completions_by_loose ON completions (loose);
CREATE TABLE attempts (cell INTEGER, problem TEXT, sample INTEGER, owed INTEGER, outcome BLOB, record BLOB,
                       PRIMARY KEY (cell, problem, sample));
"""
PLACES = """SELECT position, attempts.problem, sample FROM attempts
             JOIN problems ON problems.id = attempts.problem AND problems.dataset = ? WHERE cell = ?"""
"""Position, problem and sample of every attempt of a dataset's cell."""
LONG_STEPS = """
    SELECT problem, sample FROM (SELECT problem, sample, json_extract(CAST(record AS TEXT), '$.solution') AS solution
                                 FROM attempts WHERE cell = ?)
    WHERE EXISTS (SELECT 1 FROM json_each(solution, '$.steps') AS step
                  WHERE step.value ->> '$.usage.completion_tokens' > ?)
       OR EXISTS (SELECT 1 FROM json_each(solution, '$.chains') AS chain, json_each(chain.value, '$.steps') AS step
                  WHERE step.value ->> '$.usage.completion_tokens' > ?)"""
"""Problem and sample of the attempts of a cell with a step of more than so many tokens."""
OWN_USAGE = """
    SELECT model, mode, sum(prompt), sum(completion), sum(cached) FROM (
        SELECT json_extract(CAST(request AS TEXT), '$.model') AS model,
               json_extract(CAST(request AS TEXT), '$.mode') AS mode,
               json_extract(CAST(completion AS TEXT), '$.usage.prompt_tokens') AS prompt,
               json_extract(CAST(completion AS TEXT), '$.usage.completion_tokens') AS completion,
               json_extract(CAST(completion AS TEXT), '$.usage.cached_tokens') AS cached
        FROM completions WHERE rowid > ?)
    GROUP BY model, mode, prompt IS NULL, completion IS NULL, cached IS NULL"""
"""The usage of all calls after the first so many, by model, mode and the counts that are known."""
ANALYSED = "CREATE TABLE sqlite_stat1(tbl,idx,stat)"
"""The table that `ANALYZE` adds, which changes no result."""

MOST_CELL_BYTES = 256 << 20
"""Limit of one value; the longest known record has a tenth of it."""
MOST_WORK = 3_000
"""Limit of SQLite's instructions, in millions, while a run is open. A report of 100,000 attempts takes 10."""
A_MILLION = 1_000_000


def prepare(connection: sqlite3.Connection, folder: Path, *, new: bool) -> None:
    """Creates the tables of a new run, or checks those of an old one. Raises StoreError."""
    if new:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"PRAGMA application_id = {APPLICATION}; {SCHEMA}")
    check(connection, folder)
    # Committed writes survive a killed process; only a power cut may lose the newest.
    connection.execute("PRAGMA synchronous = NORMAL")


def bound(connection: sqlite3.Connection) -> None:
    """Limits the length of a value, and the work of all queries together."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_CELL_BYTES)
    left = MOST_WORK

    def spend() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    connection.set_progress_handler(spend, A_MILLION)


def check(connection: sqlite3.Connection, folder: Path, name: str = "main") -> None:
    """Raises StoreError unless the database called `name` has the tables of a run and nothing else."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    if connection.execute(f"PRAGMA {name}.application_id").fetchone()[0] != APPLICATION:
        raise StoreError(f"{folder}: its database is not a run of this program: name another folder")
    found = connection.execute(f"SELECT type, sql FROM {name}.sqlite_master LIMIT 20").fetchall()  # noqa: S608  our own names
    statements = {_normalise(sql) for kind, sql in found if not (kind == "index" and sql is None)}
    if statements - {_normalise(ANALYSED)} != _EXPECTED:
        raise StoreError(
            f"{folder}: its database has tables that a run does not have, or views or triggers: it is not read"
        )


@contextlib.contextmanager
def copied(folder: Path, names: Sequence[str]) -> Generator[Path]:
    """Copies files of a folder into a private folder. Raises OSError, and StoreError if they change meanwhile."""
    with tempfile.TemporaryDirectory(prefix="scale-") as place:
        before = [_state(folder / name) for name in names]
        for name in names:
            shutil.copyfile(folder / name, Path(place, name), follow_symlinks=False)
        if [_state(folder / name) for name in names] != before:
            raise StoreError(f"{folder}: another process wrote to it while it was copied; run the command again")
        yield Path(place)


def _state(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _normalise(sql: object) -> str:
    return re.sub(r"\s+", " ", str(sql)).strip()


_EXPECTED = {_normalise(statement) for statement in SCHEMA.split(";") if statement.strip()}
