"""Bounds on what a database of unknown origin returns: no more rows than it can hold, and no impossible numbers.

A damaged database may use one page in the place of many, so that a small file returns rows without end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec

from scale_reasoning.errors import StoreError
from scale_reasoning.runs.folder import DAMAGED, DATABASE, LOG
from scale_reasoning.types import JSON

ROW_BYTES = 8
"""The least size of a row in the file, besides its texts."""
UNCHECKED_BYTES = 1 << 20
"""The size of the rows of one query up to which the file's size is not checked."""
MOST = 10**12
"""Far above any count or number of seconds of one attempt."""
UNBOUNDED = ("seed", "strategy")
"""Keys whose numbers are settings and have no bound."""
_LARGE = re.compile(rb"[:,\[]\s*-?(?:[0-9]{13}|[0-9.]+[eE])")
"""A JSON number of 13 digits or with an exponent. Few rows have one, and only these are checked further."""


class RowBytes:
    """The size of the rows that one query has returned. No query of a run returns a row twice."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._bytes, self._most = folder, 0, UNCHECKED_BYTES

    def add(self, row: Iterable[object]) -> None:
        """Counts a row. Raises StoreError if the rows are larger than the database and its log."""
        self._bytes += ROW_BYTES + sum(len(value) for value in row if isinstance(value, str | bytes))
        if self._bytes <= self._most:
            return
        self._most = max(UNCHECKED_BYTES, sum(_size(self.folder / name) for name in (DATABASE, LOG)))
        if self._bytes > self._most:
            raise StoreError(f"{self.folder}: a query returns more than the database can hold: {DAMAGED}")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def plausible(content: bytes) -> bool:
    """Whether every number in the JSON of a row is in a possible range, so that metrics can compute with it."""
    return not _LARGE.search(content) or _plausible(msgspec.json.decode(content))


def _plausible(value: JSON) -> bool:
    match value:
        case bool() | None | str():
            return True
        case int() | float():
            return -MOST <= value <= MOST
        case list():
            return all(map(_plausible, cast("list[Any]", value)))
        case _:
            table = cast("dict[str, Any]", value)
            return all(key in UNBOUNDED or _plausible(each) for key, each in table.items())
