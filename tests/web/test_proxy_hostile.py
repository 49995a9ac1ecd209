"""Clients and model servers that mean harm: others are answered meanwhile, and nothing grows without bound."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import resource
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from tests.patience import ends_in_time, until
from tests.servers import Handler
from tests.speed import mark_slow
from tests.web.proxies import MODEL, PROBLEM, Proxy, both, endless, opened, proxied

from scale_reasoning.engines import reply as replies
from scale_reasoning.events import Location, Started, Streamed
from scale_reasoning.types import Delta, Mode
from scale_reasoning.web.proxy import door, log, upstream
from scale_reasoning.web.proxy.gate import Limits
from scale_reasoning.web.proxy.log import Log, printable_word
from scale_reasoning.web.proxy.narrate import Narrator, Piece, Stops
from scale_reasoning.web.proxy.server import _most_connections

COT = f"{MODEL}@cot"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"


@contextlib.contextmanager
def half_open(proxy: Proxy, count: int, sent: bytes = HEAD) -> Iterator[list[socket.socket]]:
    clients: list[socket.socket] = []
    try:
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
            clients.append(client)
            client.sendall(sent)
        yield clients
    finally:
        for client in clients:
            client.close()


def test_half_sent_heads_beyond_the_limit_make_room_for_whole_ones() -> None:
    with both(limits=Limits(max_connections=20)) as (proxy, _), half_open(proxy, 60):
        for _ in range(5):
            with ends_in_time(time.monotonic):
                assert proxy.get("/healthz").status == 200
                assert proxy.ask(COT).status == 200


def test_a_head_that_does_not_come_in_time_is_told_so_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.2)
    with both() as (proxy, _), half_open(proxy, 1) as (client,), half_open(proxy, 1, b"") as (silent,):
        answer = client.recv(10_000)
        assert b" 408 " in answer.splitlines()[0]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "head_timeout"
        assert client.recv(1) == silent.recv(1) == b""


@pytest.mark.slow
def test_a_later_head_on_a_kept_connection_has_a_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.3)
    with both() as (proxy, _), half_open(proxy, 1, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n") as (client,):
        assert b" 200 " in client.recv(10_000).splitlines()[0]
        time.sleep(0.6)  # idle: nothing has begun
        client.sendall(HEAD)
        assert b" 408 " in client.recv(10_000).splitlines()[0]


def test_a_connection_that_is_being_answered_is_not_closed_for_new_ones() -> None:
    with both(endless, limits=Limits(max_connections=3)) as (proxy, server), contextlib.closing(
        proxy.begin(COT, stream=True)
    ) as connection:  # fmt: skip
        response = connection.getresponse()
        assert response.read1(10)
        with half_open(proxy, 20):
            assert response.read1(10)
            assert server.open == 1


def test_files_are_kept_for_what_is_not_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = [(1024, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.__setitem__(0, both))
    assert _most_connections(1000, in_flight=64) == 1024 - 128 - 128
    limits[0] = (1024, 100_000)
    assert (_most_connections(1000, in_flight=64), limits[0]) == (1000, (1256, 100_000))


def test_a_place_is_taken_before_a_body_is_read() -> None:
    with both(limits=Limits(max_concurrent=2)) as (proxy, server):
        head = HEAD + b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
        with half_open(proxy, 2, head):
            until(lambda: proxy.ask(COT).status == 429)
            assert server.bodies == []
        until(lambda: proxy.ask(COT).status == 200)


def test_a_pass_through_takes_a_place_at_the_model_server() -> None:
    with both(endless, in_flight=2) as (proxy, server), contextlib.ExitStack() as begun:
        for _ in range(4):
            begun.enter_context(contextlib.closing(proxy.begin(MODEL)))
        until(lambda: server.open == 2)
        begun.enter_context(contextlib.closing(proxy.begin(COT)))
        time.sleep(0.3)
        assert server.open == 2
        begun.close()
        until(lambda: server.open == 0)
        with contextlib.closing(proxy.begin(MODEL)), contextlib.closing(proxy.begin(COT)):
            until(lambda: server.open == 2)


def test_places_are_given_back_however_a_pass_through_ends() -> None:
    async def odd(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["n"] % 3 == 0:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({}, status=200 if body["n"] % 3 == 1 else 418)

    with both(odd, in_flight=1) as (proxy, _):
        assert [proxy.ask(MODEL, n=n).status for n in range(6)] == [502, 200, 418] * 2


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ({}, {"max_tokens": 100}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 1000}, {"max_tokens": 100}),
        ({"max_completion_tokens": 1000, "n": 4}, {"max_completion_tokens": 25}),
        ({"max_tokens": -1}, {"max_tokens": 100}),
        ({"max_tokens": 5, "n_predict": 500}, {"max_tokens": 5, "n_predict": 100}),
        ({"max_tokens": "9000"}, {"max_tokens": 100}),
    ],
)
def test_a_token_budget_binds_a_pass_through(asked: dict[str, Any], limits: dict[str, int]) -> None:
    with both(limits=Limits(token_budget=100)) as (proxy, server):
        assert proxy.ask(MODEL, **asked).status == 200
        sent = server.bodies[-1]
        assert {key: sent[key] for key in sent if "tokens" in key or "predict" in key} == limits
        assert sent["messages"][0]["content"] == PROBLEM


@pytest.mark.parametrize("choices", [101, 0, "2", 10**30])
def test_more_choices_than_the_budget_has_tokens_are_refused(choices: Any) -> None:
    with both(limits=Limits(token_budget=100)) as (proxy, server):
        refused = proxy.ask(MODEL, n=choices)
        assert (refused.status, refused.json["error"]["param"]) == (400, "n")
        assert server.bodies == []


def test_a_body_within_the_budget_is_passed_through_as_it_is() -> None:
    seen: list[bytes] = []

    async def keeping(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/chat/completions"):
            seen.append(await request.read())
        return web.json_response({})

    content = b'{ "max_tokens":5,"model": "other" , "messages":[]}'
    with both(keeping, limits=Limits(token_budget=100)) as (proxy, _):
        assert proxy.send(content).status == 200
    assert seen == [content]


async def gushing(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Events without end, as fast as they are taken."""
    response, event = await opened(request), b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"x"}}]}\n\n'
    while True:
        await response.write(event * 2000)


EVENT = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"x"}}]}\n\n'
BOMB = gzip.compress(EVENT * 700_000, 1)
"""48 MB of events in well under one."""


async def bomb(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(body=BOMB, headers={"content-type": "text/event-stream", "content-encoding": "gzip"})


async def one_line(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    response = await opened(request)
    for _ in range(1000):
        await response.write(b"x" * 2**16)
    return response


@pytest.mark.slow
@pytest.mark.parametrize("handler", [gushing, bomb, one_line])
@pytest.mark.parametrize("model", [COT, *mark_slow(MODEL)])
def test_others_are_answered_while_a_server_sends_all_it_can(handler: Handler, model: str) -> None:
    with both(handler, retries=0) as (proxy, _), contextlib.ExitStack() as begun:
        for _ in range(4):
            begun.enter_context(contextlib.closing(proxy.begin(model)))
        waits: list[float] = []
        for _ in range(10):
            started = time.monotonic()
            assert proxy.get("/healthz").status == 200
            waits.append(time.monotonic() - started)
            time.sleep(0.05)
        assert sorted(waits)[-2] < 5.0, waits  # 250 ms on a machine that does nothing else: benchmarks/hostile.py


def test_a_reply_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    async def large(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = await opened(request)
        for _ in range(100):
            piece = {"choices": [{"index": 0, "delta": {"content": "x" * 1000}}]}
            await response.write(b"data: " + json.dumps(piece).encode() + b"\n\n")
        return response

    monkeypatch.setattr(replies, "LARGEST_TEXT", 50_000)
    with both(large, retries=0) as (proxy, _):
        assert proxy.ask(COT).json["error"]["code"] == "upstream_malformed"
    monkeypatch.setattr(upstream, "LARGEST_ANSWER", 50_000)
    with both(large, retries=0) as (proxy, _):
        answer = proxy.ask(MODEL, stream=True)
        told = answer.events[-1] if answer.events else answer.json  # it may be too large before its first byte is sent
        assert told["error"]["code"] == "upstream_too_large"


def test_a_whole_reply_of_a_million_choices_is_refused_quickly() -> None:
    async def many(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(
            body=b'{"choices":[' + b",".join([b"{}"] * 600_000) + b"]}", content_type="application/json"
        )

    with both(many, retries=0) as (proxy, _), ends_in_time(time.monotonic):
        assert proxy.ask(COT).json["error"]["code"] == "upstream_malformed"


@pytest.mark.parametrize("value", ["a\x0bb", "a\x01b", "a\x7fb", "a\tb"])
def test_control_characters_in_a_servers_header_do_not_break_a_pass_through(value: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-odd: {value}\r\nx-fine: yes\r\n"
        writer.write(f"{head}content-length: 2\r\nconnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    with raw_server(handle) as base_url, proxied(base_url) as proxy:
        answered = proxy.ask(MODEL)
        assert (answered.status, answered.headers["x-fine"]) == (200, "yes")
        assert ("x-odd" in answered.headers) is (value == "a\tb")


@contextlib.contextmanager
def raw_server(handle: Any) -> Iterator[str]:
    import threading

    ready, address = threading.Event(), list[int]()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        address.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    ready.wait(5)
    try:
        yield f"http://127.0.0.1:{address[0]}/v1"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


ANSWER = Location(path="solve", final=True)


@pytest.mark.slow
def test_telling_an_answer_takes_time_in_proportion_to_it() -> None:
    def tell(pieces: int) -> None:
        told: list[Piece] = []
        narrator = Narrator(told.append)
        narrator.hear(Started(location=ANSWER, mode=Mode.SYSTEM2))
        for _ in range(pieces):
            narrator.hear(Streamed(location=ANSWER, delta=Delta(text="some more ")))
        assert "".join(piece.content for piece in told) == "some more " * pieces

    with ends_in_time():
        tell(400_000)  # a quadratic one took 14 s for half as much


@pytest.mark.parametrize("stop", ["a" * 499 + "b", "a" * 250 + "b" + "a" * 249])
def test_looking_for_stops_takes_time_in_proportion_to_the_text(stop: str) -> None:
    def look() -> None:
        stops = Stops([stop] * 16)
        shown = "".join(stops.feed("aa") for _ in range(10_000))
        assert shown + stops.end() == "a" * 20_000

    with ends_in_time():
        look()


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 100])
def test_stops_are_found_however_the_text_is_cut(cut: int) -> None:
    text = "abababcababxabcabc aab"
    for stops in (["abc"], ["ababx"], ["x", "abc"], ["aab"], ["bcabd"], ["abababc"], ["c a"]):
        found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
        looked = Stops(stops)
        shown = "".join(looked.feed(text[at : at + cut]) for at in range(0, len(text), cut)) + looked.end()
        assert shown == (text[: min(found)[1]] if found else text), (stops, cut)


def test_the_log_says_the_same_failure_a_few_times_and_then_how_often() -> None:
    lines: list[str] = []
    told = Log(lines.append)
    for _ in range(10_000):
        told.failure("no", "10.0.0.1", "chat", 429)
    told.failure("other", "10.0.0.2", "chat", 429)
    assert len(lines) == log.MOST_LINES + 1
    told._seen["10.0.0.1", "chat", 429].since -= log.SECONDS
    told.failure("no", "10.0.0.1", "chat", 429)
    assert f"{10_000 - log.MOST_LINES:,} more" in lines[-2]


def test_a_model_name_in_the_log_is_one_word_of_printable_characters() -> None:
    with both() as (proxy, _):
        proxy.ask("evil\n2026-01-01 \x1b[2J\u202eé" + "x" * 500)
        until(lambda: len(proxy.log) == 1)
        (line,) = proxy.log
    assert line.isprintable()
    assert line.replace("…", "").isascii()
    assert "evil\\u000a2026" in line
    assert len(line) < 500
    assert printable_word("org/Model-1.5B@x:y") == "org/Model-1.5B@x:y"


@pytest.mark.parametrize("asked", ["abc-123", "a b", "x" * 100, ""])
def test_every_answer_and_its_line_have_the_requests_id(asked: str) -> None:
    headers = {"x-request-id": asked}
    with both() as (proxy, server):
        answers = [
            proxy.ask(COT, headers=headers),
            proxy.ask(COT, stream=True, headers=headers),
            proxy.ask(MODEL, headers=headers),
            proxy.get("/nowhere", **headers),
        ]
        until(lambda: len(proxy.log) == len(answers))
        for answer, line in zip(answers, proxy.log, strict=True):
            assert line.split()[1] == answer.headers["x-request-id"]
            assert (answer.headers["x-request-id"] == asked) is (asked == "abc-123")
        sent = {name.lower(): value for name, value in server.headers[-1].items()}
        assert sent["x-request-id"] == answers[2].headers["x-request-id"]


def test_a_servers_429_comes_with_its_retry_after_and_no_absurd_one() -> None:
    for said, told in (("7", "7"), ("1e999", "86400"), ("nan", "0"), ("-5", "0")):

        async def busy(request: web.Request, body: dict[str, Any], said: str = said) -> web.StreamResponse:
            return web.json_response({"error": {"message": "slow"}}, status=429, headers={"retry-after": said})

        with both(busy, retries=0) as (proxy, _):
            answer = proxy.ask(COT)
            assert (answer.status, answer.headers.get("retry-after")) == (429, told)
            assert proxy.ask(MODEL).headers["retry-after"] == said


def test_counts_that_no_server_can_mean_do_not_buy_a_larger_budget() -> None:
    async def lying(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = await opened(request)
        for piece in (
            *[{"choices": [{"index": 0, "delta": {"content": "no answer "}}]}] * 30,
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": -(10**6)}},
        ):
            await response.write(b"data: " + json.dumps(piece).encode() + b"\n\n")
        return response

    with both(lying, retries=0) as (proxy, _):
        refused = proxy.ask(f"{MODEL}@vote:samples=4", scale={"token_budget": 50})
        assert refused.json["error"]["code"] == "token_budget_exceeded"
