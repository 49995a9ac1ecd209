"""What goes wrong: at the model server, at the limits, at the door."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import signal
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.commands import scale
from tests.patience import until
from tests.servers import Handler, send
from tests.web.proxies import MODEL, both, command, endless, mute, opened, proxied, serving

from scale_reasoning.engines.http import Timeouts
from scale_reasoning.web.proxy.gate import Limits, read_keys
from scale_reasoning.web.proxy.metrics import Metrics

COT = f"{MODEL}@cot"


def refusing(status: int, message: str = "no", **headers: str) -> Handler:
    async def handler(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": {"message": message}}, status=status, headers=names)

    return handler


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


def test_one_of_several_servers_that_is_not_there_is_passed_over() -> None:
    with serving() as first, serving() as second:
        more = ("http://127.0.0.1:9/v1", second.base_url)
        with proxied(first.base_url, more_base_urls=more) as proxy:
            assert [proxy.ask(MODEL).status for _ in range(6)] == [200] * 6
            assert min(len(first.bodies), len(second.bodies)) >= 2


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


def test_requests_past_the_limit_are_told_to_come_back() -> None:
    with both(endless, limits=Limits(max_concurrent=2)) as (proxy, server):
        with contextlib.closing(proxy.begin(COT)), contextlib.closing(proxy.begin(MODEL)):
            until(lambda: server.open == 2)
            for model in (COT, MODEL):
                answer = proxy.ask(model)
                assert (answer.status, answer.headers["retry-after"]) == (429, "1")
                assert answer.json["error"]["type"] == "rate_limit_error"
        until(lambda: server.open == 0)
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


def test_what_is_not_http_is_refused_and_not_quoted_in_the_log() -> None:
    broken = b"content-length: x\r\n", b"content-length: 2\r\n content: folded\r\n", b"x y: z\r\n"
    chunked = b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nnot chunks\r\n"
    with serving() as server, command("--base-url", server.base_url, "--model", MODEL) as proxy:
        for rest in (*broken, chunked):
            with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer secret-key\r\n"
                client.sendall(head + rest + b"\r\n")
                assert b" 400 " in client.recv(10_000).splitlines()[0]
        proxy.end(signal.SIGTERM)
    assert not any("secret-key" in line or "Traceback" in line for line in proxy.log)


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
        (("--api-keys-file", "EMPTY"), "has no key"),
        (("--max-concurrent", "0"), "max_concurrent"),
        (("--drain-seconds", "-1"), "drain_seconds"),
    ],
)
def test_a_server_that_must_not_or_cannot_start_says_why(flags: tuple[str, ...], named: str, tmp_path: Path) -> None:
    (tmp_path / "EMPTY").write_text("# none\n")
    (tmp_path / "KEYS").write_text("alpha\n")
    done = scale("serve", "--port", "0", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", *flags, folder=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert named in done.stderr


def test_a_fault_of_the_proxy_is_told_in_the_same_shape(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with both() as (proxy, _):
        monkeypatch.delattr(Metrics, "text")
        answer = proxy.get("/metrics")
        assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
    assert "AttributeError" in caplog.text


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
    lines = [line.split() for line in proxy.log]
    assert [(line[2:7], line[7]) for line in lines] == [
        (["127.0.0.1", "POST", f"{MODEL}@scale", "200", "650+130"], "tokens"),
        (["127.0.0.1", "GET", "models", "404", "-"], "tokens"),
    ]
    assert all(datetime.fromisoformat(line[0]).tzinfo and line[8].endswith("s") for line in lines)
    assert not any(word in "".join(proxy.log) for word in ("alpha-key", "sk-upstream", "pens"))
