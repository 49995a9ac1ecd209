"""Majority voting by equivalence class."""

from __future__ import annotations

import pytest

from scale_reasoning import CoT, Problem, Record, Scale, Scripted, Solution, Vote, attempt, endpoints, run_virtual
from scale_reasoning.errors import ConfigError, ContextOverflow, Unreachable
from scale_reasoning.lm import Strategy
from scale_reasoning.strategies import make
from scale_reasoning.strategies.vote import elect


def chains(*answers: str | None) -> list[Solution]:
    return [Solution(answer=answer) for answer in answers]


def test_one_half_in_three_spellings_is_one_class_named_by_the_first() -> None:
    solution = elect(chains("3", "1/2", "0.5", "3", "\\frac{1}{2}"))
    assert (solution.answer, solution.selected) == ("1/2", 1)
    assert [(tally.answer, tally.votes) for tally in solution.votes] == [("1/2", 3), ("3", 2)]


def test_a_chain_without_an_answer_abstains_and_never_wins() -> None:
    solution = elect(chains(None, None, None, "4"))
    assert solution.answer == "4"
    assert "3 of 4 chains have no answer and abstain" in solution.notes


def test_when_all_abstain_there_is_no_answer() -> None:
    solution = elect(chains(None, None))
    assert (solution.answer, solution.selected, solution.votes) == (None, None, ())


def test_a_tie_goes_to_the_first_to_appear_and_is_noted() -> None:
    solution = elect(chains("5", "4", "4", "5"))
    assert solution.answer == "5"
    assert any("tie of 2 votes each between 5, 4" in note for note in solution.notes)


def test_chains_run_at_once_each_with_its_own_seeds() -> None:
    engine = Scripted([("", "\\boxed{1}")], seconds=1.0)
    record = run_virtual(attempt(Problem(id="p", text="?"), Vote(samples=5), endpoints(engine, "m")))
    assert (record.seconds, engine.most_in_flight) == (1.0, 5)
    assert len({request.seed for request in engine.requests}) == 5


def test_it_composes_over_any_strategy() -> None:
    engine = Scripted([("decomposition", '{"subproblems": ["a?"]}'), ("difficulty", "0.1"), ("", "\\boxed{1}")])
    vote = Vote(base=Scale(candidates=2), samples=3)
    record = run_virtual(attempt(Problem(id="p", text="?", answer="1"), vote, endpoints(engine, "m")))
    assert record.solution is not None
    assert [len(chain.steps) for chain in record.solution.chains] == [1, 1, 1]
    assert record.grade is not None
    assert record.grade.correct


def test_a_chain_that_the_model_failed_abstains_but_the_worlds_failure_is_the_attempts() -> None:
    for error, blame in (
        (ContextOverflow("long", prompt_tokens=5000, window=4096), "model"),
        (Unreachable("gone"), "world"),
    ):
        engine = Scripted([("", error)])
        record = run_virtual(attempt(Problem(id="p", text="?", answer="1"), Vote(base=CoT()), endpoints(engine, "m")))
        assert record.failure is not None
        assert record.failure.blame == blame
        assert (record.grade is None) == (blame == "world")


def answering(*answers: str) -> Scripted:
    """Chains end one after another in their order, each with its answer."""
    left = iter(answers)
    return Scripted([("", lambda _: f"\\boxed{{{next(left)}}}")], seconds=1.0)


def run(vote: Strategy, engine: Scripted) -> Record:
    return run_virtual(attempt(Problem(id="p", text="?", answer="1"), vote, endpoints(engine, "m")))


def test_a_vote_stops_when_the_leader_cannot_be_caught_and_sends_nothing_more() -> None:
    engine = answering("1", "2", "1")
    record = run(Vote(samples=4, stop="certain"), engine)
    assert record.solution is not None
    assert (record.solution.answer, record.solution.selected, len(record.solution.chains)) == ("1", 0, 3)
    assert record.solution.notes == ("stopped after 3 of 4 chains: the leader cannot be caught",)
    assert [call.path for call in record.calls] == ["chain1/solve", "chain2/solve", "chain3/solve"]
    assert (record.seconds, engine.most_in_flight) == (2.0, 2)


def test_a_vote_stops_at_its_posterior() -> None:
    record = run(Vote(samples=8, stop="beta"), answering(*"1111"))
    assert record.solution is not None
    assert len(record.solution.chains) == 4
    assert record.solution.notes == ("stopped after 4 of 8 chains: posterior 0.969 >= 0.95",)
    assert record.seconds == 1.0


def test_a_stopped_vote_makes_the_first_calls_of_the_full_one_with_the_same_seeds() -> None:
    full, stopped = (run(Vote(samples=6, stop=stop), answering(*"111111")) for stop in ("never", "certain"))
    assert stopped.calls == full.calls[:3]


def test_an_unknown_stop_and_a_level_out_of_range_are_refused() -> None:
    for settings, said in (
        ({"stop": "soon"}, "must be one of never, certain, beta"),
        ({"level": 0.4}, "must be from 0.5 to 1"),
    ):
        with pytest.raises(ConfigError, match=said):
            make("vote", settings)


def test_a_tie_may_go_to_newer_chains() -> None:
    solution = elect(chains("5", "4", "4", "5"), tie_from=2)
    assert (solution.answer, solution.selected) == ("4", 1)
    assert "tie of 2 votes each between 4, 5: the newer chains decide" in solution.notes
    assert elect(chains("5", "5", "3", "4", "4"), tie_from=2).answer == "4"
    assert elect(chains("5", "4", None), tie_from=2).answer == "5"
