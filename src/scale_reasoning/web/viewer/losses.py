"""Where a run's attempts are lost, for its page: the table of `scale report --losses`, and links to the attempts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from scale_reasoning.report.losses import Changed, Loss, Losses, find_losses
from scale_reasoning.report.losses_table import LEGEND, count_samples, list_notes, list_problems, write_loss
from scale_reasoning.report.roles import has_contrast
from scale_reasoning.report.rows import number_rows
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.runs.store import reading
from scale_reasoning.web.viewer.shelf import Place, ViewedCell, wait_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A problem with the address of its first attempt that was lost or won, and how many were."""

    id: str
    text: str
    href: str
    times: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemList:
    """The problems that one line of the table is about."""

    title: str
    links: Sequence[Link]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSection:
    """One dataset with one model: a row of texts by heading per line of the table, and the lists below it."""

    title: str
    rows: Sequence[Mapping[str, str]]
    lists: Sequence[ProblemList]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossPage:
    """All sections, what they leave out, and the rows that are missing."""

    sections: Sequence[LossSection]
    notes: Sequence[str]
    missing: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLosses:
    """A run's losses, and the row of each of its cells."""

    losses: Losses
    rows: Sequence[int]


class LossFinder:
    """Finds a run's losses in the background, once per change of the run."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._found: dict[Path, tuple[int, Future[FoundLosses]]] = {}

    def find(self, folder: Path, deadline: float | None) -> FoundLosses | None:
        """The losses; None if they are not ready by the deadline (monotonic clock)."""
        with reading(folder) as store:
            written = store.written()
        with self._lock:
            kept = self._found.get(folder)
            if kept is None or (kept[0] != written and kept[1].done()):
                kept = self._found[folder] = (written, self._pool.submit(_compute, folder))
        return wait_for(kept[1], deadline)


def _compute(folder: Path) -> FoundLosses:
    cells = cells_of(folder)
    rows = number_rows(cells)
    return FoundLosses(losses=find_losses(list(zip(rows, cells, strict=True))), rows=rows)


def can_lose(cells: Sequence[ViewedCell]) -> bool:
    """Whether a run has two rows on a dataset that can be compared to find losses. `cells` are those of the run."""
    groups: dict[tuple[str, str], list[Mapping[str, object]]] = {}
    for cell in cells:
        groups.setdefault((cell.spec.dataset.name, cell.model), []).append(cell.spec.strategy)
    return any(map(has_contrast, groups.values()))


def make_loss_page(
    found: FoundLosses, cells: Sequence[ViewedCell], name_trace: Callable[[ViewedCell, Place], str]
) -> LossPage:
    """Puts a run's losses on a page. `cells` are all cells of the run."""
    by_row = {(row, cell.spec.dataset.name): cell for row, cell in zip(found.rows, cells, strict=True)}
    groups: dict[str, list[Loss]] = {}
    for loss in found.losses.losses:
        groups.setdefault(f"{loss.dataset}, {loss.model}", []).append(loss)
    return LossPage(
        sections=[
            LossSection(
                title=title,
                rows=[write_loss(loss) for loss in losses],
                lists=[
                    ProblemList(
                        title=words,
                        links=[_make_link(one, by_row[loss.row_b, loss.dataset], name_trace) for one in problems],
                    )
                    for loss in losses
                    for words, problems in list_problems(loss)
                ],
            )
            for title, losses in groups.items()
        ],
        notes=[LEGEND, *list_notes(found.losses)],
        missing=found.losses.missing,
    )


def _make_link(one: Changed, cell: ViewedCell, name_trace: Callable[[ViewedCell, Place], str]) -> Link:
    position = cell.positions[one.id]
    href = name_trace(cell, (position, one.samples[0]))
    return Link(id=one.id, text=cell.problems[position].text, href=href, times=count_samples(one))
