"""When a run was begun and last written, and whether a process works on it. Only looks: opens no file of the run.

A writing process locks the run's lock file (runs/folder.py). Linux lists locks; elsewhere, and where the process is in
another container or on another machine, only the times of the files tell.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from scale_reasoning.runs.folder import DATABASE, LOCK, LOG, MANIFEST

LOCKS = Path("/proc/locks")
MOST_LOCKS = 4 << 20
"""Bytes of the list of locks that are read."""
PAUSE, LONG_PAUSE = 3, 30
"""Seconds between the questions of a live page: while its run is running, and while it is stopped."""
FRESH = timedelta(minutes=2)
"""A run that was written to within this time may be running even if no lock is seen."""


class State(StrEnum):
    """What a run does."""

    FINISHED = "finished"
    RUNNING = "running"
    UNSURE = "perhaps running"
    STOPPED = "stopped"


EXPLAINED = {
    State.FINISHED: "every attempt is final",
    State.RUNNING: "a process works on it",
    State.UNSURE: "it was written in the last two minutes, but no process is seen on this machine that works on it",
    State.STOPPED: "attempts are pending, and no process is seen on this machine that works on it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A run's times, by its files; None if they cannot be read. locked: a process is seen that works on it."""

    begun: datetime | None
    written: datetime | None
    locked: bool

    def find_state(self, pending: int, now: datetime) -> State:
        """What the run does, if `pending` attempts are not final."""
        if not pending:
            return State.FINISHED
        if self.locked:
            return State.RUNNING
        return State.UNSURE if self.written is not None and now - self.written < FRESH else State.STOPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A run's state with its reason in words, and its times. at: when it was looked at."""

    state: State
    explained: str
    at: datetime
    begun: datetime | None
    written: datetime | None


def describe_activity(folder: Path, pending: int, created: datetime | None = None) -> Shown:
    """What a run does now, if `pending` attempts are not final. created: when it was begun, as its manifest says."""
    found, now = read_activity(folder), datetime.now(UTC)
    state = found.find_state(pending, now)
    return Shown(state=state, explained=EXPLAINED[state], at=now, begun=created or found.begun, written=found.written)


def find_pause(*states: State, counting: bool = False) -> int:
    """Seconds until a live page asks again whether it has changed; 0 if it will not change any more."""
    if counting or State.RUNNING in states or State.UNSURE in states:
        return PAUSE
    return LONG_PAUSE if State.STOPPED in states else 0


def read_activity(folder: Path) -> Activity:
    """Reads the times of a run's files, and whether its lock is held. A copy has the times of its copying."""
    found = {name: _stat(folder / name) for name in (MANIFEST, DATABASE, LOG, LOCK)}
    times = [_read_time(each) for each in found.values() if each]
    written = [_read_time(each) for name in (DATABASE, LOG) if (each := found[name]) and each.st_size]
    return Activity(
        begun=min(times, default=None),
        written=max(written, default=None),
        locked=(lock := found[LOCK]) is not None and _is_locked(lock, _list_locks()),
    )


def _stat(file: Path) -> os.stat_result | None:
    try:
        found = file.lstat()
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _read_time(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(int(found.st_mtime), UTC)


def _list_locks() -> Iterable[str]:
    try:
        with LOCKS.open(encoding="ascii", errors="replace") as file:
            return file.read(MOST_LOCKS).splitlines()
    except OSError:
        return ()


def _is_locked(found: os.stat_result, lines: Iterable[str]) -> bool:
    """Whether the list has a lock of this file: `1: FLOCK  ADVISORY  WRITE 123 08:01:456 0 EOF`."""
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any("FLOCK" in words and device in words for words in (line.split() for line in lines))
