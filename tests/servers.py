"""A real OpenAI-compatible server on loopback in a thread of its own, for programs that own their event loop.

It answers every stage in the right form, by the schema and the last message, and keeps what it was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from aiohttp import web

from scale_reasoning.servers import list_servers

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


IDENTIFYING = {kind.asks for kind in list_servers().values() if kind.asks}
"""Paths at which a server says what it is. A handler that has an answer to them sets `identifies`."""


class ModelServer:
    """What the server was asked: `bodies` of generations, `paths` of all requests, `open` requests right now.

    `models` are the names that it lists; None: it has no list.
    """

    def __init__(
        self, handler: Handler | None = None, models: Sequence[str] | None = None, *, lists: bool = False
    ) -> None:
        self.handler = handler or self.answer
        self.models, self.lists = models, lists
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.open = 0
        self.base_url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        if request.method == "GET" and request.path.endswith("/models") and self.lists:
            if self.models is None:
                return web.json_response({"error": {"message": "no such path"}}, status=404)
            entries = [{"id": name, "object": "model", "created": 1, "owned_by": "them"} for name in self.models]
            return web.json_response({"object": "list", "data": entries})
        if request.path in IDENTIFYING and not getattr(self.handler, "identifies", False):
            return web.json_response({"error": {"message": "no such path"}}, status=404)
        self.headers.append(dict(request.headers))
        is_json = request.can_read_body and request.content_type == "application/json"
        body = await request.json() if is_json else {}
        if request.path.endswith(("/chat/completions", "/messages")):
            self.bodies.append(body)
        self.open += 1
        try:
            return await self.handler(request, body)
        finally:
            self.open -= 1

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await stream(request, reply_to(body), thinking=thinks(body))


def thinks(body: dict[str, Any]) -> bool:
    return bool(body.get("chat_template_kwargs", {}).get("enable_thinking"))


def reply_to(body: dict[str, Any]) -> str:
    """Two sub-problems, the first easy, the second hard, and 12 as every result."""
    said = body["messages"][-1]["content"]
    schema = body.get("response_format", {}).get("json_schema", {}).get("name")
    if schema == "decomposition":
        return json.dumps({"subproblems": [f"How many groups of 3? ({body['seed']})", "What do they cost?"]})
    if schema == "choice":
        return '{"choice": 2}'
    if schema == "difficulty":
        return json.dumps({"difficulty": 0.2 if "Question 1" in said else 0.9})
    return "It is \\boxed{12}."


async def stream(
    request: web.Request, text: str, *, thinking: bool = False, finish_reason: str = "stop"
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    pieces: list[dict[str, str]] = [{"reasoning_content": "Let me think."}] if thinking else []
    pieces += [{"content": piece} for piece in text.split(" ")[:1]]
    pieces += [{"content": f" {piece}"} for piece in text.split(" ")[1:]]
    for piece in pieces:
        await send(response, {"model": "served", "choices": [{"index": 0, "delta": piece}]})
    await send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    usage = {
        "prompt_tokens": 50,
        "completion_tokens": 10,
        "completion_tokens_details": {"reasoning_tokens": 4 * thinking},
    }
    await send(response, {"choices": [], "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 30}}})
    await response.write(b"data: [DONE]\n\n")
    return response


async def send(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


@contextlib.contextmanager
def serving(
    handler: Handler | None = None, *, models: Sequence[str] | None = None, lists: bool = False
) -> Iterator[ModelServer]:
    """A running server; `server.base_url` ends in /v1. With `lists` it answers GET /models itself, with `models`."""
    server, ready, stop = ModelServer(handler, models, lists=lists), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.base_url = f"http://{host}:{port}/v1"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
