"""The proxy before a real model server, in a thread or as `scale serve` in a process; and what a client sees of it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from tests import servers
from tests.servers import Handler, ModelServer, reply_to, send, stream

from scale_reasoning.engines import Connection
from scale_reasoning.web.proxy.server import Settings
from scale_reasoning.web.proxy.server import serving as serving_proxy

MODEL = "Qwen/Qwen3-8B"
PROBLEM = "A shop sells pens at 3 for 2 dollars. How many dollars do 18 pens cost?"


@dataclass
class Answer:
    """What came back: the body as bytes, and as JSON or as a stream's events (without `[DONE]`)."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.content)

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self.content.decode().split("\n\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line != "data: [DONE]"]

    def told(self, key: str, index: int = 0) -> str:
        deltas = [
            choice["delta"] for event in self.events for choice in event.get("choices", ()) if choice["index"] == index
        ]
        return "".join(delta.get(key) or "" for delta in deltas)


@dataclass
class Proxy:
    """A running proxy; `log` has its lines so far (in a process: once it has ended)."""

    base_url: str
    log: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return urlsplit(self.base_url).port or 0

    def ask(self, model: str = f"{MODEL}@scale", *, headers: dict[str, str] | None = None, **body: Any) -> Answer:
        return self.send({"model": model, "messages": [{"role": "user", "content": PROBLEM}], **body}, headers=headers)

    def send(self, body: Any, *, headers: dict[str, str] | None = None, path: str = "/v1/chat/completions") -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, content, {"content-type": "application/json", **(headers or {})})

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, None, headers)

    def request(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Answer:
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def begin(self, model: str = f"{MODEL}@scale", **body: Any) -> http.client.HTTPConnection:
        """A request that is sent and not read."""
        connection = self.connection()
        asked = {"model": model, "messages": [{"role": "user", "content": PROBLEM}], **body}
        connection.request("POST", "/v1/chat/completions", json.dumps(asked), {"content-type": "application/json"})
        return connection


def words(*flags: str) -> list[str]:
    return [sys.executable, "-m", "scale_reasoning", "serve", "--port", "0", *flags]


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")} | more


@dataclass
class Process(Proxy):
    """`scale serve` as a user runs it."""

    process: subprocess.Popen[str] | None = None

    def end(self, signal: int, seconds: float = 30) -> int:
        assert self.process is not None
        assert self.process.stderr is not None
        self.process.send_signal(signal)
        code = self.process.wait(seconds)
        self.log += self.process.stderr.read().splitlines()
        return code


@contextlib.contextmanager
def command(*flags: str, **env: str) -> Iterator[Process]:
    """`scale serve --port 0 FLAGS`, once it serves."""
    process = subprocess.Popen(words(*flags), stderr=subprocess.PIPE, text=True, env=environment(**env))
    try:
        assert process.stderr is not None
        log: list[str] = []
        while not (line := process.stderr.readline()).startswith("scale: serving "):
            assert line, f"it ended: {log}"
            log.append(line)
        yield Process(line.split()[-1], log, process=process)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@contextlib.contextmanager
def proxied(base_url: str, **told: Any) -> Iterator[Proxy]:
    """A proxy in a thread of its own; `told` are fields of Connection and of Settings."""
    settings = {field.name for field in fields(Settings)}
    connection = Connection(
        **{"model": MODEL, "base_url": base_url} | {k: v for k, v in told.items() if k not in settings}
    )
    chosen = Settings(**{"port": 0, "drain_seconds": 0.1} | {k: v for k, v in told.items() if k in settings})
    ready, stopping, loop = queue.Queue[str](), asyncio.Event(), asyncio.new_event_loop()
    log: list[str] = []

    async def main() -> None:
        async with serving_proxy(connection, chosen, log=log.append) as served:
            ready.put(served.base_url)
            await stopping.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Proxy(ready.get(timeout=10), log)
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)


def serving(handler: Handler | None = None, models: Sequence[str] | None = None) -> AbstractContextManager[ModelServer]:
    """A model server that lists `models`; None: it has no list."""
    return servers.serving(handler, models=models, lists=True)


@contextlib.contextmanager
def both(handler: Handler | None = None, **told: Any) -> Iterator[tuple[Proxy, ModelServer]]:
    with servers.serving(handler, lists=handler is not listing) as server, proxied(server.base_url, **told) as proxy:
        yield proxy, server


async def listing(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """The model server's own answer, and a list of models too."""
    if request.path.endswith("/models"):
        names = [MODEL, *(f"other/model-{n}" for n in range(3000))]
        entries = [{"id": name, "object": "model", "created": 1, "owned_by": "them", "extra": [1]} for name in names]
        return web.json_response({"object": "list", "data": entries})
    thinking = bool(body.get("chat_template_kwargs", {}).get("enable_thinking"))
    return await stream(request, reply_to({"seed": 0, **body}), thinking=thinking)


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
