"""A number of traces as the goal of a run: no more attempts than it can need.

The share of attempts that succeeded decides how many may be in flight. An attempt counts by its outcome at first, and
by the filters after `settle`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from math import ceil

from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.store import Store
from scale_reasoning.synth.funnel import Funnel

HOPE = 8
"""Successes assumed before the first attempt ends, so that a few early failures do not start too many attempts."""
HOPELESS = ("duplicates", "contamination")
"""Filters that drop a problem with any solution."""


class Target:
    """A goal (see runs.pace.Goal) of `wanted` traces: one per problem, or all correct attempts with `every`.

    With `whole`, an attempt with a step that was cut off gives none. `hopeless` are problems, as (dataset, problem id),
    that can give no trace.
    """

    def __init__(
        self,
        store: Store,
        wanted: int,
        *,
        every: bool = False,
        whole: bool = True,
        hopeless: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.wanted, self._every, self._whole = wanted, every, whole
        self._datasets = [cell.dataset.name for cell in store.manifest.cells]
        self._hopeless, self._found = set[Hashable](hopeless), set[Hashable]()
        self._ended = self._succeeded = 0
        for cell in range(len(self._datasets)):
            for outcome in store.outcomes(cell):
                self.count_outcome(cell, outcome)

    def count_outcome(self, cell: int, outcome: Outcome) -> None:
        """See Goal. An infrastructure error says nothing about the model's success, so it does not count."""
        if outcome.pending:
            return
        self._ended += 1
        if outcome.correct and not (self._whole and outcome.truncated):
            self._succeeded += 1
            if not self._useless(cell, outcome.problem_id):
                self._found.add(self.place(cell, outcome.problem_id, outcome.sample))

    def enough(self) -> bool:
        """See Goal."""
        return len(self._found) >= self.wanted

    def room(self) -> int:
        """See Goal: the missing traces divided by the share that succeeds (1 until an attempt ends)."""
        share = (self._succeeded + HOPE) / (self._ended + HOPE)
        return ceil((self.wanted - len(self._found)) / share)

    def place(self, cell: int, problem_id: str, sample: int) -> Hashable:
        """See Goal."""
        problem = (self._datasets[cell], problem_id)
        return (*problem, cell, sample) if self._every else problem

    def reached(self, place: Hashable) -> bool:
        """See Goal."""
        return place in self._found or (isinstance(place, tuple) and place[:2] in self._hopeless)

    def settle(self, funnel: Funnel) -> None:
        """Counts what the filters kept instead of the outcomes; problems that they dropped may be tried again."""
        if self._every:
            # A candidate does not know its cell. Ended attempts are done anyway, so only the number matters.
            self._found = set[Hashable](range(len(funnel.kept)))
        else:
            self._found = set[Hashable](one.key for one in funnel.kept)
        dropped = {each.candidate.key for each in funnel.dropped if each.stage in HOPELESS}
        self._hopeless |= dropped - {one.key for one in funnel.kept}

    def _useless(self, cell: int, problem_id: str) -> bool:
        return (self._datasets[cell], problem_id) in self._hopeless
