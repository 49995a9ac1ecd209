"""Means over problems with 95 % intervals, and the paired test, all by Student's t with the problem as the unit.

Decides how uncertainty is computed. docs/statistics.md has the formulas, their sources and their measured coverage.
Needs no array library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import atan, ceil, cos, exp, fsum, log, nextafter, pi, sin, sqrt
from statistics import NormalDist

ALPHA = 0.05
"""One minus the confidence of every interval, and the level of the paired test."""
NORMAL_FROM = 5_000
"""Degrees of freedom from which the normal distribution replaces Student's t; they differ by 0.02 % there."""
BORROWED = 2
"""Imaginary problems that widen the spread, so that equal results on few problems do not look certain."""
Z95 = NormalDist().inv_cdf(1 - ALPHA / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval and its standard error; None is unknown."""

    value: float
    low: float | None = None
    high: float | None = None
    se: float | None = None

    def multiply(self, factor: float) -> Estimate:
        """The same in another unit."""
        low, high, se = (None if each is None else each * factor for each in (self.low, self.high, self.se))
        return Estimate(value=self.value * factor, low=low, high=high, se=se)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A mean of paired differences with its 95 % interval, standard error (None from one problem) and p-value."""

    value: float
    low: float
    high: float
    se: float | None
    p_value: float


def estimate_share(tops: Sequence[float], bottoms: Sequence[float] | None = None) -> Estimate | None:
    """The sum of `tops` over that of `bottoms` (one pair per problem, 0 <= top <= bottom); without bottoms, the mean.

    The interval is Agresti and Coull's on the number of independent problems with the same spread, with Student's t
    for the normal quantile. The spread is blended with that of `BORROWED` problems that are all right or all wrong.
    If every problem is all right or all wrong, the interval is Clopper and Pearson's exact one. From one problem it is
    [0, 1]. None if there is nothing to divide.
    """
    found = _divide(tops, bottoms)
    if found is None:
        return None
    value, n, se = found.value, len(tops), found.se
    if se is None:
        return Estimate(value=value, low=0.0, high=1.0, se=None)
    if value <= 0 or value >= 1:
        room = 1 - (ALPHA / 2) ** (1 / n)
        return Estimate(value=value, low=max(0.0, value - room), high=min(1.0, value + room), se=se)
    t = t_quantile(n - 1)
    effective = _count_effective(value, n, se)
    size = effective + t * t
    centre = (value * effective + t * t / 2) / size
    half = t * sqrt(centre * (1 - centre) / size)
    low, high = min(centre - half, value), max(centre + half, value)  # min, max: against rounding
    return Estimate(value=value, low=max(0.0, low), high=min(1.0, high), se=se)


def _count_effective(value: float, n: int, se: float) -> float:
    """The number of independent problems with the same spread."""
    smoothed = (value * n + 1) / (n + BORROWED)
    most = smoothed * (1 - smoothed) / n
    return value * (1 - value) * (n - 1 + BORROWED) / ((n - 1) * se * se + BORROWED * most)


def estimate_ratio(tops: Sequence[float], bottoms: Sequence[float] | None = None) -> Estimate | None:
    """The sum of `tops` over the sum of `bottoms` (one pair per problem, none negative); without bottoms, the mean.

    The interval is Student's t on the logarithm, so it stays above 0; its error is the jackknife's, which leaves out
    each problem in turn. Unknown from one problem, or if one problem has the whole sum. None if there is nothing to
    divide.
    """
    found = _divide(tops, bottoms)
    if found is None:
        return None
    spread = _jackknife_log(tops, bottoms)
    if spread is None or not found.value:
        return found
    factor = exp(t_quantile(len(tops) - 1) * spread)
    return Estimate(value=found.value, low=found.value / factor, high=found.value * factor, se=found.se)


def _jackknife_log(tops: Sequence[float], bottoms: Sequence[float] | None) -> float | None:
    """The standard error of the logarithm of the ratio."""
    n, top = len(tops), fsum(tops)
    below = [1.0] * n if bottoms is None else bottoms
    bottom = fsum(below)
    left = [(top - one, bottom - other) for one, other in zip(tops, below, strict=True)]
    if n < 2 or min(map(min, left)) <= 0:
        return None
    logs = [log(one / other) for one, other in left]
    middle = fsum(logs) / n
    return sqrt((n - 1) / n * fsum((each - middle) ** 2 for each in logs))


def _divide(tops: Sequence[float], bottoms: Sequence[float] | None) -> Estimate | None:
    """Ratio and clustered standard error, linearised, with the factor n / (n - 1) (Miller 2024, arXiv 2411.00640)."""
    bottom = fsum(bottoms) if bottoms is not None else float(len(tops))
    if not tops or bottom == 0:
        return None
    value, n = fsum(tops) / bottom, len(tops)
    pairs = zip(tops, bottoms or [1.0] * n, strict=True)
    squares = fsum((top - value * below) ** 2 for top, below in pairs)
    return Estimate(value=value, low=None, high=None, se=sqrt(squares * n / (n - 1)) / bottom if n > 1 else None)


def average_estimates(parts: Sequence[Estimate]) -> Estimate | None:
    """The mean of independent estimates; None without any. It has an interval if all parts have one.

    The distance of each end from the mean is the root of the parts' squared distances over their number (Zou and Donner
    2008), which suits skewed intervals and parts without spread.
    """
    if not parts:
        return None
    n, value = len(parts), fsum(part.value for part in parts) / len(parts)
    below = [part.value - part.low for part in parts if part.low is not None]
    above = [part.high - part.value for part in parts if part.high is not None]
    whole = len(below) == len(above) == n
    low, high = (sqrt(fsum(each * each for each in side)) / n for side in (below, above))
    return Estimate(value=value, low=value - low if whole else None, high=value + high if whole else None, se=None)


def estimate_mean(values: Sequence[float]) -> Estimate | None:
    """The mean of numbers of any sign, one per problem, with Student's interval; without one from one problem."""
    n = len(values)
    if not n:
        return None
    value = fsum(values) / n
    if n == 1:
        return Estimate(value=value)
    se = sqrt(fsum((each - value) ** 2 for each in values) / (n - 1) / n)
    half = t_quantile(n - 1) * se
    return Estimate(value=value, low=value - half, high=value + half, se=se)


def compare_paired(differences: Sequence[float], attempts: Sequence[float], alpha: float = ALPHA) -> Difference | None:
    """The mean of paired differences in [-1, 1], one per problem, tested against 0 by Student's t.

    `attempts`: attempts behind each difference (the harmonic mean of the two sides' counts). The spread includes
    `BORROWED` imaginary problems, each one standard deviation away, of attempts that all differ. p is at most `alpha`
    exactly if the interval, of confidence 1 - alpha, excludes 0. If no problem differs, the interval is at least as
    wide as n problems allow: 1 - alpha^(1/n), about 3/n. None without problems.
    """
    n = len(differences)
    if not n:
        return None
    value = fsum(differences) / n
    squares = fsum((each - value) ** 2 for each in differences)
    if n == 1:
        return Difference(value=value, low=-1.0, high=1.0, se=None, p_value=1.0)
    borrowed = BORROWED * fsum(1 / count for count in attempts) / n
    error = sqrt((squares + borrowed) / (n - 1 + BORROWED) / n)
    half = t_quantile(n - 1, alpha) * error
    if not any(differences):
        half = max(half, 1 - alpha ** (1 / n))
    return Difference(
        value=value,
        low=max(-1.0, value - half),
        high=min(1.0, value + half),
        se=sqrt(squares / (n - 1) / n),
        p_value=t_p(value / error, n - 1),
    )


def t_p(t: float, freedom: int) -> float:
    """The two-sided p-value of Student's t.

    A finite sum (Abramowitz and Stegun 26.7.3 and 26.7.4), exact to about 1e-15; normal from `NORMAL_FROM` degrees of
    freedom on.
    """
    if freedom >= NORMAL_FROM:
        return 2 * NormalDist().cdf(-abs(t))
    angle = atan(abs(t) / sqrt(freedom))
    odd, square = freedom % 2, cos(angle) ** 2
    term = total = cos(angle) if odd else 1.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= square * (step - 1) / step
        total += term
    inside = sin(angle) * total
    if odd:
        inside = 2 / pi * (angle + (inside if freedom > 1 else 0.0))
    return min(1.0, max(0.0, 1 - inside))


@cache
def t_quantile(freedom: int, alpha: float = ALPHA) -> float:
    """The smallest t whose p is at most `alpha`, found by bisection."""
    low, high = 0.0, 16.0
    while t_p(high, freedom) > alpha:
        high *= 2
    while nextafter(low, high) < high:
        middle = (low + high) / 2
        low, high = (low, middle) if t_p(middle, freedom) <= alpha else (middle, high)
    return high


def count_problems_needed(difference: float, spread: float, *, alpha: float = ALPHA, power: float = 0.8) -> int | None:
    """Problems that a two-sided test needs to find a mean paired difference with standard deviation `spread`.

    ((z_(1 - alpha / 2) + z_power) spread / difference)^2, the normal approximation; None for no difference.
    """
    if difference == 0:
        return None
    z = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
    return max(2, ceil((z * spread / difference) ** 2))
