"""Our number against a published one: intervals and verdicts, against numbers worked out here."""

from __future__ import annotations

from math import exp, log, sqrt

import pytest

from scale_reasoning.report.intervals import t_quantile
from scale_reasoning.report.unpaired import (
    Gap,
    Repeats,
    compare_means,
    compare_shares,
    find_apart,
    judge,
    measure_repeats,
)

Z = 1.959963984540054


def wilson(share: float, size: float) -> tuple[float, float]:
    half = Z * sqrt(share * (1 - share) / size + Z * Z / (4 * size * size))
    centre = share + Z * Z / (2 * size)
    return (centre - half) / (1 + Z * Z / size), (centre + half) / (1 + Z * Z / size)


def shares(*groups: str) -> list[list[tuple[float, float]]]:
    """A problem per text, an attempt per letter; `x` is right."""
    return [[(float(letter == "x"), 1.0) for letter in group] for group in groups]


def test_the_variance_is_the_one_within_problems():
    found = measure_repeats(shares("xx..", "xxxx", "...."), by_problem=True)
    assert found is not None
    # Only the first problem scatters: 4/3 of the mean square 1/4, over 4 attempts, over 3 problems squared.
    assert (found.value, found.problems, found.attempts, found.freedom) == (0.5, 3, 12, 9)
    assert found.variance == pytest.approx(4 / 3 * 0.25 / 4 / 9)


def test_a_problem_with_one_attempt_counts_with_its_distance_from_the_number():
    found = measure_repeats(shares("x", "x", "x", "."), by_problem=True)
    assert found is not None
    assert found.variance == pytest.approx(0.75 * 0.25 / 4)  # that of independent attempts
    assert found.freedom == 3


def test_problems_or_attempts_weigh_the_same():
    pairs = shares("x", "....")
    by_problem, by_attempt = (measure_repeats(pairs, by_problem=each) for each in (True, False))
    assert by_problem is not None
    assert by_attempt is not None
    assert (by_problem.value, by_attempt.value) == (0.5, 0.2)


def test_a_ratio_is_one_of_sums_and_nothing_over_nothing_is_none():
    found = measure_repeats([[(100, 2), (300, 6)], [(50, 1)]], by_problem=False)
    assert found is not None
    assert (found.value, found.variance) == (50, 0)
    assert measure_repeats([], by_problem=True) is None
    assert measure_repeats([[(1, 0)], []], by_problem=True) is None


def test_the_gap_of_two_shares_has_the_intervals_of_both():
    # 30 problems: 20 always right, 8 never, 2 in half of 8 samples.
    found = measure_repeats(shares(*["x" * 8] * 20, *["." * 8] * 8, *["xxxx...."] * 2), by_problem=True)
    assert found is not None
    ours, other = 168 / 240, 0.75
    variance = 2 * (8 / 7 * 0.25 / 8) / 900
    size = 0.7 * 0.3 * 32 / (30 * variance + 2 * 0.7 * 0.3 / 240)
    low, high = wilson(ours, size)
    below, above = wilson(other, 240)
    gap = compare_shares(found, other, 240)
    assert gap.value == pytest.approx(-0.05)
    assert gap.low == pytest.approx(-0.05 - sqrt((ours - low) ** 2 + (above - other) ** 2))
    assert gap.high == pytest.approx(-0.05 + sqrt((high - ours) ** 2 + (other - below) ** 2))
    wider = compare_shares(found, other, 240, rounding=0.01)
    assert wider.low < gap.low - 0.009
    assert wider.high > gap.high + 0.009


@pytest.mark.parametrize(("right", "other"), [(240, 1.0), (0, 0.0), (240, 0.9688), (180, 0.6), (6, 0.0)])
def test_p_is_below_5_percent_exactly_if_the_interval_leaves_out_no_gap(right: int, other: float):
    letters = "x" * right + "." * (240 - right)
    found = measure_repeats(shares(*(letters[n : n + 8] for n in range(0, 240, 8))), by_problem=True)
    assert found is not None
    gap = compare_shares(found, other, 240)
    assert gap.low < gap.high
    assert (gap.p_value < 0.05) == (not gap.low <= 0 <= gap.high)


def test_a_ratio_of_tokens_takes_the_others_scatter_for_ours():
    ours = Repeats(value=1000.0, problems=30, attempts=240, freedom=210, variance=20.0**2)
    gap = compare_means(ours, 800.0, 120)
    assert gap is not None
    half = t_quantile(210) * sqrt(20.0**2 * (1 + 240 / 120)) / 1000
    assert (gap.value, gap.low, gap.high) == pytest.approx((1.25, 1.25 * exp(-half), 1.25 * exp(half)))
    assert log(gap.low) > 0
    assert gap.p_value < 0.05


def test_what_is_printed_in_hundreds_may_be_50_off():
    ours = Repeats(value=850.0, problems=30, attempts=240, freedom=210, variance=0.0)
    gap = compare_means(ours, 900.0, 240, rounding=50)
    assert gap is not None
    assert (gap.low, gap.high, gap.p_value) == pytest.approx((850 / 950, 1.0, 1.0))
    other = compare_means(ours, 1000.0, 240, rounding=50)
    assert other is not None
    assert (other.p_value, judge(other, lowest=0.8, highest=1.25, same=1)) == (0.0, "below")


def test_a_mean_of_nothing_has_no_ratio():
    none = Repeats(value=0.0, problems=3, attempts=3, freedom=2, variance=0.0)
    assert compare_means(none, 100.0, 240) is None


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0, 0.1, "compatible"),
        (-0.1, 0.1, "compatible"),
        (-0.1, 0.0, "compatible"),
        (-0.1001, 0.0, "cannot tell"),
        (-0.05, 0.1001, "cannot tell"),
        (-0.4, 0.4, "cannot tell"),
        (0.0001, 0.02, "above"),
        (0.2, 0.9, "above"),
        (-0.02, -0.0001, "below"),
    ],
)
def test_each_verdict_at_its_edge(low: float, high: float, verdict: str):
    gap = Gap(value=(low + high) / 2, low=low, high=high, p_value=0.5)
    assert judge(gap, lowest=-0.1, highest=0.1, same=0.0) == verdict
    ratio = Gap(value=1 + low, low=1 + low, high=1 + high, p_value=0.5)
    assert judge(ratio, lowest=0.9, highest=1.1, same=1.0) == verdict


def test_holms_method_stops_at_the_first_that_does_not_hold():
    assert find_apart([0.04, 0.001, 0.02]) == [True, True, True]
    assert find_apart([0.051, 0.001, 0.02]) == [False, True, True]
    assert find_apart([0.04, 0.017, 0.02]) == [False, False, False]
    assert find_apart([]) == []
