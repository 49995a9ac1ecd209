"""Where a run's attempts are lost, for its page: the table of `scale report --losses`, and links to the attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scale_reasoning.report.losses import Changed, Loss, Losses, find_losses
from scale_reasoning.report.losses_table import LEGEND, count_samples, list_notes, list_problems, write_loss
from scale_reasoning.report.roles import has_contrast
from scale_reasoning.report.rows import number_rows
from scale_reasoning.runs.cells import cells_of
from scale_reasoning.web.viewer.cell import Place, ViewedCell


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
class LossRow:
    """A line of the table: its texts by heading, and its drawing as shares of half the width; None is not drawn."""

    texts: Mapping[str, str]
    lost: float | None
    won: float | None
    net_low: float | None
    net_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSection:
    """One dataset with one model: the table, and the lists below it."""

    title: str
    rows: Sequence[LossRow]
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


def compute_losses(folder: Path) -> FoundLosses:
    """Finds the losses of a run. Raises ScaleError."""
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
                rows=_make_rows(losses),
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


def _make_rows(losses: Sequence[Loss]) -> list[LossRow]:
    """The table; all its drawings have one scale."""
    ends = [
        abs(end) for each in losses for end in (each.lost_share, each.won_share, each.net_low, each.net_high) if end
    ]
    longest = max(ends, default=1.0)

    def scale(share: float | None) -> float | None:
        return None if share is None else share / longest

    return [
        LossRow(
            texts=write_loss(each),
            lost=scale(each.lost_share),
            won=scale(each.won_share),
            net_low=scale(each.net_low),
            net_high=scale(each.net_high),
        )
        for each in losses
    ]


def _make_link(one: Changed, cell: ViewedCell, name_trace: Callable[[ViewedCell, Place], str]) -> Link:
    position = cell.positions[one.id]
    href = name_trace(cell, (position, one.samples[0]))
    return Link(id=one.id, text=cell.problems[position].text, href=href, times=count_samples(one))
