"""A run's folder on disk: manifest.json, the database, a lock. Every error is a StoreError that says what to do.

A folder may come from anyone: its files must be regular ones, no link is followed, and reading a run changes nothing.
Does not know what the rows mean.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TypeAlias

import msgspec

from scale_reasoning import locks
from scale_reasoning.errors import ConfigError, StoreError
from scale_reasoning.files import kind_of, open_regular, read_bounded, replacing
from scale_reasoning.printable import one_line
from scale_reasoning.runs import database
from scale_reasoning.runs.manifest import Manifest, decode, encode

DATABASE, MANIFEST, LOCK = "run.sqlite", "manifest.json", "lock"
LOG, INDEX, JOURNAL = (f"{DATABASE}-{suffix}" for suffix in ("wal", "shm", "journal"))
"""SQLite's files: its log, the log's index, and the rollback journal, which a run never has."""
MANIFEST_BYTES = 64 << 20
"""Limit of a manifest; 10,000 cells take a tenth of it."""
DAMAGED = "the database is damaged: restore it from a copy, or start a new run with another --out"

DATABASE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What a query may raise. Python cannot decode SQLite's message if it has a damaged name."""

Identity: TypeAlias = tuple[int, int] | None
"""Device and inode of a folder, None if there is none."""


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a run's folder. Raises ConfigError if there is no run, StoreError if it is damaged."""
    file = folder / MANIFEST
    with store_errors(folder):
        try:
            content = read_bounded(file, MANIFEST_BYTES, follow=False)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigError(f"{folder} is not a run: it has no {MANIFEST}") from error
        if not (folder / DATABASE).exists() and (folder / "run" / MANIFEST).exists():
            raise ConfigError(f"{folder} has traces: the run that they were made from is {folder / 'run'}")
    try:
        return decode(msgspec.json.decode(content), str(file))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(
            f"{file}: not a manifest ({one_line(str(error), 200)}): restore it from a copy, or start a new run with "
            "another --out"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest atomically."""
    with store_errors(folder), replacing(folder / MANIFEST) as file:
        file.write(encode(manifest))


def make(folder: Path) -> list[Path]:
    """Creates the folder if it is missing; returns every folder that was created, the innermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with store_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return missing


def clear(folder: Path, made: Iterable[Path] = ()) -> None:
    """Removes a run, and those of the folders `made` for it that are then empty."""
    with store_errors(folder):
        for name in (MANIFEST, DATABASE, LOG, INDEX, JOURNAL, LOCK):
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the user has other files in it
        for each in made:
            each.rmdir()


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """Locks the folder against other processes that would write to it."""
    with store_errors(folder):
        lock = open_regular(folder / LOCK)
    with lock:
        try:
            locks.lock(lock)
        except OSError as error:
            raise StoreError(f"{folder}: {_why_not_locked(error)}") from error
        yield


def _why_not_locked(error: OSError) -> str:
    if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
        return "another process writes to this run: wait for it, or end it"
    return f"its file system cannot lock files ({error.strerror}): put the run on a local disk, then --resume"


@contextlib.contextmanager
def opened(folder: Path, *, new: bool) -> Generator[sqlite3.Connection]:
    """Opens the folder's database to write to it. A new one that fails before it has a manifest is removed."""
    if not new:
        _require(folder)
    _refuse_strange_files(folder, to_write=True)
    with store_errors(folder):
        at = _open_folder(folder)
    try:
        with store_errors(folder):
            connection = sqlite3.connect(_address(folder), uri=True, timeout=30)
        try:
            with store_errors(folder):
                database.prepare(connection, folder, new=new)
            yield connection
        finally:
            _close(connection, folder, at)
    except BaseException:
        if new and not (folder / MANIFEST).exists() and _is_in_place(folder, at):
            clear(folder)
        raise
    finally:
        if at is not None:
            os.close(at)


def _open_folder(folder: Path) -> int | None:
    """A descriptor of the folder; None on Windows, where a folder with open files cannot be moved."""
    return None if sys.platform == "win32" else os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _is_in_place(folder: Path, at: int | None) -> bool:
    """Whether the folder that was opened as `at` still has this path."""
    return at is None or identity(folder) == _identity_of(os.fstat(at))


def _close(connection: sqlite3.Connection, folder: Path, at: int | None) -> None:
    """Closes the database. If the folder was moved, its log stays.

    SQLite would delete the log at its old path, where another run may be now, but not while a second connection reads
    the database.
    """
    with contextlib.ExitStack() as stack:
        if not _is_in_place(folder, at):
            with contextlib.suppress(sqlite3.Error):
                there = f"file:///proc/self/fd/{at}/{DATABASE}?mode=ro"
                reader = stack.enter_context(contextlib.closing(sqlite3.connect(there, uri=True)))
                reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.close()


@contextlib.contextmanager
def opened_to_read(folder: Path) -> Generator[sqlite3.Connection]:
    """Opens the folder's database to read it, also while a process writes to it. Changes no byte."""
    with _address_to_read(folder) as address:
        with store_errors(folder):
            connection = sqlite3.connect(address, uri=True, timeout=30)
        with contextlib.closing(connection):
            with store_errors(folder):
                database.bound(connection)
                connection.execute("PRAGMA query_only = ON")
                database.check(connection, folder)
            yield connection


@contextlib.contextmanager
def attached(connection: sqlite3.Connection, folder: Path, name: str) -> Generator[None]:
    """Attaches another run's database to this connection under a name, to read it; see opened_to_read."""
    with _address_to_read(folder) as address:
        with store_errors(folder):
            connection.execute(f"ATTACH ? AS {name}", (address,))
            database.check(connection, folder, name)
        yield
        with store_errors(folder):
            connection.execute(f"DETACH {name}")


def identity(folder: Path) -> Identity:
    """The identity of the folder that has this path now."""
    try:
        return _identity_of(folder.stat())
    except OSError:
        return None


def _identity_of(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _require(folder: Path) -> None:
    with store_errors(folder):
        if not (folder / DATABASE).exists():
            raise StoreError(f"{folder}: its {DATABASE} is missing, so there is no run to resume")


def _address(folder: Path) -> str:
    return (folder.absolute() / DATABASE).as_uri()


@contextlib.contextmanager
def _address_to_read(folder: Path) -> Generator[str]:
    """An address with which SQLite changes nothing in the folder, not even the log that a killed process left.

    A log with its index is read in place. Without an index SQLite would create one, so the run is copied. Without a log
    everything is in the database, and no process writes to it.
    """
    _require(folder)
    _refuse_strange_files(folder, to_write=False)
    with store_errors(folder):
        log, index = _size(folder / LOG), (folder / INDEX).exists()
    if log is not None and index and (address := _with_index(folder)):
        yield address
    elif log:
        with database.copied(folder, (DATABASE, LOG)) as copy:
            yield _address(copy)
    else:
        before = _state(folder)
        yield f"{_address(folder)}?mode=ro&immutable=1"
        if _state(folder) != before:
            raise StoreError(f"{folder}: another process wrote to it while it was read; run the command again")


def _with_index(folder: Path) -> str | None:
    """The address to read a log with its index, which another process may use. None if SQLite cannot."""
    for options in ("mode=ro&readonly_shm=1", "mode=ro"):
        address = f"{_address(folder)}?{options}"
        with contextlib.suppress(sqlite3.OperationalError, UnicodeDecodeError):
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return address
    return None


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _state(folder: Path) -> tuple[int, int, int]:
    with store_errors(folder):
        found = (folder / DATABASE).stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _refuse_strange_files(folder: Path, *, to_write: bool) -> None:
    """Raises StoreError for a link, a pipe or a device in place of a run's file, and for a rollback journal.

    A rollback journal names files that SQLite would delete; a run has none. A database with a second name (a hard link)
    is not written to, because the other name may be a backup.
    """
    for name in (DATABASE, LOG, INDEX, JOURNAL, LOCK):
        try:
            found = (folder / name).lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise store_error(folder, error) from error
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{folder}: its {name} is {kind_of(found.st_mode)}, not a regular file: it is not opened")
        if name == JOURNAL and found.st_size:
            raise StoreError(f"{folder}: {name} does not belong to a run: it is not opened")
        if name == DATABASE and to_write and found.st_nlink > 1:
            raise StoreError(f"{folder}: its {name} has another name as well (a hard link): copy the folder, then "
                             "--resume the copy")  # fmt: skip


@contextlib.contextmanager
def store_errors(folder: Path) -> Generator[None]:
    """Turns any error of the disk or the database in the block into a StoreError."""
    try:
        yield
    except (OSError, *DATABASE_ERRORS, msgspec.MsgspecError) as error:
        raise store_error(folder, error) from error


def store_error(folder: Path, error: Exception) -> StoreError:
    """The StoreError that names the folder, the cause and what to do."""
    cause = str(error).lower()
    if "full" in cause or "no space" in cause:
        what = "the disk is full: free some space, then --resume"
    elif any(word in cause for word in ("readonly", "read-only", "permission")):
        what = "it cannot be written to: change its permissions, then --resume"
    elif any(word in cause for word in ("malformed", "not a database", "corrupt", "interrupted", "too big", "codec")):
        what = DAMAGED
    else:
        what = "nothing that was saved is lost; remove the cause, then --resume"
    return StoreError(f"{folder}: {one_line(str(error), 300)}: {what}")
