"""What a server says before its model server is there, or when it is the wrong one."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
from typing import Any

import pytest
from aiohttp import web
from tests.commands import scale
from tests.patience import until
from tests.web.proxies import MODEL, Proxy, both, command, proxied, serving, serving_proxy

from scale_reasoning.engines import Connection
from scale_reasoning.errors import ConfigError
from scale_reasoning.strategies import STRATEGIES
from scale_reasoning.strategies.vote import Vote
from scale_reasoning.web.proxy import readiness
from scale_reasoning.web.proxy.server import Settings


def started(base_url: str, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A `scale serve` that is to end by itself."""
    return scale("serve", "--port", "0", "--base-url", base_url, "--model", MODEL, *flags, env=env)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def list_names(proxy: Proxy) -> set[str]:
    return {entry["id"] for entry in proxy.get("/v1/models").json["data"]}


@pytest.mark.slow
def test_a_server_that_is_not_there_is_waited_for_and_said_at_once() -> None:
    port = free_port()
    with command("--base-url", f"http://127.0.0.1:{port}/v1", "--model", MODEL) as proxy:
        assert any(line.startswith("scale: not ready:") and str(port) in line for line in proxy.log)
        assert proxy.get("/healthz").status == 200
        refused = proxy.get("/readyz")
        assert (refused.status, refused.json["error"]["code"]) == (503, "not_ready")
        assert str(port) in refused.json["error"]["message"]
        assert proxy.get("/v1/models").json["data"] == []
        proxy.end(signal.SIGTERM)


def test_a_port_that_is_in_use_is_told_before_the_model_is_opened() -> None:
    async def serve(port: int) -> None:
        async with serving_proxy(Connection(model="nowhere.gguf"), Settings(port=port), log=print):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"^--port {port}: in use on 127.0.0.1; --port 0 takes a free one$"):
            asyncio.run(serve(port))
    with pytest.raises(ConfigError, match=r"--host 127.0.0.1 --port 99999: cannot be bound"):
        asyncio.run(serve(99999))
    with pytest.raises(ConfigError, match=r"there is no file nowhere.gguf"):
        asyncio.run(serve(0))


def test_it_is_ready_as_soon_as_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness.Readiness, "seconds", 0.05)
    up: list[int] = []

    async def late(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not up:
            return web.json_response({"error": "loading"}, status=503)
        return web.json_response({"data": [{"id": MODEL}]})

    with both_listing(late) as (proxy, _):
        assert proxy.get("/readyz").status == 503
        assert proxy.get("/v1/models").json["data"] == []
        up.append(1)
        until(lambda: proxy.get("/readyz").status == 200)
        until(lambda: len(proxy.get("/v1/models").json["data"]) == 1 + len(STRATEGIES))


def both_listing(handler: Any) -> Any:
    """As `both`, with a handler that answers GET /models itself."""
    import contextlib

    from tests import servers

    @contextlib.contextmanager
    def made() -> Any:
        with servers.serving(handler) as server, proxied(server.base_url, retries=0) as proxy:
            yield proxy, server

    return made()


def test_a_model_that_the_server_does_not_have_ends_the_start_with_what_it_has() -> None:
    with serving(models=["alpha/one", "beta/two"]) as server:
        done = started(server.base_url)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert MODEL in done.stderr
    assert "alpha/one" in done.stderr


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_ends_the_start_and_is_not_shown(status: int) -> None:
    async def refusing(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": {"message": f"bad key {request.headers['authorization']}"}}, status=status)

    from tests import servers

    with servers.serving(refusing) as server:
        done = started(server.base_url, OPENAI_API_KEY="sk-very-secret")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "API key was refused" in done.stderr
    assert "sk-very-secret" not in done.stderr


@pytest.mark.parametrize("names", [[MODEL, "other"], [f"{MODEL}:latest"], [], None])
def test_a_model_that_is_listed_or_a_server_without_a_list_is_ready(names: list[str] | None) -> None:
    with serving(models=names) as server, proxied(server.base_url) as proxy:
        assert proxy.get("/readyz").json == {"status": "ready"}
        assert {MODEL, f"{MODEL}@scale"} <= list_names(proxy)


def test_only_strategies_that_the_model_can_do_are_listed() -> None:
    with serving() as server, proxied(server.base_url, model="Qwen/QwQ-32B") as proxy:
        assert list_names(proxy) == {"Qwen/QwQ-32B", "Qwen/QwQ-32B@cot", "Qwen/QwQ-32B@vote"}


def test_a_proxy_before_another_lists_only_strategies_of_its_own() -> None:
    with (
        serving(models=[MODEL, "QwQ-32B"]) as server,
        proxied(server.base_url, tuned=Vote(samples=2)) as first,
        proxied(first.base_url) as second,
        proxied(first.base_url, model="QwQ-32B") as other,
    ):
        assert f"{MODEL}@tuned" in list_names(first)
        assert list_names(second) == {MODEL, "QwQ-32B", *(f"{MODEL}@{name}" for name in STRATEGIES)}
        # another proxy's policy is no strategy here, and its name goes through
        assert list_names(other) == {MODEL, f"{MODEL}@tuned", "QwQ-32B", "QwQ-32B@cot", "QwQ-32B@vote"}
        assert other.ask(f"{MODEL}@tuned").status == 200


def test_neither_healthz_nor_readyz_needs_a_key() -> None:
    with both(keys=("right",)) as (proxy, _):
        assert proxy.get("/healthz").status == proxy.get("/readyz").status == 200


def test_a_server_that_lists_forever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    monkeypatch.setattr(readiness, "PROBE_SECONDS", 0.2)
    with both_listing(forever) as (proxy, _):
        assert "did not list" in proxy.get("/readyz").json["error"]["message"]
