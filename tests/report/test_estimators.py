from __future__ import annotations

import json
import os
import random
from collections import Counter
from itertools import combinations
from math import isclose
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scale_reasoning.graders.symbolic import judge
from scale_reasoning.report.estimators import (
    Ballot,
    maj_at_k,
    pass_at_k,
    sample_maj_at_k,
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


def majority(ballots: tuple[Ballot, ...]) -> float:
    votes = Counter(ballot.choice for ballot in ballots if ballot.choice is not None)
    top = [choice for choice, count in votes.items() if count == max(votes.values())]
    return top.count("a") / len(top) if top else 0.0


@given(Ballots, st.data())
def test_maj_at_k_is_the_mean_over_subsets_with_ties_averaged(choices: list[str | None], data: st.DataObject):
    ballots = [Ballot(choice, choice == "a") for choice in choices]
    k = data.draw(st.integers(1, len(ballots)))
    assert isclose(maj_at_k(ballots, k), fmean(map(majority, combinations(ballots, k))), abs_tol=1e-12)


def test_sample_maj_at_k_comes_near_the_exact_one():
    ballots = [Ballot(choice, choice == "a") for choice in "aaabbcd"] + [Ballot(None, correct=False)]
    ks = (1, 2, 4, 8)
    found = sample_maj_at_k(ballots, ks, random=random.Random(1), draws=20_000)
    assert found == pytest.approx([maj_at_k(ballots, k) for k in ks], abs=0.015)


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
    found: dict[str, float] = {}
    for name in case["expected"]:
        if name.startswith("avg@k"):
            found[name] = fmean(flags[:k])
        elif name.startswith("pass@k"):
            found[name] = pass_at_k(n, correct, k)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not CASES.exists(), reason="no shared data")
def test_public_fixtures_are_matched():
    cases = json.loads(CASES.read_text(encoding="utf-8"))
    ours = [(case, found) for case in cases if (found := _expected(case))]  # the others are of G-Pass@k alone
    assert len(ours) == 6
    for case, found in ours:
        assert found == pytest.approx(case["expected"], abs=case["tolerance"])
