"""The cells of a run, each with its outcomes, as reports and plots take them."""

from __future__ import annotations

from pathlib import Path

from scale_reasoning.engines.connection import ModelSpec
from scale_reasoning.runs.manifest import UNNAMED, models_of
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.runs.store import Store, reading


def cells_of(folder: Path) -> list[Cell]:
    """Every cell of a run with its outcomes."""
    with reading(folder) as store:
        return [read_cell(store, number) for number in range(len(store.manifest.cells))]


def read_cell(store: Store, number: int) -> Cell:
    """One cell of a run with its outcomes."""
    spec, samples = store.manifest.cells[number], store.manifest.samples
    problems = len(store.problems(spec.dataset.name))
    return Cell(
        run=str(store.folder),
        dataset=spec.dataset.name,
        model=model_of(spec.model),
        models=models_of(spec.model),
        strategy=spec.strategy,
        problems=problems,
        samples=samples,
        outcomes=tuple(store.outcomes(number)),
        name=store.manifest.name,
        created=store.manifest.created,
        elsewhere=problems * samples - store.planned_of(number),
    )


def model_of(spec: ModelSpec) -> str:
    """A cell's model in reports: System 2's, and System 1's if it is another."""
    return " + ".join(filter(None, (spec.model or UNNAMED, spec.system1_model)))
