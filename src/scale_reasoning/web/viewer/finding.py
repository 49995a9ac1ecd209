"""What takes long to compute from a run: in the background, again after each change of the run.

Until a new result is there, the last one is shown, with its date: a run in progress may change faster than it computes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from scale_reasoning.runs.store import reading

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[T]):
    """A result. at: when its computation began; newest: whether nothing was written to the run since then."""

    value: T
    at: datetime
    newest: bool = True


class Latest(Generic[T]):
    """Keeps the last result of one computation."""

    def __init__(self, pool: Executor, compute: Callable[[], T]) -> None:
        self._pool, self._compute = pool, compute
        self._lock = threading.Lock()
        self._running: tuple[int, Future[Found[T]]] | None = None
        self._kept: Found[T] | None = None

    def find(self, written: int, deadline: float | None) -> Found[T] | None:
        """The result for a run to which `written` was written last; by the deadline (monotonic clock) the last one that
        there is, None if there is none.
        """
        with self._lock:
            if self._running is None or (self._running[0] != written and self._running[1].done()):
                if self._running is not None and self._running[1].exception() is None:
                    self._kept = self._running[1].result()
                self._running = (written, self._pool.submit(self._run))
            (since, future), kept = self._running, self._kept
        try:
            found = future.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return None if kept is None else replace(kept, newest=False)
        return replace(found, newest=since == written)

    def _run(self) -> Found[T]:
        at = datetime.now(UTC)
        return Found(value=self._compute(), at=at)


class Finder(Generic[T]):
    """Keeps what `compute` finds in each run."""

    def __init__(self, pool: Executor, compute: Callable[[Path], T]) -> None:
        self._pool, self._compute = pool, compute
        self._lock = threading.Lock()
        self._found: dict[Path, Latest[T]] = {}

    def find(self, folder: Path, deadline: float | None) -> Found[T] | None:
        """What there is; None if nothing is ready by the deadline (monotonic clock)."""
        with reading(folder) as store:
            written = store.written()
        with self._lock:
            if folder not in self._found:
                self._found[folder] = Latest(self._pool, lambda: self._compute(folder))
        return self._found[folder].find(written, deadline)
