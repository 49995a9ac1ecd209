"""A request whose token budget ends: SCALE divides it over its steps, and what is complete is the answer."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from tests.servers import reply_to, stream, thinks
from tests.web.proxies import MODEL, both, endless

from scale_reasoning.events import Finished, Location
from scale_reasoning.strategies.allocators.always import Always
from scale_reasoning.strategies.allocators.within import Within
from scale_reasoning.strategies.cot import CoT
from scale_reasoning.strategies.scale import Scale
from scale_reasoning.types import Call, Completion, Message, Mode, Request, Stage, Usage
from scale_reasoning.web.proxy.budget import keep_within
from scale_reasoning.web.proxy.gate import Limits
from scale_reasoning.web.proxy.kept import ENDED, Kept

STEP1 = "It is \\boxed{3}, so step 1 is done."
BUDGET = 135
"""Of a request with 8 decompositions of 11 pieces and 5 calls of 10 tokens: it ends in the last, step 2's solution."""


async def steps(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Two sub-problems; the solution of the first is not the answer."""
    text = reply_to(body)
    is_first = text.startswith("It is") and "so step 1 is done" not in str(body["messages"])
    return await stream(request, STEP1 if is_first else text, thinking=thinks(body))


def test_scale_whose_budget_ends_answers_with_its_last_complete_solution() -> None:
    with both(steps, limits=Limits(token_budget=BUDGET)) as (proxy, server):
        answer = proxy.ask(scale={"record": True})
        assert answer.status == 200
        assert answer.headers["x-scale-stopped"] == "token_budget_exceeded"
        (choice,) = answer.json["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == (STEP1, "length")
        assert ENDED in choice["message"]["reasoning_content"]
        assert answer.json["scale"]["failure"]["kind"] == "token_budget_exceeded"
        assert answer.json["scale"]["solution"]["answer"] is None
        assert answer.json["scale"]["strategy"]["route"]["name"] == "within"
        solved = [body for body in server.bodies if "response_format" not in body]
        assert all(body["max_tokens"] <= BUDGET for body in solved)
        assert solved[0]["max_tokens"] < 50


def test_a_stream_whose_budget_ends_stops_where_it_is_and_says_length() -> None:
    with both(steps, limits=Limits(token_budget=BUDGET)) as (proxy, _):
        answer = proxy.ask(stream=True)
        assert answer.content.endswith(b"data: [DONE]\n\n")
        assert not [event for event in answer.events if "error" in event]
        assert [c["finish_reason"] for e in answer.events for c in e["choices"] if c["finish_reason"]] == ["length"]
        assert STEP1 not in answer.told("content")
        assert STEP1 in answer.told("reasoning_content")
        assert answer.told("content") == "It is \\boxed{12}."


def test_a_budget_that_is_enough_changes_no_answer() -> None:
    with both(steps, limits=Limits(token_budget=10_000)) as (proxy, _):
        answer = proxy.ask()
        assert "x-scale-stopped" not in answer.headers
        (choice,) = answer.json["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("It is \\boxed{12}.", "stop")


def test_a_vote_whose_budget_ends_is_counted_over_the_chains_that_are_complete() -> None:
    asked: list[int] = []

    async def two_end(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        asked.append(1)
        return await (steps if len(asked) <= 2 else endless)(request, body)

    with both(two_end) as (proxy, _):
        answer = proxy.ask(f"{MODEL}@vote:samples=4", scale={"token_budget": 100, "record": True})
        assert answer.status == 200
        assert answer.json["choices"][0]["finish_reason"] == "length"
        assert sum(tally["votes"] for tally in answer.json["scale"]["solution"]["votes"]) == 2


def test_nothing_complete_is_still_an_error() -> None:
    with both(endless) as (proxy, _):
        answer = proxy.ask(scale={"token_budget": 30})
        assert (answer.status, answer.json["error"]["code"]) == (400, "token_budget_exceeded")


def test_scale_is_put_within_the_budget_and_others_are_capped() -> None:
    route = Always(mode=Mode.SYSTEM2)
    assert keep_within(Scale(route=route), 6400) == Scale(
        route=Within(then=route, tokens=6400, reserve=128), system1_max_tokens=6400, system2_max_tokens=6400
    )
    small = keep_within(Scale(), 20)
    assert isinstance(small, Scale)
    assert small.route == Within(tokens=20, reserve=1)
    own = keep_within(Scale(route=Within(tokens=500, reserve=50)), 100)
    assert isinstance(own, Scale)
    assert own.route == Within(tokens=100, reserve=50)
    assert keep_within(CoT(system2_max_tokens=50), 100) == CoT(system1_max_tokens=100, system2_max_tokens=50)


def finished(text: str, *, chain: int | None = None, final: bool | None, stage: Stage = Stage.SOLVE) -> Finished:
    usage = Usage(completion_tokens=5)
    call = Call(path="p", stage=stage, mode=Mode.SYSTEM1, seed=1, usage=usage, finish_reason="stop", seconds=0.0)
    return Finished(
        location=Location(path="p", stage=stage, chain=chain, final=final),
        request=Request(model="m", messages=(Message("user", "?"),), mode=Mode.SYSTEM1, seed=1),
        call=call,
        completion=Completion(text=text, usage=usage),
    )


def test_a_step_of_a_chain_does_not_vote_and_no_step_is_taken_for_the_answer() -> None:
    kept = Kept()
    kept.hear(finished("\\boxed{1}", chain=1, final=False))
    assert kept.solution() is None
    kept.hear(finished("\\boxed{2}", chain=2, final=True))
    found = kept.solution()
    assert found is not None
    assert found.answer == "2"
    alone = Kept()
    alone.hear(finished("rating", final=False, stage=Stage.ASSESS))
    assert alone.solution() is None
    alone.hear(finished("\\boxed{3}", final=False))
    alone.hear(finished(" ", final=True))
    found = alone.solution()
    assert found is not None
    assert found.answer is None
    assert found.steps[0].text == "\\boxed{3}"


@pytest.mark.parametrize("choices", [1, 2])
def test_choices_divide_the_budget(choices: int) -> None:
    with both(steps, limits=Limits(token_budget=1000)) as (proxy, server):
        assert proxy.ask(f"{MODEL}@cot", n=choices).status == 200
        assert [body["max_tokens"] for body in server.bodies] == [1000 // choices] * choices
