"""A run's folder on disk: manifest.json, the database, a lock. Every error is a StoreError that says what to do.

With runs.store the one door to sqlite3. Knows nothing of what the rows mean.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import IO

import msgspec

from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.runs.manifest import Manifest, decode, encode

APPLICATION = 0x5CA1E001
DATABASE, MANIFEST, LOCK = "run.sqlite", "manifest.json", "lock"
DAMAGED = "the database is damaged: restore it from a copy, or start anew with another --out"

SCHEMA = """
CREATE TABLE problems (dataset TEXT, position INTEGER, id TEXT, text TEXT, answer TEXT, PRIMARY KEY (dataset, id));
CREATE TABLE completions (key TEXT PRIMARY KEY, loose TEXT, tokens INTEGER, cut INTEGER, request BLOB, completion BLOB);
CREATE INDEX completions_by_loose ON completions (loose);
CREATE TABLE attempts (cell INTEGER, problem TEXT, sample INTEGER, owed INTEGER, outcome BLOB, record BLOB,
                       PRIMARY KEY (cell, problem, sample));
"""


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run's folder. Raises ConfigError when there is no run, StoreError for what is no manifest."""
    file = folder / MANIFEST
    with told(folder):
        if not file.exists():
            raise ConfigError(f"{folder} holds no run: there is no {MANIFEST} in it")
        if not (folder / DATABASE).exists() and (folder / "run" / MANIFEST).exists():
            raise ConfigError(f"{folder} holds traces: the run that they were made from is {folder / 'run'}")
        content = file.read_bytes()
    try:
        return decode(msgspec.json.decode(content), str(file))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(
            f"{file}: no manifest ({error}): restore it from a copy, or start anew with another --out"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest at a stroke."""
    with told(folder):
        part = folder / f"{MANIFEST}.part"
        part.write_bytes(encode(manifest))
        part.replace(folder / MANIFEST)


def make(folder: Path) -> list[Path]:
    """Makes the folder where it is missing; every folder that was made, the innermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return missing


def clear(folder: Path, made: Iterable[Path] = ()) -> None:
    """Removes a run and, of the folders `made` for it, those with nothing else in them."""
    with told(folder):
        for name in (MANIFEST, f"{MANIFEST}.part", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LOCK):
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something of the user's is in it
        for each in made:
            each.rmdir()


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """The folder, held against every other process."""
    with told(folder):
        lock: IO[str] = (folder / LOCK).open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{folder}: another process works on this run; wait for it, or end it") from error
        yield


@contextlib.contextmanager
def opened(folder: Path, *, new: bool) -> Generator[sqlite3.Connection]:
    """The folder's database, to be written to."""
    file = folder / DATABASE
    if not new:
        _require(file)
    with told(folder):
        connection = sqlite3.connect(file, timeout=30)
        try:
            _prepare(connection, folder, new=new)
        except BaseException:
            connection.close()
            raise
    with contextlib.closing(connection):
        yield connection


@contextlib.contextmanager
def opened_to_read(folder: Path) -> Generator[sqlite3.Connection]:
    """The folder's database, of which no byte is changed; a process may be writing to it."""
    file = folder / DATABASE
    _require(file)
    with told(folder):
        connection = _reader(file)
        try:
            _check(connection, folder)
        except BaseException:
            connection.close()
            raise
    with contextlib.closing(connection):
        yield connection


def _reader(file: Path) -> sqlite3.Connection:
    """A connection that only reads. SQLite would otherwise create, empty or remove files next to the database."""
    address = f"{file.resolve().as_uri()}?mode=ro"
    log = file.with_name(f"{file.name}-wal")
    if not log.exists() or not log.stat().st_size:  # everything is in the one file, and nobody writes to it
        return sqlite3.connect(f"{address}&immutable=1", uri=True)
    try:  # what a killed process left: its shared memory is read but not repaired
        connection = sqlite3.connect(f"{address}&readonly_shm=1", uri=True, timeout=30)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:  # the shared memory is gone or in use
        return sqlite3.connect(address, uri=True, timeout=30)
    return connection


def _require(file: Path) -> None:
    if not file.exists():
        raise StoreError(f"{file.parent}: its {DATABASE} is gone; without it there is no run to resume")


def _prepare(connection: sqlite3.Connection, folder: Path, *, new: bool) -> None:
    if new:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"PRAGMA application_id = {APPLICATION}; {SCHEMA}")
    _check(connection, folder)
    # Committed writes survive a killed process; only a power cut may lose the newest.
    connection.execute("PRAGMA synchronous = NORMAL")


def _check(connection: sqlite3.Connection, folder: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise StoreError(f"{folder}: its {DATABASE} is not a run of this program; name another folder")


@contextlib.contextmanager
def told(folder: Path) -> Generator[None]:
    """Whatever goes wrong with disk or database within becomes a StoreError."""
    try:
        yield
    except (OSError, sqlite3.Error, msgspec.MsgspecError) as error:
        raise trouble(folder, error) from error


def trouble(folder: Path, error: Exception) -> StoreError:
    """A StoreError that names the folder, the cause and the mend."""
    mend: Callable[[str], bool] = str(error).lower().__contains__
    if mend("full") or mend("no space"):
        what = "the disk is full: free some space, then --resume"
    elif mend("readonly") or mend("read-only") or mend("permission"):
        what = "it cannot be written to: mend its permissions, then --resume"
    elif mend("malformed") or mend("not a database") or mend("corrupt"):
        what = DAMAGED
    else:
        what = "nothing that was saved is lost; mend the cause, then --resume"
    return StoreError(f"{folder}: {error}: {what}")
