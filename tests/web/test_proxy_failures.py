"""What goes wrong: at the model server, at the client, at the limits, and when the server is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.servers import Handler, ModelServer, reply_to, send, serving
from tests.web.proxies import MODEL, PROBLEM, Answer, Proxy, both, command, environment, proxied, until, words

from scale_reasoning.engines.openai import Timeouts
from scale_reasoning.web.proxy.gate import Limits, read_keys

COT = f"{MODEL}@cot"


def refusing(status: int, message: str = "no", **headers: str) -> Handler:
    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": {"message": message}}, status=status, headers=names)

    return handler


async def opened(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    return response


async def endless(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A thought that has no end; what has a form is answered at once."""
    response = await opened(request)
    if "response_format" in body:
        await send(response, {"choices": [{"index": 0, "delta": {"content": reply_to(body)}, "finish_reason": "stop"}]})
        return response
    while True:
        await send(response, {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm. "}}]})
        await asyncio.sleep(0.005)


async def mute(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "status", "code", "retry_after"),
    [
        (refusing(429, retry_after="7"), 429, "rate_limit_exceeded", "7"),
        (refusing(500), 503, "upstream_overloaded", None),
        (refusing(503, retry_after="7"), 503, "upstream_overloaded", "7"),
        (refusing(400), 400, "upstream_rejected", None),
        (refusing(404), 404, "upstream_rejected", None),
        (refusing(401), 502, "upstream_rejected", None),
        (refusing(302, location="http://127.0.0.1:9/"), 502, "upstream_rejected", None),
        (
            refusing(400, "maximum context length is 10 tokens, 99 in the messages"),
            400,
            "context_length_exceeded",
            None,
        ),
        (mute, 504, "upstream_timeout", None),
    ],
)
def test_a_failing_model_server_is_a_status_before_the_first_byte(
    handler: Handler, status: int, code: str, retry_after: str | None
) -> None:
    with both(handler, retries=0, timeouts=Timeouts(first_byte=0.5)) as (proxy, _):
        for streams in (False, True):
            answer = proxy.ask(COT, stream=streams)
            assert (answer.status, answer.json["error"]["code"]) == (status, code)
            assert set(answer.json["error"]) == {"message", "type", "param", "code"}
            assert answer.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("model", [COT, f"{MODEL}@scale", f"{MODEL}@inftythink", f"{MODEL}@vote", MODEL])
def test_a_model_server_that_is_not_there_is_a_bad_gateway(model: str) -> None:
    with proxied("http://127.0.0.1:9/v1", retries=0) as proxy:
        for streams in (False, True):
            answer = proxy.ask(model, stream=streams)
            assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_unreachable")


def test_a_pass_through_keeps_a_refusals_status_and_body_and_times_out() -> None:
    with both(refusing(429, "slow down", retry_after="7"), retries=0) as (proxy, _):
        answer = proxy.ask(MODEL)
        assert (answer.status, answer.headers["retry-after"], answer.json) == (
            429,
            "7",
            {"error": {"message": "slow down"}},
        )
    with both(mute, timeouts=Timeouts(first_byte=0.5)) as (proxy, _):
        assert proxy.ask(MODEL).status == 504


def test_a_failure_after_the_first_byte_is_the_last_event() -> None:
    async def breaking(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = await opened(request)
        await send(response, {"choices": [{"index": 0, "delta": {"content": "It"}}]})
        await asyncio.sleep(0.2)
        assert request.transport is not None
        request.transport.abort()
        return response

    with both(breaking, retries=0) as (proxy, _):
        answer = proxy.ask(COT, stream=True)
        assert answer.status == 200
        assert answer.told("content") == "It"
        assert answer.events[-1]["error"]["code"] == "upstream_unreachable"
        assert b"[DONE]" not in answer.content
        passed = proxy.ask(MODEL, stream=True)
        assert passed.events[-1]["error"]["code"] == "upstream_unreachable"


def test_a_whole_answer_that_breaks_off_in_a_pass_through_is_not_taken_for_whole() -> None:
    async def halved(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/json", "content-length": "100"})
        await response.prepare(request)
        await response.write(b'{"id": 1')
        assert request.transport is not None
        request.transport.close()
        return response

    with both(halved) as (proxy, _), pytest.raises(http.client.IncompleteRead):
        proxy.ask(MODEL)


def test_a_waiting_stream_is_kept_alive_by_comments_and_then_fails_as_an_event() -> None:
    with both(mute, retries=0, timeouts=Timeouts(first_byte=0.7), keep_alive_seconds=0.2) as (proxy, _):
        answer = proxy.ask(COT, stream=True)
    assert answer.status == 200
    assert answer.content.startswith(b": keep-alive\n\n: keep-alive\n\n")
    assert answer.events[-1]["error"]["code"] == "upstream_timeout"


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
        assert until(lambda: server.open == 0) < 1
        assert 'status="499"} 1' in until_text(proxy)


def until_text(proxy: Proxy) -> str:
    until(lambda: "499" in proxy.get("/metrics").content.decode())
    return proxy.get("/metrics").content.decode()


def test_a_choice_that_fails_ends_the_others() -> None:
    asked: list[int] = []

    async def one_fails(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        asked.append(1)
        return await (endless if len(asked) < 3 else refusing(400))(request, body)

    with both(one_fails, retries=0) as (proxy, server):
        assert proxy.ask(COT, n=3).status == 400
        until(lambda: server.open == 0, 1)


def test_a_request_over_its_token_budget_is_stopped_and_says_so() -> None:
    with both(endless, limits=Limits(token_budget=300)) as (proxy, server):
        for budget, told in ((None, "300"), (50, "50"), (1000, "300")):
            answer = proxy.ask(f"{MODEL}@vote", scale={"token_budget": budget} if budget else {})
            assert (answer.status, answer.json["error"]["code"]) == (400, "token_budget_exceeded")
            assert f"over {told} tokens" in answer.json["error"]["message"]
            until(lambda: server.open == 0, 1)
        streamed = proxy.ask(COT, stream=True)
        assert streamed.events[-1]["error"]["code"] == "token_budget_exceeded"


def test_a_reply_that_begins_anew_is_counted_twice_against_the_budget() -> None:
    tried: list[int] = []

    async def breaking(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
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


def test_requests_past_the_limit_are_told_to_come_back() -> None:
    with both(endless, limits=Limits(max_concurrent=2)) as (proxy, server):
        with contextlib.closing(proxy.begin(COT)), contextlib.closing(proxy.begin(MODEL)):
            until(lambda: server.open == 2)
            for model in (COT, MODEL):
                answer = proxy.ask(model)
                assert (answer.status, answer.headers["retry-after"]) == (429, "1")
                assert answer.json["error"]["type"] == "rate_limit_error"
        until(lambda: server.open == 0, 1)
        with contextlib.closing(proxy.begin(COT)):
            until(lambda: server.open == 1)


def test_bodies_and_conversations_have_limits() -> None:
    with both(limits=Limits(max_body_bytes=1000, max_messages=2)) as (proxy, server):
        assert proxy.ask(MODEL, pad="x" * 1000).json["error"]["code"] == "body_too_large"
        chunked = proxy.request("POST", "/v1/chat/completions", iter([b"x" * 600] * 2),  # type: ignore[arg-type]
                                {"content-type": "application/json"})  # fmt: skip
        assert chunked.status == 413
        turns = [{"role": "user", "content": "x"}] * 3
        for model in (MODEL, COT):
            assert proxy.send({"model": model, "messages": turns}).json["error"]["param"] == "messages"
        assert server.bodies == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"host": "evil.example"}, 403),
        ({"host": "[::1"}, 403),
    ],
)
def test_what_a_strange_web_page_could_send_is_refused(headers: dict[str, str], status: int) -> None:
    with both() as (proxy, server):
        assert proxy.ask(headers=headers).status == status
        assert server.bodies == []


def test_paths_and_methods_that_are_not_there_are_errors_in_the_same_shape() -> None:
    with both() as (proxy, _):
        for method, path, status in (
            ("GET", "/v1/chat/completions", 405),
            ("POST", "/v1/models", 405),
            ("GET", "/", 404),
        ):
            answer = proxy.request(method, path, None, {})
            assert (answer.status, set(answer.json["error"])) == (status, {"message", "type", "param", "code"})
        assert proxy.send(b"{").json["error"]["code"] == "invalid_json"


def test_a_key_is_asked_for_everywhere_but_at_healthz(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# clients\nalpha-key  # the first\n\nbeta-key\n")
    with both(keys=read_keys(file)) as (proxy, server):
        for headers in (
            {},
            {"authorization": "Bearer gamma"},
            {"authorization": "alpha-key"},
            {"authorization": "Bearer "},
        ):
            answer = proxy.ask(MODEL, headers=headers)
            assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
        assert proxy.get("/metrics").status == proxy.get("/v1/models").status == 401
        assert proxy.get("/healthz").json == {"status": "ok"}
        assert server.bodies == []
        for key in ("alpha-key", "beta-key"):
            assert proxy.ask(MODEL, headers={"authorization": f"Bearer {key}"}).status == 200
        assert "authorization" not in {name.lower() for headers in server.headers for name in headers}


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--host", "0.0.0.0"), "--api-keys-file"),
        (("--host", "nowhere.invalid", "--api-keys-file", "KEYS"), "--host"),
        (("--api-keys-file", "MISSING"), "--api-keys-file"),
        (("--api-keys-file", "EMPTY"), "holds no key"),
        (("--max-concurrent", "0"), "max_concurrent"),
        (("--drain-seconds", "-1"), "drain_seconds"),
    ],
)
def test_a_server_that_must_not_or_cannot_start_says_why(flags: tuple[str, ...], named: str, tmp_path: Path) -> None:
    (tmp_path / "EMPTY").write_text("# none\n")
    (tmp_path / "KEYS").write_text("alpha\n")
    done = subprocess.run(words("--base-url", "http://127.0.0.1:9/v1", "--model", "m", *flags), cwd=tmp_path,
                          env=environment(), capture_output=True, text=True, timeout=30, check=False)  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert named in done.stderr


def test_metrics_count_requests_tokens_by_mode_latency_and_what_is_in_flight() -> None:
    with both() as (proxy, _):
        proxy.ask()
        proxy.ask(f"{MODEL}@scal")
        lines = proxy.get("/metrics").content.decode().splitlines()
    assert 'scale_requests_total{kind="scale",status="200"} 1' in lines
    assert 'scale_requests_total{kind="chat",status="404"} 1' in lines
    assert 'scale_tokens_total{mode="system1",kind="completion"} 120' in lines
    assert 'scale_tokens_total{mode="system2",kind="prompt"} 50' in lines
    assert 'scale_request_seconds_bucket{kind="scale",le="+Inf"} 1' in lines
    assert "scale_requests_in_flight 1" in lines


def test_the_log_has_a_line_a_request_without_content_or_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("alpha-key\n")
    bearer = {"authorization": "Bearer alpha-key"}
    with serving() as server, command(
        "--base-url", server.base_url, "--model", MODEL, "--api-keys-file", str(tmp_path / "keys"),
        OPENAI_API_KEY="sk-upstream",
    ) as proxy:  # fmt: skip
        proxy.ask(headers=bearer)
        proxy.get("/v1/models/alpha-key?key=alpha-key", **bearer)
        proxy.end(signal.SIGTERM)
    assert [line.rsplit(" ", 1)[0] for line in proxy.log] == ["127.0.0.1 POST scale 200", "127.0.0.1 GET models 404"]
    assert not any(word in "".join(proxy.log) for word in ("alpha-key", "sk-upstream", "pens"))


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
        until(lambda: server.open == 0, 1)
        return answer, code, time.monotonic() - started, server


def test_sigterm_takes_no_new_requests_and_finishes_those_in_flight() -> None:
    answer, code, _, _ = _ended_in_mid_stream(_finishing(1.0))
    assert (answer.told("content"), code) == ("\\boxed{4}", 0)
    assert answer.content.endswith(b"data: [DONE]\n\n")


def test_what_is_in_flight_when_the_time_is_up_is_cancelled_and_told_so() -> None:
    answer, code, seconds, _ = _ended_in_mid_stream(endless, "--drain-seconds", "0.5")
    assert (answer.events[-1]["error"]["code"], code) == ("shutting_down", 0)
    assert seconds < 4


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
