"""The proxy as an aiohttp application: the handler of each path, what is counted, and how a failure is reported."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
from aiohttp import HttpVersion11, web

from scale_reasoning.web.proxy import chat, lenient
from scale_reasoning.web.proxy.answer import METER, Solver
from scale_reasoning.web.proxy.body import Decoder, read_body, read_json
from scale_reasoning.web.proxy.budget import CHATS
from scale_reasoning.web.proxy.cors import Origins
from scale_reasoning.web.proxy.door import Door
from scale_reasoning.web.proxy.gate import Gate, Limits
from scale_reasoning.web.proxy.log import Log, printable_word, timestamp
from scale_reasoning.web.proxy.metrics import Metrics
from scale_reasoning.web.proxy.names import parse
from scale_reasoning.web.proxy.pace import Share
from scale_reasoning.web.proxy.passing import METHODS, ROOT, Passing, Sent, read_target
from scale_reasoning.web.proxy.readiness import Readiness
from scale_reasoning.web.proxy.refusals import Refusal
from scale_reasoning.web.proxy.upstream import Upstream
from scale_reasoning.web.proxy.wire import BEGUN, ID, event, finish_response

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

CHAT, MODELS, HEALTH, READY = "/v1/chat/completions", "/v1/models", "/healthz", "/readyz"
OPEN = (HEALTH, READY)
"""Paths that need no key."""
JSON_TYPE = {"content-type": "application/json"}

KIND = web.RequestKey("kind", str)
"""The request's kind for the metrics; the route's name by default."""
NAME = web.RequestKey("name", str)
"""The name in the log: `MODEL@STRATEGY`, a model of the server, or the kind."""
SHARE = web.RequestKey("share", Share)
"""What the client uses at the moment."""
LACKS = web.RequestKey("lacks", str)
"""What a strategy could not honour, so that the plain model answers."""
GONE = 499
"""The status in the log and the metrics for a client that disconnected, as in nginx."""

_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Answers requests. `log` gets one line per request, without content or keys. shown: what the content of an answer
    is where the request does not say so.
    """

    upstream: Upstream
    readiness: Readiness
    solver: Solver
    gate: Gate
    door: Door
    origins: Origins
    passing: Passing
    shown: chat.Shown
    limits: Limits
    metrics: Metrics
    log: Log
    drain_seconds: float
    _patience: set[asyncio.Timeout] = field(default_factory=set[asyncio.Timeout], init=False)
    _decoder: Decoder = field(default_factory=Decoder, init=False)

    def application(self) -> web.Application:
        """The application for a runner. On shutdown, requests in flight get an error after `drain_seconds`."""
        application = web.Application(
            middlewares=[self._log_request, self._report_errors], client_max_size=self.limits.max_body_bytes
        )
        application.on_shutdown.append(self._drain)
        application.on_response_prepare.append(_add_own_headers)
        application.on_response_prepare.append(self.origins.add_headers)
        application.add_routes(
            [
                web.get(HEALTH, self._health, name="health", expect_handler=_answer_expectation),
                web.get(READY, self._ready, name="ready", expect_handler=_answer_expectation),
                web.post(CHAT, self._chat, name="chat", expect_handler=_answer_expectation),
                web.get(MODELS, self._models, name="models", expect_handler=_answer_expectation),
                web.get(f"{MODELS}/{{name:.+}}", self._model, expect_handler=_answer_expectation),
                web.get("/metrics", self._metrics, name="metrics", expect_handler=_answer_expectation),
                web.route("*", f"{ROOT}/{{path:.*}}", self._pass, expect_handler=_answer_expectation),
            ]
        )
        return application

    @web.middleware
    async def _log_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started, status = time.monotonic(), GONE
        asked = request.headers.get("x-request-id", "")
        request[ID] = asked if _PLAIN_ID.fullmatch(asked) else uuid.uuid4().hex
        self.door.begin(request.protocol)
        self.metrics.in_flight += 1
        try:
            response = await handler(request)
            status = response.status
            await finish_response(request, response)
            return response
        finally:
            self.metrics.in_flight -= 1
            self.door.end(request.protocol)
            self._write_log_line(request, status, time.monotonic() - started)

    def _write_log_line(self, request: web.Request, status: int, seconds: float) -> None:
        kind = request.get(KIND) or request.match_info.route.name or "other"
        self.metrics.count_request(kind, status, seconds)
        meter = request.get(METER)
        read, written = (None, None) if meter is None else (meter.spent.prompt_tokens, meter.spent.completion_tokens)
        tokens = "-" if read is None or written is None else f"{read}+{written}"
        method, name = printable_word(request.method), request.get(NAME) or kind
        line = f"{timestamp()} {request[ID]} {request.remote} {method} {name} {status} {tokens} tokens {seconds:.3f}s"
        if status < 400:
            self.log.line(line)
        else:
            self.log.failure(line, request.remote, kind, status)

    @web.middleware
    async def _report_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Reports every failure in OpenAI's shape, but not to a client that disconnected."""
        try:
            if request.path not in OPEN:
                if (preflight := self.origins.preflight(request)) is not None:
                    request[KIND] = "preflight"
                    self.gate.require_host(request)
                    return preflight
                request[SHARE] = self.gate.admit(request)
            async with self._until_shutdown():
                return await handler(request)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  the outermost handler of a server
            return await _send_refusal(request, self._refusal(error, request))

    @asynccontextmanager
    async def _until_shutdown(self) -> AsyncGenerator[None]:
        """Raises Refusal (503) in the block when the time for the shutdown is over."""
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

    async def _ready(self, _: web.Request) -> web.Response:
        if (why := self.readiness.why) is not None:
            raise Refusal(503, "not_ready", why, retry_after=self.readiness.seconds)
        return web.Response(body=b'{"status":"ready"}', headers=JSON_TYPE)

    async def _metrics(self, _: web.Request) -> web.Response:
        kind = {"content-type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self.metrics.text().encode(), headers=kind)

    async def _models(self, _: web.Request) -> web.Response:
        return web.Response(body=await self.upstream.models(), headers=JSON_TYPE)

    async def _model(self, request: web.Request) -> web.Response:
        request[KIND] = "models"
        return web.Response(body=await self.upstream.model_named(request.match_info["name"]), headers=JSON_TYPE)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        share = request[SHARE]
        with self.gate.slot(share):
            content = await read_json(request)
            said = await self._decoder.decode(content)
            envelope = chat.read_envelope(said, most_messages=self.limits.max_messages)
            tuned = self.upstream.tuned
            name = parse(envelope.model, self.upstream.model, tuned=tuned is not None)
            if name.strategy is None:
                request[KIND], request[NAME] = "passthrough", printable_word(envelope.model)
                return await self.upstream.relay(Sent(path=CHATS, content=content, said=said), request, share)
            request[KIND], request[NAME] = name.strategy, f"{printable_word(self.upstream.model)}@{name.strategy}"
            lacks = chat.list_unsupported(said, name) if self.passing.lenient else []
            efforts, most = self.upstream.efforts, self.limits.max_calls
            asked = chat.read_chat(chat.leave_out(said, lacks), name, max_calls=most, efforts=efforts, tuned=tuned,
                                   shown=self.shown)  # fmt: skip
            if lacks:
                self._note_plain(request, lenient.name_params(lacks))
                plain = lenient.make_plain(said, self.upstream.model)
                sent = Sent(path=CHATS, content=msgspec.json.encode(plain), said=plain)
                return await self.upstream.relay(sent, request, share)
            return await self.solver.answer(asked, request, share)

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        """Passes any other request of the protocol on."""
        target, share = read_target(request), request[SHARE]
        _require_method(request)
        pairs = request.query_string.split("&")  # a key may end in "="
        if self.gate.holds_key([*target.path.split("/"), *pairs, *request.query.keys(), *request.query.values()]):
            raise Refusal(
                400, "invalid_path", "a key of this server is sent as a bearer token, not in the path or its query"
            )
        request[KIND], request[NAME] = "passthrough", printable_word(f"{ROOT}{target.path}")
        self.origins.require(request)
        self.passing.check(target)
        with self.gate.slot(share):
            content, is_json = await read_body(request), request.content_type == "application/json"
            sent, strategy = await self.passing.read(target, content, is_json=is_json, decode=self._decoder.decode)
            if strategy is not None:
                self._note_plain(request, "path")
            return await self.upstream.relay(sent, request, share)

    def _note_plain(self, request: web.Request, lacks: str) -> None:
        """Notes that the plain model answers in a strategy's place."""
        request[KIND], request[NAME] = "lenient", printable_word(self.upstream.model)
        request[LACKS] = lacks

    def _refusal(self, error: Exception, request: web.Request) -> Refusal:
        refusal = _refusal(error, request)
        if refusal is not None:
            return refusal
        self.log.fault(error)
        return Refusal(500, "internal_error", "an error of this server: see its log")


async def _answer_expectation(request: web.Request) -> None:
    """Sends `100 Continue` if a client waits for it, and ignores any other expectation (RFC 9110, 10.1.1).

    aiohttp's own handler would answer before the key is checked, in plain text and without a line in the log.
    """
    if request.version == HttpVersion11 and request.headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response has not begun


async def _add_own_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Adds the request's id to the headers of any response, and what made the plain model answer."""
    if ID in request:
        response.headers["x-request-id"] = request[ID]
    if LACKS in request:
        response.headers[lenient.LENIENT] = request[LACKS]


def _require_method(request: web.Request) -> None:
    """Raises HTTPMethodNotAllowed for this server's own paths, which other methods do not have, and for OPTIONS."""
    if request.path == CHAT:
        raise web.HTTPMethodNotAllowed(request.method, ["POST"])
    if request.path == MODELS or request.path.startswith(f"{MODELS}/"):
        raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
    if request.method not in METHODS:
        raise web.HTTPMethodNotAllowed(request.method, METHODS)


def _refusal(error: Exception, request: web.Request) -> Refusal | None:
    match error:
        case Refusal():
            return error
        case web.HTTPRequestEntityTooLarge():
            return Refusal(413, "body_too_large", f"the body has more than {request.client_max_size:,} bytes")
        case web.HTTPNotFound():
            return Refusal(404, "not_found", f"the paths are {CHAT}, {ROOT}/…, /metrics, {HEALTH} and {READY}")
        case web.HTTPMethodNotAllowed():
            return Refusal(
                405, "method_not_allowed", f"only {', '.join(sorted(error.allowed_methods))} is answered here"
            )
        case web.HTTPException():
            return Refusal(error.status, "invalid_request", str(error.reason))
        case web.RequestPayloadError():
            return Refusal(400, "invalid_body", "the body is not valid HTTP")
        case _:
            return None


async def _send_refusal(request: web.Request, refusal: Refusal) -> web.StreamResponse:
    """Reports an error: as the status before the first byte, as the last event of a stream; otherwise disconnects."""
    begun = request.get(BEGUN)
    if begun is None:
        return web.Response(status=refusal.status, body=refusal.content, headers=refusal.headers)
    if begun.content_type == "text/event-stream":
        await begun.write(event(refusal.body))
    elif request.transport is not None:
        request.transport.close()
    return begun
