"""The runs in the viewer: those that can be read, those that cannot, and those that appear while it looks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scale_reasoning.errors import ConfigError, ScaleError, StoreError
from scale_reasoning.runs.finding import find_runs
from scale_reasoning.runs.store import reading
from scale_reasoning.web.viewer.cell import ViewedCell


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRun:
    """A run that cannot be read, its number among the runs, and the reason."""

    number: int
    folder: Path
    error: ScaleError

    @property
    def reason(self) -> str:
        """The reason in words."""
        return str(self.error)


class Shelf:
    """The cells of the given runs, in order; `broken` are the runs that cannot be read.

    Raises ConfigError if a folder has no run, and the reason if no run can be read.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="numbers")
        self._folders = list(folders)
        self._lock = threading.Lock()
        self.runs: list[Path] = []
        self.cells: list[ViewedCell] = []
        self.broken: list[BrokenRun] = []
        for folder in [found for named in self._folders for found in find_runs(named)]:
            self._add(folder)
        if not self.cells and len(self.broken) == 1:
            raise self.broken[0].error
        if not self.cells:
            raise StoreError("; ".join(each.reason for each in self.broken))

    def look_again(self) -> None:
        """Adds the runs that have appeared in the folders, after those that are there, and tries again those that could
        not be read, under their numbers: addresses stay what they are.
        """
        with self._lock:
            self.broken = [left for each in self.broken for left in self._open(each.number, each.folder)]
            for folder in self._folders:
                with contextlib.suppress(ConfigError):  # it may have been moved since
                    for found in find_runs(folder):
                        if found not in self.runs:
                            self._add(found)

    def _add(self, folder: Path) -> None:
        self.runs.append(folder)
        self.broken += self._open(len(self.runs) - 1, folder)

    def _open(self, number: int, folder: Path) -> list[BrokenRun]:
        """Adds the cells of a run, in the order of the runs; returns the run if it cannot be read."""
        try:
            cells = _open_cells(number, folder, self.pool)
        except ScaleError as error:
            return [BrokenRun(number=number, folder=folder, error=error)]
        self.cells = sorted([*self.cells, *cells], key=lambda cell: (cell.run, cell.cell))
        return []

    def read_ahead(self) -> None:
        """Reads every cell in the background, so that the first page is fast."""
        for cell in self.cells:
            self.pool.submit(cell.refresh)

    def find_cell(self, run: int, cell: int) -> ViewedCell | None:
        """The cell with these numbers."""
        return next((each for each in self.cells if (each.run, each.cell) == (run, cell)), None)

    def group_cells(self) -> list[list[ViewedCell]]:
        """The cells, by run."""
        runs: dict[int, list[ViewedCell]] = {}
        for cell in self.cells:
            runs.setdefault(cell.run, []).append(cell)
        return list(runs.values())

    def list_cells(self, run: int) -> list[ViewedCell]:
        """The cells of a run."""
        return [each for each in self.cells if each.run == run]

    def close(self) -> None:
        """Ends the work in the background."""
        for cell in self.cells:
            cell.stop.set()
        self.pool.shutdown(wait=True, cancel_futures=True)


def _open_cells(number: int, folder: Path, pool: ThreadPoolExecutor) -> list[ViewedCell]:
    """Opens a run once and makes its cells. Raises ScaleError."""
    with reading(folder) as store:
        names = dict.fromkeys(cell.dataset.name for cell in store.manifest.cells)
        problems = {name: store.problems(name) for name in names}
        return [
            ViewedCell(store, run=number, cell=place, problems=problems[spec.dataset.name], pool=pool)
            for place, spec in enumerate(store.manifest.cells)
        ]
