"""Whether a file in the cache still has the hash that was checked.

Hashing a large file takes a moment. So the hash is computed again only when the file's size, times or inode differ from
those that were recorded; every write changes them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scale_reasoning.files import read_bounded, replacing

RECORD = "checked.json"
MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file as it was when it had this hash (hex); times in nanoseconds."""

    sha256: str
    size: int
    written: int
    changed: int
    number: int


def is_whole(file: Path, cache: Path, *, sha256: str | None = None) -> bool:
    """Whether the file has this hash; without one, the hash that was recorded for it. Records what it finds."""
    try:
        known = _read_records(cache).get(_name(file, cache))
        wanted = sha256 or (known.sha256 if known else None)
        if wanted is None:
            return False
        now = _describe(file, wanted)
        if known == now:
            return True
        if hash_of(file) != wanted:
            return False
    except OSError:
        return False
    _record(cache, {_name(file, cache): now})
    return True


def remember(file: Path, cache: Path) -> None:
    """Records the hash that the file has now. Raises OSError."""
    _record(cache, {_name(file, cache): _describe(file, hash_of(file))})


def _describe(file: Path, sha256: str) -> Checked:
    found = file.stat()
    return Checked(
        sha256=sha256,
        size=found.st_size,
        written=found.st_mtime_ns,
        changed=found.st_ctime_ns,
        number=found.st_ino,
    )


def hash_of(file: Path) -> str:
    """The sha256 of a file, in hex. Raises OSError."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _name(file: Path, cache: Path) -> str:
    """The name in the records. It has no folder, so that a cache can be moved."""
    return file.name if file.parent == cache else str(file)


def _read_records(cache: Path) -> Mapping[str, Checked]:
    try:
        return msgspec.json.decode(read_bounded(cache / RECORD, MOST_BYTES), type=dict[str, Checked])
    except (OSError, ValueError, RecursionError):
        return {}


def _record(cache: Path, checked: Mapping[str, Checked]) -> None:
    with contextlib.suppress(OSError), replacing(cache / RECORD) as file:  # else the hash is computed each time
        file.write(msgspec.json.encode({**_read_records(cache), **checked}))
