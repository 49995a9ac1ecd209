"""A threshold with a guarantee: Learn-then-Test with a fixed sequence (Angelopoulos et al. 2021, arXiv 2110.01052).

The loss of a problem is the share of its samples that all System 2 solves and the routed row does not. Values are
tested from the safest on, until one is not shown to lose less than `alpha`. The last one that was shown is certified:
with the given confidence its expected loss on further problems of this kind is at most `alpha`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, lgamma, log, log1p, sqrt
from random import Random
from statistics import fmean

import msgspec

MOST_NEEDED = 100_000
"""Problems up to which it is computed how many a certificate would take."""

MOST_BET = 0.9
"""Of the capital, that a problem which is lost in full may take."""


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the number that was tested. loss: the mean over `problems`; p_value: of losing `alpha` or more."""

    value: float
    row: int
    problems: int
    loss: float
    p_value: float
    certified: bool


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The values in the order of the tests, up to the first that was not certified. chosen: the last certified one.

    needed: if none is certified, how many problems it would take for the safest value at its present loss; None if no
    number would do.
    """

    alpha: float
    confidence: float
    tested: Sequence[Tested]
    chosen: Tested | None
    needed: int | None


def calibrate(
    losses: Mapping[tuple[float, int], Sequence[float]], alpha: float, confidence: float, *, several: bool
) -> Calibration:
    """Tests values in the order of `losses`: by (value, row), the loss of each problem, in [0, 1].

    several: whether a problem has several samples, so that its loss may be a fraction.
    """
    tested: list[Tested] = []
    for (value, row), each in losses.items():
        p_value = find_p_value(each, alpha, confidence, several=several)
        certified = p_value <= 1 - confidence
        tested.append(
            Tested(value=value, row=row, problems=len(each), loss=fmean(each), p_value=p_value, certified=certified)
        )
        if not certified:
            break
    certified = [each for each in tested if each.certified]
    needed = None
    if not certified:
        needed = count_needed(next(iter(losses.values())), alpha, confidence, several=several)
    return Calibration(
        alpha=alpha, confidence=confidence, tested=tested, chosen=certified[-1] if certified else None, needed=needed
    )


def find_p_value(losses: Sequence[float], alpha: float, confidence: float, *, several: bool) -> float:
    """A valid p-value of "the expected loss is above alpha": exact for losses of 0 or 1, of one sample per problem."""
    if several:
        return bet_p_value(losses, alpha, 1 - confidence)
    return binomial_tail(len(losses), round(sum(losses)), alpha)


def bet_p_value(losses: Sequence[float], alpha: float, level: float) -> float:
    """A valid p-value of "the expected loss is above alpha" for losses in [0, 1]: the inverse of the most that is won
    by bets on a smaller loss, sized for tests at `level` (Waudby-Smith and Ramdas 2024, arXiv 2010.09686).
    """
    capital = most = 1.0
    total, squares = 0.5, 0.25
    # In a drawn order, because the bets need problems that come in no order.
    for count, loss in enumerate(Random(0).sample(losses, len(losses)), start=1):
        bet = min(MOST_BET / (1 - alpha), sqrt(2 * log(1 / level) / (len(losses) * squares / count)))
        capital *= 1 - bet * (loss - alpha)
        most = max(most, capital)
        total += loss
        squares += (loss - total / (count + 1)) ** 2
    return 1 / most


def binomial_tail(n: int, most: int, share: float) -> float:
    """P(at most `most` of n independent events of probability `share`)."""
    if most >= n:
        return 1.0
    logs = (
        lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(share) + (n - k) * log1p(-share)
        for k in range(most + 1)
    )
    return min(1.0, sum(map(exp, logs)))


def count_needed(losses: Sequence[float], alpha: float, confidence: float, *, several: bool) -> int | None:
    """The fewest problems with losses like these that are a certificate; None if there is none up to MOST_NEEDED."""
    if fmean(losses) >= alpha:
        return None
    ordered = sorted(losses)

    def certifies(problems: int) -> bool:
        alike = [ordered[number * len(ordered) // problems] for number in range(problems)]
        return find_p_value(alike, alpha, confidence, several=several) <= 1 - confidence

    low, high = 0, MOST_NEEDED
    if not certifies(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if certifies(middle) else (middle, high)
    return high
