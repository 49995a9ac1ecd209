"""Pictures of runs, a column wide, as PNG, SVG or PDF: the same cells give the same bytes.

To add a kind: write a module with one function that fills a Page from points, and give it a row in KINDS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.metrics import Cell, Denominator
from scale_reasoning.report.plots.canvas import FORMATS, Page, styled
from scale_reasoning.report.plots.difficulty import difficulty
from scale_reasoning.report.plots.frontier import frontier
from scale_reasoning.report.plots.loss import curve, loss
from scale_reasoning.report.plots.points import Point, measured, printed
from scale_reasoning.report.plots.stages import stages
from scale_reasoning.report.plots.sweeps import budget, tau

Kind: TypeAlias = Callable[[Page, Sequence[Point]], None]

KINDS: Mapping[str, Kind] = {
    "budget": budget,
    "tau": tau,
    "frontier": frontier,
    "difficulty": difficulty,
    "stages": stages,
}


def draw(
    kind: str,
    cells: Sequence[Cell],
    file: Path,
    *,
    rows: Sequence[int] | None = None,
    denominator: Denominator = "planned",
    with_paper: bool = False,
) -> bool:
    """Draws the cells into the file, whose ending says the format; whether any of the paper's numbers are beside them.

    `rows` are the cells' numbers in the reports of their runs, for labels. Beside the paper's numbers, which count the
    responses to sub-problems alone, ours are drawn with the tokens of that stage.

    Raises ConfigError for an unknown kind or ending, for cells that do not have what the kind shows, and where
    matplotlib is missing; StoreError where the file cannot be written.
    """
    if kind not in KINDS:
        raise ConfigError(f"no plot {kind!r}; there are: {', '.join(KINDS)}")
    _check_ending(file)
    with styled():
        numbers = rows or [None] * len(cells)
        ours = [measured(cell, denominator, row=row) for cell, row in zip(cells, numbers, strict=True)]
        beside = printed(kind, ours) if with_paper else []
        if beside:
            ours = [replace(point, tokens="solve") for point in ours]
        page = Page()
        KINDS[kind](page, [*ours, *beside])
        page.write(file)
    return bool(beside)


def draw_loss(folders: Sequence[Path], file: Path) -> None:
    """Draws the losses of the fine-tunings in the folders into the file. Raises as `draw` does."""
    _check_ending(file)
    curves = [curve(folder) for folder in folders]
    with styled():
        page = Page()
        loss(page, curves)
        page.write(file)


def _check_ending(file: Path) -> None:
    if file.suffix.lower().lstrip(".") not in FORMATS:
        raise ConfigError(f"{file}: must end in {', '.join('.' + each for each in FORMATS)}")


__all__ = ["FORMATS", "KINDS", "draw", "draw_loss"]
