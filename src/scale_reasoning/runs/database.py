"""A run's SQLite database: its tables, and what is checked before a database of unknown origin is asked anything.

Only the very tables that a run is created with are read. A view, a trigger or a virtual table in their place could do
anything with a query, so its presence ends the reading; a query that takes more work than any run asks for is ended.
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
ANALYSED = "CREATE TABLE sqlite_stat1(tbl,idx,stat)"
"""What `ANALYZE` adds, which changes no result."""

MOST_CELL_BYTES = 256 << 20
"""Of one value; the longest record known has a tenth of it."""
MOST_WORK = 3_000
"""Millions of SQLite's instructions for all queries of one look at a run. A report of 100,000 attempts takes 10."""
A_MILLION = 1_000_000


def prepare(connection: sqlite3.Connection, folder: Path, *, new: bool) -> None:
    """Creates the tables of a new run, or checks those of another. Raises StoreError."""
    if new:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"PRAGMA application_id = {APPLICATION}; {SCHEMA}")
    check(connection, folder)
    # Committed writes survive a killed process; only a power cut may lose the newest.
    connection.execute("PRAGMA synchronous = NORMAL")


def bound(connection: sqlite3.Connection) -> None:
    """Bounds how long a value may be, and how much work all queries together."""
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
        raise StoreError(f"{folder}: its database is not a run of this program; name another folder")
    found = connection.execute(f"SELECT type, sql FROM {name}.sqlite_master LIMIT 20").fetchall()  # noqa: S608  our own names
    statements = {_spelled(sql) for kind, sql in found if not (kind == "index" and sql is None)}
    if statements - {_spelled(ANALYSED)} != _EXPECTED:
        raise StoreError(f"{folder}: its database has other tables than a run's, or views and triggers; it is not read")


@contextlib.contextmanager
def copied(folder: Path, names: Sequence[str]) -> Generator[Path]:
    """Some files of a folder in a private folder. Raises OSError, and StoreError when they are written to meanwhile."""
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


def _spelled(sql: object) -> str:
    return re.sub(r"\s+", " ", str(sql)).strip()


_EXPECTED = {_spelled(statement) for statement in SCHEMA.split(";") if statement.strip()}
