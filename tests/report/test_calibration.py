"""A certified threshold keeps its promise, and what cannot be certified is said."""

from __future__ import annotations

from math import comb
from random import Random

import pytest

from scale_reasoning.report.calibration import bet_p_value, binomial_tail, calibrate, count_needed


def exact_tail(n: int, most: int, share: float) -> float:
    return sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(min(n, most) + 1))


@pytest.mark.parametrize(
    ("n", "most", "share"), [(1, 0, 0.5), (45, 0, 0.05), (100, 3, 0.1), (333, 20, 0.05), (5, 5, 0.2)]
)
def test_the_binomial_tail_is_exact(n: int, most: int, share: float) -> None:
    assert binomial_tail(n, most, share) == pytest.approx(exact_tail(n, most, share))


@pytest.mark.parametrize(
    ("alpha", "needed"), [(0.05, (45, 77, 105, 132)), (0.1, (22, 38, 52, 65)), (0.02, (114, 194, 265, 333))]
)
def test_so_many_problems_certify_none_to_three_losses(alpha: float, needed: tuple[int, ...]) -> None:
    for lost, n in enumerate(needed):
        enough, fewer = ([1.0] * lost + [0.0] * (size - lost) for size in (n, n - 1))
        assert calibrate({(0.5, 1): enough}, alpha, 0.9, several=False).chosen is not None
        assert calibrate({(0.5, 1): fewer}, alpha, 0.9, several=False).chosen is None
    assert count_needed([0.0], alpha, 0.9, several=False) == needed[0]


def test_the_tests_end_at_the_first_value_that_is_not_certified() -> None:
    none, some = [0.0] * 60, [1.0] * 6 + [0.0] * 54
    found = calibrate({(0.1, 1): none, (0.2, 2): none, (0.3, 3): some, (0.4, 4): none}, 0.05, 0.9, several=False)
    assert [each.value for each in found.tested] == [0.1, 0.2, 0.3]
    assert found.chosen is not None
    assert (found.chosen.value, found.chosen.row) == (0.2, 2)
    assert found.needed is None


def test_what_cannot_be_certified_says_how_many_problems_it_would_take() -> None:
    found = calibrate({(0.1, 1): [0.0] * 30}, 0.05, 0.9, several=False)
    assert (found.chosen, found.needed) == (None, 45)
    lossy = calibrate({(0.1, 1): [1.0, 0.0] * 15}, 0.05, 0.9, several=False)
    assert (lossy.chosen, lossy.needed) == (None, None)


def test_a_bet_on_several_samples_is_valid_and_needs_fewer_problems_than_one_sample_does() -> None:
    assert bet_p_value([0.0] * 100, 0.05, 0.1) < 0.05
    assert bet_p_value([0.05] * 100, 0.05, 0.1) == 1.0
    fraction, whole = [0.25] * 10 + [0.0] * 90, [1.0] * 3 + [0.0] * 97
    assert bet_p_value(fraction, 0.05, 0.1) < 0.1 < binomial_tail(len(whole), 3, 0.05)
    assert bet_p_value(fraction[::-1], 0.05, 0.1) == pytest.approx(bet_p_value(fraction, 0.05, 0.1), rel=0.5)


def test_the_problems_it_would_take_are_counted_for_several_samples_too() -> None:
    found = calibrate({(0.1, 1): [0.0, 0.0, 0.0, 0.25] * 10}, 0.1, 0.9, several=True)
    assert found.chosen is None
    assert found.needed is not None
    assert 40 < found.needed < 400
    enough = [0.0, 0.0, 0.0, 0.25] * (found.needed // 2)
    assert calibrate({(0.1, 1): enough}, 0.1, 0.9, several=True).chosen is not None


@pytest.mark.parametrize("several", [False, True])
def test_the_promised_loss_is_exceeded_in_at_most_one_of_ten_calibrations(several: bool) -> None:
    random, alpha, exceeded, certified = Random(7), 0.1, 0, 0
    risks = {0.1: 0.03, 0.2: 0.06, 0.3: 0.11, 0.4: 0.2}
    for _ in range(600):
        problems = [random.random() for _ in range(80)]
        losses = {
            (value, row): [
                sum(random.random() < risk for _ in range(4)) / 4 if several else float(problem < risk)
                for problem in problems
            ]
            for row, (value, risk) in enumerate(risks.items(), 1)
        }
        chosen = calibrate(losses, alpha, 0.9, several=several).chosen
        certified += chosen is not None
        exceeded += chosen is not None and risks[chosen.value] > alpha
    assert exceeded <= 60 + 3 * 7.3  # three standard errors
    assert certified > 300
