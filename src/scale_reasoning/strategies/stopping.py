"""When a vote may stop before all its chains have run, and how many chains to start until then.

Reads classes of answers only: None is a chain without an answer, which abstains. A tie goes to the class that appeared
first, as in vote.elect. Knows nothing of models.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import comb
from typing import Literal, TypeAlias

Stop: TypeAlias = Literal["never", "certain", "beta"]


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of a prefix of the chains.

    leader, second: the votes of the two leading classes. to_beat: how many votes the leader needs so that no other
    class is ahead of it; a class that appeared before the leader wins a tie. left: the chains that have not run.
    """

    leader: int
    second: int
    to_beat: int
    left: int

    def after(self, more: int) -> Votes:
        """The votes if the next `more` chains all agree with the leader, which allows the earliest stop."""
        return replace(self, leader=self.leader + more, left=self.left - more)


def count_votes(classes: Sequence[str | None], samples: int) -> Votes:
    """The votes of the first chains of a vote of `samples`."""
    counts = Counter(each for each in classes if each is not None)  # in the order of their first appearance
    left = samples - len(classes)
    if not counts:
        return Votes(0, 0, 0, left)
    leader = max(counts, key=counts.__getitem__)  # of equal counts the first
    names = list(counts)
    place = names.index(leader)
    others = [(counts[name], counts[name] + (index < place)) for index, name in enumerate(names) if index != place]
    second, to_beat = (max(column, default=0) for column in zip(*others, strict=True)) if others else (0, 0)
    return Votes(counts[leader], second, to_beat, left)


def is_certain(votes: Votes) -> bool:
    """Whether the leader wins the full vote, whatever the chains that are left answer."""
    return votes.leader > 0 and votes.leader >= votes.to_beat + votes.left


def find_posterior(leader: int, second: int) -> Fraction:
    """P(p > 1/2) under Beta(leader + 1, second + 1): that chains of the two classes tend to agree with the leader
    (Adaptive-Consistency, arXiv 2305.11860). Exact: with whole parameters it is a tail of a binomial.
    """
    tosses = leader + second + 1
    return 1 - Fraction(sum(comb(tosses, heads) for heads in range(second + 1)), 2**tosses)


def may_stop(votes: Votes, stop: Stop, level: float) -> bool:
    """Whether the chains that are left need not run. Without a vote there is no leader, so they must."""
    if votes.left == 0:
        return True
    match stop:
        case "never":
            return False
        case "certain":
            return is_certain(votes)
        case "beta":
            return votes.leader > 0 and find_posterior(votes.leader, votes.second) >= level


def count_next(classes: Sequence[str | None], samples: int, stop: Stop, level: float) -> int:
    """How many chains to start at once after those of `classes`: 0 to stop.

    Otherwise the least number after which a stop is possible, so that no chain runs that one chain at a time would have
    saved.
    """
    votes = count_votes(classes, samples)
    if may_stop(votes, stop, level):
        return 0
    return 1 + bisect_left(range(1, votes.left), x=True, key=lambda more: may_stop(votes.after(more), stop, level))


def explain_stop(classes: Sequence[str | None], samples: int, stop: Stop, level: float) -> str | None:
    """The note on chains that did not run; None if all did."""
    votes = count_votes(classes, samples)
    if votes.left <= 0:
        return None
    stopped = f"stopped after {len(classes)} of {samples} chains"
    if stop == "certain":
        return f"{stopped}: the leader cannot be caught"
    return f"{stopped}: posterior {float(find_posterior(votes.leader, votes.second)):.3g} >= {level:g}"
