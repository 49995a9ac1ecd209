"""Cells as points to draw: each number with its 95 % interval, the paper's beside ours.

Decides what has an interval. Knows nothing of lines, labels or axes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from scale_reasoning.report import paper
from scale_reasoning.report.estimators import estimate
from scale_reasoning.report.metrics import Cell, Denominator, Summary, summarise
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import JSON

RESAMPLES = 1000
TABLES: Mapping[str, paper.Table] = {"budget": "figure2", "tau": "table2", "frontier": "table1"}
"""Where the paper prints what a kind shows; the other kinds show what it does not print."""
MAIN_MODEL = "Qwen3-32B"
"""The paper's model where ours is none of its four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A number with its 95 % interval, where it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> Value:
        """In another unit."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Value(value=self.value * factor, low=low, high=high)


@dataclass(frozen=True, kw_only=True)  # no slots: what takes a bootstrap is cached
class Point:
    """A cell in numbers, or a row of the paper, which has no cell."""

    summary: Summary
    cell: Cell | None = None

    @property
    def knobs(self) -> dict[str, JSON]:
        """The strategy's settings, those of a strategy under it as `base.KNOB`."""
        return flattened(self.summary.knobs)

    @property
    def acc(self) -> Value | None:
        """Accuracy in percent."""
        found = self.summary
        return (
            found.acc
            if found.acc is None
            else Value(value=found.acc, low=found.acc_low, high=found.acc_high).times(100)
        )

    @cached_property
    def tok(self) -> Value | None:
        """Response tokens a problem's attempt."""
        if self.cell is None or self.summary.tok is None:
            return None if self.summary.tok is None else Value(value=self.summary.tok)
        return self.ratio(lambda outcome: outcome.usage.completion_tokens or 0)

    @cached_property
    def hard(self) -> Value | None:
        """Iterations in System 2, in percent."""
        if self.cell is None or self.summary.hard is None:
            share = None if self.summary.hard is None else Value(value=self.summary.hard)
        else:
            share = self.ratio(lambda outcome: outcome.hard, lambda outcome: outcome.iterations)
        return share and share.times(100)

    def counted(self) -> list[list[Outcome]]:
        """The outcomes that the denominator counts, a list a problem."""
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.cell.outcomes if self.cell else ():
            if not outcome.owed and (self.summary.denominator == "planned" or outcome.failure is None):
                groups.setdefault(outcome.problem_id, []).append(outcome)
        return [groups[name] for name in sorted(groups)]

    def ratio(
        self, top: Callable[[Outcome], float], bottom: Callable[[Outcome], float] = lambda outcome: 1
    ) -> Value | None:
        """`top` over `bottom`, summed over attempts; with denominator "planned" over problems' means of them."""
        groups = self.counted()
        sizes = [len(group) if self.summary.denominator == "planned" else 1 for group in groups]
        tops, bottoms = (
            [sum(map(part, group)) / size for group, size in zip(groups, sizes, strict=True)] for part in (top, bottom)
        )
        found = estimate(tops, bottoms, seed=0, resamples=RESAMPLES)
        return found and Value(value=found.value, low=found.low, high=found.high)


def measured(cell: Cell, denominator: Denominator) -> Point:
    """The point of a cell."""
    return Point(summary=summarise(cell, denominator=denominator), cell=cell)


def printed(kind: str, points: Sequence[Point]) -> list[Point]:
    """The paper's points that belong beside these: same datasets, and of its models those that ours are."""
    if kind not in TABLES:
        return []
    datasets = {point.summary.dataset for point in points}
    rows = [row for row in paper.rows(TABLES[kind]) if row.dataset in datasets]
    ours = " ".join(_plain(point.summary.model) for point in points)
    models = {row.model for row in rows if _plain(row.model) in ours} or {MAIN_MODEL}
    return [Point(summary=row) for row in rows if row.model in models]


def _plain(model: str) -> str:
    return re.sub("[^a-z0-9]", "", model.lower())


def flattened(tree: Mapping[str, JSON], under: str = "") -> dict[str, JSON]:
    """A tree of settings as one table, keys joined by dots."""
    flat: dict[str, JSON] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flattened(cast("Mapping[str, JSON]", value), f"{under}{key}.")
        else:
            flat[under + key] = value
    return flat
