"""The proxy as a client sees it: names, answers, streams, and the pass-through, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from tests.engines.messages import CLAUDE, Messages
from tests.servers import ModelServer, reply_to, send, serving, stream, thinks
from tests.web.proxies import MODEL, Proxy, both, command, listing, proxied

from scale_reasoning.strategies import STRATEGIES
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.web.proxy.gate import Limits

KEY = "sk-upstream-0123456789"


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Proxy, ModelServer]]:
    with both(listing, api_key=KEY) as made:
        yield made


@pytest.fixture
def proxy(pair: tuple[Proxy, ModelServer]) -> Proxy:
    pair[1].bodies.clear()
    pair[1].headers.clear()
    return pair[0]


@pytest.fixture
def server(pair: tuple[Proxy, ModelServer]) -> ModelServer:
    return pair[1]


def test_the_list_of_models_is_the_servers_own_with_the_strategies_of_the_served_one(proxy: Proxy) -> None:
    data = proxy.get("/v1/models").json["data"]
    names = [entry["id"] for entry in data]
    assert len(names) == len(set(names)) == 3001 + len(STRATEGIES)
    assert {f"{MODEL}@{name}" for name in ("scale", "vote", "cot", "inftythink")} <= set(names)
    own = next(entry for entry in data if entry["id"] == MODEL)
    assert own == {"id": MODEL, "object": "model", "created": 1, "owned_by": "them", "extra": [1]}
    assert proxy.get(f"/v1/models/{MODEL}@vote").json["id"] == f"{MODEL}@vote"
    assert proxy.get("/v1/models/nobody").status == 404


def test_a_whole_answer_has_the_last_steps_text_the_working_and_the_usage_of_all_calls(proxy: Proxy) -> None:
    answer = proxy.ask()
    choice = answer.json["choices"][0]
    assert (answer.status, answer.json["object"], answer.json["model"]) == (200, "chat.completion", f"{MODEL}@scale")
    assert choice["message"]["content"] == "It is \\boxed{12}."
    assert choice["message"]["reasoning_content"] == choice["message"]["reasoning"]
    for told in ("Decomposition 2 of 8", "### Step 1 of 2: How many", "difficulty 0.20, System 1", "Let me think."):
        assert told in choice["message"]["reasoning"]
    assert choice["finish_reason"] == "stop"
    assert answer.json["usage"] == {
        "prompt_tokens": 650, "completion_tokens": 130, "total_tokens": 780,
        "prompt_tokens_details": {"cached_tokens": 390}, "completion_tokens_details": {"reasoning_tokens": 4},
    }  # fmt: skip
    assert "scale" not in answer.json


def test_a_stream_tells_the_working_as_reasoning_and_the_answer_as_content(proxy: Proxy) -> None:
    answer = proxy.ask(stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert answer.told("content") == "It is \\boxed{12}."
    assert answer.told("reasoning") == answer.told("reasoning_content")
    assert "difficulty 0.90, System 2\n\nLet me think." in answer.told("reasoning")
    *pieces, last = answer.events
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 130)
    assert all("usage" not in piece and len(piece["choices"]) == 1 for piece in pieces)
    assert pieces[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert pieces[-1]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert len({(event["id"], event["model"]) for event in answer.events}) == 1


def test_usage_is_sent_in_a_stream_only_when_asked_for(proxy: Proxy) -> None:
    assert all("usage" not in event for event in proxy.ask(stream=True).events)


@pytest.mark.parametrize(
    ("name", "calls"), [("cot", 1), ("vote:samples=3", 3), ("inftythink", 1), ("scale:candidates=1", 5)]
)
def test_every_strategy_is_a_model(proxy: Proxy, server: ModelServer, name: str, calls: int) -> None:
    for streams in (False, True):
        server.bodies.clear()
        answer = proxy.ask(f"{MODEL}@{name}", stream=streams)
        content = answer.told("content") if streams else answer.json["choices"][0]["message"]["content"]
        assert (content, len(server.bodies)) == ("It is \\boxed{12}.", calls)


def test_the_strategy_of_a_policy_is_a_model_too() -> None:
    tuned = f"{MODEL}@tuned"
    with both(tuned=Vote(samples=3)) as (proxy, server):
        assert [entry["id"] for entry in proxy.get("/v1/models").json["data"]].count(tuned) == 1
        answer = proxy.ask(tuned, scale={"record": True})
        assert (answer.status, len(server.bodies)) == (200, 3)
        assert answer.json["scale"]["strategy"]["name"] == "vote"


@pytest.mark.parametrize(
    "how", [{"scale": {"tau": 0.95}}, {"model": f"{MODEL}@scale:tau=0.95"}, {"reasoning_effort": "low"}]
)
def test_options_come_in_the_body_or_in_the_name(proxy: Proxy, server: ModelServer, how: dict[str, Any]) -> None:
    answer = proxy.ask(**{**how, "scale": {**how.get("scale", {}), "record": True}})
    assert answer.json["scale"]["strategy"]["route"]["tau"] in (0.8, 0.95)
    assert server.bodies


async def drafting(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """The drafts of the first step agree, and those of the last one too if the problem's name says so."""
    said = "".join(message["content"] for message in body["messages"])
    if "response_format" in body or thinks(body):
        return await stream(request, reply_to(body), thinking=thinks(body))
    last = "What do they cost?" in body["messages"][-1]["content"]
    result = body["seed"] % 1000 if last and "AGREE" not in said else 6
    return await stream(request, f"A draft says \\boxed{{{result}}}.")


def ask_both(proxy: Proxy, **body: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Content, reasoning and solution of an answer as a whole, and streamed."""
    body = {"model": f"{MODEL}@scale:route=escalate,candidates=1", "scale": {"record": True}, "seed": 3, **body}
    whole = proxy.ask(**body).json
    message = whole["choices"][0]["message"]
    yield message["content"], message["reasoning"], whole["scale"]["solution"]
    streamed = proxy.ask(**body, stream=True)
    yield streamed.told("content"), streamed.told("reasoning"), streamed.events[-1]["scale"]["solution"]


def test_drafts_are_working_and_never_the_answer() -> None:
    with both(drafting) as (proxy, _):
        for content, reasoning, solution in ask_both(proxy):
            assert content == "It is \\boxed{12}."
            assert reasoning.count("### Step 1 of 2: How many groups") == 1
            assert reasoning.count("### Step 2 of 2: What do they cost?") == 1
            assert reasoning.count("Draft 1: A draft says") == reasoning.count("Draft 2: A draft says") == 2
            assert "not assessed, System 1, a draft is kept: 2 drafts agree: 6" in reasoning
            assert "not assessed, System 2: 2 drafts disagree: " in reasoning
            first, last = solution["steps"]
            assert (first["text"], [trial["why"] for trial in first["trials"]]) == (
                "A draft says \\boxed{6}.", ["it agrees with the draft that was kept"]
            )  # fmt: skip
            assert last["reason"] in reasoning
            assert [trial["why"] for trial in last["trials"]] == [last["reason"]] * 2
            assert last["usage"]["completion_tokens"] == 30


def test_a_kept_draft_of_the_last_step_is_the_answer_once() -> None:
    with both(drafting) as (proxy, _):
        for content, reasoning, solution in ask_both(proxy, messages=[{"role": "user", "content": "AGREE?"}]):
            assert content == "A draft says \\boxed{6}."
            assert reasoning.count("a draft is kept: 2 drafts agree: 6") == 2
            assert solution["answer"] == "6"


def test_a_difficulty_from_drafts_names_its_source() -> None:
    with both(drafting) as (proxy, _):
        asked = ask_both(proxy, model=f"{MODEL}@scale:assess=agreement,candidates=1")
        for content, reasoning, solution in asked:
            assert content == "It is \\boxed{12}."
            assert "difficulty 0.00 (agreement), System 1, a draft is kept" in reasoning
            assert "difficulty 0.67 (agreement), System 2" in reasoning
            (assessment,) = solution["steps"][0]["assessments"]
            assert (assessment["assessor"], assessment["difficulty"], assessment["calls"]) == ("agreement", 0.0, 3)


def test_the_record_is_in_the_last_object_when_asked_for_with_the_seed_that_makes_it_again(proxy: Proxy) -> None:
    whole = proxy.ask(seed=5, scale={"record": True}).json["scale"]
    streamed = proxy.ask(seed=5, scale={"record": True}, stream=True).events[-1]["scale"]
    assert (whole["solution"]["answer"], whole["seed"], len(whole["calls"])) == ("12", 5, 13)
    assert [call["seed"] for call in whole["calls"]] == [call["seed"] for call in streamed["calls"]]
    unasked = proxy.ask(scale={"record": True})
    assert unasked.headers["x-scale-seed"] == str(unasked.json["scale"]["seed"]) != "5"


def test_sampling_and_limits_reach_every_call_they_are_for(proxy: Proxy, server: ModelServer) -> None:
    proxy.ask(temperature=0.11, top_p=0.22, max_tokens=77, seed=3)
    assert {(body["temperature"], body["top_p"]) for body in server.bodies} == {(0.11, 0.22)}
    limits = [body["max_tokens"] for body in server.bodies if "response_format" not in body]
    assert limits == [77, 77]


def test_n_choices_are_n_attempts_that_differ(proxy: Proxy, server: ModelServer) -> None:
    answer = proxy.ask(f"{MODEL}@cot", n=3)
    assert [choice["index"] for choice in answer.json["choices"]] == [0, 1, 2]
    assert len({body["seed"] for body in server.bodies}) == 3
    assert answer.json["usage"]["completion_tokens"] == 30
    streamed = proxy.ask(f"{MODEL}@cot", n=2, stream=True)
    assert [streamed.told("content", index) for index in (0, 1)] == ["It is \\boxed{12}."] * 2


def test_stop_sequences_cut_the_answer(proxy: Proxy) -> None:
    assert proxy.ask(stop=["\\boxed"]).json["choices"][0]["message"]["content"] == "It is "
    assert proxy.ask(stop="is \\b", stream=True).told("content") == "It "


def test_an_answer_cut_off_by_its_limit_ends_by_length() -> None:
    async def cut(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await stream(request, "It is", finish_reason="length")

    with both(cut) as (proxy, _):
        assert proxy.ask(f"{MODEL}@cot").json["choices"][0]["finish_reason"] == "length"
        assert proxy.ask(f"{MODEL}@cot", stream=True).events[-1]["choices"][0]["finish_reason"] == "length"


def test_usage_that_the_server_does_not_tell_is_left_out() -> None:
    async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await send(response, {"choices": [{"index": 0, "delta": {"content": "\\boxed{1}"}, "finish_reason": "stop"}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    with both(silent) as (proxy, _):
        assert "usage" not in proxy.ask(f"{MODEL}@cot").json
        streamed = proxy.ask(f"{MODEL}@cot", stream=True, stream_options={"include_usage": True})
        assert all("usage" not in event for event in streamed.events)
        assert streamed.content.endswith(b"data: [DONE]\n\n")


def test_details_of_usage_that_the_server_does_not_tell_are_left_out() -> None:
    async def plain(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await send(response, {"choices": [{"index": 0, "delta": {"content": "\\boxed{1}"}, "finish_reason": "stop"}]})
        await send(response, {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
        return response

    with both(plain) as (proxy, _):
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        assert proxy.ask(f"{MODEL}@cot").json["usage"] == usage


ODD_BODY = (
    f'{{"z": 1,\n "model":"{MODEL}", "stream": true , "messages": [{{"role":"user","content":"\\u00e9 ∑"}}]}}'.encode()
)
ODD_STREAM = b': hello\r\n\r\nevent: x\ndata: {"a" :  1}\n\n\n\ndata: [DONE]\n\n\xff\x00tail'


def test_the_model_itself_is_passed_through_byte_by_byte() -> None:
    seen: list[bytes] = []

    async def odd(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        seen.append(await request.read())
        headers = {"content-type": "text/event-stream", "x-their-own": "kept", "set-cookie": "no=1",
                   "connection": "x-hop", "x-hop": "dropped"}  # fmt: skip
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for at in range(0, len(ODD_STREAM), 7):
            await response.write(ODD_STREAM[at : at + 7])
        return response

    with both(odd, server="generic") as (proxy, _):
        answer = proxy.send(ODD_BODY)
        assert seen == [ODD_BODY]
        assert answer.content == ODD_STREAM
        assert answer.headers["x-their-own"] == "kept"
        assert not {"set-cookie", "x-hop", "content-length"} & set(answer.headers)


def test_other_models_of_the_server_are_passed_through_too(proxy: Proxy, server: ModelServer) -> None:
    proxy.ask("other/model-7", tools=[{"type": "function"}], logprobs=True)
    assert server.bodies[-1]["model"] == "other/model-7"
    assert server.bodies[-1]["tools"] == [{"type": "function"}]


@pytest.mark.parametrize("streams", [False, True])
def test_log_probabilities_of_the_plain_model_are_passed_through_and_of_a_strategy_refused(streams: bool) -> None:
    scored = {"content": [{"token": "4", "logprob": -0.25, "bytes": [52], "top_logprobs": []}]}

    async def score(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        asked = {key: body.get(key) for key in ("logprobs", "top_logprobs")}
        if asked != {"logprobs": True, "top_logprobs": 3}:
            return web.json_response({"error": {"message": str(asked)}}, status=400)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": scored}
        if not body.get("stream"):
            return web.json_response({"choices": [{**choice, "message": {"role": "assistant", "content": "4"}}]})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await send(response, {"choices": [{**choice, "delta": {"content": "4"}}]})
        await response.write(b"data: [DONE]\n\n")
        return response

    with both(score, limits=Limits(token_budget=1000)) as (proxy, server):
        answer = proxy.ask(MODEL, stream=streams, logprobs=True, top_logprobs=3)
        assert answer.status == 200
        assert (answer.events[0] if streams else answer.json)["choices"][0]["logprobs"] == scored
        assert server.bodies[-1]["max_tokens"] == 1000
        asked = len(server.bodies)
        refused = proxy.ask(stream=streams, logprobs=True, top_logprobs=3)
        assert refused.status == 400
        assert refused.json["error"]["param"] == "logprobs"
        assert "an answer comes from several calls" in refused.json["error"]["message"]
        assert len(server.bodies) == asked


def test_the_pieces_of_a_pass_through_come_as_they_are_made() -> None:
    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.to_thread(go_on.wait, 5)
        await response.write(b"data: 2\n\n")
        return response

    go_on = threading.Event()
    with both(slow) as (proxy, _), contextlib.closing(proxy.begin(MODEL, stream=True)) as connection:
        response = connection.getresponse()
        assert response.read1(100) == b"data: 1\n\n"
        go_on.set()
        assert response.read() == b"data: 2\n\n"


def test_no_answer_waits_for_an_acknowledgement_of_its_head(proxy: Proxy) -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}]})
    taken: list[float] = []
    with contextlib.closing(proxy.connection()) as connection:
        for _ in range(20):
            started = time.monotonic()
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            connection.getresponse().read()
            taken.append(time.monotonic() - started)
    assert min(taken[2:]) < 0.035, "Nagle's algorithm holds back small writes for 40 ms"


def test_the_model_server_gets_this_servers_key_and_never_the_clients(proxy: Proxy, server: ModelServer) -> None:
    leaks = {
        "authorization": "Bearer client-key",
        "x-api-key": "client-key",
        "api-key": "client-key",
        "cookie": "client-key",
    }
    proxy.ask(MODEL, headers=leaks)
    proxy.ask(f"{MODEL}@cot", headers=leaks)
    assert [headers["Authorization"] for headers in server.headers] == [f"Bearer {KEY}"] * 2
    assert "client-key" not in str(server.headers)


@pytest.mark.parametrize("model", [MODEL, f"{MODEL}@cot"])
def test_a_model_server_that_quotes_the_key_in_an_error_gives_nothing_away(model: str) -> None:
    async def quoting(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": {"message": f"bad key {KEY}"}}, status=401)

    with both(quoting, api_key=KEY) as (proxy, _):
        answer = proxy.ask(model)
        assert (answer.status, answer.json["error"]["type"]) == (502, "server_error")
        assert "the operator's upstream key was refused" in answer.json["error"]["message"]
        assert KEY.encode() not in answer.content
        assert b"[secret]" in answer.content


def test_a_model_of_the_servers_may_hold_an_at_sign(proxy: Proxy, server: ModelServer) -> None:
    assert proxy.ask("their@latest").status == 200
    assert server.bodies[-1]["model"] == "their@latest"
    assert reply_to({"seed": 0, **server.bodies[-1]}) == "It is \\boxed{12}."


def test_a_strategy_that_is_not_there_is_not_passed_through(proxy: Proxy, server: ModelServer) -> None:
    refused = proxy.ask(f"{MODEL}@scal")
    assert (refused.status, refused.json["error"]["code"]) == (404, "model_not_found")
    assert server.bodies == []


@pytest.mark.slow
@pytest.mark.llama
def test_the_model_in_the_box_is_served_without_a_server() -> None:
    with command("--model", "student") as proxy:
        passed = proxy.ask("student", max_tokens=5, stream=True)
        assert passed.status == 200
        assert passed.told("content")
        assert {event["model"] for event in passed.events} == {"student"}
        asked = [{"role": "user", "content": "C = 517. D = C + 8. E = D - 7. Find E."}]
        solved = proxy.ask("student@cot", messages=asked, max_tokens=400, seed=1)
        assert "518" in solved.json["choices"][0]["message"]["content"]
        assert solved.json["usage"]["completion_tokens"] <= 400
        listed = [entry["id"] for entry in proxy.get("/v1/models").json["data"]]
        assert listed == ["student", *(f"student@{name}" for name in STRATEGIES)]


def test_before_anthropic_a_strategy_uses_its_own_protocol_and_a_plain_request_its_chats() -> None:
    told = {"model": CLAUDE, "api_key": "sk-ant", "server": "anthropic"}
    with serving(Messages()) as server, proxied(server.base_url, **told) as proxy:
        assert proxy.ask(f"{CLAUDE}@scale").status == 200
        assert {path for path in server.paths if path != "/v1/models"} == {"/v1/messages"}
        answer = proxy.ask(CLAUDE, stream=True)
        assert answer.told("content") == "It is 12."
        assert server.paths[-1] == "/v1/chat/completions"
        assert server.headers[-1]["Authorization"] == "Bearer sk-ant"
