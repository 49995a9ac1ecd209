"""Anthropic's own `/v1/messages`: its OpenAI layer returns no thinking, and ignores schemas and the effort.

Translates the body of a chat, and reads the events of a reply as its chunks. All else is openai.py's: connections, what
a server refuses, the bounds of a reply. Written after the public documentation; not tried with the service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from scale_reasoning.engines.changes import Body, Simplify
from scale_reasoning.engines.chunks import Choice, Chunk, Message, Unreadable, clean, loads
from scale_reasoning.engines.openai import OpenAI
from scale_reasoning.engines.thought_room import LEAST_BUDGET, ThoughtRoom
from scale_reasoning.engines.values import as_list, as_table, value_at
from scale_reasoning.errors import Rejected
from scale_reasoning.types import JSON, Request
from scale_reasoning.types import Message as Turn

if TYPE_CHECKING:
    from scale_reasoning.engines.http import Timeouts

VERSION = "2023-06-01"
"""The version of the protocol, which every request names."""

DEFAULT_LIMIT = 32_768
"""New tokens where a request has no limit, because the protocol needs one."""

MOST_LISTED = 1000
"""Models on one page of the list."""

_SAMPLING = {"temperature", "top_p", "top_k"}
"""Keys that the service refuses in a request with thinking."""

_UNKNOWN = {"seed", "min_p", "stream_options", "logprobs", "top_logprobs"}
"""Keys of a chat that this protocol lacks."""

_SIMPLE_SCHEMA = Simplify(
    frozenset({
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "maxItems", "uniqueItems", "minProperties", "maxProperties",
    })
)  # fmt: skip
"""Leaves out the bounds that a schema may not have here; replies are checked in any case."""

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
}
"""Statuses of the types of errors, which a stream names alone. All others mean that the server cannot serve now."""

_COUNTED = (
    "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens", "output_tokens_details",
)  # fmt: skip


class Anthropic(OpenAI):
    """An engine over one base URL (`https://api.anthropic.com`, with or without `/v1`). See OpenAI.

    A schema is sent as `output_config.format`, not as a tool that must be used, because that excludes thinking.
    """

    _path = "/messages"

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """See OpenAI."""
        url = base_url.rstrip("/").removesuffix("/messages")
        headers = {"anthropic-version": VERSION, **({"x-api-key": api_key} if api_key else {})}
        super().__init__(
            url if url.endswith("/v1") else f"{url}/v1", api_key=api_key, timeouts=timeouts, say=say, headers=headers
        )
        self._room = ThoughtRoom(self._client.where, say, least=LEAST_BUDGET)

    async def fetch(self, path: str, body: JSON = None) -> JSON:
        """See OpenAI.fetch. Raises Rejected for a body: no other request than `generate`'s is translated."""
        if body is not None:
            raise Rejected(f"{self._client.where}: one request has one reply in this protocol", 501)
        return await super().fetch(f"{path}?limit={MOST_LISTED}" if path == "/models" else path)

    def _body(self, request: Request) -> Body:
        body = super()._body(request)
        body["max_tokens"] = body.pop(request.limit_key, None) or DEFAULT_LIMIT
        thinking = as_table(body.get("thinking"))
        if thinking.get("type") == "adaptive":  # newer models leave the thought out unless they are asked for it
            body["thinking"] = {"display": "summarized", **thinking}
        excluded = _UNKNOWN | _SAMPLING if thinking.get("type") in ("enabled", "adaptive") else _UNKNOWN
        return _SIMPLE_SCHEMA.apply({key: value for key, value in body.items() if key not in excluded})

    def _encode(self, body: Body) -> bytes:
        return super()._encode(translate(body))

    def _dialect(self) -> Events:
        return Events()


def translate(body: Body) -> Body:
    """The body of a chat as this protocol has it: the system text and the form of the reply have keys of their own.

    Turns without a text, which are refused, are left out, and neighbours of one role are joined.
    """
    messages = cast("Sequence[Turn]", body["messages"])
    system = [message.content for message in messages if message.role == "system"]
    turns: list[Turn] = []
    for message in messages:
        if message.role == "system" or not message.content.strip():
            continue
        if turns and turns[-1].role == message.role:
            turns[-1] = Turn(message.role, f"{turns[-1].content}\n\n{message.content}")
        else:
            turns.append(Turn(message.role, message.content))
    changed: Body = {key: value for key, value in body.items() if key != "response_format"} | {"messages": turns}
    if system:
        changed["system"] = "\n\n".join(system)
    schema = value_at(body, "response_format", "json_schema", "schema")
    if schema is not None:
        form = {"type": "json_schema", "schema": schema}
        changed["output_config"] = {**as_table(body.get("output_config")), "format": form}
    return changed


class Events:
    """Reads the events of one reply, or a whole one. See reply.Dialect."""

    def __init__(self) -> None:
        self._usage: dict[str, JSON] = {}

    def read(self, data: bytes) -> Chunk | list[Chunk] | None:
        """See Dialect. Events and pieces of unknown types say nothing: the protocol reserves the right to add some."""
        event = _decode(data)
        match event.get("type"):
            case "message_start":
                message = as_table(event.get("message"))
                # Its output tokens are those so far.
                usage = {**as_table(message.get("usage")), "output_tokens": None}
                return Chunk(model=_name(message), usage=self._add_usage(usage))
            case "content_block_start":
                return Chunk(choices=[Choice(delta=_read_part(event.get("content_block")))])
            case "content_block_delta":
                return Chunk(choices=[Choice(delta=_read_part(event.get("delta")))])
            case "message_delta":
                usage = self._add_usage(event.get("usage"))
                return Chunk(choices=[Choice(finish_reason=_reason(event.get("delta")))], usage=usage)
            case "message_stop":
                return None
            case kind if kind == "error" or event.get("error"):
                return Chunk(error=_read_error(event.get("error") or "an error without a message"))
            case str():
                return []
            case _:
                raise Unreadable("an event without a type")

    def read_body(self, data: bytes) -> list[Chunk]:
        """See Dialect."""
        body = _decode(data)
        if body.get("error"):
            return [Chunk(error=_read_error(body["error"]))]
        content = body.get("content")
        if not isinstance(content, list):
            raise Unreadable("a reply without a content")
        parts = [_read_part(part) for part in as_list(content)]
        said = Message(
            content="".join(part.content or "" for part in parts),
            reasoning="".join(part.reasoning or "" for part in parts),
        )
        choice = Choice(delta=said, finish_reason=_reason(body), full=True)
        return [Chunk(choices=[choice], usage=self._add_usage(body.get("usage")), model=_name(body))]

    def _add_usage(self, usage: JSON) -> dict[str, JSON]:
        """All counts so far: a later event may have only some of them, and each is a total."""
        new = as_table(usage)
        self._usage |= {key: new[key] for key in _COUNTED if new.get(key) is not None}
        return dict(self._usage)


def _decode(data: bytes) -> dict[str, JSON]:
    try:
        value = loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    if not isinstance(value, dict):
        raise Unreadable("not an object")
    return as_table(value)


def _read_part(part: JSON) -> Message:
    """The text or the thought in a part of the content, whole or a piece; empty for signatures, tools and the like."""
    kind = value_at(part, "type")
    if kind in ("text", "text_delta"):
        return Message(content=_read_text(value_at(part, "text")))
    if kind in ("thinking", "thinking_delta"):
        return Message(reasoning=_read_text(value_at(part, "thinking")))
    return Message()


def _read_text(value: JSON) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise Unreadable("a text that is no string")


def _read_error(error: JSON) -> JSON:
    """The error with the status that its type stands for, as `code`."""
    kind = value_at(error, "type")
    code = _STATUSES.get(kind) if isinstance(kind, str) else None
    return clean({**as_table(error), "code": code} if code else error)


def _reason(holder: JSON) -> str | None:
    reason = value_at(holder, "stop_reason")
    return clean(reason)[:100] if isinstance(reason, str) else None


def _name(message: JSON) -> str | None:
    model = value_at(message, "model")
    return clean(model) if isinstance(model, str) else None
