"""A model server that misbehaves on request: the model's name in a request says how.

`FAULTS` is the table; to add a fault, write a `Behaviour` (most are a few words of `answers`, `events` or `raw`) and
give it a row. `NAME-then-ok` does it to the first request for that name only. A `Faults()` is a handler for
`tests.servers.serving`, where a program of its own process is tested; `running()` serves in this event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from tests.servers import Handler, ModelServer

FOREVER = 3600.0
TEXT = "Hello, wörld ∑: \\boxed{12}"
USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}


@dataclass(frozen=True)
class Ask:
    """One request; `nth` counts the requests for its model, from 1."""

    request: web.Request
    body: dict[str, Any]
    nth: int


Behaviour = Callable[[Ask], Awaitable[web.StreamResponse]]


def answers(status: int, body: Any, *, html: bool = False, **headers: str) -> Behaviour:
    """One whole body: JSON, or a page."""

    async def behave(_: Ask) -> web.StreamResponse:
        text, kind = (body, "text/html") if html else (json.dumps(body), "application/json")
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, content_type=kind, headers=names)

    return behave


def events(*items: Any, end: str = "\n\n", seconds: float = 0.0, then: Behaviour | None = None) -> Behaviour:
    """A stream with a write for each item: a chunk to encode, or text to send as it is."""

    async def behave(ask: Ask) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(ask.request)
        for item in items:
            await response.write((item if isinstance(item, str) else f"data: {json.dumps(item)}{end}").encode())
            await asyncio.sleep(seconds)
        if then is not None:
            await then(ask)
        return response

    return behave


def raw(text: str) -> Behaviour:
    """These bytes and no others, then the connection is closed in order."""

    async def behave(ask: Ask) -> web.StreamResponse:
        assert ask.request.transport is not None
        ask.request.transport.write(text.encode())
        ask.request.transport.close()
        return web.Response()

    return behave


async def reset(ask: Ask) -> web.StreamResponse:
    """The connection is gone, at once."""
    assert ask.request.transport is not None
    ask.request.transport.abort()
    return web.Response()


async def hang_up(ask: Ask) -> web.StreamResponse:
    """A whole reply, and then the connection ends that was said to be kept, as llama.cpp's does."""
    response = await events(*HELLO, DONE)(ask)
    await response.write_eof()
    assert ask.request.transport is not None
    ask.request.transport.close()
    return response


async def past_its_length(ask: Ask) -> web.StreamResponse:
    """More than the head promises: a whole reply, and then bytes that would be read as the head of the next answer."""
    assert ask.request.transport is not None
    body = json.dumps({"model": "served", "choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]})
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ask.request.transport.write(f"{head}{body}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    await asyncio.sleep(0.05)
    ask.request.transport.close()
    return web.Response()


async def stall(_: Ask) -> web.StreamResponse:
    """Nothing, for as long as the client stands it."""
    await asyncio.sleep(FOREVER)
    raise AssertionError("nobody waits that long")


async def ok(ask: Ask) -> web.StreamResponse:
    """What was asked for, as it was asked for."""
    return await (events(*saying({"content": TEXT}), USED, DONE) if ask.body.get("stream") else whole())(ask)


def whole(**more: Any) -> Behaviour:
    """One JSON body, whether or not a stream was asked for."""
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return answers(200, {"model": "served", "choices": [choice], "usage": USAGE, **more})


def refuses(key: str, message: str) -> Behaviour:
    """A 400 for a body that has `key`."""

    async def behave(ask: Ask) -> web.StreamResponse:
        refusal = answers(400, {"error": {"message": message, "type": "invalid_request_error"}})
        return await (refusal if key in ask.body else ok)(ask)

    return behave


def failing(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


def saying(*deltas: dict[str, Any], finish: str | None = "stop") -> list[dict[str, Any]]:
    """The chunks of a reply in these pieces; without an end when `finish` is None."""
    chunks = [{"model": "served", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return [*chunks, *([{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}] if finish else [])]


def thinking(*pieces: str, finish: str = "stop") -> Behaviour:
    return events(*saying(*({"content": piece} for piece in pieces), finish=finish), USED, DONE)


def using(usage: Any) -> Behaviour:
    return events(*saying({"content": TEXT}), {"choices": [], "usage": usage}, DONE)


async def too_soon_until_a_date(ask: Ask) -> web.StreamResponse:
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    return await answers(429, failing("slow down"), retry_after=date)(ask)


async def echoes_the_key(ask: Ask) -> web.StreamResponse:
    return await answers(401, failing(f"bad key: {ask.request.headers.get('authorization')}"))(ask)


async def echoes_the_key_in_mid_stream(ask: Ask) -> web.StreamResponse:
    error = failing(f"bad key: {ask.request.headers.get('authorization')}")
    return await events(*HALF, error)(ask)


async def refuses_in_two_pieces(ask: Ask) -> web.StreamResponse:
    """The reason stands in the second."""
    response = web.StreamResponse(status=400, headers={"content-type": "application/json"})
    await response.prepare(ask.request)
    await response.write(b'{"error": {"message": "This model\'s maximum ')
    await asyncio.sleep(0.02)
    await response.write(b'context length is 4096 tokens."}}')
    return response


async def mangled(ask: Ask) -> web.StreamResponse:
    """A whole stream with some of its bytes changed, lost or doubled; each request another way."""
    chance = random.Random(ask.nth)
    stream = bytearray("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in [*HELLO, USED]) + DONE, "utf-8")
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(stream))
        stream[place : place + chance.randint(0, 2)] = chance.choice(
            [b"", b"{", b'"', b"null", b"\xff", b"\n\n", b"[", b"-"]
        )
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(ask.request)
    await response.write(bytes(stream))
    return response


HALF = saying({"content": "Hello"}, {"content": ", w"}, finish=None)
HELLO = saying({"content": "Hello"}, {"content": ", w"}, {"content": "örld ∑: \\boxed{12}"})
USED = {"choices": [], "usage": USAGE}
DONE = "data: [DONE]\n\n"
PAGE = "<!DOCTYPE html>\n<html><body><h1>Bad gateway</h1>nginx</body></html>"
VLLM_OVERFLOW = (
    "This model's maximum context length is 4096 tokens. However, you requested 4348 tokens (4332 in the messages, 16 "
    "in the completion). Please reduce the length of the messages or completion."
)
VLLM_MAX_TOKENS = (
    "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens "
    "and your request has 1000 input tokens (5000 > 4096 - 1000). (parameter=max_tokens, value=5000)"
)
SGLANG_TOTAL = (
    "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5348 "
    "tokens: 1000 tokens from the input messages and 4348 tokens for the completion."
)
OPENAI_OVERFLOW = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 10020 tokens. Please "
    "reduce the length of the messages."
)
LLAMA_CPP_OVERFLOW = {
    "code": 400,
    "message": "the request exceeds the available context size",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 5000,
    "n_ctx": 4096,
}

FAULTS: dict[str, Behaviour] = {
    "ok": ok,
    # refusals
    "429": answers(429, failing("slow down")),
    "429-for-seconds": answers(429, failing("slow down"), retry_after="7"),
    "429-until-a-date": too_soon_until_a_date,
    "429-for-a-second": answers(429, failing("slow down"), retry_after="1"),
    "429-for-no-time": answers(429, failing("slow down"), retry_after="0"),
    "429-for-hours": answers(429, failing("slow down"), retry_after="7200"),
    "429-for-nonsense": answers(429, failing("slow down"), retry_after="soon"),
    "429-until-no-date": answers(429, failing("slow down"), retry_after=f"Mon, 01 Jan 2029 {'9' * 30}:00:00 GMT"),
    "503": answers(503, failing("loading the model")),
    "500": answers(500, failing("CUDA out of memory")),
    "500-empty": raw("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    "500-deep": raw(f"HTTP/1.1 500 Oops\r\ncontent-length: 20000\r\nconnection: close\r\n\r\n{'[' * 20_000}"),
    "501": answers(501, failing("This server does not support completions")),
    "502-html": answers(502, PAGE, html=True),
    "400": answers(400, failing("top_k: must be positive")),
    "400-blaming-the-schema": answers(400, failing("response_format is not known here")),
    "400-in-two-pieces": refuses_in_two_pieces,
    "401-echoing-the-key": echoes_the_key,
    "404": answers(404, {"detail": "Not Found"}),
    "ignores-schema": ok,
    "ignores-n": ok,
    "thousands-of-models": ok,
    "no-schema": refuses("response_format", "response_format.type must be text"),
    "no-stream-options": refuses("stream_options", "Unrecognized request argument: stream_options"),
    "overflow-vllm": answers(400, failing(VLLM_OVERFLOW, type="BadRequestError", code=400)),
    "overflow-vllm-max-tokens": answers(400, failing(VLLM_MAX_TOKENS, type="BadRequestError", code=400)),
    "overflow-llama.cpp": answers(400, {"error": LLAMA_CPP_OVERFLOW}),
    "overflow-openai": answers(400, failing(OPENAI_OVERFLOW, code="context_length_exceeded")),
    "overflow-sglang": answers(
        400, {"message": "The input (5000 tokens) is longer than the model's context length (4096 tokens)."}
    ),
    "overflow-sglang-total": answers(400, {"object": "error", "message": SGLANG_TOTAL, "code": 400}),
    "overflow-in-stream": events({"error": LLAMA_CPP_OVERFLOW}),
    # broken connections and silence
    "reset": reset,
    "reset-in-stream": events(*HALF, then=reset),
    "stall": stall,
    "stall-after-headers": events(then=stall),
    "stall-in-stream": events(*HALF, then=stall),
    "drip": events(*(character for character in f"data: {json.dumps(HELLO[-2])}\n\n"), *HELLO[-1:], DONE),
    "closed-in-headers": raw("HTTP/1.1 200 OK\r\ncontent-ty"),
    "short-of-its-length": raw('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"'),
    "past-its-length": past_its_length,
    "not-http": raw("SSH-2.0-OpenSSH_9.2\r\n"),
    # streams
    "200-html": answers(200, PAGE, html=True),
    "malformed-event": events(*HALF, "data: {'choices': oops\n\n"),
    "deep-event": events(*HALF, f'data: {{"error": {"[" * 20_000}\n\n'),
    "mangled": mangled,
    "wrong-shape": events({"choices": {"delta": {"content": TEXT}}}),
    "truncated": events(*HALF),
    "truncated-in-event": events(*HALF, 'data: {"choices": [{"delta": {"content": "lo'),
    "no-last-blank-line": events(*HELLO, "data: [DONE]"),
    "no-done": events(*HELLO),
    "no-finish-reason": events(*HELLO[:-1], DONE),
    "crlf": events(*HELLO, "data: [DONE]\r\n\r\n", end="\r\n\r\n"),
    "comments": events(": waiting\n\n", "event: message\nid: 1\n", *HELLO, ": ping\n\n", DONE),
    "slow": events(*HELLO, DONE, seconds=0.15),
    "slow-drip": events(*HELLO, DONE, seconds=0.3),
    "late-end": events(*HELLO, DONE, seconds=0.02),
    "no-end": events(*HELLO, DONE, then=stall),
    "reset-after-done": events(*HELLO, DONE, then=reset),
    "hangs-up": hang_up,
    "no-choices": events({"choices": []}, DONE),
    "null-content": events(*saying({"role": "assistant", "content": None}), DONE),
    "other-model": events(*({**chunk, "model": "tiny-1b"} for chunk in HELLO), USED, DONE),
    "several-choices": events({"choices": [{"index": 1, "delta": {"content": "other"}}]}, *HELLO, DONE),
    "error-in-stream": events(*HALF, failing("engine died", code=500)),
    "rejected-in-stream": events(*HALF, failing("no such adapter", code=400)),
    "error-echoing-the-key": echoes_the_key_in_mid_stream,
    "no-stream": whole(),
    "no-stream-error": answers(200, failing("out of memory")),
    "no-stream-broken": raw(
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"choices": [',
    ),
    "length": events(*saying({"content": "Hello"}, finish="length"), USED, DONE),
    # usage
    "usage-missing": events(*HELLO, DONE),
    "usage-null": using(None),
    "usage-detailed": using(
        {
            **USAGE,
            "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": None},
            "prompt_tokens_details": {"cached_tokens": 5},
        }
    ),
    "usage-sglang": using({**USAGE, "reasoning_tokens": 3, "prompt_tokens_details": None}),
    "usage-deepseek": using({**USAGE, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 2}),
    # reasoning
    "reasoning": events(*saying({"reasoning": "Let me "}, {"reasoning": "think."}, {"content": "Four."}), DONE),
    "reasoning-content": events(*saying({"reasoning_content": "Let me think."}, {"content": "Four."}), DONE),
    "reasoning-and-a-tag": events(*saying({"reasoning": "Hm."}, {"content": "It is </think>."}), DONE),
    "think-tags": thinking("<thi", "nk>\n", "Let me think.", "</th", "ink>", "\n\n", "Four."),
    "think-nothing": thinking("<think>", "\n\n", "</think>", "\n\n", "Four."),
    "closing-tag-only": thinking("Let me think.\n", "</thi", "nk>\n\nFour."),
    "cut-in-thought": thinking("Let me ", "think.", finish="length"),
    "no-thought": thinking("Four", "."),
}


MODELS = [f"family-{n // 100}/model-{n % 100}" for n in range(5_000)]


class Faults:
    """A handler (see tests.servers) that does what the model's name says. `elsewhere` is where redirects lead."""

    def __init__(self, *, elsewhere: str = "http://127.0.0.1:9/v1/chat/completions") -> None:
        self.asked = Counter[str]()
        self.faults = {**FAULTS, "redirect": answers(307, "", location=elsewhere)}

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/models"):
            return web.json_response({"data": [{"id": name} for name in MODELS]})
        name = body["model"]
        self.asked[name] += 1
        once = name.removesuffix("-then-ok")
        behaviour = ok if once != name and self.asked[name] > 1 else self.faults[once]
        return await behaviour(Ask(request, body, self.asked[name]))


class FaultServer(ModelServer):
    """A ModelServer that also keeps which connections its requests came over."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)
        self.connections = set[object]()
        self.most_open = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        self.most_open = max(self.most_open, self.open + 1)
        return await super().handle(request)


@contextlib.asynccontextmanager
async def running(handler: Handler | None = None) -> AsyncIterator[FaultServer]:
    """A server in this event loop; `server.base_url` ends in /v1."""
    server = FaultServer(handler or Faults())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        host, port = runner.addresses[0][:2]
        server.base_url = f"http://{host}:{port}/v1"
        yield server
    finally:
        await runner.cleanup()
