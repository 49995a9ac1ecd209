"""Votes counted over the chains of a row of chain of thought."""

from __future__ import annotations

from typing import Any

import pytest
from tests.report.cells import cell, failed, outcome, pending

from scale_reasoning.report.chain_votes import count_votes, has_paid_vote, is_counted, mark_counted
from scale_reasoning.report.metrics import Cell, summarise
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.strategies.vote import elect
from scale_reasoning.types import (
    Attempt,
    Grade,
    Mode,
    Record,
    Solution,
    Spending,
    Step,
    Usage,
)

COT = {"name": "cot"}
USED = Usage(prompt_tokens=1, completion_tokens=2, reasoning_tokens=0, cached_tokens=0)


def chains(answers: str, problem: str = "p0", gold: str = "1", tokens: int = 100) -> list[Any]:
    """A chain per letter; `-` has no answer, `?` is pending."""
    used = Usage(prompt_tokens=5, completion_tokens=tokens, reasoning_tokens=0, cached_tokens=0)
    made: list[Any] = []
    for number, answer in enumerate(answers):
        if answer == "?":
            made.append(pending(problem, number))
        elif answer == "-":
            made.append(failed(problem, number))
        else:
            right = answer == gold
            one = outcome(
                problem, number, correct=right, answer=answer, answers=(answer,), iterations=1, usage=used,
                by_stage={"solve": used}, by_mode={"system2": used},
            )  # fmt: skip
            made.append(one)
    return made


def cot(*problems: str, **more: Any) -> Cell:
    outcomes = [one for n, answers in enumerate(problems) for one in chains(answers, f"p{n}")]
    return cell(outcomes, strategy=COT, samples=len(problems[0]), problems=len(problems), **more)


def votes(*problems: str) -> Cell:
    found = count_votes(cot(*problems))
    assert found is not None
    return found


def test_the_largest_class_wins_and_of_equal_ones_the_first_to_appear():
    found = votes("11112222", "22221111", "12345678", "21345678", "11223331")
    assert [vote.answer for vote in found.outcomes] == ["1", "2", "1", "2", "1"]
    assert [vote.correct for vote in found.outcomes] == [True, False, True, False, True]


def test_a_chain_without_an_answer_abstains_and_no_votes_at_all_are_a_failed_attempt():
    found = votes("-----1--", "--------", "2-1---1-")
    assert [(vote.answer, vote.correct, vote.failure) for vote in found.outcomes] == [
        ("1", True, None), (None, False, "unanswered"), ("1", True, None),
    ]  # fmt: skip
    assert (summarise(found).scored, summarise(found, denominator="completed").scored) == (3, 2)


def test_a_vote_with_a_pending_chain_is_pending_and_so_is_one_whose_chains_have_not_all_run():
    whole = cot("11111111", "1111111?", "11111111")
    missing = [one for one in whole.outcomes if (one.problem_id, one.sample) != ("p2", 3)]
    found = count_votes(cell(missing, strategy=COT, samples=8, problems=4))
    assert found is not None
    summary = summarise(found)
    assert (summary.planned, summary.completed, summary.scored, summary.pending) == (4, 1, 1, 3)
    assert summary.acc == 1


def test_tokens_are_the_sum_over_the_chains_and_unknown_if_those_of_one_are():
    summary = summarise(votes("11111111", "11111112"))
    assert (summary.tok, summary.tok_by_stage, summary.tpi) == (800, {"solve": 800}, 100)
    unknown = Usage(prompt_tokens=5, completion_tokens=None)
    outcomes = [*chains("1111111"), outcome("p0", 7, usage=unknown, by_stage={"solve": unknown})]
    found = count_votes(cell(outcomes, strategy=COT))
    assert found is not None
    assert summarise(found).tok is None


def test_accuracy_and_interval_are_those_of_one_vote_per_problem():
    right = summarise(votes(*["11111222"] * 23, *["22222111"] * 7))
    paid = [outcome(f"p{n}", 0, correct=n < 23) for n in range(30)]
    same = summarise(cell(paid, strategy={"name": "vote"}))
    assert right.acc == pytest.approx(23 / 30)
    assert (right.acc_low, right.acc_high, right.scored, right.planned) == (same.acc_low, same.acc_high, 30, 30)


def test_sixteen_samples_are_two_votes_and_what_is_left_over_does_not_vote():
    found = votes("1" * 8 + "2" * 8 + "3" * 7)
    assert [(vote.sample, vote.answer) for vote in found.outcomes] == [(0, "1"), (1, "2")]
    assert (found.samples, found.planned) == (2, 2)


def test_fewer_chains_than_the_papers_are_named_and_two_do_not_vote():
    found = votes("112")
    assert found.strategy["samples"] == 3
    assert count_votes(cot("12")) is None


def test_other_strategies_and_shards_have_no_counted_votes():
    assert count_votes(cell(chains("11111111"), strategy={"name": "scale", "tau": 0.2})) is None
    assert count_votes(cell(chains("11111111"), strategy={"name": "cot", "mode": "system1"})) is None
    assert count_votes(cot("11111111", elsewhere=8)) is None


def test_answers_without_gold_are_voted_on_and_not_graded():
    ungraded = [outcome("p0", n, correct=None, answer="7", answers=("7",)) for n in range(8)]
    found = count_votes(cell(ungraded, strategy=COT))
    assert found is not None
    assert [(vote.answer, vote.correct) for vote in found.outcomes] == [("7", None)]


def test_a_counted_vote_says_so_and_a_paid_one_over_the_same_chains_is_found():
    base = cot("11111111")
    assert is_counted(mark_counted(summarise(votes("11111111"))))
    assert not is_counted(summarise(cell([outcome()], strategy={"name": "vote"})))
    paid: list[tuple[dict[str, Any], bool]] = [
        ({"name": "vote", "base": COT, "samples": 8}, True),
        ({"name": "vote"}, True),
        ({"name": "vote", "base": COT, "samples": 4}, False),
        ({"name": "vote", "base": {"name": "scale", "tau": 0.2}, "samples": 8}, False),
        ({"name": "vote", "base": {"name": "cot", "mode": "system1"}, "samples": 8}, False),
        (COT, False),
    ]
    for strategy, wanted in paid:
        assert has_paid_vote(base, [cell([outcome()], strategy=strategy)]) is wanted
    assert not has_paid_vote(base, [cell([outcome()], strategy={"name": "vote"}, dataset="amc23")])


@pytest.mark.parametrize("answers", ["1/2 0.5 3 3 4", "x 1 - 1.0 x", "- - -", "12 7 7 12 \\frac{24}{2}"])
def test_a_counted_vote_is_the_one_that_the_strategy_would_make(answers: str):
    texts = [None if text == "-" else text for text in answers.split()]
    solutions = [_solution(text) for text in texts]
    found = count_votes(cell([outcome_of(_record(each, n)) for n, each in enumerate(solutions)], strategy=COT))
    assert found is not None
    assert found.outcomes[0].answer == elect(solutions).answer


def _solution(answer: str | None) -> Solution:
    step = Step(
        subproblem="p", difficulty=None, mode=Mode.SYSTEM2, text="", reasoning="", finish_reason="stop", usage=USED
    )
    return Solution(answer=answer, steps=(step,))


def _record(solution: Solution, sample: int) -> Record:
    return Record(
        attempt=Attempt(problem_id="p0", sample=sample),
        strategy=COT,
        model="m",
        solution=solution,
        grade=Grade(correct=False, grader="integer"),
        calls=(),
        usage=Spending(total=USED, by_stage={"solve": USED}, by_mode={"system2": USED}),
        failure=None,
        seconds=1.0,
    )
