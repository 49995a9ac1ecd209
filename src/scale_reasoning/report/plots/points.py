"""Cells as points to draw: each number with its 95 % interval, the paper's beside ours.

Decides what has an interval. Knows nothing of lines, labels or axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

from scale_reasoning.report import paper
from scale_reasoning.report.intervals import Estimate, amount, share
from scale_reasoning.report.metrics import Cell, Denominator, Summary, summarise
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.types import JSON, NO_USAGE, Stage

TABLES: Mapping[str, paper.Table] = {"budget": "figure2", "tau": "table2", "frontier": "table1"}
"""Where the paper prints what a kind shows; the other kinds show what it does not print."""


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


@dataclass(frozen=True, kw_only=True)  # no slots: what takes long is cached
class Point:
    """A cell in numbers, or a row of the paper, which has no cell.

    tokens: which are counted, those of all stages or of the responses to sub-problems alone, as in the paper.
    """

    summary: Summary
    cell: Cell | None = None
    tokens: Literal["all", "solve"] = "all"

    @property
    def options(self) -> dict[str, JSON]:
        """The strategy's settings, those of a strategy under it as `base.OPTION`."""
        return flattened(self.summary.options)

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
        """Response tokens per attempt; None where one attempt's are unknown."""
        if self.cell is None:
            return None if self.summary.tok is None else Value(value=self.summary.tok)
        counts = [[self._tokens(outcome) for outcome in group] for group in self.counted()]
        if any(count is None for group in counts for count in group):
            return None
        return _value(amount(*self._sums([[count or 0 for count in group] for group in counts])))

    def _tokens(self, outcome: Outcome) -> int | None:
        if self.tokens == "all":
            return outcome.usage.completion_tokens
        return outcome.by_stage.get(Stage.SOLVE, NO_USAGE).completion_tokens

    @cached_property
    def hard(self) -> Value | None:
        """Iterations in System 2, in percent."""
        if self.cell is None or self.summary.hard is None:
            found = None if self.summary.hard is None else Value(value=self.summary.hard)
        else:
            groups = self.counted()
            tops, sizes = self._sums([[outcome.hard for outcome in group] for group in groups])
            bottoms, _ = self._sums([[outcome.iterations for outcome in group] for group in groups])
            found = _value(share(tops, bottoms)) if sizes else None
        return found and found.times(100)

    def counted(self) -> list[list[Outcome]]:
        """The outcomes that the denominator counts, a list a problem."""
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.cell.outcomes if self.cell else ():
            if not outcome.pending and (self.summary.denominator == "planned" or outcome.failure is None):
                groups.setdefault(outcome.problem_id, []).append(outcome)
        return [groups[name] for name in sorted(groups)]

    def _sums(self, groups: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
        """Sums over a problem's attempts and how many they are; with denominator "planned" the means, and ones."""
        sizes = [len(group) if self.summary.denominator == "planned" else 1 for group in groups]
        tops = [sum(group) / size for group, size in zip(groups, sizes, strict=True)]
        return tops, [len(group) / size for group, size in zip(groups, sizes, strict=True)]


def _value(found: Estimate | None) -> Value | None:
    return found and Value(value=found.value, low=found.low, high=found.high)


def measured(cell: Cell, denominator: Denominator, *, row: int | None = None) -> Point:
    """The point of a cell, which has that row in the report of its run."""
    return Point(summary=summarise(cell, row=row, denominator=denominator), cell=cell)


def printed(kind: str, points: Sequence[Point]) -> list[Point]:
    """The paper's points that belong beside these, on the same datasets and with the same models."""
    if kind not in TABLES:
        return []
    return [Point(summary=row) for row in paper.alike(TABLES[kind], [point.summary for point in points])]


def flattened(tree: Mapping[str, JSON], under: str = "") -> dict[str, JSON]:
    """A tree of settings as one table, keys joined by dots."""
    flat: dict[str, JSON] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flattened(cast("Mapping[str, JSON]", value), f"{under}{key}.")
        else:
            flat[under + key] = value
    return flat
