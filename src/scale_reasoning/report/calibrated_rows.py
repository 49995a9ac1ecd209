"""Which rows of runs a calibration uses: all System 2, and one allocator at several values of its number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.roles import Role, find_role
from scale_reasoning.runs.outcome import Cell
from scale_reasoning.strategies import describe, make_described, shorten
from scale_reasoning.strategies.number import Number, find_number
from scale_reasoning.types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The rows of a calibration: `base` is all System 2; `values` are the others with number and row, safest first."""

    number: Number
    base: Cell
    values: Sequence[tuple[float, int, Cell]]

    @property
    def several(self) -> bool:
        """Whether a problem has several samples."""
        return self.base.samples > 1

    def list_losses(self) -> dict[tuple[float, int], list[float]]:
        """By value and row, each problem's share of samples that all System 2 solves and the row does not."""
        return {(value, row): _compare(self.base, cell) for value, row, cell in self.values}


def find_grid(numbered: Sequence[tuple[int, Cell]]) -> Grid:
    """The rows to calibrate on. Raises ConfigError that says which rows are missing, or are too many."""
    kinds = dict.fromkeys((cell.dataset, cell.model) for _, cell in numbered)
    if len(kinds) > 1:
        listed = "; ".join(f"{model} on {dataset}" for dataset, model in kinds)
        raise ConfigError(f"the rows are of {listed}: name the rows of one, as FOLDER:N (`scale report` numbers them)")
    bases = [cell for _, cell in numbered if find_role(cell.strategy) is Role.SYSTEM2]
    if len(bases) != 1:
        raise ConfigError(f"{len(bases)} rows are all System 2, and one is needed: add --strategy scale:route=system2 "
                          "to the run, or name one of them as FOLDER:N")  # fmt: skip
    rows = [(*found, row, cell) for row, cell in numbered if (found := _read_number(cell)) is not None]
    if not rows:
        raise ConfigError("no row has an allocator with a number, such as tau: scale sweep tau 0.1 0.2 … makes them")
    groups = {_read_others(cell): None for _, _, _, cell in rows}
    if len(groups) > 1:
        raise ConfigError("the rows differ in more than the number: name those that belong together, as FOLDER:N")
    if _read_others(bases[0], and_route=True) != _read_others(rows[0][3], and_route=True):
        raise ConfigError("the row of all System 2 has other options than the rest: name rows that belong together")
    for _, cell in numbered:
        if pending := cell.planned - sum(not outcome.pending for outcome in cell.outcomes):
            raise ConfigError(f"{pending} attempts of {cell.run} are pending: resume it first, because a certificate "
                              "needs all of them")  # fmt: skip
    number = rows[0][0]
    safest_first = sorted(rows, key=lambda row: row[1], reverse=number.closed == "high")
    return Grid(number=number, base=bases[0], values=[(value, row, cell) for _, value, row, cell in safest_first])


def _read_number(cell: Cell) -> tuple[Number, float] | None:
    return find_number(make_described(cell.strategy)) if cell.strategy["name"] == "scale" else None


def _read_others(cell: Cell, *, and_route: bool = False) -> tuple[tuple[str, str], ...]:
    """The options that rows of one grid have in common; without the allocator and the assessor for all System 2."""
    options: Mapping[str, JSON] = describe(make_described(cell.strategy))
    found = _read_number(cell)
    left_out = {found[0].option} if found else set[str]()
    if and_route:
        options = {key: value for key, value in options.items() if key not in ("route", "assess", "system1_max_tokens")}
    return tuple((key, str(value)) for key, value in shorten(options).items() if key not in left_out)


def _compare(base: Cell, cell: Cell) -> list[float]:
    right = {(outcome.problem_id, outcome.sample): outcome.correct is True for outcome in base.outcomes}
    lost: dict[str, list[bool]] = defaultdict(list)
    for outcome in cell.outcomes:
        if outcome.correct is not None and (key := (outcome.problem_id, outcome.sample)) in right:
            lost[outcome.problem_id].append(right[key] and not outcome.correct)
    return [fmean(each) for each in lost.values()]
