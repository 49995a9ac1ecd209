"""`content=all`: the solutions of all steps as content, as one response and streamed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from tests.servers import reply_to, stream, thinks
from tests.web.proxies import MODEL, both
from tests.web.test_proxy import drafting as agreeing
from tests.web.test_proxy_budget import BUDGET, STEP1, steps
from tests.web.test_proxy_narrate import content, drafting, ended, reasoning, record, routed, said, step, stepped

from scale_reasoning.events import Event, Location, Solved, Streamed
from scale_reasoning.types import Delta, Solution, Step, Tally
from scale_reasoning.web.proxy.gate import Limits
from scale_reasoning.web.proxy.narrate import Piece
from scale_reasoning.web.proxy.whole import WholeNarrator, whole_text

WHOLE = "### Step 1 of 2: s\n\none\n\n### Step 2 of 2: s\n\ntwo\n\n**Answer:** $\\boxed{2}$"
TWO = Solution(answer="2", steps=(step("one"), step("two")))


def told(events: list[Event], solution: Solution, stops: tuple[str, ...] = ()) -> list[Piece]:
    pieces: list[Piece] = []
    narrator = WholeNarrator(pieces.append, stops)
    for event in events:
        narrator.hear(event)
    narrator.end(record(solution))
    return pieces


def begun(number: int, of: int = 2) -> Event:
    return replace(routed(number, of), subproblem="s")


def solved(number: int, made: Step, of: int = 2) -> Event:
    return Solved(location=Location(path=f"step{number}"), number=number, of=of, step=made)


def test_every_step_is_content_while_it_is_written_and_the_answer_follows() -> None:
    pieces = told(
        [begun(1), *said(stepped(1, final=False), "o", "ne"), solved(1, step("one")),
         begun(2), *said(stepped(2, final=True), "t", "wo"), solved(2, step("two"))],
        TWO,
    )  # fmt: skip
    assert content(pieces) == WHOLE == whole_text(TWO)
    assert Piece(content="ne") in pieces, "a step must stream"
    assert "one" not in reasoning(pieces)
    assert "difficulty 0.25, System 1" in reasoning(pieces)


def test_a_step_whose_result_was_asked_for_has_the_reply_too() -> None:
    asked = replace(step("one"), asked="It is 1.")
    solution = Solution(answer=None, steps=(asked, step("two")))
    pieces = told(
        [begun(1), *said(stepped(1, final=False), "one"),
         *said(Location(path="step1/solve/ask", final=False), "It is 1."), solved(1, asked),
         begun(2), *said(stepped(2, final=True), "two"), solved(2, step("two"))],
        solution,
    )  # fmt: skip
    expected = "### Step 1 of 2: s\n\none\n\nIt is 1.\n\n### Step 2 of 2: s\n\ntwo"
    assert content(pieces) == expected == whole_text(solution)


def test_a_forced_answer_follows_what_a_cut_off_step_had_said_and_nothing_is_told_twice() -> None:
    pieces = told(
        [begun(1), *said(stepped(1, final=False), "It may be"),
         *said(Location(path="step1/solve/force", final=False), "one"), solved(1, step("one")),
         begun(2), *said(stepped(2, final=True), "two"), solved(2, step("two"))],
        TWO,
    )  # fmt: skip
    assert content(pieces) == WHOLE.replace("one", "It may be\n\none")


def test_a_step_that_starts_again_goes_on_where_it_was() -> None:
    again = Streamed(location=stepped(1, final=False), delta=Delta(restarted=True))
    pieces = told(
        [begun(1), *said(stepped(1, final=False), "on"), again, *said(stepped(1, final=False), "o", "ne")[1:],
         solved(1, step("one")), begun(2), begun(2), *said(stepped(2, final=True), "two"), solved(2, step("two"))],
        TWO,
    )  # fmt: skip
    assert content(pieces) == WHOLE


def test_drafts_are_reasoning_and_the_one_that_is_kept_is_content() -> None:
    first = Location(path="step1/draft1")
    kept = replace(begun(1), kept="step1/draft1")
    pieces = told(
        [replace(drafting(1, 2, 1), subproblem="s"), *said(first, "o", "ne"), kept, solved(1, step("one")),
         begun(2), *said(stepped(2, final=True), "two"), solved(2, step("two"))],
        TWO,
    )  # fmt: skip
    assert content(pieces) == WHOLE
    assert "one" in reasoning(pieces)


def test_drafts_that_are_made_after_a_solution_are_reasoning() -> None:
    late = [Location(path=f"step1/draft{n}") for n in (1, 2)]
    pieces = told(
        [begun(1), *said(stepped(1, final=False), "one"), drafting(1, 2, 2), *said(late[0], "x"), *said(late[1], "y"),
         ended("step1/draft1"), ended("step1/draft2"), solved(1, step("one")),
         begun(2), *said(stepped(2, final=True), "two"), solved(2, step("two"))],
        TWO,
    )  # fmt: skip
    assert content(pieces) == WHOLE


def test_a_single_step_has_no_heading_and_an_attempt_without_an_answer_says_none() -> None:
    alone = Solution(answer="4", steps=(step("It is 4"),))
    assert content(told([begun(1, 1), *said(stepped(1, final=True), "It ", "is 4"), solved(1, step("It is 4"), 1)],
                        alone)) == "It is 4"  # fmt: skip
    assert content(told(said(Location(path="solve", final=True), "It is 4"), alone)) == "It is 4"
    assert content(told([], replace(TWO, answer=None))) == WHOLE.partition("\n\n**")[0]


def test_of_a_vote_the_chosen_chain_is_the_content() -> None:
    other = Solution(answer="3", steps=(step("three"),))
    vote = Solution(answer="2", chains=(other, TWO), selected=1, votes=(Tally(answer="2", votes=1),))
    assert content(told([], vote)) == WHOLE
    assert content(told([], replace(vote, selected=0))) == "three"


def test_stop_sequences_end_the_whole_text() -> None:
    events = [begun(1), *said(stepped(1, final=False), "o", "ne"), solved(1, step("one"))]
    assert content(told(events, TWO, ("n",))) == "### Step 1 of 2: s\n\no"


@pytest.mark.parametrize(
    "model", ["scale:content=all", "scale", "scale:route=escalate", "inftythink", "vote:base=scale"]
)
def test_a_stream_and_a_response_have_the_same_content(model: str) -> None:
    with both(content="all") as (proxy, _):
        body: dict[str, Any] = {"model": f"{MODEL}@{model}", "seed": 3, "scale": {"record": True}}
        whole = proxy.ask(**body).json
        text = whole["choices"][0]["message"]["content"]
        assert proxy.ask(**body, stream=True).told("content") == text
        if "scale" in model:
            assert text.startswith("### Step 1 of 2: How many groups of 3?")
            assert text.endswith("### Step 2 of 2: What do they cost?\n\nIt is \\boxed{12}.\n\n"
                                 "**Answer:** $\\boxed{12}$")  # fmt: skip
        else:
            assert text == "It is \\boxed{12}."


def test_kept_drafts_and_disagreeing_ones_end_as_the_record_has_them() -> None:
    with both(agreeing, content="all") as (proxy, _):
        for words in ("AGREE?", "Disagree?"):
            body: dict[str, Any] = {"model": f"{MODEL}@scale:route=escalate,candidates=1", "seed": 3,
                                    "messages": [{"role": "user", "content": words}]}  # fmt: skip
            text = proxy.ask(**body).json["choices"][0]["message"]["content"]
            assert text.count("A draft says") == (2 if words == "AGREE?" else 1)
            assert proxy.ask(**body, stream=True).told("content") == text


def test_a_budget_that_ends_leaves_the_steps_that_are_complete() -> None:
    with both(steps, limits=Limits(token_budget=BUDGET), content="all") as (proxy, _):
        answer = proxy.ask()
        (choice,) = answer.json["choices"]
        assert choice["finish_reason"] == "length"
        assert choice["message"]["content"].startswith("### Step 1 of 2: How many groups of 3?")
        assert choice["message"]["content"].endswith(STEP1)
        assert proxy.ask(stream=True).told("content").count(STEP1) == 1


def test_without_being_asked_for_the_content_is_the_last_step_alone() -> None:
    async def two(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await stream(request, reply_to(body), thinking=thinks(body))

    with both(two) as (proxy, _):
        assert proxy.ask().json["choices"][0]["message"]["content"] == "It is \\boxed{12}."
        assert proxy.ask(scale={"content": "all"}).json["choices"][0]["message"]["content"].startswith("### Step 1")
