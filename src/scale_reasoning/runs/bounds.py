"""What a database of unknown origin may yield: no more than it can hold, and no number that nobody can have counted.

A page of a damaged database may stand in for any number of pages, so that a small file yields rows without end.
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
"""What a row takes in the file at least, besides its texts."""
UNCHECKED_BYTES = 1 << 20
"""Of the rows of one query, for which the size of the file is not asked."""
MOST = 10**12
"""No count and no number of seconds of one attempt comes near it."""
UNBOUNDED = ("seed", "strategy")
"""Keys whose numbers are settings, and may be any."""
_LARGE = re.compile(rb"[:,\[]\s*-?(?:[0-9]{13}|[0-9.]+[eE])")
"""Where JSON may have a number of 13 digits or an exponent; few rows do, and only those are looked at closely."""


class Counted:
    """The bytes of the rows that one query has yielded. No query of a run yields a row twice."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._bytes, self._most = folder, 0, UNCHECKED_BYTES

    def add(self, row: Iterable[object]) -> None:
        """Counts a row in. Raises StoreError when the rows are larger than the database and its log."""
        self._bytes += ROW_BYTES + sum(len(value) for value in row if isinstance(value, str | bytes))
        if self._bytes <= self._most:
            return
        self._most = max(UNCHECKED_BYTES, sum(_size(self.folder / name) for name in (DATABASE, LOG)))
        if self._bytes > self._most:
            raise StoreError(f"{self.folder}: a query yields more than the database can hold: {DAMAGED}")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def plausible(content: bytes) -> bool:
    """Whether every number in the JSON of a row can be one: metrics and pages compute with them unseen."""
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
