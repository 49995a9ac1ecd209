"""The proxy as an aiohttp application: which path is answered by what, what is counted, and how a failure is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

from scale_reasoning.web.proxy import chat
from scale_reasoning.web.proxy.answer import Solver
from scale_reasoning.web.proxy.gate import Gate, Limits
from scale_reasoning.web.proxy.metrics import Metrics
from scale_reasoning.web.proxy.names import parse
from scale_reasoning.web.proxy.refusals import Refusal
from scale_reasoning.web.proxy.upstream import Upstream
from scale_reasoning.web.proxy.wire import BEGUN, STALLED, event

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

CHAT, MODELS, HEALTH = "/v1/chat/completions", "/v1/models", "/healthz"
JSON_TYPE = {"content-type": "application/json"}
KIND = web.RequestKey("kind", str)
"""A word for the log and the metrics; the route's name until more is known."""
GONE = 499
"""The status that the log and the metrics show for a client that went away (nginx' word for it)."""

_faults = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Answers requests; `log` gets a line for each, without content or keys."""

    upstream: Upstream
    solver: Solver
    gate: Gate
    limits: Limits
    metrics: Metrics
    log: Callable[[str], None]
    drain_seconds: float
    _patience: set[asyncio.Timeout] = field(default_factory=set[asyncio.Timeout], init=False)

    def application(self) -> web.Application:
        """What a runner serves. Its shutdown gives requests in flight `drain_seconds`, then ends and tells them."""
        application = web.Application(
            middlewares=[self._noted, self._guarded], client_max_size=self.limits.max_body_bytes
        )
        application.on_shutdown.append(self._drain)
        application.add_routes(
            [
                web.get(HEALTH, self._health, name="health"),
                web.post(CHAT, self._chat, name="chat"),
                web.get(MODELS, self._models, name="models"),
                web.get(f"{MODELS}/{{name:.+}}", self._model),
                web.get("/metrics", self._metrics, name="metrics"),
            ]
        )
        return application

    @web.middleware
    async def _noted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started, status = time.monotonic(), GONE
        self.metrics.in_flight += 1
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            kind = request.get(KIND) or request.match_info.route.name or "other"
            seconds = time.monotonic() - started
            self.metrics.in_flight -= 1
            self.metrics.served(kind, status, seconds)
            self.log(f"{request.remote} {request.method} {kind} {status} {seconds:.3f}s")

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every failure in OpenAI's shape; a client that went away (cancelled, or ConnectionError) hears none."""
        try:
            if request.path != HEALTH:
                self.gate.admit(request)
            async with self._in_time():
                return await handler(request)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  a server's last line of defence
            return await _refused(request, _refusal(error, request))

    @asynccontextmanager
    async def _in_time(self) -> AsyncGenerator[None]:
        """Work that is ended, and told so, when the server's time is up."""
        patience = asyncio.timeout(None)
        try:
            async with patience:
                self._patience.add(patience)
                try:
                    yield
                finally:
                    self._patience.discard(patience)
        except TimeoutError:
            if not patience.expired():
                raise
            raise Refusal(503, "shutting_down", "the server is shutting down", retry_after=1.0) from None

    async def _drain(self, _: web.Application) -> None:
        deadline = asyncio.get_running_loop().time() + self.drain_seconds
        for patience in self._patience:
            patience.reschedule(deadline)

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(body=b'{"status":"ok"}', headers=JSON_TYPE)

    async def _metrics(self, _: web.Request) -> web.Response:
        kind = {"content-type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self.metrics.text().encode(), headers=kind)

    async def _models(self, _: web.Request) -> web.Response:
        return web.Response(body=await self.upstream.models(), headers=JSON_TYPE)

    async def _model(self, request: web.Request) -> web.Response:
        request[KIND] = "models"
        return web.Response(body=await self.upstream.model_named(request.match_info["name"]), headers=JSON_TYPE)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        content = await _body(request)
        envelope = chat.envelope(content, most_messages=self.limits.max_messages)
        name = parse(envelope.model, self.upstream.model)
        request[KIND] = name.strategy or "passthrough"
        with self.gate.place():
            if name.strategy is None:
                return await self.upstream.relay(content, request)
            return await self.solver.answer(chat.read(content, name), request)


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        # Else any web page could have this machine's browser send one.
        raise Refusal(415, "unsupported_media_type", "the body must be sent as content-type: application/json")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "unsupported_encoding", "the body must be sent as it is, not compressed")
    try:
        async with asyncio.timeout(STALLED):
            return await request.read()
    except TimeoutError:
        raise Refusal(408, "body_timeout", f"the body did not come within {STALLED:g} s") from None


def _refusal(error: Exception, request: web.Request) -> Refusal:
    match error:
        case Refusal():
            return error
        case web.HTTPRequestEntityTooLarge():
            return Refusal(413, "body_too_large", f"the body has over {request.client_max_size:,} bytes")
        case web.HTTPNotFound():
            return Refusal(404, "not_found", f"there is {CHAT}, {MODELS}, /metrics and {HEALTH}")
        case web.HTTPMethodNotAllowed():
            return Refusal(
                405, "method_not_allowed", f"only {', '.join(sorted(error.allowed_methods))} is answered here"
            )
        case web.HTTPException():
            return Refusal(error.status, "invalid_request", error.reason)
        case web.RequestPayloadError():
            return Refusal(400, "invalid_body", "the body is not sent as HTTP has it")
        case _:
            _faults.error("a fault of this server", exc_info=error)
            return Refusal(500, "internal_error", "a fault of this server: its log says more")


async def _refused(request: web.Request, refusal: Refusal) -> web.StreamResponse:
    """An error as the status before the first byte, as a stream's last event; else what was begun is broken off."""
    begun = request.get(BEGUN)
    if begun is None:
        return web.Response(status=refusal.status, body=refusal.content, headers=refusal.headers)
    if begun.content_type == "text/event-stream":
        await begun.write(event(refusal.body))
    elif request.transport is not None:
        request.transport.close()
    return begun
