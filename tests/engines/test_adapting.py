"""Every refuser through the whole stack: what comes of a call, the requests it takes, what is said and remembered."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from tests.engines.faults import running
from tests.engines.refusers import QWEN3, REFUSERS, Refuser, has, openai
from tests.servers import send, stream

from scale_reasoning.endpoint import request_for
from scale_reasoning.engines import Connection, connect
from scale_reasoning.engines.adapting import Adaptation
from scale_reasoning.engines.changes import Drop
from scale_reasoning.errors import ScaleError
from scale_reasoning.journal import MemoryJournal, key
from scale_reasoning.lm import LM
from scale_reasoning.profiles import BRIEF, THOROUGH
from scale_reasoning.replies import outline_schema
from scale_reasoning.together import together
from scale_reasoning.types import Attempt, Message, Mode


@dataclass
class Heard:
    """What came of calls: "answered" or whose fault it was, the bodies of each call, and what was said."""

    outcomes: list[str] = field(default_factory=list[str])
    bodies: list[list[dict[str, Any]]] = field(default_factory=list[list[dict[str, Any]]])
    said: list[str] = field(default_factory=list[str])


def calls(refuser: Refuser, modes: tuple[Mode, ...]) -> Heard:
    """What comes of one call in each of these modes, one after the other."""
    heard = Heard()
    messages = (Message("system", "Be brief."), Message("user", refuser.prompt))

    async def run() -> None:
        async with running(refuser) as server:
            connection = Connection(
                model=refuser.model, base_url=server.base_url, window=refuser.window, retries=0, say=heard.said.append
            )
            async with connect(connection) as endpoints:
                lm = LM(endpoints, attempt=Attempt(problem_id="p"))
                for number, mode in enumerate(modes):
                    schema = outline_schema(9) if refuser.schema else None
                    place, before = lm.at(f"call{number}"), len(server.bodies)
                    try:
                        await place.chat(messages, mode=mode, max_tokens=refuser.max_tokens, schema=schema)
                        heard.outcomes.append("answered")
                    except ScaleError as error:
                        heard.outcomes.append(error.blame)
                    heard.bodies.append(server.bodies[before:])

    asyncio.run(run())
    return heard


@pytest.mark.parametrize("name", REFUSERS)
def test_a_refuser_is_understood_at_once_and_remembered(name: str) -> None:
    refuser = REFUSERS[name]
    heard = calls(refuser, (Mode(refuser.mode),) * 2)
    assert heard.outcomes == [refuser.outcome] * 2
    assert len(heard.bodies[0]) <= refuser.requests
    if refuser.said:
        assert len(heard.bodies[1]) == 1
        assert re.search(refuser.said, heard.said[0]), heard.said
        assert len(heard.said) == len(set(heard.said)) <= 2
        assert all(re.match(r"127\.0\.0\.1:\d+ refuses ", line) for line in heard.said)
    else:
        assert heard.said == []


def test_a_server_that_refuses_a_thinking_budget_is_said_to_keep_none() -> None:
    lost = Adaptation(change=Drop("thinking_token_budget"), refusal="needs a reasoning parser").describe("host")
    assert "thinking_token_budget: it is left out, so thinking budgets do not bind; with --server generic" in lost
    assert "budget" not in Adaptation(change=Drop("seed"), refusal="").describe("host")


def test_two_modes_stay_apart_where_a_server_refuses_their_switch() -> None:
    refuser = Refuser(
        refuses=has("chat_template_kwargs"),
        words=openai("Unrecognized request argument supplied: chat_template_kwargs"),
    )
    heard = calls(refuser, (Mode.SYSTEM1, Mode.SYSTEM2))
    quick, slow = (bodies[-1]["messages"][-1]["content"] for bodies in heard.bodies)
    assert BRIEF in quick
    assert THOROUGH in slow
    assert len(heard.said) == 1
    assert "--profile" in heard.said[0]


def test_a_value_that_one_mode_may_not_send_the_other_may() -> None:
    refuser = Refuser(
        refuses=lambda body: body["chat_template_kwargs"]["enable_thinking"] and body.get("temperature", 1) != 1,
        words=openai("`temperature` may only be set to 1 when thinking is enabled"),
    )
    heard = calls(refuser, (Mode.SYSTEM1, Mode.SYSTEM2, Mode.SYSTEM1))
    assert heard.outcomes == ["answered"] * 3
    assert [bodies[-1]["temperature"] for bodies in heard.bodies] == [0.7, 1, 0.7]


def test_the_journal_files_what_was_asked_not_what_a_server_takes() -> None:
    refuser = Refuser(refuses=has("seed"), words=openai("Unrecognized request argument supplied: seed"))
    messages = (Message("user", "What is 6 x 7?"),)
    journal = MemoryJournal()

    async def run() -> str:
        async with (
            running(refuser) as server,
            connect(Connection(model=QWEN3, base_url=server.base_url)) as endpoints,
        ):
            lm = LM(endpoints, attempt=Attempt(problem_id="p"), journal=journal).at("x")
            await lm.chat(messages, mode=Mode.SYSTEM1)
            asked = request_for(endpoints, messages, Mode.SYSTEM1, lm.derived_seed(), None, None)
            assert "seed" not in server.bodies[-1]
            return key(asked)

    assert [asyncio.run(run())] == list(journal.completions)


def test_many_calls_at_once_learn_the_same_and_say_it_once() -> None:
    refuser = Refuser(refuses=has("seed", "min_p"), words=openai("Extra inputs are not permitted: seed, min_p"))
    said: list[str] = []

    async def run() -> int:
        async with running(refuser) as server:
            connection = Connection(model=QWEN3, base_url=server.base_url, say=said.append)
            async with connect(connection) as endpoints:
                lm = LM(endpoints, attempt=Attempt(problem_id="p"))
                asked = (Message("user", "What is 6 x 7?"),)
                await together(lm.at(f"x{n}").chat(asked, mode=Mode.SYSTEM1) for n in range(40))
                before = len(server.bodies)
                await lm.at("last").chat(asked, mode=Mode.SYSTEM1)
                return len(server.bodies) - before

    assert asyncio.run(run()) == 1
    assert len(said) == 2


def test_what_one_prompt_left_of_a_window_caps_no_other_call() -> None:
    def left(body: dict[str, Any]) -> int:
        return 4096 - sum(len(message["content"]) for message in body["messages"]) // 3

    refuser = Refuser(
        refuses=lambda body: body["max_tokens"] > left(body),
        words=lambda body: openai(f"max_tokens ({body['max_tokens']}) must be at most {left(body)}"),
    )
    prompts = ("x" * 9000, "Hi.")

    async def run() -> list[int]:
        async with running(refuser) as server, connect(Connection(model=QWEN3, base_url=server.base_url)) as endpoints:
            lm = LM(endpoints, attempt=Attempt(problem_id="p"))
            for n, prompt in enumerate(prompts):
                await lm.at(f"call{n}").chat((Message("user", prompt),), mode=Mode.SYSTEM1)
            return [body["max_tokens"] for body in server.bodies]

    assert asyncio.run(run()) == [8192, 1096, 8192, 4095]


def test_one_server_failure_that_passes_costs_no_schema() -> None:
    failures = [True]
    refuser = Refuser(
        schema=True, refuses=lambda _: bool(failures) and failures.pop(), status=500, words="Internal Server Error"
    )
    heard = calls(refuser, (Mode.SYSTEM1, Mode.SYSTEM1))
    assert all("response_format" in body for bodies in heard.bodies for body in bodies)
    assert heard.said == []


def test_a_server_that_is_broken_is_not_asked_more_and_more() -> None:
    refuser = Refuser(schema=True, refuses=lambda _: True, status=500, words="", outcome="world")
    heard = calls(refuser, (Mode.SYSTEM1,) * 3)
    assert heard.outcomes == ["world"] * 3
    assert [len(bodies) for bodies in heard.bodies] == [3, 1, 1]


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Unrecognized request argument supplied: top_k", "code": 400},
        {"message": "Unrecognized request argument supplied: top_k"},
        "Unrecognized request argument supplied: top_k",
    ],
)
def test_a_refusal_within_a_stream_is_understood_too(error: Any) -> None:
    async def strict(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "top_k" not in body:
            return await stream(request, "42")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await send(response, {"error": error})
        return response

    async def run() -> tuple[str, int]:
        async with running(strict) as server, connect(Connection(model=QWEN3, base_url=server.base_url)) as endpoints:
            lm = LM(endpoints, attempt=Attempt(problem_id="p")).at("x")
            reply = await lm.chat((Message("user", "What is 6 x 7?"),), mode=Mode.SYSTEM1)
            return reply.text, len(server.bodies)

    assert asyncio.run(run()) == ("42", 2)


def test_the_names_of_a_server_that_does_not_know_the_model_are_told_and_asked_for_once() -> None:
    async def strict(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/models"):
            return web.json_response({"data": [{"id": "Qwen/Qwen3-32B-AWQ"}, {"id": "other"}]})
        return web.json_response(openai(f"The model `{body['model']}` does not exist."), status=400)

    async def run() -> tuple[list[str], list[str]]:
        async with (
            running(strict) as server,
            connect(Connection(model=QWEN3, base_url=server.base_url, server="generic")) as endpoints,
        ):
            lm = LM(endpoints, attempt=Attempt(problem_id="p"))
            told: list[str] = []
            for place in "abc":
                with pytest.raises(ScaleError) as caught:
                    await lm.at(place).chat((Message("user", "Hi."),), mode=Mode.SYSTEM1)
                told.append(str(caught.value))
            return told, [path for path in server.paths if path.endswith("/models")]

    told, listed = asyncio.run(run())
    assert all(each.endswith("does not exist.; the server has Qwen/Qwen3-32B-AWQ") for each in told)
    assert len(listed) == 1


def test_an_empty_system_prompt_is_not_sent() -> None:
    async def run() -> list[str]:
        async with (
            running(Refuser(refuses=lambda _: False, words="")) as server,
            connect(Connection(model=QWEN3, base_url=server.base_url)) as endpoints,
        ):
            lm = LM(endpoints, attempt=Attempt(problem_id="p")).at("x")
            await lm.chat((Message("system", ""), Message("user", "Hi.")), mode=Mode.SYSTEM1)
            return [message["role"] for message in server.bodies[0]["messages"]]

    assert asyncio.run(run()) == ["user"]
