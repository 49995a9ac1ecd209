"""A vote first, and a second strategy where its chains disagree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from scale_reasoning import CoT, Problem, Record, Scale, Scripted, Solution, Vote, attempt, endpoints, run_virtual
from scale_reasoning.errors import ConfigError, ContextOverflow, Unreachable
from scale_reasoning.events import Event, Started
from scale_reasoning.lm import Strategy
from scale_reasoning.runs.outcome import outcome_of
from scale_reasoning.runs.regrade import with_answer_found
from scale_reasoning.strategies.cascade import Cascade
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.types import Mode
from scale_reasoning.web.proxy.narrate import Narrator, Piece

SHORT = CoT(mode=Mode.SYSTEM1)


def said(answers: Iterator[str]) -> str:
    answer = next(answers)
    return f"\\boxed{{{answer}}}" if answer else "no idea ..."


def answering(*answers: str) -> Scripted:
    """Solutions end in the order of their calls, each with its answer; SCALE has one step."""
    left = iter(answers)
    structured = [("decomposition", '{"subproblems": ["a?"]}'), ("difficulty", "0.1")]
    return Scripted([*structured, ("", lambda _: said(left))], seconds=1.0)


def run(strategy: Strategy, engine: Scripted, heard: list[Event] | None = None) -> Record:
    listener = None if heard is None else heard.append
    problem = Problem(id="p", text="?", answer="24")
    return run_virtual(attempt(problem, strategy, endpoints(engine, "m"), listener=listener))


def solution_of(record: Record) -> Solution:
    assert record.solution is not None
    return record.solution


def test_chains_that_agree_are_the_solution_and_nothing_more_is_sent() -> None:
    record = run(Cascade(), answering("24", "24.0"))
    solution = solution_of(record)
    assert (solution.answer, solution.selected, len(solution.chains), solution.notes) == ("24", 0, 2, ())
    assert [call.path for call in record.calls] == ["chain1/solve", "chain2/solve"]
    assert record.seconds == 1.0


def test_chains_that_disagree_vote_with_the_second_strategy() -> None:
    record = run(Cascade(then=Scale(candidates=1)), answering("21", "24", "24"))
    solution = solution_of(record)
    assert (solution.answer, solution.selected, [chain.answer for chain in solution.chains]) == (
        "24", 1, ["21", "24", "24"],
    )  # fmt: skip
    assert solution.notes == ("first: 2 chains disagree: 21 (1), 24 (1); then: 1 chain: 24 (1)",)
    assert [call.path for call in record.calls] == [
        "chain1/solve", "chain2/solve", "decompose/1", "step1/assess",
        "step1/solve",
    ]  # fmt: skip
    assert solution.chains[2].candidates == (("a?",),)
    outcome = outcome_of(record)
    assert (outcome.answers, outcome.iterations, outcome.calls, outcome.correct) == (("21", "24", "24"), 3, 5, True)


def test_a_tie_goes_to_the_second_strategy_also_when_graded_again() -> None:
    solution = solution_of(run(Cascade(then=Scale(candidates=1)), answering("21", "24", "30")))
    assert (solution.answer, solution.selected) == ("30", 2)
    assert "tie of 1 votes each between 30, 21, 24: the newer chains decide" in solution.notes
    again = with_answer_found(solution)
    assert (again, sorted(again.notes)) == (replace(solution, notes=again.notes), sorted(solution.notes))


def test_without_a_new_answer_the_first_chains_decide() -> None:
    solution = solution_of(
        run(Cascade(then=InftyThink(max_rounds=1, answers="boxed")), answering("21", "24", "", "", ""))
    )
    assert (solution.answer, solution.selected) == ("21", 0)
    gone = Scripted([("decomposition", ContextOverflow("long", prompt_tokens=9, window=4)), ("", lambda _: said(left))])
    left = iter(["21", "24"])
    solution = solution_of(run(Cascade(then=Scale(candidates=1)), gone))
    assert (solution.answer, solution.chains[2].answer) == ("21", None)
    assert any(note.startswith("chain3: context_overflow") for note in solution.notes)


def test_a_vote_over_the_same_base_continues_the_first_chains() -> None:
    cascade = Cascade(then=Vote(samples=5, stop="certain"))
    record = run(cascade, answering("21", "24", "24", "24"))
    solution = solution_of(record)
    assert [call.path for call in record.calls] == [
        "chain1/solve", "chain2/solve", "chain3/solve", "chain4/solve",
    ]  # fmt: skip
    assert (solution.answer, solution.selected, solution.tie_from) == ("24", 1, 0)
    assert solution.notes == (
        "first: 2 chains disagree: 21 (1), 24 (1); then: 2 chains: 24 (2)",
        "then: stopped after 4 of 5 chains: the leader cannot be caught",
    )
    assert cascade.most_calls() == 5 * 2


def test_a_vote_that_is_decided_by_the_first_chains_runs_no_more() -> None:
    cascade = Cascade(first=Vote(samples=4), then=Vote(samples=5, stop="certain"))
    record = run(cascade, answering("1", "1", "1", "2"))
    assert len(record.calls) == 4
    assert "first: 4 chains disagree: 1 (3), 2 (1); then: no chain is needed" in solution_of(record).notes


def test_a_vote_over_another_base_has_its_own_chains_and_decides_ties() -> None:
    record = run(Cascade(first=Vote(base=SHORT, samples=2), then=Vote(samples=2)), answering("1", "2", "2", "1"))
    assert [call.path for call in record.calls][2:] == ["chain3/solve", "chain4/solve"]
    assert (solution_of(record).answer, solution_of(record).selected) == ("2", 1)
    assert Cascade(first=Vote(base=SHORT, samples=2), then=Vote(samples=2)).most_calls() == 8


@pytest.mark.parametrize(
    ("answers", "accept", "calls"),
    [(("1", "1", "2"), 1.0, 4), (("1", "1", "2"), 0.67, 4), (("1", "1", "2"), 0.6, 3), (("1", "1", ""), 1.0, 4),
     (("1", "", ""), 0.0, 3), (("", "", ""), 0.0, 4)],
)  # fmt: skip
def test_the_share_is_of_all_first_chains_and_no_answer_is_never_accepted(
    answers: tuple[str, ...], accept: float, calls: int
) -> None:
    base = CoT(answers="boxed")
    cascade = Cascade(first=Vote(base=base, samples=3), then=CoT(mode=Mode.SYSTEM1), accept=accept)
    assert len(run(cascade, answering(*answers, "1")).calls) == calls


@pytest.mark.parametrize("first", [CoT(), Scale(), Vote(samples=1)])
def test_a_first_that_cannot_disagree_is_refused(first: Strategy) -> None:
    with pytest.raises(ConfigError, match="must be a vote with samples = 2 or more"):
        Cascade(first=first)


def test_a_first_vote_that_its_first_answer_ends_is_refused() -> None:
    for first in (Vote(samples=2, stop="certain"), Vote(samples=8, stop="beta", level=0.7)):
        with pytest.raises(ConfigError, match="the first answer ends the vote"):
            Cascade(first=first)
    assert Cascade(first=Vote(samples=3, stop="certain")).accept == 1.0


def test_other_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"then\.samples = 2: must be more than first\.samples = 2"):
        Cascade(then=Vote(samples=2))
    with pytest.raises(ConfigError, match=r"accept = 1\.5: must be from 0 to 1"):
        Cascade(accept=1.5)


def test_an_infrastructure_error_in_either_stage_leaves_the_attempt_pending() -> None:
    left = iter(["21", "24"])
    for engine in (
        Scripted([("", Unreachable("gone"))]),
        Scripted([("decomposition", Unreachable("gone")), ("", lambda _: said(left))]),
    ):
        record = run(Cascade(), engine)
        assert (record.solution, record.grade) == (None, None)
        assert record.failure is not None
        assert record.failure.blame == "world"


@pytest.mark.parametrize(("answers", "content"), [(("24", "24"), "24"), (("21", "24", "24"), "24"),
                                                  (("21", "24", "30"), "30")])  # fmt: skip
def test_a_client_receives_the_answer_once_and_every_chain_as_reasoning(answers: tuple[str, ...], content: str) -> None:
    heard: list[Event] = []
    record = run(Cascade(then=Scale(candidates=1)), answering(*answers), heard)
    pieces: list[Piece] = []
    narrator = Narrator(pieces.append)
    for event in heard:
        narrator.hear(event)
    narrator.end(record)
    assert "".join(piece.content for piece in pieces) == f"\\boxed{{{content}}}"
    assert narrator.reasoning.count(", answer ") == len(answers)
    numbers = {event.location.chain for event in heard if isinstance(event, Started)}
    assert numbers == set(range(1, len(answers) + 1))
