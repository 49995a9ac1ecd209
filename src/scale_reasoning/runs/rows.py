"""The rows of a run's database: writes in batches, and reads that check every value.

Writes of one turn of the event loop are committed together. A value that is not what its column should have is reported
as damage. Does not know what the rows mean.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from scale_reasoning.errors import StoreError
from scale_reasoning.printable import one_line
from scale_reasoning.runs.bounds import RowBytes, plausible
from scale_reasoning.runs.folder import DAMAGED, DATABASE_ERRORS, identity, store_error

T = TypeVar("T")


class Rows:
    """An open database of a run's folder. Every failure is a StoreError that says what to do."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder, self.connection = folder, connection
        self._identity = identity(folder)
        self._unwritten: list[tuple[str, tuple[Any, ...]]] = []
        self._flushed: asyncio.Future[None] | None = None

    async def write(self, sql: str, values: tuple[Any, ...]) -> None:
        """Executes a statement; returns when it is committed."""
        loop = asyncio.get_running_loop()
        if self._flushed is None:
            self._flushed = loop.create_future()
            loop.call_soon(self._flush)
        self._unwritten.append((sql, values))
        await asyncio.shield(self._flushed)

    def _flush(self) -> None:
        future, self._flushed = self._flushed, None
        writes, self._unwritten = self._unwritten, []
        if future is None or future.cancelled():
            return
        try:
            self.refuse_if_moved()
            with self.connection:
                for sql, values in writes:
                    self.connection.execute(sql, values)
        except (sqlite3.Error, StoreError) as error:
            future.set_exception(error if isinstance(error, StoreError) else store_error(self.folder, error))
            future.exception()
        else:
            future.set_result(None)

    def one(self, sql: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, None if there is none."""
        return next(self.all(sql, values), None)

    def all(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """All rows of a query. Raises StoreError if they are more than the database can hold: see bounds.RowBytes."""
        size = RowBytes(self.folder)
        try:
            for row in self.connection.execute(sql, values):
                size.add(row)
                yield row
        except DATABASE_ERRORS as error:
            raise store_error(self.folder, error) from error

    def decode(self, blob: object, shape: type[T]) -> T:
        """The value of a JSON column."""
        content = self.require(bytes, blob)
        try:
            value, is_plausible = msgspec.json.decode(content, type=shape), plausible(content)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self.damage(f"a row cannot be read ({one_line(str(error), 200)})") from error
        if not is_plausible:
            raise self.damage("a row has an impossible number")
        return value

    def require(self, kind: type[T], value: object) -> T:
        """The value, if it is of this type."""
        if not isinstance(value, kind):
            raise self.damage(f"a row has {type(value).__name__} instead of {kind.__name__}")
        return value

    def damage(self, what: str) -> StoreError:
        """The error for a database with a wrong value."""
        return StoreError(f"{self.folder}: {what}: {DAMAGED}")

    def refuse_if_moved(self) -> None:
        """Raises StoreError if another folder, or none, is at the folder's path now."""
        if identity(self.folder) != self._identity:
            raise StoreError(
                f"{self.folder}: the folder was moved or removed during the run: --resume it at its new place"
            )
