"""What a row of a report is: a strategy with its options and a model, on every dataset that the run has it on.

Decides the number that tables print and that FOLDER:N names: rows count from 1 in the order of the run's cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from scale_reasoning.runs.outcome import Cell
from scale_reasoning.strategies import shorten
from scale_reasoning.types import JSON

Identity: TypeAlias = tuple[str, str, bytes]
"""Model, strategy and options: what the cells of a row have in common."""


def identify(model: str, strategy: str, options: Mapping[str, JSON]) -> Identity:
    """Makes what sets a row apart from others."""
    return model, strategy, msgspec.json.encode(options, order="sorted")


def number_rows(cells: Sequence[Cell]) -> list[int]:
    """Gives each cell of one run its row. `cells` are all cells of the run.

    Cells that differ only in the dataset share a row; a second one on the same dataset gets its own row.
    """
    rows: list[tuple[Identity, set[str]]] = []
    numbers: list[int] = []
    for cell in cells:
        own = identify(cell.model, str(cell.strategy.get("name", "")), shorten(cell.strategy))
        row = next((n for n, (other, on) in enumerate(rows) if other == own and cell.dataset not in on), len(rows))
        if row == len(rows):
            rows.append((own, set()))
        rows[row][1].add(cell.dataset)
        numbers.append(row + 1)
    return numbers
