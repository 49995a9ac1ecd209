from __future__ import annotations

import pytest
from tests.report.cells import cell, failed, graded, outcome, owed

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.compare import compare, grid
from scale_reasoning.report.formats import markdown
from scale_reasoning.types import Usage


def test_a_run_against_itself_shows_no_difference():
    run = graded([[True, False], [True, True], [False, False]])
    found = compare(run, run)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert (found.token_ratio, found.token_low, found.token_high) == (1, 1, 1)
    assert found.needed is None
    assert found.complete
    assert found.verdict == "Not distinguishable: no difference on average (p = 1.0000)."


def test_a_consistent_difference_is_found_by_pairing():
    a = graded([[i % 2 == 0, False] for i in range(20)])
    b = graded([[i % 2 == 0, True] for i in range(20)], run="runs/b")
    found = compare(a, b)
    assert (found.acc_a, found.acc_b, found.difference) == (0.25, 0.75, 0.5)
    assert found.p_value == pytest.approx(1 / 10_001)
    assert found.verdict == "B is better than A by 50.00 points (p < 0.0001)."
    assert compare(b, a).difference == -0.5
    assert "worse" in compare(b, a).verdict


def test_a_small_difference_is_not_distinguishable_and_says_how_many_problems_it_takes():
    a = graded([[i % 2 == 0] for i in range(30)])
    b = graded([[i % 2 == 0 or i < 2] for i in range(30)])
    found = compare(a, b)
    assert found.difference == pytest.approx(1 / 30)
    assert found.p_value == 1
    assert found.needed == 236  # ((1.96 + 0.8416) * 0.18257 / 0.03333)^2
    assert "Not distinguishable: 3.33 points may be chance" in found.verdict
    assert "about 236 problems" in found.verdict


def test_the_token_ratio_is_paired():
    doubled = Usage(completion_tokens=200)
    a = cell([outcome(f"p{i}", usage=Usage(completion_tokens=100)) for i in range(4)])
    b = cell([outcome(f"p{i}", usage=doubled) for i in range(4)])
    found = compare(a, b)
    assert (found.token_ratio, found.token_low, found.token_high) == (2, 2, 2)
    unknown = compare(a, cell([outcome(f"p{i}", usage=Usage()) for i in range(4)]))
    assert unknown.token_ratio is None


def test_owed_attempts_make_it_incomplete():
    a = cell([outcome("p0"), outcome("p1"), outcome("p2")])
    b = cell([outcome("p0"), failed("p1"), owed("p2")])
    found = compare(a, b)
    assert (found.compared, found.problems, found.owed_a, found.owed_b) == (2, 3, 0, 1)
    assert not found.complete
    assert "Incomplete: attempts are owed (1 of 3 in B)." in found.verdict
    assert "1 of 3 problems are left out" in found.verdict
    assert found.acc_b == 0.5


def test_runs_that_have_not_reached_some_problems_yet_are_comparable():
    found = compare(cell([outcome("p0"), outcome("p1")], problems=3), cell([outcome("p1"), outcome("p2")], problems=3))
    assert (found.compared, found.complete) == (1, False)
    assert found.token_ratio == 1


def test_runs_on_other_problems_are_refused_by_name():
    a, b = cell([outcome("p0"), outcome("p1")]), cell([outcome("p1"), outcome("p9")], run="runs/b")
    with pytest.raises(ConfigError, match=r"only in runs/a: p0; only in runs/b: p9"):
        compare(a, b)
    with pytest.raises(ConfigError, match=r"runs/a has 2 problems of aime24, runs/b has 1"):
        compare(a, cell([outcome("p0")], run="runs/b"))
    with pytest.raises(ConfigError, match="aime25"):
        compare(a, cell([outcome("p0"), outcome("p1")], dataset="aime25"))


def test_nothing_scored_is_nothing_to_compare():
    found = compare(cell([owed("p0")]), cell([owed("p0")]))
    assert (found.difference, found.p_value, found.acc_a) == (None, None, None)
    assert found.verdict.startswith("Nothing to compare")


def test_the_table_shows_both_and_the_verdict():
    a, b = graded([[True], [False]]), graded([[True], [True]], run="runs/b")
    text = markdown(grid([compare(a, b)]))
    assert "+50.00 [0.0, 100.0]" in text
    assert "aime24: Not distinguishable: 50.00 points may be chance (p = 1.0000)" in text
