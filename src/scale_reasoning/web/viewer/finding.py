"""What takes long to compute from a run: in the background, once per change of the run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Generic, TypeVar

from scale_reasoning.runs.store import reading
from scale_reasoning.web.viewer.cell import wait_for

T = TypeVar("T")


class Finder(Generic[T]):
    """Keeps what `compute` finds in each run."""

    def __init__(self, pool: Executor, compute: Callable[[Path], T]) -> None:
        self._pool, self._compute = pool, compute
        self._lock = threading.Lock()
        self._found: dict[Path, tuple[int, Future[T]]] = {}

    def find(self, folder: Path, deadline: float | None) -> T | None:
        """What there is; None if it is not ready by the deadline (monotonic clock)."""
        with reading(folder) as store:
            written = store.written()
        with self._lock:
            kept = self._found.get(folder)
            if kept is None or (kept[0] != written and kept[1].done()):
                kept = self._found[folder] = (written, self._pool.submit(self._compute, folder))
        return wait_for(kept[1], deadline)
