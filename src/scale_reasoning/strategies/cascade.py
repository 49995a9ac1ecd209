"""A vote first, and a second strategy only where too few of the vote's chains agree.

Decides when the second strategy runs, and what votes then. Leaves stops and the count of votes to vote.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scale_reasoning.errors import ConfigError
from scale_reasoning.lm import LM, Strategy
from scale_reasoning.strategies.options import check_options, option, part
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.strategies.stopping import count_next
from scale_reasoning.strategies.vote import Vote, elect, run_chain
from scale_reasoning.types import Problem, Solution


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """If the leading answer of `first`, a vote, has at least the share `accept` of its chains, its solution stands.

    Otherwise `then` runs, and all chains vote: those of `first`, then those of `then` (its solution is one chain if it
    is no vote). If `then` is a vote over the same base, the chains of `first` count as its own first ones. If it is
    another strategy, a tie goes to its answer.
    """

    first: Strategy = part(lambda: Vote(samples=2), "the vote that runs first")
    then: Strategy = part(Scale, "the strategy that runs where too few of the first chains agree")
    accept: float = option(
        1.0, "the share of the first chains that the leading answer needs, so that `then` does not run", low=0, high=1
    )

    def __post_init__(self) -> None:
        check_options(self)
        first = self.first
        if not isinstance(first, Vote) or first.samples < 2:
            raise ConfigError("first: must be a vote with samples = 2 or more, because one chain cannot disagree")
        if count_next((), first.samples, first.stop, first.level) < 2:
            raise ConfigError(
                f"first: with samples = {first.samples} and stop = {first.stop} the first answer ends the vote, so "
                "no chains can disagree: set stop to never, or samples to more"
            )
        then = self._find_continuing()
        if then is not None and then.samples <= first.samples:
            raise ConfigError(
                f"then.samples = {then.samples}: must be more than first.samples = {first.samples}, because the chains "
                "of `first` count as the first chains of `then`"
            )

    def most_calls(self) -> int:
        """See Strategy. A vote that continues `first` makes the calls of its further chains only."""
        return self.then.most_calls() + (0 if self._find_continuing() else self.first.most_calls())

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        first = await self.first.solve(problem, lm)
        leading = first.votes[0].votes if first.votes else 0
        if first.votes and leading / len(first.chains) >= self.accept:
            return first
        return await self._solve_again(problem, lm, first)

    async def _solve_again(self, problem: Problem, lm: LM, first: Solution) -> Solution:
        before, then = len(first.chains), self._find_continuing()
        if then is not None:
            chains = await then.run_chains(problem, lm, before=first.chains)
            stopped, tie_from = then.explain_stop(chains), 0
        else:
            new, stopped = await self._run_other(problem, lm, before)
            chains, tie_from = [*first.chains, *new], before
        solution = elect(chains, tie_from)
        ran = f"first: {_describe(first.chains)}; then: {_describe(chains[before:])}"
        counted = elect(first.chains).notes
        kept = (f"first: {note}" for note in first.notes if note not in counted)
        return replace(solution, notes=(*solution.notes, *kept, ran, *(f"then: {note}" for note in stopped)))

    async def _run_other(self, problem: Problem, lm: LM, before: int) -> tuple[list[Solution], tuple[str, ...]]:
        """The chains of a `then` that does not continue `first`, numbered after `before`, and the note on its stop."""
        if isinstance(self.then, Vote):
            chains = await self.then.run_chains(problem, lm, others=before)
            return chains, self.then.explain_stop(chains)
        # The paths of the strategy alone, so that a journal that has its calls has them here too.
        own = lm.at("then") if isinstance(self.then, Cascade) else lm
        return [await run_chain(self.then, problem, own.as_chain(before + 1))], ()

    def _find_continuing(self) -> Vote | None:
        """`then`, if it is a vote over the same base as `first`."""
        match self.first, self.then:
            case Vote(base=base), Vote(base=other) as then if base == other:
                return then
            case _:
                return None


def _describe(chains: Sequence[Solution]) -> str:
    """How many chains there are and what they answer: `2 chains disagree: 21 (1), 24 (1)`."""
    votes = elect(chains).votes
    said = f"{len(chains)} chain{'' if len(chains) == 1 else 's'}"
    if not votes:
        return f"{said} without an answer" if chains else "no chain is needed"
    listed = ", ".join(f"{tally.answer} ({tally.votes})" for tally in votes)
    return f"{said} disagree: {listed}" if len(votes) > 1 else f"{said}: {listed}"
