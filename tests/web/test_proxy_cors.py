"""Web pages: none may use the proxy by default; those that `--allow-origin` names may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from tests.servers import ModelServer, reply_to, stream
from tests.web.proxies import MODEL, Answer, Proxy, both, command, serving

from scale_reasoning.errors import ConfigError
from scale_reasoning.web.proxy.server import Settings

PAGE = "https://chat.example.com"
OTHER = "https://evil.example.com"
ASKS = {"access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-lang"}  # fmt: skip


async def open_to_all(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A model server that lets every page read its answers, as many do."""
    if request.method == "POST" and request.path.endswith("/chat/completions"):
        return await stream(request, reply_to({"seed": 0, **body}))
    return web.json_response({}, headers={"access-control-allow-origin": "*", "vary": "accept"})


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Proxy, ModelServer]]:
    with both(open_to_all, allow_origin=(PAGE, "http://localhost:3000"), server="generic") as made:
        yield made


@pytest.fixture(scope="module")
def closed() -> Iterator[Proxy]:
    with both(open_to_all, server="generic") as (proxy, _):
        yield proxy


def preflight(proxy: Proxy, origin: str, path: str = "/v1/chat/completions", **more: str) -> Answer:
    return proxy.request("OPTIONS", path, None, {"origin": origin, **ASKS, **more})


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/embeddings", "/v1/files/f"])
def test_a_page_that_is_admitted_is_told_so(pair: tuple[Proxy, ModelServer], path: str) -> None:
    asked = len(pair[1].paths)
    answer = preflight(pair[0], PAGE, path, **{"access-control-request-private-network": "true"})
    assert (answer.status, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-headers"] == ASKS["access-control-request-headers"]
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert "origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    assert len(pair[1].paths) == asked


def test_an_admitted_page_can_read_answers_streams_errors_and_what_is_passed_through(
    pair: tuple[Proxy, ModelServer],
) -> None:
    proxy, origin = pair[0], {"origin": PAGE}
    answers = [
        proxy.ask(f"{MODEL}@cot", headers=origin),
        proxy.ask(f"{MODEL}@cot", stream=True, headers=origin),
        proxy.ask(MODEL, headers=origin),
        proxy.ask(f"{MODEL}@scal", headers=origin),
        proxy.get("/v1/models", **origin),
        proxy.get("/v1/files", **origin),
        proxy.get("/nowhere", **origin),
    ]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "x-scale-seed" in answer.headers["access-control-expose-headers"]
        assert "origin" in answer.headers["vary"]
    assert answers[5].headers["vary"] == "accept, origin"


@pytest.mark.parametrize("origin", [OTHER, "null", f"{PAGE}.evil.com", PAGE.upper(), f"{PAGE}:444", ""])
def test_another_page_is_told_nothing(pair: tuple[Proxy, ModelServer], closed: Proxy, origin: str) -> None:
    for proxy in (pair[0], closed):
        assert preflight(proxy, origin).status == 405
        answer = proxy.get("/v1/models", origin=origin)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_the_flag_no_page_reads_anything_not_even_what_the_model_server_opens(closed: Proxy) -> None:
    answer = closed.get("/v1/files")
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["vary"] == "accept"
    assert preflight(closed, PAGE).status == 405


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"content-type": "text/plain", "origin": OTHER}),
        ("POST", {"content-type": "multipart/form-data; boundary=x", "origin": OTHER}),
        ("POST", {"origin": "null"}),
        ("GET", {"sec-fetch-site": "cross-site"}),
        ("GET", {"sec-fetch-site": "same-site"}),
        ("GET", {"origin": OTHER}),
    ],
)
def test_what_a_page_can_send_without_asking_is_not_passed_on(
    pair: tuple[Proxy, ModelServer], method: str, headers: dict[str, str]
) -> None:
    proxy, server = pair
    asked = len(server.paths)
    refused = proxy.request(method, "/v1/files", b"x" if method == "POST" else None, headers)
    assert (refused.status, refused.json["error"]["code"]) == (403, "origin_not_allowed")
    assert len(server.paths) == asked
    admitted = {**headers, "origin": PAGE}
    assert proxy.request(method, "/v1/files", b"x" if method == "POST" else None, admitted).status == 200


def test_a_program_sends_no_origin_and_is_admitted(closed: Proxy) -> None:
    assert closed.request("POST", "/v1/files", b"x", {"content-type": "text/plain"}).status == 200


def test_every_page_may_be_admitted() -> None:
    with both(open_to_all, allow_origin=("*",), server="generic") as (proxy, _):
        assert preflight(proxy, OTHER).headers["access-control-allow-origin"] == "*"
        answer = proxy.ask(f"{MODEL}@cot", headers={"origin": OTHER})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert "vary" not in answer.headers


def test_a_preflight_needs_no_key_and_the_request_after_it_does() -> None:
    with both(open_to_all, allow_origin=(PAGE,), keys=("right",), server="generic") as (proxy, _):
        assert preflight(proxy, PAGE, host="chat.example.com").status == 204
        refused = proxy.ask(f"{MODEL}@cot", headers={"origin": PAGE})
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, PAGE)
        assert proxy.ask(f"{MODEL}@cot", headers={"origin": PAGE, "authorization": "Bearer right"}).status == 200


def test_without_keys_a_foreign_host_name_is_refused_in_a_preflight_too(pair: tuple[Proxy, ModelServer]) -> None:
    assert preflight(pair[0], PAGE, host="rebound.example.com").status == 403


@pytest.mark.parametrize("headers", ["x" * 2001, "a;b", "a: b"])
def test_odd_headers_are_not_quoted_back(pair: tuple[Proxy, ModelServer], headers: str) -> None:
    answer = preflight(pair[0], PAGE, **{"access-control-request-headers": headers})
    assert "access-control-allow-headers" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://a.com/", "https://a.com/x", "a.com", "null", "", "https://A.com", "https://*.a.com", "**"]
)
def test_an_origin_that_no_browser_sends_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ConfigError, match="--allow-origin"):
        Settings(allow_origin=(origin,))


@pytest.mark.parametrize(
    "origin",
    ["*", "https://a.com", "http://localhost:3000", "http://[::1]:80", "app://obsidian.md", "tauri://localhost"],
)
def test_origins_of_browsers_and_of_programs_with_pages_are_taken(origin: str) -> None:
    assert Settings(allow_origin=(origin,)).allow_origin == (origin,)


@pytest.mark.slow
def test_the_command_takes_origins_the_content_and_leniency() -> None:
    flags = ("--allow-origin", PAGE, "--allow-origin", "http://localhost:3000", "--lenient", "--content", "all")
    with serving() as server, command("--base-url", server.base_url, "--model", MODEL, *flags) as proxy:
        assert preflight(proxy, "http://localhost:3000").status == 204
        assert proxy.ask(tools=[{"type": "function"}]).headers["x-scale-lenient"] == "tools"
        assert "### Step 2 of 2" in proxy.ask().json["choices"][0]["message"]["content"]
