from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest
from tests.patience import ends_in_time
from tests.report.cells import SCALE, cell, failed, graded, outcome, pending

from scale_reasoning.prices import Price, make_uniform
from scale_reasoning.report.cost import Costing
from scale_reasoning.report.metrics import Summary, summarise
from scale_reasoning.strategies import shorten
from scale_reasoning.types import Usage


def summary(outcomes: list[Any], **more: Any) -> Summary:
    return summarise(cell(outcomes), **more)


def test_acc_is_the_mean_over_samples_then_over_problems():
    found = summarise(graded([[True, True], [True, False], [False, False]]))
    assert found.acc == 0.5
    assert (found.planned, found.completed, found.scored, found.pending) == (6, 6, 6, 0)
    assert found.acc_low is not None
    assert found.acc_low <= 0.5
    assert found.acc_se == pytest.approx(0.5 / 3**0.5)
    assert found.pass_at == {1: 0.5, 2: pytest.approx(2 / 3)}


def test_pending_attempts_are_never_scored_and_are_counted():
    found = summary([outcome(sample=0), pending(sample=1), outcome("p1", 0, correct=False), outcome("p1", 1)])
    assert found.acc == 0.75
    assert (found.planned, found.completed, found.scored, found.pending) == (4, 3, 3, 1)
    assert found.unanswered == 0


def test_attempts_that_have_not_run_are_owed():
    found = summarise(cell([outcome()], problems=3, samples=2))
    assert (found.planned, found.completed, found.pending) == (6, 1, 5)
    assert found.acc == 1


def test_a_model_failure_is_wrong_by_default_and_left_out_on_request():
    outcomes = [outcome(sample=0), failed(sample=1), outcome("p1", 0, correct=False), outcome("p1", 1)]
    planned, completed = summary(outcomes), summary(outcomes, denominator="completed")
    assert (planned.acc, planned.scored, planned.denominator) == (0.5, 4, "planned")
    assert (completed.acc, completed.scored, completed.denominator) == (pytest.approx(2 / 3), 3, "completed")
    assert planned.completed == completed.completed == 4
    assert planned.unparsed == completed.unparsed == 0.25


def test_every_mean_of_completed_attempts_weighs_them_alike():
    outcomes = [outcome("p0", j, correct=j > 0) for j in range(3)] + [outcome("p1", 0, correct=False), failed("p1", 1)]
    found = summary(outcomes, denominator="completed")
    assert found.acc == found.pass_at[1] == found.maj_at[1] == pytest.approx(2 / 4)
    by_problem = summary(outcomes)
    assert (by_problem.acc, by_problem.pass_at[1]) == pytest.approx((1 / 3, 1 / 3))
    answered = [outcome("p0", j, correct=j > 0) for j in range(4)] + [failed("p1", 0), failed("p1", 1)]
    pairs = summary([*answered, outcome("p1", 2), outcome("p1", 3, correct=False)], denominator="completed")
    assert pairs.pass_at[2] == pytest.approx((4 * 1 + 2 * 1) / 6)


def test_attempts_without_a_count_are_counted():
    found = summary([outcome("p0"), outcome("p1", usage=Usage()), pending("p2")])
    assert (found.tok, found.uncounted) == (None, 1)
    left_out = outcome("p1", usage=Usage(), failure="parse", correct=False)
    assert summary([outcome("p0"), left_out], denominator="completed").uncounted == 0


def test_the_papers_79_40_is_reproduced_by_leaving_failures_out():
    rows = [
        [failed(f"p{i}", j) if i < 7 and j == 0 else outcome(f"p{i}", j, correct=8 * i + j < 192) for j in range(8)]
        for i in range(30)
    ]
    outcomes = [one for row in rows for one in row]
    assert f"{summary(outcomes, denominator='completed').acc:.4f}" == "0.7940"
    assert f"{summary(outcomes).acc:.4f}" == "0.7708"


def test_tokens_an_iteration_and_hard_are_ratios_of_sums():
    usage = Usage(prompt_tokens=1, completion_tokens=300, reasoning_tokens=0, cached_tokens=0)
    found = summary([outcome("p0", iterations=1, hard=1), outcome("p1", iterations=9, hard=2, usage=usage)])
    assert (found.tok, found.steps, found.tpi, found.hard) == (200, 5, 40, 0.3)


def test_unknown_stays_unknown():
    found = summary([outcome("p0"), outcome("p1", usage=Usage(), by_stage={}, by_mode={}, iterations=0)])
    assert (found.tok, found.tpi, found.prompt_tokens, found.cached_tokens) == (None, None, None, None)
    assert found.tok_by_stage == {"solve": 50}  # no call in a stage is a known zero
    assert summary([outcome(iterations=0, hard=0)]).hard is None
    nothing = summarise(cell([], problems=2, samples=2))
    assert (nothing.acc, nothing.tok, nothing.truncated, nothing.pending) == (None, None, None, 4)


def test_without_gold_answers_there_is_no_accuracy_but_there_are_tokens():
    found = summary([outcome(correct=None, answer="7")])
    assert (found.acc, found.scored, found.completed, found.tok) == (None, 0, 1, 100)
    assert found.pass_at == found.maj_at == {}


def test_maj_at_k_counts_votes_by_class():
    votes = [("1", True), ("1", True), ("2", False), ("3", False)]
    found = summary([outcome("p0", j, correct=right, answer=answer) for j, (answer, right) in enumerate(votes)])
    assert found.maj_at == {1: 0.5, 2: pytest.approx(0.5), 4: 1}


def test_pass_and_maj_stop_where_a_problem_has_fewer_scored_samples():
    found = summary([outcome("p0", j) for j in range(6)] + [outcome("p1", j) for j in range(5)] + [pending("p1", 5)])
    assert list(found.pass_at) == list(found.maj_at) == [1, 2, 4]
    assert list(summary([outcome("p0", j) for j in range(6)]).pass_at) == [1, 2, 4, 6]


def priced(**price: float) -> Costing:
    return Costing(prices=make_uniform(Price(**price), "--prices"))


def test_cost_is_by_kind_of_token():
    costing = priced(prompt=10, cached=1, completion=100)
    assert summary([outcome()], costing=costing).cost == pytest.approx((40 * 10 + 10 + 100 * 100) / 1e6)
    uncached = outcome(usage=Usage(prompt_tokens=50, completion_tokens=100))
    unknown = summary([uncached], costing=costing)
    assert unknown.cost is None
    assert "the server did not report the tokens of every call" in unknown.cost_note
    assert unknown.prices == Price(prompt=10, cached=1, completion=100)
    assert summary([uncached], costing=priced(prompt=10, cached=10, completion=0)).cost == pytest.approx(500 / 1e6)
    assert summary([outcome()]).cost is None


def test_the_order_in_which_attempts_finished_changes_nothing():
    outcomes = [outcome(f"p{i}", j, correct=(i * j) % 3 == 0) for i in range(7) for j in range(4)]
    strategy: dict[str, Any] = {"strategy": SCALE}
    assert summarise(cell(outcomes, **strategy)) == summarise(cell(outcomes[::-1], **strategy))


def test_many_samples_a_problem_are_voted_on_by_draws():
    votes = [str(j % 5) for j in range(32)]
    found = summary([outcome("p0", j, correct=answer == "0", answer=answer) for j, answer in enumerate(votes)])
    assert list(found.maj_at) == [1, 2, 4, 8, 16, 32]
    assert found.maj_at[1] == pytest.approx(found.acc)
    assert found.maj_at[32] == 0.5  # 0 and 1 have seven votes each


@pytest.mark.slow
def test_100_000_attempts_take_seconds():
    outcomes = [outcome(f"p{i}", j, correct=(i + j) % 3 == 0) for i in range(12_500) for j in range(8)]
    with ends_in_time():
        found = summarise(cell(outcomes))
    assert found.acc == pytest.approx(fmean((i + j) % 3 == 0 for i in range(12_500) for j in range(8)))


def test_a_control_is_told_without_the_options_that_its_route_does_not_look_at() -> None:
    options = {"name": "scale", "candidates": 1, "tau": 0.5, "random_share": 0.3}
    assert shorten({**options, "route": "threshold"}) == {"candidates": 1, "tau": 0.5, "route": "threshold"}
    assert shorten({**options, "route": "random"}) == {"candidates": 1, "share": 0.3, "route": "random"}
    assert shorten({**options, "route": "system2"}) == {"candidates": 1, "route": "system2"}
    assert shorten({"name": "vote", "samples": 8}) == {"samples": 8}
