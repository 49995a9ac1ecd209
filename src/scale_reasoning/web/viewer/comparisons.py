"""Which attempts can be looked at side by side: on the server any two at one problem, in an export those that fit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from scale_reasoning.report.roles import CONTRASTS, find_role
from scale_reasoning.web.viewer.addresses import name_comparison
from scale_reasoning.web.viewer.cell import Place, ViewedCell
from scale_reasoning.web.viewer.shelf import Shelf

COMPARISONS = 2_000
"""Pages with two attempts side by side that an export may have."""
Pair: TypeAlias = tuple[ViewedCell, ViewedCell]


@dataclass(frozen=True, slots=True)
class Compared:
    """The pairs of cells that an export puts side by side, for the first `samples` samples of each problem."""

    pairs: Collection[Pair]
    samples: int


def choose_pairs(shelf: Shelf) -> Compared:
    """Every pair, if that is at most a page per attempt; else each row with the first one, and the rows that are
    compared to find where attempts are lost. All samples; or the first, or none if these would be too many.
    """
    shared = {pair: _count_shared(*pair) for pair in combinations(shelf.cells, 2)}
    pairs = [pair for pair, count in shared.items() if count]
    most = max(cell.manifest.samples for cell in shelf.cells)
    if sum(shared[pair] for pair in pairs) > sum(len(cell.problems) for cell in shelf.cells):
        first = {cell.spec.dataset.name: cell for cell in reversed(shelf.cells)}
        pairs = [pair for pair in pairs if pair[0] is first[pair[0].spec.dataset.name] or _are_contrasted(*pair)]
    pages = sum(shared[pair] for pair in pairs)
    return Compared(pairs, next((samples for samples in (most, 1) if pages * samples <= COMPARISONS), 0))


def _count_shared(left: ViewedCell, right: ViewedCell) -> int:
    if left.spec.dataset.name != right.spec.dataset.name:
        return 0
    return len(left.positions.keys() & right.positions.keys())


def _are_contrasted(left: ViewedCell, right: ViewedCell) -> bool:
    """Whether the two are rows of one run and one model that losses are read from."""
    if (left.run, left.model) != (right.run, right.model):
        return False
    roles = {find_role(left.spec.strategy), find_role(right.spec.strategy)}
    return any(roles == {contrast.before, contrast.after} for contrast in CONTRASTS)


def list_comparisons(
    shelf: Shelf, cell: ViewedCell, place: Place, compared: Compared | None
) -> list[tuple[ViewedCell, str]]:
    """The other cells that have this problem, each with the address of the comparison. compared: an export's."""
    problem, sample = cell.problems[place[0]].id, place[1]
    if compared is not None and sample >= compared.samples:
        return []
    order = {id(each): number for number, each in enumerate(shelf.cells)}
    links: list[tuple[ViewedCell, str]] = []
    for other in shelf.cells:
        if other is cell or other.spec.dataset.name != cell.spec.dataset.name or problem not in other.positions:
            continue
        sides = [(cell, sample), (other, min(sample, other.manifest.samples - 1))]
        (left, one), (right, two) = sorted(sides, key=lambda side: order[id(side[0])])
        if compared is None or (left, right) in compared.pairs:
            links.append((other, name_comparison(left, right, left.positions[problem], (one, two))))
    return links
