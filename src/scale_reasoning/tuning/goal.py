"""The attempts that a tuning needs before its next decision, as the goal of a run (see runs.pace)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from scale_reasoning.errors import ConfigError
from scale_reasoning.runs.outcome import Outcome
from scale_reasoning.runs.store import Store
from scale_reasoning.tuning.drops import Outcomes, Standing, decide, list_tokens


class Attempts:
    """A goal: the attempts on these problems, by cell. All others count as reached."""

    def __init__(self, store: Store, needs: Mapping[int, Sequence[str]]) -> None:
        done = store.done()
        wanted = {(cell, name) for cell, names in needs.items() for name in names}
        self._left = {each for each in wanted if (*each, 0) not in done}

    def count_outcome(self, cell: int, outcome: Outcome) -> None:
        """See Goal."""
        if not outcome.pending:
            self._left.discard((cell, outcome.problem_id))

    def enough(self) -> bool:
        """See Goal."""
        return not self._left

    def room(self) -> int:
        """See Goal: all that are left at once."""
        return len(self._left)

    def place(self, cell: int, problem_id: str, sample: int) -> Hashable:
        """See Goal."""
        return cell, problem_id

    def reached(self, place: Hashable) -> bool:
        """See Goal."""
        return place not in self._left


def read_outcomes(store: Store) -> list[Outcomes]:
    """The final outcomes of each cell, by problem."""
    cells = range(len(store.manifest.cells))
    return [{each.problem_id: each for each in store.outcomes(cell) if not each.pending} for cell in cells]


def read_order(store: Store) -> list[str]:
    """The problems of a tuning in the order of their use."""
    return [problem.id for problem in store.problems(store.manifest.cells[0].dataset.name)]


def find_standing(store: Store) -> Standing:
    """Where the tuning in a store stands. Raises ConfigError if the run is none."""
    return decide(read_outcomes(store), read_order(store), store.manifest.require_tuning())


def require_tokens(store: Store) -> None:
    """Raises ConfigError where a limit of tokens cannot be kept, because no attempt so far has its tokens."""
    tokens = store.manifest.require_tuning().tokens
    had = [outcome for own in read_outcomes(store) for outcome in own.values()]
    if tokens is not None and had and all(count is None for count in list_tokens(had)):
        raise ConfigError(f"--tokens {tokens:g}: the server does not report how many tokens calls take, so no "
                          "strategy can be shown to keep to it: start a tuning without --tokens")  # fmt: skip
