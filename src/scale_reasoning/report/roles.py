"""Which rows of runs are compared to find where attempts are lost, and which `scale eval` adds a missing row.

The roles are chain of thought in System 2 and SCALE with each route but `random`; other rows have no role.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from scale_reasoning.runs.outcome import Cell
from scale_reasoning.strategies import shorten, unusual
from scale_reasoning.types import JSON

LIMITS = frozenset({"system2_max_tokens", "thinking_budget", "on_limit"})
"""Options that chain of thought and SCALE share; equal where the two are compared."""
ROUTING = frozenset({"name", "route", "assess", "system1_max_tokens"})
"""Options that may differ where two routes of SCALE are compared: they belong to routing, or to one system alone."""


class Role(StrEnum):
    """What a row stands for."""

    COT = "chain of thought"
    SYSTEM2 = "all System 2"
    SYSTEM1 = "all System 1"
    THRESHOLD = "threshold"


class Contrast(NamedTuple):
    """What `after` does that `before` does not."""

    by: str
    before: Role
    after: Role


CONTRASTS = (
    Contrast("decomposition", Role.COT, Role.SYSTEM2),
    Contrast("routing", Role.SYSTEM2, Role.THRESHOLD),
    Contrast("System 1 alone", Role.SYSTEM2, Role.SYSTEM1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A cell with its row in the report of its run, and its role."""

    row: int
    cell: Cell
    role: Role

    def describe(self, *, several: bool) -> str:
        """Its role and row; the row with its run if there are several runs."""
        name = f"tau {shorten(self.cell.strategy)['tau']}" if self.role is Role.THRESHOLD else str(self.role)
        return f"{name} ({self.cell.run}:{self.row})" if several else f"{name} (row {self.row})"


Pair: TypeAlias = tuple[str, Ranked, Ranked]
"""What the second cell does that the first does not, and both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The cells with a role on one dataset with one model, the pairs to compare, and why other pairs are missing."""

    cells: Sequence[Ranked]
    pairs: Sequence[Pair]
    missing: Sequence[str]


def find_role(strategy: Mapping[str, JSON]) -> Role | None:
    """Finds the role of a strategy; None if it has none."""
    name = strategy.get("name")
    if name == "cot":
        return Role.COT if strategy.get("mode", "system2") == "system2" else None
    if name != "scale":
        return None
    route = str(shorten(strategy).get("route", "threshold"))
    return {"system1": Role.SYSTEM1, "system2": Role.SYSTEM2, "threshold": Role.THRESHOLD}.get(route)


def has_contrast(strategies: Sequence[Mapping[str, JSON]]) -> bool:
    """Whether two of the strategies, on the same dataset with the same model, can be compared."""
    roles = set(map(find_role, strategies))
    return any({contrast.before, contrast.after} <= roles for contrast in CONTRASTS)


def group_cells(numbered: Sequence[tuple[int, Cell]]) -> list[Group]:
    """Groups cells by dataset and model and pairs those that can be compared. `numbered` are rows and their cells."""
    several = len({cell.run for _, cell in numbered}) > 1
    groups: dict[tuple[str, str], list[Ranked]] = {}
    for row, cell in numbered:
        if role := find_role(cell.strategy):
            groups.setdefault((cell.dataset, cell.model), []).append(Ranked(row=row, cell=cell, role=role))
    return [_pair_cells(cells, several=several) for cells in groups.values()]


def _pair_cells(cells: Sequence[Ranked], *, several: bool) -> Group:
    pairs: list[Pair] = []
    missing = _list_absent(cells)
    for by, before, after in CONTRASTS:
        candidates = [each for each in cells if each.role is before]
        for later in (each for each in cells if each.role is after):
            partners = _find_partners(candidates, later)
            if len(partners) == 1:
                pairs.append((by, partners[0], later))
            elif partners:
                rows = ", ".join(each.describe(several=several) for each in partners)
                missing.append(
                    f"{_name_group(later)}: several rows could be compared with {later.describe(several=several)}: "
                    f"{rows}. Name one of them, as FOLDER:N."
                )
            elif candidates:
                missing.append(
                    f"{_name_group(later)}: no {before} row has the options of {later.describe(several=several)}. "
                    f"{_write_hint(later, [_spell(before, later)])}"
                )
    return Group(cells=cells, pairs=pairs, missing=missing)


def _find_partners(candidates: Sequence[Ranked], later: Ranked) -> list[Ranked]:
    """The candidates whose options agree; those of the same run, if there are any."""
    agreeing = [each for each in candidates if _agree(each, later)]
    return [each for each in agreeing if each.cell.run == later.cell.run] or agreeing


def _agree(one: Ranked, other: Ranked) -> bool:
    """Whether all options that both rows have and that are not compared are equal."""
    left, right = one.cell.strategy, other.cell.strategy
    shared = left.keys() & right.keys()
    if Role.COT in (one.role, other.role):
        compared = shared & LIMITS
    elif Role.SYSTEM1 in (one.role, other.role):
        compared = shared - ROUTING - LIMITS
    else:
        compared = shared - ROUTING
    return all(left[key] == right[key] for key in compared)


def _list_absent(cells: Sequence[Ranked]) -> list[str]:
    """A note on the roles that no cell has."""
    present = {each.role for each in cells}
    absent = [role for role in Role if role not in present]
    if not absent:
        return []
    order = (Role.SYSTEM2, Role.THRESHOLD, Role.SYSTEM1, Role.COT)
    like = min(cells, key=lambda each: order.index(each.role))
    runs = ", ".join(dict.fromkeys(each.cell.run for each in cells))
    names = ", ".join(f"no {role} row" for role in absent)
    hint = _write_hint(like, [_spell(role, like) for role in absent])
    return [f"{_name_group(like)}: {names} among the rows read from {runs}. {hint}"]


def _name_group(one: Ranked) -> str:
    return f"{one.cell.dataset}, {one.cell.model}"


def _write_hint(like: Ranked, strategies: Sequence[str]) -> str:
    words = ["scale", "eval", like.cell.dataset, *(word for each in strategies for word in ("--strategy", each))]
    command = shlex.join([*words, "--samples", str(like.cell.samples), "--out", "FOLDER"])
    return f"To add: {command}, with the run's other flags (model, --limit, --seed); then name FOLDER here too."


def _spell(role: Role, like: Ranked) -> str:
    """The `--strategy` of a row with the role and the options of another row."""
    options = unusual(like.cell.strategy)
    if Role.COT in (role, like.role):
        kept = {key: value for key, value in options.items() if key in LIMITS}
    else:
        kept = {key: value for key, value in options.items() if key.partition(".")[0] not in ROUTING}
    route = {Role.SYSTEM1: "system1", Role.SYSTEM2: "system2"}.get(role)
    own = {"tau": 0.2} if role is Role.THRESHOLD else {"route": route} if route else {}
    settings = ",".join(f"{key.replace('_', '-')}={value}" for key, value in {**own, **kept}.items())
    return f"{'cot' if role is Role.COT else 'scale'}{f':{settings}' if settings else ''}"
