"""Estimates pass@k and maj@k from a problem's samples. Intervals are in intervals.py. Needs no array library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, fsum
from random import Random
from statistics import fmean


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Chance that any of k of the n samples is correct, unbiased: 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374)."""
    return 1.0 - comb(n - correct, k) / comb(n, k)


@dataclass(frozen=True, slots=True)
class Ballot:
    """One sample's vote: the class of its answer, None to abstain."""

    choice: Hashable | None
    correct: bool


def maj_at_k(ballots: Sequence[Ballot], k: int) -> float:
    """Chance that the majority of k of the ballots, drawn without replacement, is correct: exact.

    Tied classes share the win equally; without any vote the majority is wrong. A class is as correct as the mean of its
    ballots.
    """
    votes, worth = _count_votes(ballots)
    if k == len(ballots):
        return _score_winners(votes, worth)
    abstaining = len(ballots) - votes.total()
    chance = 0.0
    for choice, size in votes.items():
        if worth[choice]:
            others = tuple(sorted(count for other, count in votes.items() if other != choice))
            chance += worth[choice] * _chance_of_win(size, others, abstaining, k)
    return chance


def _count_votes(ballots: Sequence[Ballot]) -> tuple[Counter[Hashable], Mapping[Hashable, float]]:
    votes = Counter(ballot.choice for ballot in ballots if ballot.choice is not None)
    right = Counter(ballot.choice for ballot in ballots if ballot.choice is not None and ballot.correct)
    return votes, {choice: right[choice] / count for choice, count in votes.items()}


def _score_winners(votes: Counter[Hashable], worth: Mapping[Hashable, float]) -> float:
    top = max(votes.values(), default=0)
    return fmean(worth[choice] for choice, count in votes.items() if count == top) if top else 0.0


@lru_cache(maxsize=65_536)
def _chance_of_win(size: int, others: tuple[int, ...], abstaining: int, k: int) -> float:
    """Chance that a class of `size` ballots wins among k drawn, a tie of t classes counting 1/t."""
    chance = 0.0
    for top in range(1, min(size, k) + 1):
        ways = {(top, 1): comb(size, top)}  # (ballots drawn, classes with `top` of them): number of draws
        for other in others:
            grown: Counter[tuple[int, int]] = Counter()
            for (drawn, tied), count in ways.items():
                for taken in range(min(other, top, k - drawn) + 1):
                    grown[drawn + taken, tied + (taken == top)] += count * comb(other, taken)
            ways = grown
        chance += fsum(count * comb(abstaining, k - drawn) / tied for (drawn, tied), count in ways.items())
    return chance / comb(size + sum(others) + abstaining, k)


def sample_maj_at_k(ballots: Sequence[Ballot], ks: Sequence[int], *, random: Random, draws: int) -> list[float]:
    """Estimates `maj_at_k` for each k by Monte Carlo, from the first k ballots of each of `draws` shuffles."""
    _, worth = _count_votes(ballots)
    choices = [ballot.choice for ballot in ballots]
    sums = [0.0] * len(ks)
    for _ in range(draws):
        random.shuffle(choices)
        for place, k in enumerate(ks):
            votes = Counter(choices[:k])
            del votes[None]
            sums[place] += _score_winners(votes, worth)
    return [total / draws for total in sums]
