"""A number of traces wanted, as a goal for the run that they come from: no more attempts than it can need.

Decides how many attempts may be in flight from how many have succeeded. Knows an attempt only by its outcome; what the
filters say of it comes later, by `settle`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from math import ceil

from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.store import Store
from scale_reasoning.synth.funnel import Candidate, Funnel

HOPE = 8
"""Successes assumed before the first attempt ends, so that a few early failures do not start a flood of attempts."""
HOPELESS = ("duplicates", "contamination")
"""Stages that drop a problem whatever its solution is."""


class Target:
    """See runs.pace.Goal. `wanted` traces, one per problem unless `every` correct attempt is kept.

    `hopeless` are problems, as (dataset, problem id), of which no trace can be kept.
    """

    def __init__(
        self, store: Store, wanted: int, *, every: bool = False, hopeless: Iterable[tuple[str, str]] = ()
    ) -> None:
        self.wanted, self._every = wanted, every
        self._datasets = [cell.dataset.name for cell in store.manifest.cells]
        self._hopeless, self._found = set[Hashable](hopeless), set[Hashable]()
        self._ended = self._succeeded = 0
        for cell in range(len(self._datasets)):
            for outcome in store.outcomes(cell):
                self.heard(cell, outcome)

    def heard(self, cell: int, outcome: Outcome) -> None:
        """See Goal. An attempt that failed for a reason outside the model says nothing of the model's success."""
        if outcome.pending:
            return
        self._ended += 1
        if outcome.correct and not outcome.truncated:
            self._succeeded += 1
            if not self._useless(cell, outcome.problem_id):
                self._found.add(self.place(cell, outcome.problem_id, outcome.sample))

    def enough(self) -> bool:
        """See Goal."""
        return len(self._found) >= self.wanted

    def room(self) -> int:
        """See Goal: what is missing over the share that succeeds, which is 1 until an attempt has ended."""
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
        """Counts what the filters kept instead of what looked right; what they dropped may be tried again."""
        if self._every:
            # A candidate does not tell its cell; every attempt that ended is done, so only the number matters.
            self._found = set[Hashable](range(len(funnel.kept)))
        else:
            self._found = set[Hashable](map(_problem, funnel.kept))
        dropped = {_problem(each.candidate) for each in funnel.dropped if each.stage in HOPELESS}
        self._hopeless |= dropped - {_problem(each) for each in funnel.kept}

    def _useless(self, cell: int, problem_id: str) -> bool:
        return (self._datasets[cell], problem_id) in self._hopeless


def _problem(candidate: Candidate) -> tuple[str, str]:
    return candidate.dataset, candidate.problem.id
