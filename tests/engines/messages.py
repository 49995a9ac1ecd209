"""A server of `/v1/messages` as the public documentation describes it; the model's name says what it does.

A `Messages()` is a handler for `tests.engines.faults.running`.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from aiohttp import web
from tests.engines.faults import PAGE, TEXT, Ask, Behaviour, answers, events, raw, reset, stall
from tests.servers import reply_to, stream

READ, WRITTEN, FRESH, NEW, THOUGHT, BRIEF = 5, 2, 7, 40, 30, 9
"""Tokens: of the prompt from the cache, to it, and neither; of the reply; of its thought; of one without."""

CLAUDE = "claude-sonnet-4-5"
INPUT = {"input_tokens": FRESH, "cache_read_input_tokens": READ, "cache_creation_input_tokens": WRITTEN}
PING = 'event: ping\ndata: {"type": "ping"}\n\n'
STOP = 'event: message_stop\ndata: {"type": "message_stop"}\n\n'


def event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def start(**more: Any) -> str:
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "served", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {**INPUT, "output_tokens": 1}, **more,
    }  # fmt: skip
    return event("message_start", message=message)


def block(index: int, first: dict[str, Any], *deltas: dict[str, Any]) -> list[str]:
    return [
        event("content_block_start", index=index, content_block=first),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def text(*pieces: str, index: int = 0) -> list[str]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def thought(*pieces: str, index: int = 0) -> list[str]:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    signature = {"type": "signature_delta", "signature": "c2lnbmVk"}
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas, signature)


def end(reason: str | None = "end_turn", **usage: Any) -> list[str]:
    usage = usage or {"output_tokens": NEW}
    return [event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage), STOP]


def failing(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def breaking(kind: str, message: str) -> Behaviour:
    """A stream that breaks off with an error."""
    return events(start(), *HALF, event("error", error=failing(kind, message)["error"]))


async def echoes_the_key(ask: Ask) -> web.StreamResponse:
    return await answers(401, failing("authentication_error", f"bad {ask.request.headers.get('x-api-key')}"))(ask)


def refuses(key: str, message: str) -> Behaviour:
    """A 400 for a body with this key, which may be below another."""

    async def behave(ask: Ask) -> web.StreamResponse:
        place: Any = ask.body
        for part in key.split("."):
            place = place.get(part) if isinstance(place, dict) else None
        return await (ok if place is None else answers(400, failing("invalid_request_error", message)))(ask)

    return behave


def takes_at_most(tokens: int) -> Behaviour:
    """A 400 for a limit of new tokens above this."""

    async def behave(ask: Ask) -> web.StreamResponse:
        limit = ask.body["max_tokens"]
        message = f"max_tokens: {limit} > {tokens}, which is the maximum allowed number of output tokens for it"
        return await (answers(400, failing("invalid_request_error", message)) if limit > tokens else ok)(ask)

    return behave


def whole(**more: Any) -> Behaviour:
    content = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, {"type": "text", "text": TEXT}]
    body = {"type": "message", "role": "assistant", "model": "served", "content": content, "stop_reason": "end_turn"}
    return answers(200, {**body, "usage": {**INPUT, "output_tokens": NEW}, **more})


HALF = [event("content_block_start", index=0, content_block={"type": "text", "text": ""})] + [
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in ("Hello", ", w")
]
DETAILS = {"output_tokens": NEW, "output_tokens_details": {"thinking_tokens": THOUGHT}}
HELLO = text("Hello", ", w", "örld ∑: \\boxed{12}")
ok = events(start(), PING, *HELLO, *end())

BEHAVIOURS: dict[str, Behaviour] = {
    "ok": ok,
    "thinking": events(start(), *thought("Let me ", "think."), PING, *text("Four.", index=1), *end(**DETAILS)),
    "thinking-omitted": events(start(), *thought(), *text("Four.", index=1), *end(**DETAILS)),
    "thinking-redacted": events(
        start(), *block(0, {"type": "redacted_thinking", "data": "ZGF0YQ=="}), *text("Four.", index=1), *end()
    ),
    "several-blocks": events(
        start(), *thought("One."), *text("A", index=1), *thought(" Two.", index=2), *text("B", index=3), *end()
    ),
    "tool": events(
        start(),
        *text("Four."),
        *block(
            1,
            {"type": "tool_use", "id": "toolu_1", "name": "sum", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"a": '},
            {"type": "input_json_delta", "partial_json": "1}"},
        ),
        *end(),
    ),
    "unknown-events": events(start(), event("message_aside", note=1), *HELLO, event("later", x={}), *end()),
    "no-event-names": events(
        *(line.partition("\n")[2] for line in (start(), PING, *HELLO, *end())),
    ),
    "halves": events(start(), *text("\ud83d", "\ude00!"), *end()),
    "empty": events(start(), *end()),
    "max_tokens": events(start(), *text("Hello"), *end("max_tokens")),
    "model_context_window_exceeded": events(start(), *text("Hello"), *end("model_context_window_exceeded")),
    "stop_sequence": events(start(), *text("Hello"), *end("stop_sequence")),
    "refusal": events(start(), *HALF, *end("refusal")),
    "pause_turn": events(start(), *HALF, *end("pause_turn")),
    "no-stop": events(start(), *HELLO, *end()[:1]),
    "no-end": events(start(), *HELLO, *end(), then=stall),
    "after-the-end": events(start(), *HELLO, *end(), *text("more")),
    "whole": whole(),
    "whole-error": answers(200, failing("overloaded_error", "Overloaded")),
    # usage
    "usage-late": events(start(usage={}), *HELLO, *end(**INPUT, output_tokens=NEW)),
    "usage-partly-late": events(start(), *HELLO, *end(input_tokens=FRESH, output_tokens=NEW)),
    "usage-twice": events(start(), *HELLO, *end(None, output_tokens=3)[:1], *end()),
    "usage-without-cache": events(start(usage={"input_tokens": 7, "output_tokens": 1}), *HELLO, *end()),
    "usage-missing": events(
        start(), *HELLO, event("message_delta", delta={"stop_reason": "end_turn"}, usage=None), STOP
    ),
    "usage-nonsense": events(
        start(usage={"input_tokens": "many", "cache_read_input_tokens": -3}), *HELLO, *end(output_tokens=[1])
    ),
    # failures
    "400": answers(400, failing("invalid_request_error", "messages: at least one message is required")),
    "400-too-long": answers(
        400, failing("invalid_request_error", "prompt is too long: 212345 tokens > 200000 maximum")
    ),
    "400-too-long-with-limit": answers(
        400,
        failing(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000, decrease input length or "
            "`max_tokens` and try again",
        ),
    ),
    "401": answers(401, failing("authentication_error", "invalid x-api-key")),
    "401-echoing-the-key": echoes_the_key,
    "402": answers(402, failing("billing_error", "Your credit balance is too low")),
    "403": answers(403, failing("permission_error", "Your key may not use this resource")),
    "404": answers(404, failing("not_found_error", "model: 404")),
    "413": answers(413, failing("request_too_large", "Request exceeds the maximum size")),
    "413-of-a-proxy": answers(413, "<html><body>Too large</body></html>", html=True),
    "429": answers(429, failing("rate_limit_error", "This would exceed your rate limit"), retry_after="7"),
    "500": answers(500, failing("api_error", "Internal server error")),
    "504": answers(504, failing("timeout_error", "The request timed out")),
    "529": answers(529, failing("overloaded_error", "Overloaded")),
    "overloaded-in-stream": breaking("overloaded_error", "Overloaded"),
    "rate-limited-in-stream": breaking("rate_limit_error", "slow down"),
    "rejected-in-stream": breaking("invalid_request_error", "no such thing"),
    "too-long-in-stream": breaking("invalid_request_error", "prompt is too long: 212345 tokens > 200000 maximum"),
    "error-without-a-message": events(start(), event("error")),
    "truncated": events(start(), *HALF),
    "truncated-in-event": events(start(), *HALF, 'event: content_block_delta\ndata: {"type": "content_bl'),
    "reset": reset,
    "reset-in-stream": events(start(), *HALF, then=reset),
    "stall": stall,
    "stall-after-headers": events(then=stall),
    "stall-in-stream": events(start(), *HALF, then=stall),
    "malformed-event": events(start(), *HALF, "event: x\ndata: {'type': oops\n\n"),
    "deep-event": events(start(), f'data: {{"type": "error", "error": {"[" * 20_000}\n\n'),
    "no-object": events(start(), "data: [1, 2]\n\n"),
    "no-type": events(start(), 'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n'),
    "text-of-a-number": events(start(), *text("Hello", 4)),  # pyright: ignore[reportArgumentType]
    "nothing": events(),
    "html": answers(200, PAGE, html=True),
    "not-http": raw("SSH-2.0-OpenSSH_9.2\r\n"),
    "long-line": events(start(), f"data: {'x' * (2**20 + 10_000)}\n\n"),
    "long-text": events(start(), *text(*["x" * 2**18] * 9), *end()),
    "long-whole": whole(padding="x" * 2**20),
    # refusals of what was sent
    "no-format": refuses("output_config.format", "output_config.format: Extra inputs are not permitted"),
    "no-schemas": refuses("output_config.format", "This model does not support structured outputs."),
    "one-of-two": refuses("top_p", "`temperature` and `top_p` cannot both be specified for this model. Use only one."),
    "no-budgets": refuses(
        "thinking.budget_tokens",
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.',
    ),
    "small": takes_at_most(8192),
}  # fmt: skip


class Messages:
    """A handler (see tests.servers) that does what the model's name says; CLAUDE solves a problem."""

    def __init__(self) -> None:
        self.asked = Counter[str]()

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.path.endswith("/models"):
            entries = [{"type": "model", "id": name, "max_input_tokens": 200_000} for name in ("served", CLAUDE)]
            return web.json_response({"data": entries, "has_more": False})
        if request.path.endswith("/chat/completions"):  # the service's other layer
            return await stream(request, "It is 12.")
        name = body["model"]
        self.asked[name] += 1
        return await (solve if name == CLAUDE else BEHAVIOURS[name])(Ask(request, body, self.asked[name]))


async def solve(ask: Ask) -> web.StreamResponse:
    """Two sub-problems, the first easy, the second hard, and 12 as every result; with a thought where it is asked."""
    body = ask.body
    properties = body.get("output_config", {}).get("format", {}).get("schema", {}).get("properties", {})
    names = {"subproblems": "decomposition", "choice": "choice", "difficulty": "difficulty"}
    schema = next((names[key] for key in properties), None)
    said = reply_to({**body, "seed": ask.nth, "response_format": {"json_schema": {"name": schema}}})
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    before, usage = (thought("Let me think."), DETAILS) if thinks else ([], {"output_tokens": BRIEF})
    return await events(start(), *before, *text(said, index=bool(before)), *end(**usage))(ask)
