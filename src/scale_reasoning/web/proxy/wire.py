"""What is sent to a client: the JSON objects of OpenAI's protocol, complete and in pieces, and the stream."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from scale_reasoning.types import JSON, Usage

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}
"""Headers of a stream; no proxy on the way may buffer it."""

STALLED = 60.0
"""Seconds: a client that takes longer to read a piece is disconnected."""

ID = web.RequestKey("id", str)
"""The request's id: the client's, if it sent a plain one."""

BEGUN = web.RequestKey("begun", web.StreamResponse)
"""The response of a request, once its header has been sent."""


class Gone(ConnectionError):
    """The client has disconnected, or no longer reads."""


class Stream:
    """A response to `request` that is sent in pieces; its header is sent with the first piece."""

    def __init__(self, request: web.Request, headers: Mapping[str, str], status: int = 200) -> None:
        self._request = request
        self.response = web.StreamResponse(status=status, headers=headers)

    async def write(self, content: bytes) -> None:
        """Sends a piece of the body. Raises Gone if the client has disconnected or does not read."""
        try:
            async with asyncio.timeout(STALLED):
                if not self.response.prepared:
                    self._request[BEGUN] = self.response
                    await self.response.prepare(self._request)
                await self.response.write(content)
        except (TimeoutError, ConnectionError):
            if self._request.transport is not None:
                self._request.transport.abort()
            raise Gone from None


async def finish_response(request: web.Request, response: web.StreamResponse) -> None:
    """Sends the rest of a response. Raises Gone if the client does not read it, so that it keeps no connection."""
    try:
        async with asyncio.timeout(STALLED):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise Gone from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One finished answer of a request."""

    content: str
    reasoning: str
    finish_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What every object of one response repeats: its id, its time, the model's name in the request."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, choices: Sequence[Choice], usage: Usage, scale: JSON) -> bytes:
        """The complete response; `scale` is left out if it is None."""
        return msgspec.json.encode(
            {
                **self._head("chat.completion"),
                "choices": [_choice(index, choice) for index, choice in enumerate(choices)],
                **_usage(usage),
                **_scale(scale),
            }
        )

    def piece(self, index: int, *, content: str = "", reasoning: str = "") -> bytes:
        """An event with a piece of one choice."""
        delta: dict[str, str] = {"content": content} if content else {}
        if reasoning:
            delta |= {"reasoning_content": reasoning, "reasoning": reasoning}
        return self._chunk([_delta(index, delta)])

    def opening(self, index: int) -> bytes:
        """The event that begins a choice."""
        return self._chunk([_delta(index, {"role": "assistant", "content": ""})])

    def closing(self, index: int, finish_reason: str) -> bytes:
        """The event that ends a choice."""
        return self._chunk([_delta(index, {}, finish_reason)])

    def last(self, usage: Usage | None, scale: JSON) -> bytes:
        """The event after all choices: usage and record, as far as requested and known; b"" without either."""
        more = ({} if usage is None else _usage(usage)) | _scale(scale)
        return self._chunk([], **more) if more else b""

    def _chunk(self, choices: list[JSON], **more: JSON) -> bytes:
        return event({**self._head("chat.completion.chunk"), "choices": choices, **more})

    def _head(self, kind: str) -> dict[str, JSON]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def event(body: JSON) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def _usage(usage: Usage) -> dict[str, JSON]:
    """Token counts as in the protocol. Unknown counts are left out, because clients add up what they find."""
    read, written = usage.prompt_tokens, usage.completion_tokens
    if read is None or written is None:
        return {}
    counted: dict[str, JSON] = {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }
    if usage.cached_tokens is not None:
        counted["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens is not None:
        counted["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return {"usage": counted}


def _choice(index: int, choice: Choice) -> JSON:
    message = {
        "role": "assistant",
        "content": choice.content,
        "reasoning_content": choice.reasoning,
        "reasoning": choice.reasoning,
        "refusal": None,
    }
    return {"index": index, "message": message, "finish_reason": choice.finish_reason, "logprobs": None}


def _delta(index: int, delta: dict[str, str], finish_reason: str | None = None) -> JSON:
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


def _scale(scale: JSON) -> dict[str, JSON]:
    return {} if scale is None else {"scale": scale}
