"""What clients and model servers try in order to read a key, to get around a limit or to hold the proxy up."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from typing import Any

import pytest
from aiohttp import web
from tests.patience import ends_in_time, until
from tests.web.proxies import MODEL, both, listing

from scale_reasoning.engines import chunks
from scale_reasoning.web.proxy import wire
from scale_reasoning.web.proxy.gate import Limits

KEY = "sk-of-the-operator"


@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_a_header_that_quotes_the_key_does_not_reach_the_client(status: int) -> None:
    async def quoting(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({}, status=status, headers={"x-debug": f"Bearer {KEY}", "x-other": "kept"})

    with both(quoting, api_key=KEY) as (proxy, _):
        answer = proxy.ask(MODEL)
        assert (answer.status, answer.headers["x-other"]) == (status, "kept")
        assert KEY not in str(answer.headers)


@pytest.mark.parametrize("status", [400, 401])
def test_a_compressed_error_is_not_passed_on_since_it_may_quote_the_key(status: int) -> None:
    async def compressed(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        content = gzip.compress(json.dumps({"error": {"message": f"bad key {KEY}"}}).encode())
        return web.Response(status=status, body=content, headers={"content-encoding": "gzip"})

    with both(compressed, api_key=KEY) as (proxy, _):
        answer = proxy.ask(MODEL)
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_malformed")
        assert "content-encoding" not in answer.headers


def test_an_error_that_is_cut_off_is_not_cut_off_within_the_key() -> None:
    async def long(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=400, body=b"x" * (2**20 - 10) + KEY.encode() * 2)

    with both(long, api_key=KEY) as (proxy, _):
        assert b"sk-" not in proxy.ask(MODEL).content


@pytest.mark.parametrize("status", ["000", "099"])
def test_a_status_that_http_does_not_have_is_a_502(status: str) -> None:
    async def odd(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(f"HTTP/1.1 {status} Odd\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        request.transport.close()
        raise ConnectionError

    with both(odd) as (proxy, _):
        assert proxy.ask(MODEL).status == 502


def test_a_pass_through_is_sent_as_json_whatever_charset_the_client_names() -> None:
    with both() as (proxy, server):
        assert proxy.ask(MODEL, headers={"content-type": "application/json; charset=utf-7"}).status == 200
        assert server.headers[-1]["Content-Type"] == "application/json"


@pytest.mark.parametrize("key", ["MAX_TOKENS", "Max_Completion_Tokens", "N_PREDICT", "N", "Best_Of", "max_to\u212aens"])
def test_a_limit_in_other_letters_is_refused_where_there_is_a_budget(key: str) -> None:
    with both(limits=Limits(token_budget=100)) as (proxy, server):
        refused = proxy.ask(MODEL, max_tokens=5, **{key: 10_000})
        assert (refused.status, refused.json["error"]["param"]) == (400, key)
        assert server.bodies == []


@pytest.mark.parametrize("key", ["n_predict", "num_predict"])
def test_a_limit_that_few_servers_read_is_not_taken_for_one(key: str) -> None:
    with both(limits=Limits(token_budget=100)) as (proxy, server):
        assert proxy.ask(MODEL, **{key: 5}).status == 200
        assert (server.bodies[-1][key], server.bodies[-1]["max_tokens"]) == (5, 100)


@pytest.mark.slow
def test_a_client_that_does_not_read_its_answer_keeps_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STALLED", 0.3)
    with both(listing) as (proxy, _), contextlib.closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", proxy.port))
        # More than the system holds for a client: the list of models some hundred times.
        client.sendall(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n" * 300)
        until(lambda: any(" models 200 " in line for line in proxy.log))
        time.sleep(1.5)
        answered = len(proxy.log)
        time.sleep(1)
        assert len(proxy.log) == answered < 300


@pytest.mark.parametrize("path", ["/healthz", "/v1/models"])
def test_an_expectation_that_is_unknown_is_passed_over_and_the_key_still_asked_for(path: str) -> None:
    with both(keys=("right",)) as (proxy, _):
        answer = proxy.request("GET", path, None, {"expect": "a-miracle"})
        assert answer.status == (200 if path == "/healthz" else 401)
        assert answer.headers["content-type"] == "application/json"
        assert "x-request-id" in answer.headers
        until(lambda: len(proxy.log) == 1)


def test_a_client_that_waits_for_100_continue_is_told_to_go_on() -> None:
    content = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "2 + 2?"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n"
    with both() as (proxy, _), socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        client.sendall(f"{head}content-type: application/json\r\nexpect: 100-continue\r\n\r\n".encode())
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(content)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_name_that_every_event_would_repeat_has_a_largest_length() -> None:
    with both() as (proxy, server):
        for model in (f"{MODEL}@scale:tau=0.{'3' * 1000}", "x" * 1001):
            refused = proxy.ask(model, stream=True)
            assert (refused.status, refused.json["error"]["param"]) == (400, "model")
        assert server.bodies == []


@pytest.mark.slow
@pytest.mark.parametrize("content", [b'{"choices":[]}\n' * 60_000, b"[" + b"{}," * 300_000 + b"{}]"])
def test_a_body_of_very_many_chunks_is_refused_quickly(content: bytes) -> None:
    with ends_in_time(), pytest.raises(chunks.Unreadable, match="chunks at once"):
        chunks.read_body(content)
