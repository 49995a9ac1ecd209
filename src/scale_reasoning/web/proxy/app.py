"""The proxy as an ASGI application: which path is answered by what, and one line of log for each request.

ASGI itself and no framework: what matters here is a stream's bytes and the moment a client goes away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scale_reasoning.web.proxy import chat
from scale_reasoning.web.proxy.exchange import Exchange, Gone, Receive, Scope, Send
from scale_reasoning.web.proxy.names import parse
from scale_reasoning.web.proxy.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Generator

    from scale_reasoning.web.proxy.answer import Solver
    from scale_reasoning.web.proxy.gate import Gate, Limits
    from scale_reasoning.web.proxy.metrics import Metrics
    from scale_reasoning.web.proxy.models import ModelList
    from scale_reasoning.web.proxy.upstream import Upstream

CHAT, MODELS = "/v1/chat/completions", "/v1/models"
JSON_TYPE = {"content-type": "application/json"}
GONE = 499
"""The status that the log and the metrics show for a client that went away (nginx' word for it)."""


class App:
    """Answers requests; `log` gets a line for each, without content or keys."""

    def __init__(
        self, *, upstream: Upstream, solver: Solver, models: ModelList, gate: Gate, limits: Limits, metrics: Metrics,
        log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._upstream, self._solver, self._models = upstream, solver, models
        self._gate, self._limits, self._metrics, self._log = gate, limits, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        exchange = Exchange(scope, receive, send)
        with self._noted(exchange):
            try:
                await self._route(exchange)
            except Refusal as refusal:
                await exchange.refuse(refusal)
            except Gone:
                exchange.status = GONE
            except asyncio.CancelledError:
                await exchange.refuse(Refusal(503, "shutting_down", "the server is shutting down", retry_after=1.0))
                raise
            except Exception:
                await exchange.refuse(Refusal(500, "internal_error", "a fault of this server: its log says more"))
                raise

    @contextmanager
    def _noted(self, exchange: Exchange) -> Generator[None]:
        started = time.monotonic()
        self._metrics.in_flight += 1
        try:
            yield
        finally:
            seconds, status = time.monotonic() - started, exchange.status or GONE
            self._metrics.in_flight -= 1
            self._metrics.served(exchange.kind, status, seconds)
            self._log(f"{exchange.client} {exchange.method} {exchange.kind} {status} {seconds:.3f}s")

    async def _route(self, exchange: Exchange) -> None:
        path = exchange.path
        if path == "/healthz":
            _only(exchange, "GET", "health")
            await exchange.answer(200, b'{"status":"ok"}', JSON_TYPE)
            return
        self._gate.admit(exchange)
        if path == CHAT:
            _only(exchange, "POST", "chat")
            await self._chat(exchange)
        elif path == MODELS:
            _only(exchange, "GET", "models")
            await exchange.answer(200, await self._models.whole(), JSON_TYPE)
        elif path.startswith(f"{MODELS}/"):
            _only(exchange, "GET", "models")
            await exchange.answer(200, await self._models.one(path.removeprefix(f"{MODELS}/")), JSON_TYPE)
        elif path == "/metrics":
            _only(exchange, "GET", "metrics")
            text = self._metrics.text().encode()
            await exchange.answer(200, text, {"content-type": "text/plain; version=0.0.4; charset=utf-8"})
        else:
            raise Refusal(404, "not_found", f"there is {CHAT}, {MODELS}, /metrics and /healthz")

    async def _chat(self, exchange: Exchange) -> None:
        if exchange.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            # Else any web page could have this machine's browser send one.
            raise Refusal(415, "unsupported_media_type", "the body must be sent as content-type: application/json")
        if exchange.headers.get("content-encoding", "identity") != "identity":
            raise Refusal(415, "unsupported_encoding", "the body must be sent as it is, not compressed")
        content = await exchange.body(self._limits.max_body_bytes)
        name = parse(chat.envelope(content, most_messages=self._limits.max_messages).model, self._upstream.model)
        exchange.kind = name.strategy or "passthrough"
        with self._gate.place():
            if name.strategy is None:
                await exchange.while_there(self._upstream.relay(content, exchange))
            else:
                await exchange.while_there(self._solver.answer(chat.read(content, name), exchange))


def _only(exchange: Exchange, method: str, kind: str) -> None:
    exchange.kind = kind
    if exchange.method != method:
        raise Refusal(405, "method_not_allowed", f"{exchange.path} answers {method} only")
