from __future__ import annotations

import random
from itertools import product
from math import isclose, sqrt
from statistics import fmean, stdev

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scale_reasoning.report.intervals import (
    ALPHA,
    Difference,
    Estimate,
    average_estimates,
    compare_paired,
    count_problems_needed,
    estimate_ratio,
    estimate_share,
    t_p,
    t_quantile,
)

Means = st.lists(st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0]), min_size=1, max_size=12)
Differences = st.lists(st.integers(-8, 8).map(lambda eighths: eighths / 8), min_size=1, max_size=60)


def compared(differences: list[float], attempts: float = 8.0) -> Difference:
    found = compare_paired(differences, [attempts] * len(differences))
    assert found is not None
    return found


def shared(tops: list[float], bottoms: list[float] | None = None) -> Estimate:
    found = estimate_share(tops, bottoms)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (2, 4.3027), (5, 2.5706), (29, 2.0452), (99, 1.9842), (10_000, 1.9600)]
)
def test_the_quantiles_of_t_are_those_of_printed_tables(freedom: int, quantile: float):
    assert t_quantile(freedom) == pytest.approx(quantile, abs=1e-4)


@given(st.integers(1, 6_000), st.floats(0, 30))
def test_p_of_t_is_a_probability_that_falls_with_t(freedom: int, t: float):
    p = t_p(t, freedom)
    assert 0 <= p <= 1
    assert isclose(p, t_p(-t, freedom))
    assert t_p(t + 0.01, freedom) <= p + 1e-12


def test_p_of_t_is_exact_where_it_has_a_closed_form():
    assert t_p(1.0, 1) == pytest.approx(0.5)  # Cauchy
    assert t_p(2.0, 2) == pytest.approx(1 - 2 / sqrt(6))
    assert t_p(0.0, 7) == 1


@given(Differences, st.sampled_from([1.0, 2.0, 4.0, 8.0]))
@example([0.0] * 30, 8.0)
@example([1.0] * 4, 1.0)
@example([0.125] * 30, 8.0)
def test_p_is_at_most_5_percent_exactly_where_the_interval_excludes_0(differences: list[float], attempts: float):
    found = compared(differences, attempts)
    assert (found.p_value <= ALPHA) is (found.low > 0 or found.high < 0)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@given(Differences)
def test_exchanging_the_runs_turns_the_comparison_round(differences: list[float]):
    one, other = compared(differences), compared([-each for each in differences])
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert one.p_value == pytest.approx(other.p_value)


def test_problems_that_come_out_alike_leave_room_for_a_difference():
    assert compared([0.0] * 30).high == pytest.approx(1 - 0.05 ** (1 / 30))  # the rule of three: about 3/n
    assert compared([0.0]) == Difference(value=0, low=-1, high=1, se=None, p_value=1)
    assert compared([1.0] * 3, 1).p_value > 0.05
    assert compared([0.125] * 30).p_value < 0.001
    assert compare_paired([], []) is None


def test_a_few_problems_that_flip_are_no_proof_and_many_are():
    assert compared([1.0] * 4 + [0.0] * 26, 1).p_value > 0.05
    assert compared([1.0] * 8 + [0.0] * 22, 1).p_value < 0.05


@given(Means)
def test_a_shares_interval_contains_it_stays_in_range_and_is_never_without_width(means: list[float]):
    found = shared(means)
    assert isclose(found.value, fmean(means), abs_tol=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@given(Means)
def test_a_shares_interval_is_the_same_from_the_other_side(means: list[float]):
    one, other = shared(means), shared([1 - each for each in means])
    assert (one.low, one.high) == pytest.approx((1 - (other.high or 0), 1 - (other.low or 0)))


def test_all_right_and_all_wrong_are_no_certainty():
    assert shared([1.0] * 30).low == pytest.approx(0.025 ** (1 / 30))  # Clopper and Pearson's 88.4
    assert shared([1.0] * 30).high == 1
    assert shared([0.0] * 100).high == pytest.approx(1 - 0.025**0.01)
    one = shared([1.0])
    assert (one.low, one.high, one.se) == (0, 1, None)


@given(Means)
def test_the_standard_error_is_that_of_problem_means(means: list[float]):
    found = shared(means)
    if len(means) == 1:
        assert found.se is None
    else:
        assert isclose(found.se or 0, stdev(means) / sqrt(len(means)), abs_tol=1e-12)


def test_the_clustered_standard_error_is_that_of_the_sandwich_formula():
    groups = [[1, 1, 0], [0, 0], [1, 0, 1, 1], [0]]
    tops, bottoms = [float(sum(group)) for group in groups], [float(len(group)) for group in groups]
    mean = sum(tops) / sum(bottoms)
    # Miller 2024: the residuals of a cluster are multiplied with each other, all of them
    between = sum((x - mean) * (y - mean) for group in groups for x, y in product(group, group))
    assert shared(tops, bottoms).se == pytest.approx(sqrt(between * 4 / 3) / sum(bottoms))


def test_samples_of_few_problems_are_not_taken_for_many_problems():
    draws = random.Random(0)
    alike, spread = [0.5] * 30, [float(draws.random() < 0.5) for _ in range(30)]
    narrow, wide = shared(alike), shared(spread)
    assert (narrow.high or 0) - (narrow.low or 0) < 0.5 * ((wide.high or 0) - (wide.low or 0))


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30))
def test_an_amounts_interval_contains_it_and_stays_above_0(tokens: list[int]):
    found = estimate_ratio(tokens)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low <= found.value * (1 + 1e-12)
    assert found.value <= found.high * (1 + 1e-12)


def test_a_ratio_of_amounts_and_its_inverse_agree():
    before, after = [100.0, 220.0, 150.0, 90.0], [60.0, 150.0, 160.0, 70.0]
    one, other = estimate_ratio(after, before), estimate_ratio(before, after)
    assert one is not None
    assert other is not None
    assert (one.value, one.low, one.high) == pytest.approx(
        (1 / other.value, 1 / (other.high or 1), 1 / (other.low or 1))
    )


def test_an_amount_has_no_interval_where_nothing_says_how_wide_it_is():
    for tops in ([7.0], [0.0, 5.0], [0.0, 0.0]):
        found = estimate_ratio(tops)
        assert found is not None
        assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize(("problems", "samples"), [(30, 8), (30, 1), (6, 4), (100, 1)])
def test_intervals_hold_the_truth_and_runs_alike_are_seldom_told_apart(problems: int, samples: int):
    """A small part of benchmarks/null_runs.py: chances of 0.02, 0.5 and 0.98, so the truth is 0.5."""
    draws, runs, held, apart = random.Random(problems * samples), 400, 0, 0
    for _ in range(runs):
        chances = [draws.choice((0.02, 0.5, 0.98)) for _ in range(problems)]
        before, after = ([fmean(draws.random() < chance for _ in range(samples)) for chance in chances] for _ in "ab")
        apart += compared([y - x for x, y in zip(before, after, strict=True)], samples).p_value <= ALPHA
        found = shared(before)
        held += (found.low or 0) <= 0.5 <= (found.high or 0)
    assert apart / runs <= 0.055
    assert held / runs >= 0.93


def test_nothing_has_no_estimate():
    assert estimate_share([]) is None
    assert estimate_ratio([]) is None
    assert estimate_share([0.0], [0.0]) is None
    assert average_estimates([]) is None


def test_an_average_keeps_the_room_that_each_part_has():
    right = shared([1.0] * 30)
    found = average_estimates([right, right])
    assert found is not None
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(1 - (1 - (right.low or 0)) / sqrt(2))
    assert average_estimates([right, Estimate(value=0.5, low=None, high=None, se=None)]) == Estimate(
        value=0.75, low=None, high=None, se=None
    )


def test_power_is_as_in_the_textbook():
    assert count_problems_needed(0.05, 0.3) == 283  # (2.8016 * 6)^2
    assert count_problems_needed(0.05, 0.3, alpha=0.01) == 421  # (3.4175 * 6)^2
    assert count_problems_needed(0.0, 0.3) is None


@given(Differences.filter(lambda each: len(each) > 1), st.sampled_from([0.2, 0.01, 0.001]))
def test_an_interval_of_another_confidence_leaves_out_0_exactly_where_p_is_small(
    each: list[float], alpha: float
) -> None:
    found = compare_paired(each, [8.0] * len(each), alpha)
    assert found is not None
    assert (found.low > 0 or found.high < 0) == (found.p_value <= alpha)
    assert t_p(t_quantile(len(each) - 1, alpha), len(each) - 1) <= alpha
