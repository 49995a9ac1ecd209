from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.cells import cell, failed, graded, outcome, pending

from scale_reasoning.errors import ConfigError
from scale_reasoning.report.compare import compare, refuse_other_problems
from scale_reasoning.report.compare_table import build_grid
from scale_reasoning.report.formats import write_markdown
from scale_reasoning.types import Problem, Usage


def test_a_run_against_itself_shows_no_difference():
    run = graded([[True, False], [True, True], [False, False]])
    found = compare(run, run)
    assert (found.difference, found.p_value) == (0, 1)
    assert (found.token_ratio, found.token_low, found.token_high) == (1, 1, 1)
    assert found.needed is None
    assert found.complete


Answers = st.lists(st.booleans(), min_size=1, max_size=4)


@given(st.lists(st.tuples(Answers, Answers), min_size=1, max_size=20))
@settings(deadline=None)
def test_the_verdict_p_and_the_interval_never_contradict_each_other(rows: list[tuple[list[bool], list[bool]]]):
    found = compare(graded([left for left, _ in rows]), graded([right for _, right in rows], run="runs/b"))
    assert found.p_value is not None
    assert found.low is not None
    assert found.high is not None
    apart = found.low > 0 or found.high < 0
    assert apart is (found.p_value <= 0.05)
    assert apart is found.verdict.startswith("B is ")


def test_problems_that_all_come_out_alike_leave_room_for_a_difference_and_it_is_told():
    run = graded([[True] * 8] * 20 + [[False] * 8] * 10)
    found = compare(run, run)
    assert found.low == pytest.approx(0.05 ** (1 / 30) - 1)
    assert found.high == pytest.approx(1 - 0.05 ** (1 / 30))
    assert found.verdict == (
        "Not distinguishable: both score the same on every problem, "
        "but 9.5 points either way are possible (p = 1.0000)."
    )
    apart = compare(graded([[True, False], [False, True]]), graded([[False, True], [True, False]]))
    assert "both score the same on every problem" in apart.verdict
    crossed = compare(graded([[True], [False]]), graded([[False], [True]]))
    assert "no difference on average" in crossed.verdict


def test_a_consistent_difference_is_found_by_pairing():
    a = graded([[i % 2 == 0, False] for i in range(20)])
    b = graded([[i % 2 == 0, True] for i in range(20)], run="runs/b")
    found = compare(a, b)
    assert (found.acc_a, found.acc_b, found.difference) == (0.25, 0.75, 0.5)
    assert found.low is not None
    assert found.low > 0
    assert found.verdict == "B is better than A by 50.00 points (p < 0.0001)."
    assert compare(b, a).difference == -0.5
    assert "worse" in compare(b, a).verdict


def test_a_small_difference_is_not_distinguishable_and_says_how_many_problems_it_takes():
    a = graded([[i % 2 == 0] for i in range(30)])
    b = graded([[i % 2 == 0 or i < 2] for i in range(30)])
    found = compare(a, b)
    assert found.difference == pytest.approx(1 / 30)
    assert found.p_value is not None
    assert found.p_value > 0.05
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


def test_one_attempt_without_a_count_makes_the_token_ratio_unknown_as_in_the_report():
    uncounted = [outcome(f"p{i}", usage=Usage() if i == 2 else Usage(completion_tokens=100)) for i in range(4)]
    found = compare(cell([outcome(f"p{i}") for i in range(4)]), cell(uncounted, run="runs/b"))
    assert (found.token_ratio, found.uncounted_a, found.uncounted_b) == (None, 0, 1)
    assert found.verdict.endswith("Tok B / A is unknown: the server reported no tokens for 1 of 4 attempts in B.")
    assert "| unknown |" in " ".join(write_markdown(build_grid([found])).split())


def test_pending_attempts_make_it_incomplete():
    a = cell([outcome("p0"), outcome("p1"), outcome("p2")])
    b = cell([outcome("p0"), failed("p1"), pending("p2")])
    found = compare(a, b)
    assert (found.compared, found.problems, found.pending_a, found.pending_b) == (2, 3, 0, 1)
    assert not found.complete
    assert "Incomplete: attempts are pending (1 of 3 in B)." in found.verdict
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


def test_what_is_asked_for_is_more_problems_than_did_not_show_it():
    found = compare(graded([[False]] * 3), graded([[True]] * 3, run="runs/b"))
    assert found.p_value is not None
    assert found.p_value > 0.05
    assert found.needed == 4


P = [Problem(id=f"p{n}", text=f"What is {n} + 1?", answer=str(n + 1)) for n in range(12)]


def test_problems_with_other_texts_or_answers_are_refused_by_their_ids():
    a, b = graded([[True]] * 12), graded([[True]] * 12, run="runs/b")
    refuse_other_problems(a, b, P, P[::-1])
    spaced = [replace(one, text=f"  {one.text.replace(' ', '  ')}") for one in P]
    refuse_other_problems(a, b, P, spaced)
    texts = [replace(one, text="Another") if n > 3 else one for n, one in enumerate(P)]
    with pytest.raises(ConfigError, match=r"the texts of p4, p5, p6, p7, p8 and 3 more differ.*evaluate one of them"):
        refuse_other_problems(a, b, P, texts)
    golds = [replace(one, answer=None if n == 10 else "0" if n == 2 else one.answer) for n, one in enumerate(P)]
    with pytest.raises(ConfigError, match=r"runs/a and runs/b .*the gold answers of p2, p10 differ"):
        refuse_other_problems(a, b, P, golds)


def test_problems_with_other_ids_are_refused_whatever_was_attempted_yet():
    a, b = cell([], problems=12, samples=1), cell([], problems=12, samples=1, run="runs/b")
    others = [replace(one, id=f"q{n}") for n, one in enumerate(P)]
    with pytest.raises(ConfigError, match=r"share no problem of aime24: one has p0.* the other q0"):
        refuse_other_problems(a, b, P, others)
    with pytest.raises(ConfigError, match=r"only in runs/a: p0; only in runs/b: q0"):
        refuse_other_problems(a, b, P, [*others[:1], *P[1:]])
    with pytest.raises(ConfigError, match=r"only in runs/a: p2, p3, p4, p5, p6 and 5 more"):
        refuse_other_problems(a, b, P, P[:2])


def test_an_id_that_is_no_text_is_named_harmlessly():
    a, b = cell([], problems=1, samples=1), cell([], problems=1, samples=1, run="runs/b")
    with pytest.raises(ConfigError) as refused:
        refuse_other_problems(a, b, [Problem(id="\x1b[31m\u202e" + "x" * 999, text="")], [Problem(id="q", text="")])
    assert len(str(refused.value)) < 300
    assert str(refused.value).isprintable()


def test_nothing_scored_is_nothing_to_compare():
    found = compare(cell([pending("p0")]), cell([pending("p0")]))
    assert (found.difference, found.p_value, found.acc_a) == (None, None, None)
    assert found.verdict.startswith("Nothing to compare")


def test_the_table_shows_both_and_the_verdict():
    a, b = graded([[True], [False]]), graded([[True], [True]], run="runs/b")
    text = write_markdown(build_grid([compare(a, b)]))
    assert "+50.00 [-100.0, 100.0]" in text
    assert "aime24: Not distinguishable: 50.00 points may be chance (p = 0.5804)" in text
