"""Whether a file in the cache is still what it was when its hash was checked.

The hash of a large file takes a moment, so it is computed again only when the file is another than was recorded: by its
size, its times and its number on the disk, which every write changes.
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
    """Whether the file has the hash; without one, the hash that was recorded for it. Records what it finds."""
    try:
        found = file.stat()
        known = _recorded(cache).get(_name(file, cache))
        wanted = sha256 or (known.sha256 if known else None)
        if wanted is None:
            return False
        now = Checked(
            sha256=wanted, size=found.st_size, written=found.st_mtime_ns, changed=found.st_ctime_ns, number=found.st_ino
        )
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
    found = file.stat()
    now = Checked(
        sha256=hash_of(file),
        size=found.st_size,
        written=found.st_mtime_ns,
        changed=found.st_ctime_ns,
        number=found.st_ino,
    )
    _record(cache, {_name(file, cache): now})


def hash_of(file: Path) -> str:
    """The sha256 of a file, in hex. Raises OSError."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _name(file: Path, cache: Path) -> str:
    """What a file is recorded as: a cache may move as a whole."""
    return file.name if file.parent == cache else str(file)


def _recorded(cache: Path) -> Mapping[str, Checked]:
    try:
        return msgspec.json.decode(read_bounded(cache / RECORD, MOST_BYTES), type=dict[str, Checked])
    except (OSError, ValueError, RecursionError):
        return {}


def _record(cache: Path, checked: Mapping[str, Checked]) -> None:
    with contextlib.suppress(OSError), replacing(cache / RECORD) as file:  # else the hash is computed each time
        file.write(msgspec.json.encode({**_recorded(cache), **checked}))
