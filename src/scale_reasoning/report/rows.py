"""What a row of a report is: a strategy with its settings and a model, on every dataset of a run that has it.

Decides the numbers that tables print and FOLDER:N means: rows count from 1 in the order of the run's cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from scale_reasoning.report.metrics import telling
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.types import JSON

Identity: TypeAlias = tuple[str, str, bytes]
"""Model, strategy and settings: what the cells of a row have in common."""


def identity(model: str, strategy: str, options: Mapping[str, JSON]) -> Identity:
    """What sets a row apart from others."""
    return model, strategy, msgspec.json.encode(options, order="sorted")


def numbers(cells: Sequence[Cell]) -> list[int]:
    """The row of each cell of one run, given all its cells.

    Cells that are alike in all but the dataset share a row; a second one on the same dataset gets a row of its own.
    """
    rows: list[tuple[Identity, set[str]]] = []
    found: list[int] = []
    for cell in cells:
        own = identity(cell.model, str(cell.strategy.get("name", "")), telling(cell.strategy))
        place = next((n for n, (each, on) in enumerate(rows) if each == own and cell.dataset not in on), len(rows))
        if place == len(rows):
            rows.append((own, set()))
        rows[place][1].add(cell.dataset)
        found.append(place + 1)
    return found
