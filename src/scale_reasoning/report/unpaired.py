"""Our number against a published one on the same problems, if the other side's attempts are not known.

Both sides have the same problems, so only the scatter between attempts of one problem counts, and not that between
problems. Decides intervals and verdicts. docs/statistics.md has the formulas and their measured error rates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, fsum, hypot, log, sqrt
from statistics import NormalDist
from typing import Literal, TypeAlias

from scale_reasoning.report.intervals import ALPHA, BORROWED, Z95, t_p, t_quantile

Pairs: TypeAlias = Sequence[Sequence[tuple[float, float]]]
"""A number's tops and bottoms: a pair per attempt, a list per problem. The number is the sum of tops over bottoms."""
Verdict: TypeAlias = Literal["compatible", "above", "below", "cannot tell"]

MARGIN = 0.10
"""Shares (Acc, Hard) this far apart, or less, count as the same."""
FACTOR = 1.25
"""Tokens up to this factor apart count as the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Ours minus the other (shares) or over it (tokens), with its 95 % interval and the p-value of no gap."""

    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """A number over attempts: its value, attempts, the attempts that repeat a problem, and the squared standard error
    that other attempts at the same problems would have.
    """

    value: float
    problems: int
    attempts: int
    freedom: int
    variance: float


def measure_repeats(pairs: Pairs, *, by_problem: bool) -> Repeats | None:
    """The number of the pairs. `by_problem`: every problem weighs the same, whatever its attempts; else every attempt.

    The variance is the linearised one within problems; a problem with one attempt counts with its distance from the
    number, which is at least as much on average. None if there is nothing to divide.
    """
    groups = [group for group in pairs if group]
    weights = [1 / len(group) if by_problem else 1.0 for group in groups]
    bottom = fsum(weight * below for weight, group in zip(weights, groups, strict=True) for _, below in group)
    if not bottom:
        return None
    top = fsum(weight * above for weight, group in zip(weights, groups, strict=True) for above, _ in group)
    value, squares = top / bottom, 0.0
    for weight, group in zip(weights, groups, strict=True):
        rests = [weight * (above - value * below) for above, below in group]
        middle, repeats = (fsum(rests) / len(rests), len(rests) - 1) if len(rests) > 1 else (0.0, 1)
        squares += fsum((rest - middle) ** 2 for rest in rests) * len(rests) / repeats
    attempts = sum(map(len, groups))
    freedom = attempts - len(groups) or len(groups) - 1
    return Repeats(
        value=value, problems=len(groups), attempts=attempts, freedom=freedom, variance=squares / bottom / bottom
    )


def compare_shares(ours: Repeats, other: float, attempts: int, rounding: float = 0.0) -> Gap:
    """The difference of two shares by Zou and Donner's method on Wilson's intervals.

    Ours has the interval of the independent attempts with its variance, blended with that of `BORROWED` problems that
    scatter as much as problems can. The other's attempts can scatter at most as `attempts` independent ones do, so it
    has the interval of these. `rounding` is the most that the other may be off as printed.
    """
    size, most, least = _count_effective(ours), min(1.0, other + rounding), max(0.0, other - rounding)

    def bound(z: float) -> tuple[float, float]:
        low, high = _bound_share(ours.value, size, z)
        below, above = _bound_share(least, attempts, z)[0], _bound_share(most, attempts, z)[1]
        return (
            ours.value - most - hypot(ours.value - low, above - most),
            ours.value - least + hypot(high - ours.value, least - below),
        )

    low, high = bound(Z95)
    return Gap(value=ours.value - other, low=max(-1.0, low), high=min(1.0, high), p_value=_find_p(bound))


def _count_effective(ours: Repeats) -> float:
    """The independent attempts with the same variance."""
    spread = ours.value * (1 - ours.value)
    if not spread:
        return ours.attempts
    n, most = ours.problems, spread / ours.attempts
    return spread * (n + BORROWED) / (n * ours.variance + BORROWED * most)


def _bound_share(value: float, size: float, z: float) -> tuple[float, float]:
    """Wilson's interval of a share of `size` independent attempts."""
    centre, total = value * size + z * z / 2, size + z * z
    half = z * sqrt(value * (1 - value) * size + z * z / 4)
    return min(value, (centre - half) / total), max(value, (centre + half) / total)


def _find_p(bound: Callable[[float], tuple[float, float]]) -> float:
    """Two-sided p: of the narrowest interval that has 0 in it."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        below, above = bound(middle)
        low, high = (low, middle) if below <= 0 <= above else (middle, high)
    return 2 * NormalDist().cdf(-low)


def compare_means(ours: Repeats, other: float, attempts: int, rounding: float = 0.0) -> Gap | None:
    """The ratio of two means above 0, by Student's t on its logarithm; None if one of them is 0.

    The other's attempts are taken to scatter around their problems' means as ours do, relative to the mean.
    """
    if ours.value <= 0 or other - rounding <= 0 or ours.freedom < 1:
        return None
    error = sqrt(ours.variance * (1 + ours.attempts / attempts)) / ours.value
    half = t_quantile(ours.freedom) * error
    low, high = ours.value / (other + rounding), ours.value / (other - rounding)
    distance = max(log(low), -log(high), 0.0)
    chance = 1.0 if not distance else t_p(distance / error, ours.freedom) if error else 0.0
    return Gap(value=ours.value / other, low=low * exp(-half), high=high * exp(half), p_value=chance)


def judge(gap: Gap, *, lowest: float, highest: float, same: float) -> Verdict:
    """The verdict on a gap: `above` or `below` if its interval leaves out `same`, `compatible` if it does not and lies
    within [lowest, highest], else `cannot tell`: a difference that matters is neither shown nor ruled out.
    """
    if gap.low > same:
        return "above"
    if gap.high < same:
        return "below"
    return "compatible" if lowest <= gap.low and gap.high <= highest else "cannot tell"


def find_apart(p_values: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which of several tests hold together: Holm's step-down method, which keeps any false alarm to `alpha`."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    held = [False] * len(p_values)
    for rank, place in enumerate(order):
        if p_values[place] > alpha / (len(order) - rank):
            break
        held[place] = True
    return held
