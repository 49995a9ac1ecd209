"""Other paths of the protocol: passed on with their bodies and their keys' secrecy, within the same limits as chats."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from tests.patience import until
from tests.servers import ModelServer
from tests.web.proxies import MODEL, Answer, Proxy, both, proxied, serving
from tests.web.test_proxy_hostile import raw_server

from scale_reasoning.endpoint import Endpoint
from scale_reasoning.engines import Connection
from scale_reasoning.engines.limit import Fixed, Slots
from scale_reasoning.engines.llama import Llama
from scale_reasoning.engines.policy import Limited
from scale_reasoning.profiles import ModeProfile
from scale_reasoning.types import Mode
from scale_reasoning.web.proxy.budget import within
from scale_reasoning.web.proxy.gate import Limits
from scale_reasoning.web.proxy.pace import Share
from scale_reasoning.web.proxy.passing import Sent
from scale_reasoning.web.proxy.refusals import Refusal
from scale_reasoning.web.proxy.upstream import Upstream

KEY = "sk-upstream-0123456789"
FORM = "multipart/form-data; boundary=x"
UPLOAD = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n\x00\xff\r\n--x--\r\n'


class Echo:
    """Answers every request with what it was, and keeps the bytes."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self.contents.append(await request.read())
        said = {"method": request.method, "path": request.raw_path, "type": request.headers.get("content-type")}
        return web.json_response(said, headers={"x-their-own": "kept", "access-control-allow-origin": "*"})


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Proxy, ModelServer]]:
    with both(Echo(), api_key=KEY, server="generic") as made:
        yield made


@pytest.fixture
def proxy(pair: tuple[Proxy, ModelServer]) -> Proxy:
    pair[1].headers.clear()
    return pair[0]


def post(proxy: Proxy, path: str, body: Any, **headers: str) -> Answer:
    return proxy.send(body, path=path, headers=headers)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/embeddings", b'{ "input":"x", "model":"e" }'),
        ("POST", "/v1/completions", b'{"prompt": "x", "model": "other", "max_tokens": 3}'),
        ("POST", "/v1/responses", b'{"input": "x", "model": "other"}'),
        ("GET", "/v1/responses/resp_1?include=a&include=b%5B0%5D", b""),
        ("DELETE", "/v1/files/file-1", b""),
        ("GET", "/v1/files/file-1/content", b""),
        ("GET", "/v1/chat/completions/chatcmpl-1", b""),
        ("PUT", "/v1/some/thing", b'{"a": 1}'),
        ("PATCH", "/v1/some/thing", b"{}"),
        ("POST", "/v1/batches/b_1/cancel", b""),
    ],
)
def test_other_paths_reach_the_model_server_as_they_are(
    pair: tuple[Proxy, ModelServer], proxy: Proxy, method: str, path: str, body: bytes
) -> None:
    headers = {"content-type": "application/json", "openai-beta": "assistants=v2"} if body else {}
    answer = proxy.request(method, path, body or None, headers)
    assert (answer.status, answer.headers["x-their-own"]) == (200, "kept")
    assert (answer.json["method"], answer.json["path"]) == (method, path)
    assert pair[1].handler.contents[-1] == body  # type: ignore[attr-defined]
    assert pair[1].headers[-1].get("openai-beta") == headers.get("openai-beta")


def test_a_file_is_passed_on_with_its_type_and_its_bytes() -> None:
    seen: list[tuple[str, bytes]] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(
            next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1]
        )
        seen.append((head.decode(), await reader.readexactly(length)))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 3\r\nconnection: close\r\n\r\nID3"
        )
        await writer.drain()
        writer.close()

    with raw_server(keep) as base_url, proxied(base_url, server="generic") as proxy:
        seen.clear()
        answer = proxy.request("POST", "/v1/audio/transcriptions", UPLOAD, {"content-type": FORM})
        assert (answer.status, answer.content, answer.headers["content-type"]) == (200, b"ID3", "audio/mpeg")
        head, content = seen[-1]
        assert head.startswith("POST /v1/audio/transcriptions HTTP/1.1")
        assert f"content-type: {FORM}" in head.lower()
        assert content == UPLOAD


def test_a_head_request_has_no_body(proxy: Proxy) -> None:
    answer = proxy.request("HEAD", "/v1/files/f", None, {})
    assert (answer.status, answer.content) == (200, b"")


def test_the_server_gets_the_operators_key_and_no_header_that_could_hold_the_clients(
    pair: tuple[Proxy, ModelServer], proxy: Proxy
) -> None:
    secrets = dict.fromkeys(("x-api-key", "api-key", "cookie", "openai-organization", "x-other"), "client-key")
    post(proxy, "/v1/embeddings", {"input": "x"}, authorization="Bearer client-key", **secrets)
    proxy.request("GET", "/v1/files", None, {"authorization": "Bearer client-key"})
    assert [headers["Authorization"] for headers in pair[1].headers] == [f"Bearer {KEY}"] * 2
    assert "client-key" not in str(pair[1].headers)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_server_that_quotes_the_key_gives_nothing_away(status: int) -> None:
    async def quoting(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        content = {} if status == 200 else {"error": {"message": f"bad key {KEY}"}}
        return web.json_response(content, status=status, headers={"x-debug": f"Bearer {KEY}"})

    with both(quoting, api_key=KEY, server="generic") as (proxy, _):
        answer = post(proxy, "/v1/embeddings", {"input": "x"})
        assert answer.status == (502 if status == 401 else status)
        assert KEY not in str(answer.headers)
        assert KEY.encode() not in answer.content


def test_a_key_is_asked_for_at_other_paths_too() -> None:
    with both(Echo(), keys=("right",), server="generic") as (proxy, server):
        assert post(proxy, "/v1/embeddings", {"input": "x"}).status == 401
        assert proxy.get("/v1/files").status == 401
        assert "/v1/files" not in server.paths
        assert proxy.get("/v1/files", authorization="Bearer right").status == 200
        assert proxy.get("/v1/files?key=other&bright", authorization="Bearer right").status == 200


@pytest.mark.parametrize(
    "target",
    [
        "files?key=right", "files?a=1&b=%72ight", "files?right", "files?a&ri%67ht=1",
        "files?authorization=Bearer%20right", "files?authorization=Bearer+right", "files?a=Bearer%0Aright",
        "files?a=1;b=right", "files?a=%5Bright%5D", "files/right", "right/files", "files/key=right",
        "files?c2s=", "files?a=1&c2s=", "files?a&Bearer%20c2s%3D",
    ],
)  # fmt: skip
def test_a_client_s_key_in_a_path_or_its_query_reaches_neither_the_server_nor_the_log(target: str) -> None:
    with both(Echo(), keys=("other", "right", "c2s="), server="generic") as (proxy, server):
        asked = len(server.paths)
        answer = proxy.get(f"/v1/{target}", authorization="Bearer other")
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_path")
        assert [path for path in server.paths[asked:] if not path.endswith("/models")] == []
        until(lambda: any(" 400 " in line for line in proxy.log))
        assert "right" not in "".join(proxy.log)


def raw(proxy: Proxy, target: str, *headers: str, method: str = "GET") -> bytes:
    """The answer to a request whose target no client library would send."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        lines = (f"{method} {target} HTTP/1.1", "host: localhost", "connection: close", *headers)
        client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        return b"".join(iter(lambda: client.recv(65536), b""))


TRICKS = [
    "/v1/../v2/files", "/v1/files/..", "/v1/files/../../admin", "/v1/./files", "/v1//files", "/v1/files/", "/v1/",
    "/v1/%2e%2e/admin", "/v1/files%2f..%2f..%2fadmin", "/v1/files/%2e%2e", "/v1/fi%6ces", "/v1/files%00", "/v1/a\\b",
    "/v1/files;x=1", "/v1/@evil/../x", "//evil.test/v1/files", "http://evil.test/v1/files",
    "http://127.0.0.1:1/v1/files", "/v1/files#x", "/v1/" + "a/" * 11 + "a", "/v1/" + "a" * 201, "/v1/files?a=b c",
    "/v1/files?" + "a" * 2001, '/v1/files?a="', "/v1/%63hat/completions/x", "/v1/http://evil.test/x",
]  # fmt: skip


@pytest.mark.parametrize("target", TRICKS)
def test_a_path_that_could_be_read_in_two_ways_is_not_passed_on(pair: tuple[Proxy, ModelServer], target: str) -> None:
    asked = len(pair[1].paths)
    status = int(raw(pair[0], target).split()[1])
    assert 400 <= status < 500, target
    assert len(pair[1].paths) == asked


def test_a_name_with_an_at_sign_stays_on_the_server(pair: tuple[Proxy, ModelServer]) -> None:
    asked = len(pair[1].paths)
    assert b" 200 " in raw(pair[0], "/v1/@evil.test").splitlines()[0]
    assert pair[1].paths[asked:] == ["/v1/@evil.test"]


def test_websockets_are_refused_and_other_upgrades_are_ignored(pair: tuple[Proxy, ModelServer]) -> None:
    upgrade = "connection: upgrade"
    assert b" 501 " in raw(pair[0], "/v1/realtime?model=x", upgrade, "upgrade: websocket").splitlines()[0]
    assert b" 200 " in raw(pair[0], "/v1/files", "upgrade: h2c").splitlines()[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/chat/completions"), ("DELETE", "/v1/models/x"), ("POST", "/v1/models"), ("OPTIONS", "/v1/files"),
     ("TRACE", "/v1/files"), ("CONNECT", "/v1/files")],
)  # fmt: skip
def test_this_servers_own_paths_and_odd_methods_are_not_passed_on(
    pair: tuple[Proxy, ModelServer], method: str, path: str
) -> None:
    asked = len(pair[1].paths)
    assert int(raw(pair[0], path, method=method).split()[1]) in (400, 404, 405)
    assert len(pair[1].paths) == asked


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses", "/v1/messages"])
def test_text_is_asked_for_in_strict_json_only(proxy: Proxy, path: str) -> None:
    assert (
        post(proxy, path, b'{"model": "a", "max_tokens": 1, "max_tokens": 2}').json["error"]["code"] == "invalid_json"
    )
    assert post(proxy, path, b'{"model": "a", "x": 1e999}').status == 400
    assert proxy.request("POST", path, b"{}", {"content-type": "text/plain"}).status == 415
    assert post(proxy, path, b"{}", **{"content-encoding": "gzip"}).status == 415


@pytest.mark.parametrize("content", [b"{", b"[]", b"3", b'{"model": "\xff"}', b"[" * 100_000])
def test_json_that_is_none_is_not_passed_on(proxy: Proxy, content: bytes) -> None:
    assert post(proxy, "/v1/embeddings", content).json["error"]["code"] == "invalid_json"


def test_the_charset_of_json_is_not_the_clients_to_choose(proxy: Proxy) -> None:
    odd = {"content-type": "application/json; charset=utf-16"}
    assert post(proxy, "/v1/embeddings", {"input": "x"}, **odd).json["type"] == "application/json"


def test_a_batch_of_many_tokens_is_passed_on(pair: tuple[Proxy, ModelServer], proxy: Proxy) -> None:
    batch = {"model": "e", "input": [list(range(100)) for _ in range(1000)]}
    assert post(proxy, "/v1/embeddings", batch).status == 200
    assert json.loads(pair[1].handler.contents[-1]) == batch  # type: ignore[attr-defined]


def test_a_body_has_a_largest_size() -> None:
    with both(Echo(), limits=Limits(max_body_bytes=100), server="generic") as (proxy, _):
        assert proxy.request("POST", "/v1/files", UPLOAD * 2, {"content-type": FORM}).status == 413


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/completions"])
def test_a_strategy_answers_chats_only(proxy: Proxy, path: str) -> None:
    refused = post(proxy, path, {"model": f"{MODEL}@scale", "input": "x", "prompt": "x"})
    assert (refused.status, refused.json["error"]["param"]) == (400, "model")
    assert "/v1/chat/completions" in refused.json["error"]["message"]
    assert post(proxy, path, {"model": f"{MODEL}@scal"}).status == 404


def test_the_pieces_of_a_completion_come_as_they_are_made() -> None:
    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.to_thread(go_on.wait, 5)
        await response.write(b"data: 2\n\n")
        return response

    go_on = threading.Event()
    with both(slow, server="generic") as (proxy, _), contextlib.closing(proxy.connection()) as connection:
        connection.request("POST", "/v1/completions", b'{"model": "m"}', {"content-type": "application/json"})
        response = connection.getresponse()
        assert response.read1(100) == b"data: 1\n\n"
        go_on.set()
        assert response.read() == b"data: 2\n\n"


def test_a_redirect_is_not_followed() -> None:
    async def away(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=307, headers={"location": "http://127.0.0.1:1/"})

    with both(away, server="generic") as (proxy, _):
        assert post(proxy, "/v1/embeddings", {"input": "x"}).json["error"]["code"] == "upstream_redirects"


def test_other_paths_take_places_like_any_call() -> None:
    async def stuck(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    with both(stuck, in_flight=2, server="generic") as (proxy, server), contextlib.ExitStack() as begun:
        for _ in range(4):
            connection = begun.enter_context(contextlib.closing(proxy.connection()))
            connection.request("GET", "/v1/files")
        until(lambda: server.open == 2)
    with both(stuck, limits=Limits(max_concurrent=1), server="generic") as (proxy, server):
        with contextlib.closing(proxy.connection()) as connection:
            connection.request("GET", "/v1/files")
            until(lambda: server.open == 1)
            assert proxy.get("/v1/files").status == 429
        until(lambda: server.open == 0)


def test_of_several_servers_texts_take_turns_and_all_else_goes_to_the_first_once() -> None:
    with serving(Echo()) as one, serving(Echo()) as two:
        with proxied(one.base_url, more_base_urls=(two.base_url,), server="generic") as proxy:
            one.paths.clear()
            two.paths.clear()
            for _ in range(4):
                assert post(proxy, "/v1/embeddings", {"input": "x"}).status == 200
                assert proxy.get("/v1/files").status == 200
        assert (one.paths.count("/v1/embeddings"), two.paths.count("/v1/embeddings")) == (2, 2)
        assert (one.paths.count("/v1/files"), two.paths.count("/v1/files")) == (4, 0)


def test_the_log_names_the_path_and_the_metrics_count_a_pass_through() -> None:
    with both(Echo(), server="generic") as (proxy, _):
        proxy.get("/v1/files?after=secret")
        until(lambda: len(proxy.log) == 1)
        assert " GET /v1/files 200 " in proxy.log[0]
        assert "secret" not in proxy.log[0]
        assert 'scale_requests_total{kind="passthrough",status="200"} 1' in proxy.get("/metrics").content.decode()


@pytest.mark.parametrize(
    ("path", "said", "limits"),
    [
        ("/completions", {"prompt": "x"}, {"max_tokens": 100}),
        ("/completions", {"prompt": "x", "max_completion_tokens": 5}, {"max_completion_tokens": 5, "max_tokens": 100}),
        ("/completions", {"prompt": ["x", "y"], "n": 2}, {"max_tokens": 25}),
        ("/completions", {"prompt": [1, 2, 3]}, {"max_tokens": 100}),
        ("/completions", {"prompt": [[1, 2], [3]], "max_tokens": 10**6}, {"max_tokens": 50}),
        ("/responses", {"input": "x", "max_tokens": 10}, {"max_tokens": 10, "max_output_tokens": 100}),
        ("/responses", {"input": "x", "max_output_tokens": 7}, {"max_output_tokens": 7}),
        ("/messages", {"max_tokens": 5000}, {"max_tokens": 100}),
    ],
)
def test_a_token_budget_binds_every_text(path: str, said: dict[str, Any], limits: dict[str, int]) -> None:
    sent = json.loads(within(100, json.dumps(said).encode(), said, limit_key="max_completion_tokens", path=path))
    assert {key: value for key, value in sent.items() if "tokens" in key} == limits


def test_a_token_budget_holds_at_every_path_or_the_path_is_not_passed_on() -> None:
    echo = Echo()
    with both(echo, limits=Limits(token_budget=100), server="generic") as (proxy, server):
        assert post(proxy, "/v1/completions", {"model": "m", "prompt": "x"}).status == 200
        assert json.loads(echo.contents[-1])["max_tokens"] == 100
        assert post(proxy, "/v1/embeddings", {"input": "x"}).status == 200
        assert proxy.get("/v1/files").status == 200
        asked = len(server.paths)
        for path in ("/v1/audio/speech", "/v1/threads/t/runs", "/v1/Completions", "/v1/responses/r/cancel"):
            refused = post(proxy, path, {"model": "m"})
            assert (refused.status, refused.json["error"]["code"]) == (403, "token_budget_not_held")
        assert post(proxy, "/v1/completions", {"prompt": ["x"] * 101}).json["error"]["param"] == "prompt"
        assert post(proxy, "/v1/completions", {"Max_Tokens": 9}).status == 400
        assert len(server.paths) == asked


def test_a_model_that_runs_in_this_server_has_no_other_paths() -> None:
    async def ask() -> Refusal:
        llama = Llama.__new__(Llama)
        llama.base_url, llama.key = "http://127.0.0.1:9/v1", "secret"
        engine = Limited(llama, slots=Slots(Fixed(1)))
        endpoint = Endpoint(engine=engine, model="small", profile=ModeProfile(), window=None, server="llama.cpp")
        connection = Connection(model="small", base_url=None)
        async with Upstream(connection, dict.fromkeys(Mode, endpoint)) as upstream:
            with pytest.raises(Refusal) as refused:
                await upstream.relay(Sent(path="/embeddings"), None, Share())  # type: ignore[arg-type]
        return refused.value

    refusal = asyncio.run(ask())
    assert (refusal.status, refusal.code) == (501, "not_supported")
    assert "without a model server" in refusal.message
