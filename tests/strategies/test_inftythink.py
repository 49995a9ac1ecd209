"""InftyThink's rounds, one sentence each, on a scripted model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scale_reasoning import (
    Completion,
    ConfigError,
    Mode,
    Problem,
    Record,
    Scripted,
    Vote,
    attempt,
    endpoints,
    run_virtual,
)
from scale_reasoning.strategies.inftythink import InftyThink
from scale_reasoning.types import Solution, Usage

PROBLEM = Problem(id="p", text="Find x if 2x is 14.")
DONE = "So it is \\boxed{7}."


def cut(text: str = "", reasoning: str = "", usage: Usage | None = None) -> Completion:
    return Completion(text=text, reasoning=reasoning, finish_reason="length", usage=usage or Usage())


def script(rounds: list[str | Completion], summaries: list[str | Completion] | None = None) -> Scripted:
    """A model whose rounds and summaries reply these in turn, and whose forced answer is 8."""

    def turns(replies: list[str | Completion]) -> Any:
        coming: Iterator[str | Completion] = iter(replies)
        return lambda _: next(coming)

    noted: list[str | Completion] = [f"NOTES {number}" for number in range(1, 20)]
    return Scripted(
        [
            ("Write notes", turns(noted if summaries is None else summaries)),
            ("Time is up", "My best guess is \\boxed{8}."),
            ("", turns(rounds)),
        ]
    )


def run(engine: Scripted, **options: int) -> Record:
    return run_virtual(attempt(PROBLEM, InftyThink(**options), endpoints(engine, "Qwen3-32B")))


def solved(record: Record) -> Solution:
    assert record.solution is not None
    return record.solution


def paths(record: Record) -> set[str]:
    return {call.path for call in record.calls}


def test_a_first_round_that_answers_is_the_only_call() -> None:
    record = run(script([DONE]))
    assert [(call.path, call.mode) for call in record.calls] == [("round1/solve", Mode.SYSTEM2)]
    assert solved(record).answer == "7"
    assert solved(record).notes == ()


def test_a_round_sees_the_problem_and_the_newest_summary_and_nothing_else_of_what_was_thought() -> None:
    engine = script([cut(reasoning="FIRST"), cut(reasoning="SECOND"), DONE])
    record = run(engine)
    rounds = [request.messages[-1].content for request in engine.requests if request.mode is Mode.SYSTEM2]
    assert all(PROBLEM.text in said and "FIRST" not in said and "SECOND" not in said for said in rounds)
    assert [[note for note in ("NOTES 1", "NOTES 2") if note in said] for said in rounds] == [
        [],
        ["NOTES 1"],
        ["NOTES 2"],
    ]
    assert solved(record).answer == "7"


def test_a_summary_is_made_in_system_1_of_the_old_one_and_of_all_that_the_round_wrote() -> None:
    engine = script([cut(reasoning="FIRST"), cut(text="and then", reasoning="SECOND"), DONE])
    run(engine)
    summaries = [request for request in engine.requests if request.mode is Mode.SYSTEM1]
    said = [request.messages[-1].content for request in summaries]
    assert "FIRST" in said[0]
    assert "NOTES 1" not in said[0]
    assert "NOTES 1" in said[1]
    assert "SECOND\n\nand then" in said[1]
    assert "FIRST" not in said[1]


def test_the_limits_reach_the_requests() -> None:
    engine = script([cut(reasoning="hm")] * 2)
    run(engine, max_rounds=2, round_max_tokens=400, summary_max_tokens=200)
    assert [request.max_tokens for request in engine.requests] == [400, 200, 400, 200, 512]


def test_after_the_last_round_an_answer_is_forced_from_the_problem_and_the_newest_summary() -> None:
    engine = script([cut(reasoning="hm")] * 3)
    record = run(engine, max_rounds=3)
    asked = engine.requests[-1]
    assert (asked.mode, len(asked.messages)) == (Mode.SYSTEM1, 1)
    assert PROBLEM.text in asked.messages[0].content
    assert "NOTES 3" in asked.messages[0].content
    assert solved(record).answer == "8"
    assert "no answer after 3 rounds: it was forced" in solved(record).notes
    assert len(record.calls) == 2 * 3 + 1


def test_a_step_is_a_round_and_the_forced_answer_is_the_last() -> None:
    steps = solved(run(script([cut(reasoning="hm")] * 2), max_rounds=2)).steps
    assert [(step.subproblem, step.difficulty, step.mode.value) for step in steps] == [
        ("round 1", None, "system2"),
        ("round 2", None, "system2"),
        ("forced answer", None, "system1"),
    ]
    assert [step.reasoning for step in steps] == ["hm", "hm", ""]


def test_summaries_are_accounted_under_their_own_stage_and_count_in_the_total() -> None:
    record = run(script([cut(reasoning="a b c"), DONE]))
    assert paths(record) == {"round1/solve", "round1/summarise", "round2/solve"}
    assert record.usage.by_stage["summarise"].completion_tokens == 2
    assert record.usage.by_stage["solve"].completion_tokens == 3 + len(DONE.split())
    assert record.usage.total.completion_tokens == 2 + 3 + len(DONE.split())


def test_a_boxed_answer_in_a_round_that_was_cut_off_or_in_a_thought_does_not_end_it() -> None:
    thought = Completion(text="Not sure yet.", reasoning="maybe \\boxed{1}", finish_reason="stop")
    record = run(script([cut(text="Perhaps \\boxed{1}. Or"), thought, DONE]))
    assert solved(record).answer == "7"
    assert solved(record).notes == ("round1: cut off by the token limit", "round2: ended without an answer")


def test_a_model_that_thinks_in_its_text_is_summarised_too() -> None:
    engine = script([cut(text="Let me see"), DONE])
    run(engine)
    assert "Let me see" in engine.requests[1].messages[-1].content


def test_an_empty_summary_leaves_the_one_before_standing_and_is_noted() -> None:
    engine = script([cut(reasoning="hm")] * 3 + [DONE], summaries=["NOTES 1", " \n", cut("NOTES 3 and")])
    record = run(engine)
    rounds = [request.messages[-1].content for request in engine.requests if request.mode is Mode.SYSTEM2]
    assert "NOTES 1" in rounds[2]
    assert "NOTES 3" in rounds[3]
    notes = [note for note in solved(record).notes if "summary" in note]
    assert notes == [
        "round2: its summary is empty: the earlier one is kept",
        "round3: its summary was cut off by the token limit",
    ]


def test_a_round_that_wrote_nothing_at_all_is_not_summarised_but_noted() -> None:
    record = run(script([Completion(text="", finish_reason="stop"), DONE]))
    assert paths(record) == {"round1/solve", "round2/solve"}
    assert "round1: has no text: not summarised" in solved(record).notes


def test_under_a_vote_every_note_names_its_chain_once() -> None:
    vote = Vote(base=InftyThink(max_rounds=1), samples=2)
    record = run_virtual(attempt(PROBLEM, vote, endpoints(script([cut(reasoning="hm")] * 2), "Qwen3-32B")))
    assert "chain2: round1: cut off by the token limit" in solved(record).notes
    assert "chain2/round1/summarise" in paths(record)


HIDDEN = {
    "cut off with nothing to show": cut(usage=Usage(completion_tokens=4096)),
    "cut off, nothing counted": cut(usage=Usage(prompt_tokens=5)),
    "cut off in its text": cut("The first", usage=Usage(completion_tokens=4096, reasoning_tokens=4000)),
    "ended without an answer": Completion(
        text="I cannot tell.", finish_reason="stop", usage=Usage(completion_tokens=900, reasoning_tokens=890)
    ),
}


@pytest.mark.parametrize("reply", HIDDEN.values(), ids=HIDDEN)
def test_an_endpoint_that_hides_its_reasoning_is_refused_where_a_round_must_be_summarised(reply: Completion) -> None:
    engine = script([reply])
    with pytest.raises(ConfigError, match="round1: the endpoint hides its reasoning, and inftythink needs it"):
        run(engine)
    assert len(engine.requests) == 1


def test_hidden_reasoning_is_no_matter_where_the_round_answers() -> None:
    record = run(script([Completion(text=DONE, finish_reason="stop", usage=Usage(reasoning_tokens=900))]))
    assert solved(record).answer == "7"


def test_the_tags_of_an_empty_thought_are_not_taken_for_hidden_reasoning() -> None:
    record = run(script([cut("Let me see", usage=Usage(completion_tokens=4096, reasoning_tokens=4)), DONE]))
    assert solved(record).answer == "7"


@pytest.mark.parametrize("option", ["max_rounds", "round_max_tokens", "summary_max_tokens"])
def test_a_option_below_1_is_refused_by_name(option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option} = 0: must be at least 1"):
        InftyThink(**{option: 0})
