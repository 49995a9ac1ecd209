"""Estimators over problems: means with intervals, pass@k, G-Pass@k, maj@k, sign-flip p-values, power.

Decides how uncertainty is reckoned: the problem is the unit, never the attempt. Knows nothing of outcomes, cells or
tables, and needs no array library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, comb, fsum, sqrt
from random import Random
from statistics import NormalDist, fmean

Z95 = NormalDist().inv_cdf(0.975)
RESAMPLED_PROBLEMS = 5_000
"""With more problems than this, intervals and p-values are the normal ones: they agree there, at no cost."""
EXACT_FLIPS = 14
"""Up to this many problems that differ, every flip of signs is tried."""
FLIPS = 10_000
"""Flips drawn beyond that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A ratio of two sums over problems, its 95 % interval and its standard error (None from one problem alone)."""

    value: float
    low: float
    high: float
    se: float | None


def estimate(
    tops: Sequence[float], bottoms: Sequence[float] | None = None, *, seed: int, resamples: int
) -> Estimate | None:
    """The sum of `tops` over the sum of `bottoms` (one pair a problem); without bottoms, the mean of `tops`.

    The interval is the percentile bootstrap over problems (seeded); the standard error is clustered by problem (Miller
    2024, arXiv 2411.00640), with the small-sample factor n / (n - 1), linearised for ratios. None where there is
    nothing to divide.
    """
    bottom = fsum(bottoms) if bottoms is not None else float(len(tops))
    if not tops or bottom == 0:
        return None
    value, n = fsum(tops) / bottom, len(tops)
    spread = _residuals(tops, bottoms, value)
    se = sqrt(fsum(r * r for r in spread) * n / (n - 1)) / bottom if n > 1 else None
    if n > RESAMPLED_PROBLEMS and se is not None:
        return Estimate(value=value, low=value - Z95 * se, high=value + Z95 * se, se=se)
    means = sorted(_resampled(tops, bottoms, seeded(seed), resamples)) or [value]
    low, high = quantile(means, 0.025), quantile(means, 0.975)
    return Estimate(value=value, low=min(low, value), high=max(high, value), se=se)  # min, max: against rounding


def _residuals(tops: Sequence[float], bottoms: Sequence[float] | None, value: float) -> list[float]:
    if bottoms is None:
        return [top - value for top in tops]
    return [top - value * bottom for top, bottom in zip(tops, bottoms, strict=True)]


def _resampled(
    tops: Sequence[float], bottoms: Sequence[float] | None, random: Random, resamples: int
) -> Iterable[float]:
    n = len(tops)
    if bottoms is None:
        return [sum(random.choices(tops, k=n)) / n for _ in range(resamples)]
    ratios: list[float] = []
    for _ in range(resamples):
        chosen = random.choices(range(n), k=n)
        bottom = sum(map(bottoms.__getitem__, chosen))
        if bottom:
            ratios.append(sum(map(tops.__getitem__, chosen)) / bottom)
    return ratios


def seeded(seed: int) -> Random:
    """Draws that a seed repeats."""
    return Random(seed)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie, between neighbours linearly."""
    place = share * (len(ordered) - 1)
    lower = int(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (place - lower) * (ordered[upper] - ordered[lower])


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Chance that one of k of the n samples is correct, unbiased: 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374)."""
    return 1.0 - comb(n - correct, k) / comb(n, k)


def g_pass_at_k(n: int, correct: int, k: int, threshold: float) -> float:
    """Chance that at least ceil(threshold k) of k samples, and one at least, are correct (arXiv 2412.13147)."""
    least = max(1, ceil(threshold * k))
    return sum(comb(correct, j) * comb(n - correct, k - j) for j in range(least, k + 1)) / comb(n, k)


def mg_pass_at_k(n: int, correct: int, k: int) -> float:
    """G-Pass@k averaged over thresholds above a half: 2/k times the sum for i/k from ceil(k/2) + 1 to k."""
    return 2 / k * sum(g_pass_at_k(n, correct, k, i / k) for i in range(ceil(k / 2) + 1, k + 1))


@dataclass(frozen=True, slots=True)
class Ballot:
    """One sample's vote: the class of its answer, None to abstain."""

    choice: Hashable | None
    correct: bool


def maj_at_k(ballots: Sequence[Ballot], k: int) -> float:
    """Chance that the majority of k of the ballots, drawn without replacement, is correct: exact.

    Tied classes share the win equally; with no votes at all the majority is wrong. A class counts as correct as its
    ballots are on average.
    """
    votes, worth = _tally(ballots)
    if k == len(ballots):
        return _elected(votes, worth)
    abstaining = len(ballots) - votes.total()
    chance = 0.0
    for choice, size in votes.items():
        if worth[choice]:
            others = tuple(sorted(count for other, count in votes.items() if other != choice))
            chance += worth[choice] * _wins(size, others, abstaining, k)
    return chance


def _tally(ballots: Sequence[Ballot]) -> tuple[Counter[Hashable], Mapping[Hashable, float]]:
    votes = Counter(ballot.choice for ballot in ballots if ballot.choice is not None)
    right = Counter(ballot.choice for ballot in ballots if ballot.choice is not None and ballot.correct)
    return votes, {choice: right[choice] / count for choice, count in votes.items()}


def _elected(votes: Counter[Hashable], worth: Mapping[Hashable, float]) -> float:
    top = max(votes.values(), default=0)
    return fmean(worth[choice] for choice, count in votes.items() if count == top) if top else 0.0


@lru_cache(maxsize=65_536)
def _wins(size: int, others: tuple[int, ...], abstaining: int, k: int) -> float:
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


def sampled_maj(ballots: Sequence[Ballot], ks: Sequence[int], *, random: Random, draws: int) -> list[float]:
    """`maj_at_k` for each k by Monte Carlo: the first k ballots of each of `draws` shuffles."""
    _, worth = _tally(ballots)
    choices = [ballot.choice for ballot in ballots]
    sums = [0.0] * len(ks)
    for _ in range(draws):
        random.shuffle(choices)
        for place, k in enumerate(ks):
            votes = Counter(choices[:k])
            del votes[None]
            sums[place] += _elected(votes, worth)
    return [total / draws for total in sums]


def sign_flip(differences: Sequence[float], *, seed: int) -> float:
    """Two-sided p-value of a paired permutation test: how often flipped signs give as large a sum.

    Exact up to `EXACT_FLIPS` differences that are not zero; beyond, `FLIPS` seeded draws and (hits + 1) / (draws + 1);
    above `RESAMPLED_PROBLEMS` the normal limit.
    """
    moved = [difference for difference in differences if difference]
    large = _at_least(abs(fsum(moved)))
    if len(moved) <= EXACT_FLIPS:
        sums = _signed_sums(moved)
        return sum(map(large, sums)) / len(sums)
    if len(moved) > RESAMPLED_PROBLEMS:
        return 2 * NormalDist().cdf(-abs(fsum(moved)) / sqrt(fsum(d * d for d in moved)))
    blocks = [_signed_sums((moved[start : start + 8] + [0.0] * 8)[:8]) for start in range(0, len(moved), 8)]
    random = seeded(seed)
    draws = (random.randbytes(len(blocks)) for _ in range(FLIPS))
    hits = sum(large(sum(block[byte] for block, byte in zip(blocks, draw, strict=True))) for draw in draws)
    return (hits + 1) / (FLIPS + 1)


def _at_least(observed: float) -> Callable[[float], bool]:
    return lambda total: abs(total) >= observed - 1e-9


def _signed_sums(differences: Sequence[float]) -> list[float]:
    sums = [0.0]
    for difference in differences:
        sums = [total + difference for total in sums] + [total - difference for total in sums]
    return sums


def problems_needed(difference: float, spread: float, *, power: float = 0.8) -> int | None:
    """Problems for a two-sided 5 % test to find a mean paired difference of this size, its deviation being `spread`.

    ((z_0.975 + z_power) spread / difference)^2, the normal approximation; None for no difference.
    """
    if difference == 0:
        return None
    return max(2, ceil(((Z95 + NormalDist().inv_cdf(power)) * spread / difference) ** 2))
