"""Majority voting (self-consistency) over any strategy: independent chains, one vote each, by class of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from scale_reasoning.answers import answer_class
from scale_reasoning.errors import ParseError, ScaleError
from scale_reasoning.lm import LM, Strategy
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.options import check_options, count, option, part
from scale_reasoning.strategies.stopping import Stop, count_next, explain_stop
from scale_reasoning.together import together
from scale_reasoning.types import Problem, Solution, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """At most `samples` chains of `base`: all at once, or in waves that `stop` may end (see stopping.py).

    The chosen solution is the first chain of the winning class: `chains[selected]`.
    """

    base: Strategy = part(CoT, "the strategy of each chain")
    samples: int = count(8, "chains that vote", flag=True, client_most=64)
    stop: Stop = option(
        "never",
        "when a vote ends before all chains have run: certain: once no other answer can win; beta: once the leading "
        "answer is ahead with the probability `level`",
        flag=True,
    )
    level: float = option(
        0.95, "with stop = beta: the probability that the leading answer is ahead, which ends a vote", low=0.5, high=1
    )

    def __post_init__(self) -> None:
        check_options(self)

    def most_calls(self) -> int:
        """See Strategy."""
        return self.samples * self.base.most_calls()

    async def solve(self, problem: Problem, lm: LM) -> Solution:
        """See Strategy."""
        chains = await self.run_chains(problem, lm)
        solution = elect(chains)
        return replace(solution, notes=(*solution.notes, *self.explain_stop(chains)))

    async def run_chains(
        self, problem: Problem, lm: LM, *, before: Sequence[Solution] = (), others: int = 0
    ) -> list[Solution]:
        """The chains of the vote: those of `before`, which have run, and those that are still needed.

        New chains are numbered from `others` + len(before) + 1; `others` are chains of another vote.
        """
        chains, classes = list(before), [_class_of(chain) for chain in before]
        while wave := count_next(classes, self.samples, self.stop, self.level):
            ran = others + len(chains)
            lms = (lm.chain(number) for number in range(ran + 1, ran + wave + 1))
            found = await together((run_chain(self.base, problem, chain) for chain in lms), turn=lm.turn)
            chains.extend(found)
            classes.extend(_class_of(chain) for chain in found)
        return chains

    def explain_stop(self, chains: Sequence[Solution]) -> tuple[str, ...]:
        """The note on chains of this vote that did not run; empty if all did."""
        note = explain_stop([_class_of(chain) for chain in chains], self.samples, self.stop, self.level)
        return () if note is None else (note,)


async def run_chain(strategy: Strategy, problem: Problem, lm: LM) -> Solution:
    """One chain. A model error is a chain without an answer, with a note."""
    try:
        return await strategy.solve(problem, lm)
    except ScaleError as error:
        if error.blame != "model":
            raise
        unparsed = isinstance(error, ParseError)
        return Solution(answer=None, notes=(f"{error.kind}: {error}",), unparsed=unparsed)


def _class_of(chain: Solution) -> str | None:
    return None if chain.answer is None else answer_class(chain.answer)


def elect(chains: Sequence[Solution], tie_from: int = 0) -> Solution:
    """The vote over finished chains, no model needed.

    Answers of one equivalence class (`1/2`, `0.5`) are one candidate, named by the answer that came first. A chain
    without an answer abstains. A tie goes to the class with most votes among `chains[tie_from:]`, and of those to the
    class that appeared first there. It is noted.
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
    unparsed = any(chain.unparsed for chain in chains)
    elected = Solution(answer=None, chains=tuple(chains), notes=notes, unparsed=unparsed, tie_from=tie_from)
    if not classes:
        return elected
    ranked = sorted(classes.values(), key=lambda members: _rank(members, tie_from))
    votes = tuple(Tally(answer=chains[members[0]].answer or "", votes=len(members)) for members in ranked)
    tied = [tally.answer for tally in votes if tally.votes == votes[0].votes]
    if len(tied) > 1:
        won = "the newer chains decide" if 0 < tie_from <= ranked[0][-1] else "the first to appear wins"
        notes = (*notes, f"tie of {votes[0].votes} votes each between {', '.join(tied)}: {won}")
    first = ranked[0][0]
    return replace(elected, answer=votes[0].answer, form=chains[first].form, selected=first, votes=votes, notes=notes)


def _rank(members: Sequence[int], tie_from: int) -> tuple[int, int, int]:
    """Sorts classes, given by the indices of their chains: the winner is the least."""
    newer = [index for index in members if index >= tie_from]
    return -len(members), -len(newer), (newer or members)[0]
