"""The report on assessors: a line per assessor, dataset, model and row, with all its measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from scale_reasoning.report.assessors.maps import ISOTONIC_FROM, fit_map
from scale_reasoning.report.assessors.measures import (
    compute_aurc,
    compute_auroc,
    compute_brier,
    compute_ece,
    compute_risk,
    count_levels,
)
from scale_reasoning.report.assessors.resampling import Measure, Measured, average, draw_problems, measure_all
from scale_reasoning.report.assessors.steps import CellSteps, read_steps
from scale_reasoning.report.assessors.truths import GOLD, SYSTEM2, read_truth
from scale_reasoning.report.intervals import estimate_share
from scale_reasoning.report.rows import number_rows
from scale_reasoning.runs.cells import read_cell
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.runs.store import reading

MEASURES: Mapping[str, Measure] = {
    "auroc": compute_auroc,
    "brier": compute_brier,
    "ece": compute_ece,
    "aurc": compute_aurc,
    "risk50": partial(compute_risk, coverage=0.5),
    "risk80": partial(compute_risk, coverage=0.8),
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One assessor in one cell. `low` and `high` end 95 % intervals over problems; None is undefined or unknown.

    fails: share of steps on which System 1 fails. auroc: None if no step fails, or all do. aurc: area under risk by
    coverage; risk50, risk80: share that fails among the easiest half, and four fifths. calls, tokens: what it costs per
    step. fallback: share of its difficulties that are not what it computes. map: the fitted map, as `assess.map`.
    system2_fails: of the `system2_steps` solved by System 2, the share with a wrong result.
    """

    dataset: str
    model: str
    run: str
    row: int
    assessor: str
    truth: str
    steps: int
    problems: int
    fails: float | None
    fails_low: float | None
    fails_high: float | None
    auroc: float | None
    auroc_low: float | None
    auroc_high: float | None
    brier: float | None
    brier_low: float | None
    brier_high: float | None
    ece: float | None
    ece_low: float | None
    ece_high: float | None
    aurc: float | None
    aurc_low: float | None
    aurc_high: float | None
    risk50: float | None
    risk50_low: float | None
    risk50_high: float | None
    risk80: float | None
    risk80_low: float | None
    risk80_high: float | None
    calls: float | None
    calls_low: float | None
    calls_high: float | None
    tokens: float | None
    tokens_low: float | None
    tokens_high: float | None
    fallback: float | None
    fallback_low: float | None
    fallback_high: float | None
    system2_steps: int | None
    system2_fails: float | None
    system2_fails_low: float | None
    system2_fails_high: float | None
    map: str | None
    map_fit: str


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Steps, or attempts, of a cell that are not compared, and why."""

    dataset: str
    model: str
    run: str
    row: int
    count: int
    of: int
    why: str


class Assessed(msgspec.Struct, frozen=True, kw_only=True):
    """The report. `pending` attempts are left out."""

    truth: str
    lines: tuple[Line, ...]
    left_out: tuple[LeftOut, ...]
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedCell:
    """A cell, its row in the report of its run, and its steps."""

    row: int
    cell: Cell
    found: CellSteps


def read_assessed(folder: Path, row: int | None, truth: str) -> list[AssessedCell]:
    """The cells of a run, or of one row of it, with their steps. Raises ConfigError and StoreError."""
    right = read_truth(truth)
    with reading(folder) as store:
        cells = [read_cell(store, number) for number in range(len(store.manifest.cells))]
        return [
            AssessedCell(row=own, cell=cell, found=read_steps(store, place, right))
            for place, (own, cell) in enumerate(zip(number_rows(cells), cells, strict=True))
            if row in (None, own)
        ]


def measure_assessors(cells: Sequence[AssessedCell], truth: str, seed: int = 0) -> Assessed:
    """Measures every assessor of every cell."""
    return Assessed(
        truth=truth,
        lines=tuple(line for each in cells for line in _measure_cell(each, truth, seed)),
        left_out=tuple(left for each in cells if each.found.assessors for left in _list_left_out(each)),
        pending=sum(each.found.pending for each in cells if each.found.assessors),
    )


def _measure_cell(each: AssessedCell, truth: str, seed: int) -> Iterable[Line]:
    system2 = each.found.system2
    judged = None if system2 is None else _share(system2)
    for assessor, steps in each.found.assessors.items():
        problems = len({step.problem_id for step in steps})
        draws = draw_problems(problems, seed)
        levels = count_levels((step.difficulty, step.fails) for step in steps)
        measured = {
            "fails": _share([(step.problem_id, step.fails) for step in steps]),
            **measure_all(steps, MEASURES, draws),
            "calls": average([(step.problem_id, step.calls) for step in steps], draws),
            "tokens": average([(step.problem_id, step.tokens) for step in steps], draws),
            "fallback": _share([(step.problem_id, bool(step.fallback)) for step in steps]),
            "system2_fails": judged or Measured(),
        }
        yield Line(
            dataset=each.cell.dataset,
            model=each.cell.model,
            run=each.cell.run,
            row=each.row,
            assessor=assessor,
            truth=truth,
            steps=len(steps),
            problems=problems,
            system2_steps=None if system2 is None else len(system2),
            map=None if is_calibrated(assessor) else fit_map(levels),
            map_fit="isotonic" if len(steps) >= ISOTONIC_FROM else "Platt",
            **_flatten(measured),
        )


def _flatten(measured: Mapping[str, Measured]) -> dict[str, float | None]:
    flat: dict[str, float | None] = {}
    for name, each in measured.items():
        flat |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    return flat


def _share(found: Sequence[tuple[str, bool]]) -> Measured:
    """A share of steps with the interval that all shares of reports have."""
    sums: dict[str, list[int]] = {}
    for problem, holds in found:
        both = sums.setdefault(problem, [0, 0])
        both[0], both[1] = both[0] + holds, both[1] + 1
    share = estimate_share([top for top, _ in sums.values()], [bottom for _, bottom in sums.values()])
    return Measured() if share is None else Measured(value=share.value, low=share.low, high=share.high)


def _list_left_out(each: AssessedCell) -> Iterable[LeftOut]:
    found, cell = each.found, each.cell
    steps = max(map(len, found.assessors.values())) + sum(found.left_out.values())
    counts = [(count, steps, f"steps: {why}") for why, count in found.left_out.items()]
    pending = [(found.pending, cell.planned, "attempts: they are pending; resume the run")] if found.pending else []
    for count, of, why in counts + pending:
        yield LeftOut(dataset=cell.dataset, model=cell.model, run=cell.run, row=each.row, count=count, of=of, why=why)


def is_calibrated(assessor: str) -> bool:
    """Whether an assessor's difficulties are another's by a map."""
    return assessor.startswith("calibrated ")


def describe_truth(truth: str) -> str:
    """When System 1 fails, in words."""
    if truth == SYSTEM2:
        return "System 1 fails where its draft's result differs from System 2's on the same step (--truth system2)"
    if truth == GOLD:
        return "System 1 fails where its draft's result is not the value in the chain of arithmetic (--truth gold)"
    return f"System 1 fails where its draft's result is not the one in {truth}"
