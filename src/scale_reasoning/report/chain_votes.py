"""Majority voting over the chains of a row of chain of thought, without further calls: the vote that they would give.

The paper's Majority Voting is this: one vote per problem over the 8 chains of its chain-of-thought row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import cast

import msgspec

from scale_reasoning.report.metrics import Summary, group_by_problem
from scale_reasoning.report.roles import Role, find_role
from scale_reasoning.runs.outcome import Cell, Outcome
from scale_reasoning.strategies import label
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.types import JSON, NO_USAGE, Usage

CHAINS = Vote().samples
"""Chains of a vote, as in the paper and as the strategy `vote` has by default."""
FEWEST = 3
"""Chains from which a majority says more than one of them."""
MARK = "counted_from"
"""The option that says whose chains a counted vote has."""
ROW = "chains of cot"


def count_votes(cell: Cell) -> Cell | None:
    """The cell of votes over the cell's own chains; None if there are too few, or the cell is no chain of thought.

    Chains vote in the order of their samples, `CHAINS` at a time (all of them if there are fewer), so 16 samples are
    two votes per problem; what is left over does not vote. Each vote is what the strategy `vote` makes of these chains:
    the largest class of answers wins, of equal ones the first to appear; a chain without an answer, such as one that
    failed, abstains; the grade is that of the winning class's first chain; tokens are summed. A vote with a pending
    chain is pending. None for a shard, because chains of its votes may be elsewhere.
    """
    chains = min(cell.samples, CHAINS)
    if find_role(cell.strategy) is not Role.COT or chains < FEWEST or cell.elsewhere:
        return None
    votes = [vote for group in group_by_problem(cell.outcomes) for vote in _count_problem(group, chains, cell.samples)]
    strategy = {"name": "vote", "base": cell.strategy, "samples": chains}
    return replace(cell, strategy=strategy, samples=cell.samples // chains, outcomes=tuple(votes))


def mark_counted(summary: Summary) -> Summary:
    """The summary of a counted vote, marked so that no table takes it for a row of the strategy `vote`."""
    mark = {MARK: ROW}
    options, own_label = ({**each, **mark} for each in (summary.options, summary.label))
    return msgspec.structs.replace(summary, row=None, options=options, label=own_label)


def is_counted(summary: Summary) -> bool:
    """Whether the summary is that of a counted vote."""
    return MARK in summary.options


def has_paid_vote(cell: Cell, cells: Sequence[Cell]) -> bool:
    """Whether a cell is a paid vote over as many chains with this cell's options, on its dataset with its model."""
    own, chains = _list_options(cell.strategy), min(cell.samples, CHAINS)
    return any(
        (each.dataset, each.model) == (cell.dataset, cell.model)
        and each.strategy.get("name") == "vote"
        and each.strategy.get("samples", CHAINS) == chains
        and _list_options(cast("Mapping[str, JSON]", each.strategy.get("base") or {"name": "cot"})) == own
        for each in cells
    )


def _list_options(strategy: Mapping[str, JSON]) -> tuple[JSON, dict[str, JSON]]:
    """A strategy's name and its options that are not the defaults."""
    return strategy.get("name"), label(strategy)


def _count_problem(outcomes: Sequence[Outcome], chains: int, samples: int) -> list[Outcome]:
    """The votes of one problem, as far as a chain of theirs has run."""
    by_sample = {outcome.sample: outcome for outcome in outcomes}
    votes: list[Outcome] = []
    for number in range(samples // chains):
        voting = [by_sample[n] for n in range(number * chains, (number + 1) * chains) if n in by_sample]
        if voting:
            votes.append(_elect(voting, number, chains))
    return votes


def _elect(voting: Sequence[Outcome], sample: int, chains: int) -> Outcome:
    pending = len(voting) < chains or any(chain.pending for chain in voting)
    classes: dict[str, list[Outcome]] = {}
    for chain in voting:
        if chain.answer is not None:
            classes.setdefault(chain.answers[0] or chain.answer, []).append(chain)
    winner = max(classes.values(), key=len)[0] if classes else None  # max takes the first of equal ones
    graded = not pending and any(chain.correct is not None for chain in voting)
    return msgspec.structs.replace(
        _sum_chains(voting),
        sample=sample,
        pending=pending,
        correct=(winner is not None and winner.correct is True) if graded else None,
        failure="unanswered" if winner is None and not pending else None,
        answer=winner.answer if winner is not None and not pending else None,
    )


def _sum_chains(chains: Sequence[Outcome]) -> Outcome:
    """The chains as one outcome: what they wrote and used together."""
    return msgspec.structs.replace(
        chains[0],
        answers=tuple(answer for chain in chains for answer in chain.answers),
        forms=tuple(form for chain in chains for form in chain.forms),
        iterations=sum(chain.iterations for chain in chains),
        hard=sum(chain.hard for chain in chains),
        truncated=any(chain.truncated for chain in chains),
        unparsed=any(chain.unparsed for chain in chains),
        difficulties=tuple(each for chain in chains for each in chain.difficulties),
        calls=sum(chain.calls for chain in chains),
        usage=_sum_usage(chain.usage for chain in chains),
        by_stage=_sum_parts([chain.by_stage for chain in chains]),
        by_mode=_sum_parts([chain.by_mode for chain in chains]),
        seconds=sum(chain.seconds for chain in chains),
        model_seconds=sum(chain.model_seconds for chain in chains),
        budget_by=tuple(sorted({each for chain in chains for each in chain.budget_by})),
    )


def _sum_usage(usages: Iterable[Usage]) -> Usage:
    return reduce(add, usages, NO_USAGE)


def _sum_parts(parts: Sequence[Mapping[str, Usage]]) -> dict[str, Usage]:
    """Usage by part; a part that a chain does not have is 0 there."""
    names = dict.fromkeys(name for each in parts for name in each)
    return {name: _sum_usage(each[name] for each in parts if name in each) for name in names}
