"""Which runs a command reads: those that are named, all in a folder, or all in `runs`; and how they are listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from scale_reasoning.cli.options import say
from scale_reasoning.errors import ConfigError, ScaleError

if TYPE_CHECKING:
    from scale_reasoning.report.formats import Grid
    from scale_reasoning.report.metrics import Cell
    from scale_reasoning.runs.finding import Overview
    from scale_reasoning.strategies.solving import Answers
    from scale_reasoning.types import Problem

NumberedCell: TypeAlias = "tuple[int, Cell]"
"""A cell and its row in the report of its run."""
RUN = "a run's folder, or FOLDER:N for row N of its report"
RUNS = f"{RUN}, or a folder of runs (default: runs)"


def choose_names(names: Sequence[str], verb: str) -> list[str]:
    """The runs and rows that a command reads: FOLDER or FOLDER:N, each once, instead of a folder of runs those in it.

    Without names, those in `runs`. Raises ConfigError if there is none.
    """
    return list(dict.fromkeys(each for name in names or [str(find_default(verb))] for each in _expand(name)))


def find_default(verb: str) -> Path:
    """The folder of runs that is read where none is named. Raises ConfigError if there is none."""
    from scale_reasoning.runs.finding import RUNS as HERE

    if not HERE.is_dir():
        raise ConfigError(f"no run is named, and there is no folder {HERE} here: scale {verb} RUN, where RUN is the "
                          "folder of a run or of several; scale eval makes runs")  # fmt: skip
    return HERE


def _expand(name: str) -> list[str]:
    from scale_reasoning.runs.finding import find_runs

    folder, row = split_name(name)
    if (found := find_runs(folder)) == [folder]:
        return [str(folder) if row is None else f"{folder}:{row}"]
    if row is not None:
        raise ConfigError(f"{name}: {folder} has {len(found)} runs: name row {row} of one of them, as {found[0]}:{row}")
    return [str(each.folder) for each in look_at_all(found)]


def look_at_all(folders: Iterable[Path]) -> list[Overview]:
    """What the runs are, the oldest first. Says which ones cannot be read; raises ConfigError if none can."""
    from scale_reasoning.runs.finding import look_at

    found: list[Overview] = []
    failed: list[str] = []
    for folder in folders:
        try:
            found.append(look_at(folder))
        except ScaleError as error:
            failed.append(str(error))
    if not found:
        raise ConfigError("; ".join(failed))
    for line in failed:
        say(f"left out: {line}")
    return sorted(found, key=lambda each: (each.created, each.folder))


def tabulate_runs(found: Sequence[Overview]) -> Grid:
    """A table of runs: folder, date, name, what they are, attempts."""
    from scale_reasoning.report.formats import Column, Grid

    named = any(each.name for each in found)
    heads = ["run", "begun", *(["name"] * named), "what"]
    rows = [
        [
            str(each.folder),
            f"{each.created.astimezone():%Y-%m-%d %H:%M}",
            *([each.name or ""] * named),
            each.what,
            str(each.samples),
            f"{each.done}/{each.planned}",
        ]
        for each in found
    ]
    numbers = [Column(name=name, number=True) for name in ("samples", "attempts")]
    return Grid(columns=[*(Column(name=name) for name in heads), *numbers], rows=rows)


def list_runs_of(cells: Iterable[NumberedCell]) -> Grid | None:
    """A table of the runs of these cells; None if they are of one run."""
    folders = list(dict.fromkeys(cell.run for _, cell in cells))
    return tabulate_runs(look_at_all(map(Path, folders))) if len(folders) > 1 else None


def read_all_cells(names: Sequence[str], answers: Answers | None = None) -> list[NumberedCell]:
    """The cells of several FOLDER or FOLDER:N, each once; `answers` reads and grades their answers again."""
    found = {(cell.run, row, cell.dataset): (row, cell) for name in names for row, cell in read_cells(name, answers)}
    return list(found.values())


def read_cells(name: str, answers: Answers | None = None) -> list[NumberedCell]:
    """The cells of FOLDER with their rows in its report, or those of FOLDER:N, row N on every dataset that has it.

    Raises ConfigError for a row that the report does not have, StoreError for a folder that is no run.
    """
    from scale_reasoning.report.rows import number_rows
    from scale_reasoning.runs.cells import cells_of
    from scale_reasoning.runs.regrade import regrade_cells

    folder, number = split_name(name)
    cells = cells_of(folder) if answers is None else regrade_cells(folder, answers)
    numbered = list(zip(number_rows(cells), cells, strict=True))
    chosen = [(row, cell) for row, cell in numbered if number in (None, row)]
    if not chosen:
        raise ConfigError(f"{name}: the report of {folder} has rows 1 to {max(row for row, _ in numbered)}")
    return chosen


def split_name(name: str) -> tuple[Path, int | None]:
    """FOLDER or FOLDER:N as a folder and a row. An existing folder whose name ends with :N is a folder."""
    folder, colon, number = name.rpartition(":")
    if not (folder and colon) or not re.fullmatch("[0-9]{1,6}", number) or Path(name).exists():
        return Path(name), None
    return Path(folder), int(number)


def read_problems(cell: Cell) -> list[Problem]:
    """The problems that a cell's run stores."""
    from scale_reasoning.runs.store import reading

    with reading(Path(cell.run)) as store:
        return store.problems(cell.dataset)
