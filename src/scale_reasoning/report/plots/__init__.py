"""Draws runs, one column wide, as PNG, SVG or PDF. The same cells give the same bytes.

To add a kind, write a module with one function that fills a Page from points, and give it a row in KINDS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.assessors.lines import AssessedCell
from scale_reasoning.report.cost import Costing
from scale_reasoning.report.metrics import Denominator
from scale_reasoning.report.plots import loss, reliability, reproduce
from scale_reasoning.report.plots.difficulty import draw_difficulty
from scale_reasoning.report.plots.frontier import draw_frontier
from scale_reasoning.report.plots.page import FORMATS, Frame, Page, house_style
from scale_reasoning.report.plots.points import Point, find_paper_points, measure
from scale_reasoning.report.plots.stages import draw_stages
from scale_reasoning.report.plots.sweeps import draw_budget, draw_tau
from scale_reasoning.report.reproduce import Reproduction
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.suggest import describe_unknown

Kind: TypeAlias = Callable[[Page, Sequence[Point]], None]

KINDS: Mapping[str, Kind] = {
    "budget": draw_budget,
    "tau": draw_tau,
    "frontier": draw_frontier,
    "difficulty": draw_difficulty,
    "stages": draw_stages,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What was drawn: its caption, also if the page is without it, and whether it has numbers of the paper."""

    caption: str
    with_paper: bool = False


def draw(
    kind: str,
    cells: Sequence[Cell],
    file: Path,
    *,
    rows: Sequence[int] | None = None,
    denominator: Denominator = "planned",
    with_paper: bool = False,
    costing: Costing | None = None,
    frame: Frame | None = None,
) -> Drawn:
    """Draws the cells into the file, in the format of its ending.

    `rows` are the cells' rows in the reports of their runs, for labels. With the paper's numbers, which count only
    responses to sub-problems, ours are the tokens of that stage too. With `costing`, the frontier is one of costs
    instead of tokens. Raises ConfigError for an unknown kind or ending, for cells that do not have what the kind shows,
    and if matplotlib is missing; StoreError if the file cannot be written.
    """
    if kind not in KINDS:
        raise ConfigError(describe_unknown("plot", kind, KINDS))
    check_ending(file)
    with house_style():
        numbers = rows or [None] * len(cells)
        rowed = zip(cells, numbers, strict=True)
        ours = [measure(cell, denominator, row=row, costing=costing) for cell, row in rowed]
        theirs = find_paper_points(kind, ours) if with_paper else []
        if theirs:
            ours = [replace(point, tokens="solve") for point in ours]
        page = Page(frame)
        KINDS[kind](page, [*ours, *theirs])
        page.write(file)
    return Drawn(caption=page.caption, with_paper=bool(theirs))


def draw_loss(folders: Sequence[Path], file: Path, frame: Frame | None = None) -> Drawn:
    """Draws the losses of the fine-tunings in the folders into the file. Raises what `draw` raises."""
    check_ending(file)
    curves = [loss.read_curve(folder) for folder in folders]
    with house_style():
        page = Page(frame)
        loss.draw_loss(page, curves)
        page.write(file)
    return Drawn(caption=page.caption)


def draw_reliability(cells: Sequence[AssessedCell], file: Path, truth: str, frame: Frame | None = None) -> Drawn:
    """Draws how well the cells' assessors say that System 1 fails. Raises what `draw` raises."""
    check_ending(file)
    with house_style():
        page = Page(frame)
        reliability.draw_reliability(page, [each for each in cells if each.found.assessors], truth)
        page.write(file)
    return Drawn(caption=page.caption)


def draw_reproduction(found: Reproduction, file: Path) -> None:
    """Draws a table of the paper against runs into the file. Raises what `draw` raises."""
    check_ending(file)
    with house_style():
        page = Page()
        reproduce.draw_reproduction(page, found)
        page.write(file)


def check_ending(file: Path) -> None:
    """Raises ConfigError for a file whose ending is no format of a plot."""
    if file.suffix.lower().lstrip(".") not in FORMATS:
        raise ConfigError(f"{file}: must end in {', '.join('.' + each for each in FORMATS)}")


__all__ = [
    "FORMATS",
    "KINDS",
    "Drawn",
    "Frame",
    "check_ending",
    "draw",
    "draw_loss",
    "draw_reliability",
    "draw_reproduction",
]
