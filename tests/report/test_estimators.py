from __future__ import annotations

import json
import os
import random
from collections import Counter
from itertools import combinations, product
from math import isclose, sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scale_reasoning.graders.symbolic import judge
from scale_reasoning.report import estimators
from scale_reasoning.report.estimators import (
    Ballot,
    estimate,
    g_pass_at_k,
    maj_at_k,
    mg_pass_at_k,
    pass_at_k,
    problems_needed,
    sampled_maj,
    sign_flip,
)

SHARED = Path(os.environ.get("SCALE_SHARED", Path(__file__).parents[2] / "../shared"))
CASES = SHARED / "data" / "metric_cases.json"

Flags = st.lists(st.booleans(), min_size=1, max_size=7)
Ballots = st.lists(st.sampled_from([None, "a", "b", "c", "d"]), min_size=1, max_size=7)


@given(Flags, st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_sample(flags: list[bool], data: st.DataObject):
    k = data.draw(st.integers(1, len(flags)))
    subsets = list(combinations(flags, k))
    assert isclose(pass_at_k(len(flags), sum(flags), k), fmean(map(any, subsets)))


@given(Flags, st.data(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_g_pass_at_k_is_the_share_of_subsets_correct_enough(flags: list[bool], data: st.DataObject, threshold: float):
    k = data.draw(st.integers(1, len(flags)))
    enough = [sum(subset) >= max(1, threshold * k) for subset in combinations(flags, k)]
    assert isclose(g_pass_at_k(len(flags), sum(flags), k, threshold), fmean(enough), abs_tol=1e-12)


def majority(ballots: tuple[Ballot, ...]) -> float:
    votes = Counter(ballot.choice for ballot in ballots if ballot.choice is not None)
    top = [choice for choice, count in votes.items() if count == max(votes.values())]
    return top.count("a") / len(top) if top else 0.0


@given(Ballots, st.data())
def test_maj_at_k_is_the_mean_over_subsets_with_ties_averaged(choices: list[str | None], data: st.DataObject):
    ballots = [Ballot(choice, choice == "a") for choice in choices]
    k = data.draw(st.integers(1, len(ballots)))
    assert isclose(maj_at_k(ballots, k), fmean(map(majority, combinations(ballots, k))), abs_tol=1e-12)


def test_sampled_maj_comes_near_the_exact_one():
    ballots = [Ballot(choice, choice == "a") for choice in "aaabbcd"] + [Ballot(None, correct=False)]
    ks = (1, 2, 4, 8)
    found = sampled_maj(ballots, ks, random=random.Random(1), draws=20_000)
    assert found == pytest.approx([maj_at_k(ballots, k) for k in ks], abs=0.015)


Means = st.lists(st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0]), min_size=1, max_size=12)


@given(Means, st.integers(0, 3))
@settings(deadline=None)
def test_the_interval_contains_the_mean_and_stays_in_range(means: list[float], seed: int):
    found = estimate(means, seed=seed, resamples=200)
    assert found is not None
    assert isclose(found.value, fmean(means), abs_tol=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(Means)
@settings(deadline=None)
def test_the_standard_error_is_that_of_problem_means(means: list[float]):
    found = estimate(means, seed=0, resamples=10)
    assert found is not None
    if len(means) == 1:
        assert found.se is None
    else:
        assert isclose(found.se or 0, stdev(means) / sqrt(len(means)), abs_tol=1e-12)


def test_the_clustered_standard_error_is_that_of_the_sandwich_formula():
    groups = [[1, 1, 0], [0, 0], [1, 0, 1, 1], [0]]
    tops, bottoms = [sum(group) for group in groups], [len(group) for group in groups]
    mean = sum(tops) / sum(bottoms)
    # Miller 2024: the residuals of a cluster are multiplied with each other, all of them
    between = sum((x - mean) * (y - mean) for group in groups for x, y in product(group, group))
    expected = sqrt(between * 4 / 3) / sum(bottoms)
    found = estimate(tops, bottoms, seed=0, resamples=10)
    assert found is not None
    assert found.se == pytest.approx(expected)


def test_bootstrap_and_normal_interval_agree_on_many_problems(monkeypatch: pytest.MonkeyPatch):
    means = [float(i % 3 == 0) for i in range(900)]
    boot = estimate(means, seed=0, resamples=2000)
    monkeypatch.setattr(estimators, "RESAMPLED_PROBLEMS", 10)
    normal = estimate(means, seed=0, resamples=2000)
    assert boot is not None
    assert normal is not None
    assert (boot.low, boot.high) == pytest.approx((normal.low, normal.high), abs=0.004)


def test_one_seed_gives_one_interval():
    means = [0.0, 0.25, 1.0, 0.5, 0.75]
    assert estimate(means, seed=3, resamples=100) == estimate(means, seed=3, resamples=100)
    assert estimate(means, seed=3, resamples=100) != estimate(means, seed=4, resamples=100)


def test_nothing_has_no_estimate():
    assert estimate([], seed=0, resamples=10) is None
    assert estimate([0.0], [0.0], seed=0, resamples=10) is None


@given(st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.5]), max_size=8))
def test_the_exact_p_value_is_the_share_of_flips_as_large(differences: list[float]):
    flips = [
        abs(sum(s * d for s, d in zip(f, differences, strict=True))) for f in product((-1, 1), repeat=len(differences))
    ]
    expected = fmean(total >= abs(sum(differences)) - 1e-9 for total in flips)
    assert isclose(sign_flip(differences, seed=0), expected)


def test_a_drawn_p_value_comes_near_the_exact_one(monkeypatch: pytest.MonkeyPatch):
    differences = [0.5, 0.25, -0.125, 0.5, 0.125, -0.25, 0.375, 0.5, -0.5, 0.25]
    exact = sign_flip(differences, seed=0)
    monkeypatch.setattr(estimators, "EXACT_FLIPS", 3)
    assert sign_flip(differences, seed=0) == pytest.approx(exact, abs=0.015)
    assert sign_flip([1.0] * 40, seed=0) == pytest.approx(1 / 10_001)


def test_power_is_as_in_the_textbook():
    assert problems_needed(0.05, 0.3) == 283  # (2.8016 * 6)^2
    assert problems_needed(0.0, 0.3) is None


def _correct(case: dict[str, Any], response: str) -> bool:
    """As the fixture's source reads answers: only its one kind of notation, and nothing else counts."""
    kinds = ["latex"] if "latex" in case["metric"] else ["expr"]
    return (
        judge(
            {
                "gold": [[case["gold"], False]],
                "response": [[response, False]],
                "match_types": kinds,
                "precision": 6,
            }
        )
        is True
    )


def _expected(case: dict[str, Any]) -> dict[str, float]:
    flags = [_correct(case, response) for response in case["responses"]]
    n, correct, k = len(flags), sum(flags), case["params"]["k"]
    kind = case["metric"].removeprefix("g_pass_at_k_")
    found: dict[str, float] = {}
    for name in case["expected"]:
        if name.startswith("avg@k"):
            found[name] = fmean(flags[:k])
        elif name.startswith("pass@k"):
            found[name] = pass_at_k(n, correct, k)
        elif name.startswith(f"m{kind}"):
            found[name] = mg_pass_at_k(n, correct, k)
        else:
            found[name] = g_pass_at_k(n, correct, k, float(name.rpartition("_")[2]))
    return found


@pytest.mark.skipif(not CASES.exists(), reason="no shared data")
@pytest.mark.parametrize("number", range(24))
def test_public_fixtures_are_matched(number: int):
    case = json.loads(CASES.read_text(encoding="utf-8"))[number]
    assert _expected(case) == pytest.approx(case["expected"], abs=case["tolerance"])
