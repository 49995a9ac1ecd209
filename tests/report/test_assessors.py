"""Measures of assessors against numbers by hand and by brute force, the fitted maps, and the clustered bootstrap."""

from __future__ import annotations

import random
from itertools import permutations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.report.assessors.maps import (
    ISOTONIC_FROM,
    fit_map,
    fit_sigmoid,
    list_corners,
    pool_violators,
    sigmoid,
)
from scale_reasoning.report.assessors.measures import (
    compute_aurc,
    compute_auroc,
    compute_brier,
    compute_ece,
    compute_risk,
    count_levels,
    fill_bins,
)
from scale_reasoning.report.assessors.resampling import AssessedStep, average, draw_problems, measure_all
from scale_reasoning.strategies import make

Steps = list[tuple[float, bool]]
STEPS: st.SearchStrategy[Steps] = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0]), st.booleans()), min_size=1, max_size=40
)
FEW: Steps = [(0.1, False), (0.2, False), (0.2, True), (0.6, False), (0.9, True)]


def test_the_measures_of_five_steps_are_those_by_hand() -> None:
    levels = count_levels(FEW)
    # Pairs of a failing and another step: 0.2 beats 0.1, ties 0.2, loses to 0.6; 0.9 beats all three.
    assert compute_auroc(levels) == pytest.approx((1 + 0.5 + 0 + 3) / 6)
    assert compute_brier(levels) == pytest.approx((0.01 + 0.04 + 0.64 + 0.36 + 0.01) / 5)
    assert compute_risk(levels, 1.0) == pytest.approx(2 / 5)
    assert compute_risk(levels, 0.8) == pytest.approx(1 / 4)
    assert compute_risk(levels, 0.4) == pytest.approx(0.5 / 2)  # one of the two steps of 0.2, half of which fails
    # Risks at 1 to 5 steps: 0, 0.5/2, 1/3, 1/4, 2/5.
    assert compute_aurc(levels) == pytest.approx((0 + 0.25 + 1 / 3 + 0.25 + 0.4) / 5)
    # Four levels in four bins: distances 0.1, 0.5 - 0.2, 0.6, 0.1.
    assert compute_ece(levels) == pytest.approx((0.1 + 2 * 0.3 + 0.6 + 0.1) / 5)


def test_bins_have_about_the_same_number_of_steps_and_cut_no_level() -> None:
    bins = fill_bins(count_levels((n / 1000, n % 3 == 0) for n in range(1000)))
    assert [each.steps for each in bins] == [100] * 10
    bins = fill_bins(count_levels([(0.5, True)] * 90 + [(n / 100, False) for n in range(10)]))
    assert [(each.steps, each.fails) for each in bins][-1] == (90, 90)
    assert sum(each.steps for each in bins) == 100


@given(STEPS)
def test_auroc_counts_pairs(steps: Steps) -> None:
    fails, holds = ([d for d, failing in steps if failing is wanted] for wanted in (True, False))
    found = compute_auroc(count_levels(steps))
    if not fails or not holds:
        assert found is None
        return
    won = sum((one > other) + (one == other) / 2 for one in fails for other in holds)
    assert found == pytest.approx(won / len(fails) / len(holds))


@given(STEPS)
def test_brier_is_a_mean_of_squares(steps: Steps) -> None:
    assert compute_brier(count_levels(steps)) == pytest.approx(fmean((d - fails) ** 2 for d, fails in steps))


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=6))
def test_area_and_risk_are_means_over_all_orders_of_ties(steps: Steps) -> None:
    areas: list[float] = []
    halves: list[float] = []
    for order in permutations(steps):
        if [d for d, _ in order] == sorted(d for d, _ in steps):
            risks = [fmean(fails for _, fails in order[:n]) for n in range(1, len(order) + 1)]
            areas.append(fmean(risks))
            halves.append(risks[len(order) // 2 - 1])
    assert compute_aurc(count_levels(steps)) == pytest.approx(fmean(areas))
    if len(steps) % 2 == 0:
        assert compute_risk(count_levels(steps), 0.5) == pytest.approx(fmean(halves))


@given(STEPS)
def test_the_isotonic_fit_is_the_maximum_of_minima(steps: Steps) -> None:
    levels = count_levels(steps)

    def share(start: int, end: int) -> float:
        some = levels[start : end + 1]
        return sum(level.fails for level in some) / sum(level.steps for level in some)

    last = len(levels)
    shares = [
        max(min(share(start, end) for end in range(place, last)) for start in range(place + 1)) for place in range(last)
    ]
    fitted: list[float] = []
    blocks = pool_violators(levels)
    for number, block in enumerate(blocks):
        after = blocks[number + 1].difficulty if number + 1 < len(blocks) else 2
        fitted += [block.fails / block.steps for level in levels if block.difficulty <= level.difficulty < after]
    assert fitted == pytest.approx(shares)


def test_corners_begin_and_end_each_block() -> None:
    steps = [(0.1, False)] * 4 + [(0.2, True)] * 2 + [(0.3, False)] * 2 + [(0.8, True)] * 3
    assert list_corners(count_levels(steps)) == [(0.1, 0.0), (0.2, 0.5), (0.3, 0.5), (0.8, 1.0)]


def test_the_sigmoid_has_platts_maximum() -> None:
    steps = [(0.1, False)] * 9 + [(0.1, True)] + [(0.9, False)] * 3 + [(0.9, True)] * 7
    slope, offset = fit_sigmoid(count_levels(steps))
    # Two levels: the sigmoid meets the mean of Platt's targets, 9/10 and 1/14, at both.
    high, low = 9 / 10, 1 / 14
    assert sigmoid(0.1 * slope + offset) == pytest.approx((9 * low + high) / 10, abs=1e-6)
    assert sigmoid(0.9 * slope + offset) == pytest.approx((3 * low + 7 * high) / 10, abs=1e-6)


@given(STEPS, st.integers(1, 9))
def test_every_map_is_one_that_the_assessor_takes(steps: Steps, times: int) -> None:
    found = fit_map(count_levels(steps * times))
    if len({fails for _, fails in steps}) == 1:
        assert found is None
        return
    assert found is not None
    make("scale", {"assess": "calibrated", "assess.of": "rated", "assess.map": found})


def test_a_difficulty_that_says_the_reverse_has_a_level_map() -> None:
    for times in (1, ISOTONIC_FROM):
        found = fit_map(count_levels([(0.1, True), (0.9, False)] * times))
        assert found is not None
        assert len({pair.split(":")[1] for pair in found.split()}) == 1


def step(problem: int, difficulty: float, fails: bool, calls: int = 1) -> AssessedStep:
    return AssessedStep(
        problem_id=str(problem), difficulty=difficulty, fails=fails, calls=calls, tokens=calls, fallback=""
    )


def made(seed: int, problems: int = 40, each: int = 4) -> list[AssessedStep]:
    chance = random.Random(seed)
    hard = [chance.random() for _ in range(problems)]
    return [step(n, min(1, max(0, hard[n] + chance.gauss(0, 0.2))), chance.random() < hard[n])
            for n in range(problems) for _ in range(each)]  # fmt: skip


MEASURES = {"auroc": compute_auroc, "brier": compute_brier, "risk": lambda levels: compute_risk(levels, 0.5)}


def test_steps_that_are_repeated_within_problems_make_no_interval_narrower() -> None:
    steps = made(1)
    draws = draw_problems(40, seed=0)
    assert measure_all(steps, MEASURES, draws) == measure_all(steps * 2, MEASURES, draws)
    once, twice = (average([(each.problem_id, each.calls + len(each.problem_id)) for each in some], draws)
                   for some in (steps, steps * 2))  # fmt: skip
    assert once == twice


def test_the_interval_is_as_wide_as_the_measure_scatters_over_new_problems() -> None:
    scatter = sorted(measure_all(made(seed), MEASURES, [])["auroc"].value or 0 for seed in range(300))
    wide = scatter[292] - scatter[7]
    found = [measure_all(made(seed), MEASURES, draw_problems(40, 0, 300))["auroc"] for seed in range(8)]
    widths = [(each.high or 0) - (each.low or 0) for each in found]
    assert fmean(widths) == pytest.approx(wide, rel=0.2)


def test_the_seed_decides_the_draws() -> None:
    assert draw_problems(9, 1) == draw_problems(9, 1) != draw_problems(9, 2)


def test_what_is_undefined_or_does_not_scatter_has_no_interval() -> None:
    right = [step(n, 0.5, fails=False) for n in range(20)]
    found = measure_all(right, MEASURES, draw_problems(20, 0))
    assert (found["auroc"].value, found["auroc"].low) == (None, None)
    assert (found["risk"].value, found["risk"].low) == (0.0, None)
    one = measure_all(made(3, problems=1, each=9), MEASURES, draw_problems(1, 0))
    assert one["brier"].value is not None
    assert one["brier"].low is None
    assert average([("a", 1), ("b", None)], draw_problems(2, 0)).value is None
