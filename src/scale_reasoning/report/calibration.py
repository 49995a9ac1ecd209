"""A threshold with a guarantee: Learn-then-Test with a fixed sequence (Angelopoulos et al. 2021, arXiv 2110.01052).

The loss of a problem is the share of its samples that all System 2 solves and the routed row does not. Values are
tested from the safest on, until one is not shown to lose less than `alpha`. The last one that was shown is certified:
with the given confidence its expected loss on further problems of this kind is at most `alpha`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, exp, floor, lgamma, log, log1p
from statistics import fmean

import msgspec

MOST_NEEDED = 100_000
"""Problems up to which it is computed how many a certificate would take."""


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
        p_value = bound_p_value(each, alpha) if several else binomial_tail(len(each), round(sum(each)), alpha)
        certified = p_value <= 1 - confidence
        tested.append(
            Tested(value=value, row=row, problems=len(each), loss=fmean(each), p_value=p_value, certified=certified)
        )
        if not certified:
            break
    certified = [each for each in tested if each.certified]
    needed = None if certified else count_needed(tested[0].loss, alpha, confidence)
    return Calibration(
        alpha=alpha, confidence=confidence, tested=tested, chosen=certified[-1] if certified else None, needed=needed
    )


def bound_p_value(losses: Sequence[float], alpha: float) -> float:
    """A valid p-value of "the expected loss is above alpha" for losses in [0, 1]: Hoeffding's and Bentkus' bounds, the
    smaller one (Bates et al. 2021, arXiv 2101.02703).
    """
    n, mean = len(losses), fmean(losses)
    if mean >= alpha:
        return 1.0
    hoeffding = exp(-n * _divergence(mean, alpha))
    # ceil, against rounding: 0.1 + 0.2 is above 0.3.
    bentkus = exp(1) * binomial_tail(n, ceil(sum(losses) - 1e-9), alpha)
    return min(1.0, hoeffding, bentkus)


def binomial_tail(n: int, most: int, share: float) -> float:
    """P(at most `most` of n independent events of probability `share`)."""
    if most >= n:
        return 1.0
    logs = (
        lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(share) + (n - k) * log1p(-share)
        for k in range(most + 1)
    )
    return min(1.0, sum(map(exp, logs)))


def count_needed(loss: float, alpha: float, confidence: float) -> int | None:
    """The fewest problems with this share of losses that are a certificate; None if there is none up to MOST_NEEDED."""
    if loss >= alpha:
        return None
    low, high = 0, MOST_NEEDED
    if not _certifies(high, loss, alpha, confidence):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _certifies(middle, loss, alpha, confidence) else (middle, high)
    return high


def _certifies(n: int, loss: float, alpha: float, confidence: float) -> bool:
    return binomial_tail(n, floor(n * loss + 1e-9), alpha) <= 1 - confidence


def _divergence(a: float, b: float) -> float:
    """The relative entropy of two events with these probabilities, in nats."""
    first = a * log(a / b) if a else 0.0
    return first + (1 - a) * log((1 - a) / (1 - b)) if a < 1 else first
