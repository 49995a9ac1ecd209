"""How work ends before it is done: clients that leave or stand still, budgets, and a server that is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from typing import Any

import pytest
from aiohttp import web
from tests.patience import TOO_LONG, ends_in_time, until
from tests.servers import Handler, ModelServer, send
from tests.speed import mark_slow
from tests.web.proxies import MODEL, PROBLEM, Answer, Proxy, both, command, endless, mute, opened, serving

from scale_reasoning.web.proxy import body, wire
from scale_reasoning.web.proxy.gate import Limits

COT = f"{MODEL}@cot"


@pytest.mark.parametrize("model", [f"{MODEL}@scale", f"{MODEL}@vote", MODEL])
@pytest.mark.parametrize("streams", [True, False])
def test_a_client_that_goes_away_ends_all_work_within_a_second(model: str, *, streams: bool) -> None:
    with both(endless, keep_alive_seconds=0.1) as (proxy, server):
        connection = proxy.begin(model, stream=streams)
        if streams:
            response = connection.getresponse()
            assert response.read1(20)
            response.close()
        busy = 8 if model.endswith("@vote") else 1
        until(lambda: server.open == busy)
        connection.close()
        until(lambda: server.open == 0)
        assert 'status="499"} 1' in until_text(proxy)


def until_text(proxy: Proxy) -> str:
    until(lambda: "499" in proxy.get("/metrics").content.decode())
    return proxy.get("/metrics").content.decode()


def spoken(model: str, **body: Any) -> bytes:
    """A chat request as it goes over the wire."""
    content = json.dumps({"model": model, "messages": [{"role": "user", "content": PROBLEM}], **body}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n"
    return f"{head}content-type: application/json\r\n\r\n".encode() + content


@pytest.mark.parametrize("leave", ["close", "half-close", "reset"])
@pytest.mark.parametrize("behind", ["nothing", *mark_slow("another request")])
@pytest.mark.parametrize("model", [COT, MODEL])
@pytest.mark.parametrize("streams", [False, *mark_slow(True)])
def test_a_client_that_waits_in_silence_and_leaves_is_noticed(
    model: str, behind: str, leave: str, *, streams: bool
) -> None:
    with both(mute) as (proxy, server), socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")  # the connection has served before
        assert b"200 OK" in client.recv(1000)
        client.sendall(spoken(model, stream=streams) * (2 if behind == "another request" else 1))
        until(lambda: server.open == 1)
        if leave == "half-close":
            client.shutdown(socket.SHUT_WR)
        elif leave == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        else:
            client.close()
        until(lambda: server.open == 0)
        time.sleep(0.1)
        assert len(server.bodies) == 1


@pytest.mark.slow
def test_a_client_that_does_not_read_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gushing(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = await opened(request)
        while True:
            await send(response, {"choices": [{"index": 0, "delta": {"content": "x" * 50_000}}]})

    monkeypatch.setattr(wire, "STALLED", 0.3)
    with both(gushing) as (proxy, server):
        for model in (COT, MODEL):
            with contextlib.closing(proxy.begin(model, stream=True)):
                until(lambda: server.open == 1)
                until(lambda: server.open == 0)


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.2)
    with both() as (proxy, server), socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.sendall(spoken(COT)[:-5])
        assert b"408" in client.recv(1000)
        assert server.bodies == []


def test_a_client_that_sends_half_a_body_and_leaves_does_no_harm() -> None:
    with both() as (proxy, server):
        with contextlib.closing(proxy.connection()) as connection:
            connection.putrequest("POST", "/v1/chat/completions")
            for name, value in (("content-type", "application/json"), ("content-length", "1000")):
                connection.putheader(name, value)
            connection.endheaders(json.dumps({"model": COT, "messages": PROBLEM}).encode())
        until(lambda: 'status="499"} 1' in proxy.get("/metrics").content.decode())
        assert server.bodies == []
        assert proxy.ask(COT).status == 200


async def _refusing(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"error": {"message": "no"}}, status=400)


def test_a_choice_that_fails_ends_the_others() -> None:
    asked: list[int] = []

    async def one_fails(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        asked.append(1)
        return await (endless if len(asked) < 3 else _refusing)(request, body)

    with both(one_fails, retries=0) as (proxy, server):
        assert proxy.ask(COT, n=3).status == 400
        until(lambda: server.open == 0)


@pytest.mark.slow
def test_a_request_over_its_token_budget_is_stopped_and_says_so() -> None:
    with both(endless, limits=Limits(token_budget=300)) as (proxy, server):
        for budget, told in ((None, "300"), (50, "50"), (1000, "300")):
            answer = proxy.ask(f"{MODEL}@vote", scale={"token_budget": budget} if budget else {})
            assert (answer.status, answer.json["error"]["code"]) == (400, "token_budget_exceeded")
            assert f"more than its budget of {told} tokens" in answer.json["error"]["message"]
            until(lambda: server.open == 0)
        streamed = proxy.ask(COT, stream=True)
        assert streamed.events[-1]["error"]["code"] == "token_budget_exceeded"


def test_a_reply_that_begins_anew_is_counted_twice_against_the_budget() -> None:
    tried: list[int] = []

    async def breaking(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not request.path.endswith("/chat/completions"):
            raise web.HTTPNotFound
        tried.append(1)
        response = await opened(request)
        for _ in range(20):
            await send(response, {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm. "}}]})
        if len(tried) > 1:
            await send(response, {"choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop"}]})
            await send(response, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 21}})
        return response

    with both(breaking) as (proxy, _):
        assert proxy.ask(COT, scale={"token_budget": 40}).json["error"]["code"] == "token_budget_exceeded"
        assert len(tried) == 2
        assert proxy.ask(COT, scale={"token_budget": 40}).status == 200


def _finishing(seconds: float) -> Handler:
    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = await opened(request)
        await send(response, {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]})
        await asyncio.sleep(seconds)
        await send(response, {"choices": [{"index": 0, "delta": {"content": "\\boxed{4}"}, "finish_reason": "stop"}]})
        return response

    return handler


def _ended_in_mid_stream(handler: Handler, *flags: str) -> tuple[Answer, int, float, ModelServer]:
    with serving(handler) as server, command("--base-url", server.base_url, "--model", MODEL, *flags) as proxy:
        with contextlib.closing(proxy.begin(COT, stream=True)) as connection:
            response = connection.getresponse()
            began = response.read1(10)
            started = time.monotonic()
            assert proxy.process is not None
            proxy.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with pytest.raises(ConnectionRefusedError):
                proxy.ask(COT)
            answer = Answer(response.status, {}, began + response.read())
        code = proxy.process.wait(10)
        until(lambda: server.open == 0)
        return answer, code, time.monotonic() - started, server


@pytest.mark.slow
def test_sigterm_takes_no_new_requests_and_finishes_those_in_flight() -> None:
    answer, code, _, _ = _ended_in_mid_stream(_finishing(1.0))
    assert (answer.told("content"), code) == ("\\boxed{4}", 0)
    assert answer.content.endswith(b"data: [DONE]\n\n")


@pytest.mark.slow
def test_what_is_in_flight_when_the_time_is_up_is_cancelled_and_told_so() -> None:
    answer, code, seconds, _ = _ended_in_mid_stream(endless, "--drain-seconds", "0.5")
    assert (answer.events[-1]["error"]["code"], code) == ("shutting_down", 0)
    assert seconds < TOO_LONG


@pytest.mark.slow
@pytest.mark.parametrize("model", [COT, MODEL])
def test_whole_answers_too_are_finished_or_told_that_the_time_is_up(model: str) -> None:
    for seconds, status, flags in ((1.0, 200, ()), (30.0, 503, ("--drain-seconds", "0.5"))):
        with serving(_finishing(seconds)) as server, command(
            "--base-url", server.base_url, "--model", MODEL, *flags
        ) as proxy, contextlib.closing(proxy.begin(model)) as connection:  # fmt: skip
            until(lambda: server.open == 1)
            assert proxy.process is not None
            proxy.process.send_signal(signal.SIGTERM)
            response = connection.getresponse()
            assert response.status == (status if model == COT else 200)
            whole = response.read()
            assert (b"shutting_down" in whole) is (status == 503)
            assert proxy.process.wait(10) == 0


@pytest.mark.slow
def test_a_second_signal_does_not_wait() -> None:
    with serving(mute) as server, command("--base-url", server.base_url, "--model", MODEL) as proxy:
        with contextlib.closing(proxy.begin(COT)):
            until(lambda: server.open == 1)
            assert proxy.process is not None
            proxy.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            with ends_in_time(time.monotonic):
                assert proxy.end(signal.SIGINT) == 0
        until(lambda: server.open == 0)
    assert not any("Traceback" in line for line in proxy.log)
