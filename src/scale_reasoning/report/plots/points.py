"""Cells as points to draw: each number with its 95 % interval, and the paper's rows as points without intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from scale_reasoning.report import paper
from scale_reasoning.report.cost import Costing
from scale_reasoning.report.intervals import Estimate, estimate_ratio, estimate_share
from scale_reasoning.report.metrics import Denominator, Summary, flatten, group_counted, summarise
from scale_reasoning.runs.outcome import Cell, Outcome
from scale_reasoning.types import JSON, NO_USAGE, Stage

TABLES: Mapping[str, paper.Table] = {"budget": "figure2", "tau": "table2", "frontier": "table1"}
"""The paper's table for each kind of plot that the paper has numbers for."""


@dataclass(frozen=True, kw_only=True)  # no slots, because estimates are cached
class Point:
    """A cell in numbers, or a row of the paper, which has no cell.

    tokens: which are counted: all response tokens, or only those of the solve stage, as in the paper. costing: how
    `cost` is computed.
    """

    summary: Summary
    cell: Cell | None = None
    tokens: Literal["all", "solve"] = "all"
    costing: Costing | None = None

    @property
    def options(self) -> dict[str, JSON]:
        """The strategy's options; those of its base strategy are named `base.OPTION`."""
        return flatten(self.summary.options)

    @property
    def outcomes(self) -> list[list[Outcome]]:
        """The outcomes that the denominator counts, a list per problem."""
        return group_counted(self.cell.outcomes, self.summary.denominator) if self.cell else []

    @property
    def acc(self) -> Estimate | None:
        """Accuracy in percent."""
        s = self.summary
        return None if s.acc is None else Estimate(value=s.acc, low=s.acc_low, high=s.acc_high).multiply(100)

    @cached_property
    def tok(self) -> Estimate | None:
        """Response tokens per attempt; None if those of one attempt are unknown."""
        if self.cell is None:
            return None if self.summary.tok is None else Estimate(value=self.summary.tok)
        return self._estimate_mean(self._count_tokens)

    @cached_property
    def cost(self) -> Estimate | None:
        """Cost per attempt; None if that of one attempt is unknown, or without costing."""
        cell, costing = self.cell, self.costing
        return None if cell is None or costing is None else self._estimate_mean(lambda o: costing.compute(cell, o))

    def _estimate_mean(self, measure: Callable[[Outcome], float | None]) -> Estimate | None:
        groups = self.outcomes
        known = [[n for outcome in group if (n := measure(outcome)) is not None] for group in groups]
        if list(map(len, known)) != list(map(len, groups)):
            return None
        return estimate_ratio(self._weigh(known), self._weigh([[1] * len(group) for group in groups]))

    def _count_tokens(self, outcome: Outcome) -> int | None:
        usage = outcome.usage if self.tokens == "all" else outcome.by_stage.get(Stage.SOLVE, NO_USAGE)
        return usage.completion_tokens

    @cached_property
    def hard(self) -> Estimate | None:
        """Iterations in System 2, in percent."""
        if self.summary.hard is None:
            return None
        if self.cell is None:
            return Estimate(value=self.summary.hard).multiply(100)
        tops = self._weigh([[outcome.hard for outcome in group] for group in self.outcomes])
        bottoms = self._weigh([[outcome.iterations for outcome in group] for group in self.outcomes])
        found = estimate_share(tops, bottoms)
        return found and found.multiply(100)

    def _weigh(self, groups: Sequence[Sequence[float]]) -> list[float]:
        """A number per problem: the mean over its attempts with denominator "planned", else their sum."""
        return [sum(group) / (len(group) if self.summary.denominator == "planned" else 1) for group in groups]


def measure(cell: Cell, denominator: Denominator, *, row: int | None = None, costing: Costing | None = None) -> Point:
    """Makes the point of a cell. `row` is the cell's row in the report of its run."""
    summary = summarise(cell, row=row, denominator=denominator, costing=costing)
    return Point(summary=summary, cell=cell, costing=costing)


def find_paper_points(kind: str, points: Sequence[Point]) -> list[Point]:
    """The paper's points for a kind of plot, with the datasets and models of these points."""
    if kind not in TABLES:
        return []
    return [Point(summary=row) for row in paper.select_rows(TABLES[kind], [point.summary for point in points])]
