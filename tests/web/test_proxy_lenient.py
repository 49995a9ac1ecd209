"""`--lenient`: what a strategy cannot honour is answered by the plain model, and the response says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from tests.servers import ModelServer
from tests.web.proxies import MODEL, PROBLEM, Proxy, both

from scale_reasoning.strategies.vote import Vote
from scale_reasoning.web.proxy.chat import list_unsupported
from scale_reasoning.web.proxy.gate import Limits
from scale_reasoning.web.proxy.lenient import name_params
from scale_reasoning.web.proxy.names import Name

SCALE = f"{MODEL}@scale"
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
USER = {"role": "user", "content": PROBLEM}
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {}}]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "4"}
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
FORM = {"type": "json_schema", "json_schema": {"name": "decomposition", "schema": {}}}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Proxy, ModelServer]]:
    with both(lenient=True) as made:
        yield made


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"tools": [TOOL]}, "tools"),
        ({"tools": [TOOL], "response_format": FORM, "seed": 1}, "tools, response_format"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tools, tool_choice"),
        ({"logprobs": True, "top_logprobs": 2}, "logprobs, top_logprobs"),
        ({"messages": [USER, CALLED, RESULT]}, "messages[1].tool_calls"),
        ({"messages": [USER, RESULT, USER]}, "messages[1].role"),
        ({"messages": [IMAGE]}, "messages[0].content[0]"),
        ({"messages": [USER, {"role": "assistant", "content": "It is"}]}, "messages"),
        ({"model": f"{MODEL}@cot", "reasoning_effort": "high"}, "reasoning_effort"),
        ({"model": f"{SCALE}:tau=0.2,content=all", "tools": [TOOL], "scale": {"record": True}}, "tools"),
        ({"evil\r\nx-header: 1": 1, "tools": [TOOL]}, "other, tools"),
        ({f"p{n}": n for n in range(20)}, "p0, p1, p2, p3, p4, p5, p6, p7, ..."),
    ],
)
def test_the_plain_model_answers_and_the_header_says_what_the_strategy_could_not(
    pair: tuple[Proxy, ModelServer], asked: dict[str, Any], named: str, streams: bool
) -> None:
    proxy, server = pair
    server.bodies.clear()
    body = {"model": SCALE, "messages": [USER], **asked, "stream": streams}
    answer = proxy.send(body)
    assert (answer.status, answer.headers["x-scale-lenient"]) == (200, named)
    expected = {key: value for key, value in body.items() if key != "scale"} | {"model": MODEL}
    assert server.bodies == [expected]


def test_what_a_strategy_can_answer_it_answers(pair: tuple[Proxy, ModelServer]) -> None:
    for asked in ({"tools": [], "response_format": {"type": "text"}}, {"reasoning_effort": "high"}, {"user": "u"}):
        answer = pair[0].ask(**asked)
        assert answer.json["choices"][0]["message"]["content"] == "It is \\boxed{12}."
        assert answer.json["model"] == SCALE
        assert "x-scale-lenient" not in answer.headers
    assert "x-scale-lenient" not in pair[0].ask(MODEL, tools=[TOOL]).headers


@pytest.mark.parametrize(
    "asked",
    [{"temperature": 9}, {"scale": {"tau": 7}}, {"reasoning_effort": "xhigh"}, {"messages": []}, {"n": 99},
     {"model": f"{MODEL}@scal", "tools": [TOOL]}, {"messages": [{"role": "user", "content": ""}]},
     {"messages": [{"role": ["x"], "content": ""}]}, {"messages": [3]}],
)  # fmt: skip
def test_what_is_wrong_is_refused_all_the_same(pair: tuple[Proxy, ModelServer], asked: dict[str, Any]) -> None:
    answer = pair[0].ask(**{"model": SCALE, **asked})
    assert answer.status in (400, 404)
    assert "x-scale-lenient" not in answer.headers


@pytest.mark.parametrize("lack", [{"tools": [TOOL]}, {"messages": [USER, RESULT, USER]}, {"messages": [IMAGE]}])
@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"model": f"{SCALE}:taw=3"}, "model"),
        ({"model": f"{SCALE}:tau=7"}, "model"),
        ({"model": f"{SCALE}:content=some"}, "model"),
        ({"model": f"{MODEL}@vote:samples=1000"}, "model"),
        ({"model": f"{MODEL}@cot:effort=high"}, "model"),
        ({"scale": {"taw": 1}}, "scale"),
        ({"scale": {"record": 1}}, "scale.record"),
        ({"temperature": 9}, "temperature"),
        ({"reasoning_effort": "xhigh"}, "reasoning_effort"),
        ({"stop": ""}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_what_is_wrong_is_refused_beside_what_is_unsupported(
    pair: tuple[Proxy, ModelServer], wrong: dict[str, Any], param: str, lack: dict[str, Any]
) -> None:
    proxy, server = pair
    server.bodies.clear()
    answer = proxy.ask(**{"model": SCALE, **wrong, **lack})
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert "x-scale-lenient" not in answer.headers
    assert server.bodies == []


def test_without_the_flag_it_is_refused_as_before() -> None:
    with both() as (proxy, server):
        refused = proxy.ask(tools=[TOOL])
        assert (refused.status, refused.json["error"]["code"]) == (400, "unsupported_parameter")
        assert server.bodies == []


def test_the_servers_own_error_has_the_header_too() -> None:
    async def refusing(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no tools"}}, status=400)

    with both(refusing, lenient=True) as (proxy, _):
        answer = proxy.ask(tools=[TOOL])
        assert (answer.status, answer.headers["x-scale-lenient"]) == (400, "tools")
        assert answer.json["error"]["message"] == "no tools"


def test_the_plain_model_keeps_the_budget_and_is_counted_apart() -> None:
    with both(lenient=True, limits=Limits(token_budget=100)) as (proxy, server):
        proxy.ask(tools=[TOOL])
        assert server.bodies[-1]["max_tokens"] == 100
        assert 'scale_requests_total{kind="lenient",status="200"} 1' in proxy.get("/metrics").content.decode()
        assert f" {MODEL} 200 " in proxy.log[0]


def test_the_strategy_of_a_policy_is_stood_in_for_too() -> None:
    with both(lenient=True, tuned=Vote(samples=2)) as (proxy, _):
        assert proxy.ask(f"{MODEL}@tuned", tools=[TOOL]).headers["x-scale-lenient"] == "tools"
        assert "x-scale-lenient" not in proxy.ask(f"{MODEL}@tuned").headers


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings"])
def test_at_another_path_the_plain_model_stands_in_for_the_strategy(path: str) -> None:
    seen: list[bytes] = []

    async def keep(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        seen.append(await request.read())
        return web.json_response({})

    with both(keep, lenient=True, server="generic") as (proxy, _):
        answer = proxy.send({"model": SCALE, "prompt": "x"}, path=path)
        assert (answer.status, answer.headers["x-scale-lenient"]) == (200, "path")
        assert json.loads(seen[-1]) == {"model": MODEL, "prompt": "x"}


def test_names_of_a_client_are_plain_words_in_the_header() -> None:
    assert name_params(["tools", "a b", "é", "x" * 65, "messages[0].content"]) == "tools, other, messages[0].content"


def test_a_null_asks_for_nothing() -> None:
    body = {"model": SCALE, "messages": [USER], "tools": None, "response_format": None}
    assert list_unsupported(body, Name(MODEL, "scale")) == []
