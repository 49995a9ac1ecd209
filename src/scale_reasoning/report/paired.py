"""An amount per attempt (tokens, cost) of two cells on the problems that both finished: B - A and B / A."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scale_reasoning.report.intervals import Estimate, estimate_mean, estimate_ratio
from scale_reasoning.report.metrics import group_by_problem
from scale_reasoning.runs.outcome import Cell, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A's and B's amounts of the problems that both finished: a list per problem, None where unknown."""

    amounts: tuple[Sequence[Sequence[float | None]], Sequence[Sequence[float | None]]]

    @property
    def attempts(self) -> tuple[int, ...]:
        """The attempts behind A's and B's amounts."""
        return tuple(sum(map(len, side)) for side in self.amounts)

    @property
    def uncounted(self) -> tuple[int, ...]:
        """The attempts of A and of B whose amount is unknown; any makes everything else unknown."""
        return tuple(sum(one is None for group in side for one in group) for side in self.amounts)

    @property
    def ratio(self) -> Estimate | None:
        """B / A, the ratio of the sums over problems."""
        return None if any(self.uncounted) else estimate_ratio(self._means(1), self._means(0))

    @property
    def difference(self) -> Estimate | None:
        """B - A, the mean over problems."""
        if any(self.uncounted):
            return None
        return estimate_mean([after - before for before, after in zip(self._means(0), self._means(1), strict=True)])

    def mean(self, side: int) -> float | None:
        """The mean over problems of A (0) or B (1)."""
        return fmean(self._means(side)) if self.amounts[side] and not any(self.uncounted) else None

    def _means(self, side: int) -> list[float]:
        return [fmean(one or 0 for one in group) for group in self.amounts[side]]


def pair_amounts(a: Cell, b: Cell, measure: Callable[[Cell, Outcome], float | None]) -> Paired:
    """The amounts of two cells, by the measure of an attempt of a cell."""
    left, right = (_collect(cell, measure) for cell in (a, b))
    shared = sorted(left.keys() & right.keys())
    return Paired(amounts=([left[name] for name in shared], [right[name] for name in shared]))


def _collect(cell: Cell, measure: Callable[[Cell, Outcome], float | None]) -> dict[str, list[float | None]]:
    """The amounts of a cell's final attempts per problem."""
    groups = group_by_problem(outcome for outcome in cell.outcomes if not outcome.pending)
    return {group[0].problem_id: [measure(cell, outcome) for outcome in group] for group in groups}
