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
from tests.web.proxies import MODEL, both, command, proxied, serving

from scale_reasoning.strategies import STRATEGIES
from scale_reasoning.web.proxy import readiness


def started(base_url: str, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A `scale serve` that is to end by itself."""
    return scale("serve", "--port", "0", "--base-url", base_url, "--model", MODEL, *flags, env=env)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


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
        listed = {entry["id"] for entry in proxy.get("/v1/models").json["data"]}
        assert {MODEL, f"{MODEL}@scale"} <= listed


def test_only_strategies_that_the_model_can_do_are_listed() -> None:
    with serving() as server, proxied(server.base_url, model="Qwen/QwQ-32B") as proxy:
        listed = {entry["id"] for entry in proxy.get("/v1/models").json["data"]}
        assert listed == {"Qwen/QwQ-32B", "Qwen/QwQ-32B@cot", "Qwen/QwQ-32B@vote"}


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
