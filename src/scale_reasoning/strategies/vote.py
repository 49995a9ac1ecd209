"""Majority voting (self-consistency) over any strategy: independent chains, one vote each, by class of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from scale_reasoning.answers import answer_class
from scale_reasoning.errors import ParseError, ScaleError
from scale_reasoning.lm import LM, Strategy
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.options import check_options, count
from scale_reasoning.together import together
from scale_reasoning.types import Problem, Solution, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """`samples` chains of `base` at once.

    The chosen solution is the first chain of the winning class: `chains[selected]`.
    """

    base: Strategy = field(default_factory=CoT)
    samples: int = count(8, "chains that vote", flag=True, client_most=64)

    def __post_init__(self) -> None:
        check_options(self)

    def most_calls(self) -> int:
        """See Strategy."""
        return self.samples * self.base.most_calls()

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        lms = (lm.chain(number) for number in range(1, self.samples + 1))
        chains = await together((self._chain(problem, chain) for chain in lms), turn=lm.turn)
        return elect(chains)

    async def _chain(self, problem: Problem, lm: LM) -> Solution:
        try:
            return await self.base.solve(problem, lm)
        except ScaleError as error:
            if error.blame != "model":
                raise
            unparsed = isinstance(error, ParseError)
            return Solution(answer=None, notes=(f"{error.kind}: {error}",), unparsed=unparsed)


def elect(chains: Sequence[Solution]) -> Solution:
    """The vote over finished chains, no model needed.

    Answers of one equivalence class (`1/2`, `0.5`) are one candidate, named by the answer that came first. A chain
    without an answer abstains. A tie goes to the class that appeared first and is noted.
    """
    classes: dict[str, list[int]] = {}
    class_of = cache(answer_class)  # most chains agree to the letter
    for index, chain in enumerate(chains):
        if chain.answer is not None:
            classes.setdefault(class_of(chain.answer), []).append(index)
    notes = tuple(f"chain{index + 1}: {note}" for index, chain in enumerate(chains) for note in chain.notes)
    abstained = len(chains) - sum(map(len, classes.values()))
    if abstained:
        notes = (*notes, f"{abstained} of {len(chains)} chains have no answer and abstain")
    elected = Solution(answer=None, chains=tuple(chains), notes=notes, unparsed=any(chain.unparsed for chain in chains))
    if not classes:
        return elected
    ranked = sorted(classes.values(), key=lambda members: (-len(members), members[0]))
    votes = tuple(Tally(answer=chains[members[0]].answer or "", votes=len(members)) for members in ranked)
    tied = [tally.answer for tally in votes if tally.votes == votes[0].votes]
    if len(tied) > 1:
        notes = (*notes, f"tie of {votes[0].votes} votes each between {', '.join(tied)}: the first to appear wins")
    first = ranked[0][0]
    return replace(elected, answer=votes[0].answer, form=chains[first].form, selected=first, votes=votes, notes=notes)
