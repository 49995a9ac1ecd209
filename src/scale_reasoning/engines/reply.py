"""A completion while it comes in, as a stream of events or as one JSON body, in every dialect of the protocol.

Decides what is text, what is reasoning and what was counted. Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from scale_reasoning.engines.refusals import one_line, stream_error
from scale_reasoning.engines.sse import EventReader
from scale_reasoning.engines.think import ThinkSplitter
from scale_reasoning.errors import Malformed
from scale_reasoning.types import Completion, Delta, OnDelta, Usage

LARGEST_BODY, LARGEST_WHOLE = 2**26, 2**20
"""Bytes of a reply's stream, and of a reply that comes as one JSON body; a larger one is cut off as malformed."""

LARGEST_TEXT = 2**21
"""Characters of a reply, reasoning included; a longer one is cut off as malformed."""

LARGEST_ERROR = 2**16
"""Bytes of an error in a reply that are read for its reason."""

MOST_CHOICES = 128
"""Choices of one event: what asks for one has no use for more."""


class _Details(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    completion_tokens_details: _Details | None = None
    prompt_tokens_details: _Details | None = None

    def as_usage(self) -> Usage:
        out, read = self.completion_tokens_details or _Details(), self.prompt_tokens_details or _Details()
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            reasoning_tokens=self.reasoning_tokens if out.reasoning_tokens is None else out.reasoning_tokens,
            cached_tokens=self.prompt_cache_hit_tokens if read.cached_tokens is None else read.cached_tokens,
        )


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: Annotated[list[_Choice], msgspec.Meta(max_length=MOST_CHOICES)] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_chunk = msgspec.json.Decoder(_Chunk).decode


class Reply:
    """A completion while it comes in, from a stream of events or as one JSON body."""

    def __init__(self, on_delta: OnDelta | None, *, inside: bool, where: str, secrets: Sequence[str]) -> None:
        self.began = self.done = False
        self.listeners: Exception | None = None
        """What the listener raised: nobody's failure but its own."""
        self._on_delta, self._where, self._secrets = on_delta, where, secrets
        self._events, self._split = EventReader(), ThinkSplitter(inside=inside)
        self._body, self._size, self._characters = bytearray(), 0, 0
        self._apart: list[str] = []
        self._choices = False
        self._finish_reason: str | None = None
        self._usage: _Usage | None = None
        self._model: str | None = None

    def chunk(self, chunk: bytes, *, whole: bool) -> None:
        """Takes in bytes of the body; `whole` says that it is one JSON value. Raises EngineErrors."""
        self.began = True
        self._size += len(chunk)
        largest = LARGEST_WHOLE if whole else LARGEST_BODY
        if self._size > largest:
            raise Malformed(f"{self._where} sent a reply of over {largest} bytes")
        if whole:
            self._body += chunk
        else:
            for data in self._events.feed(chunk):
                self._event(data)

    def completion(self, *, whole: bool, what: str) -> Completion:
        """The completion, now that no more comes; Malformed when there is none. `what` names the body's type."""
        if not self.done:
            for data in [bytes(self._body)] if whole else self._events.end():
                self._event(data)
        if not self._choices:
            raise Malformed(f"{self._where} answered with no chat completion ({what})")
        if self._finish_reason is None and not self.done and not whole:
            raise Malformed(f"{self._where} ended the reply before it was complete")
        self._tell(self._split.end())
        parts = text, reasoning = self._split.parts(cut_off=self._finish_reason == "length")
        reasoning = "".join(self._apart) + reasoning
        if self._on_delta is not None and parts != self._split.told:
            self._tell(Delta(restarted=True))
            self._tell(Delta(text=text, reasoning=reasoning))
        return Completion(
            text=text,
            reasoning=reasoning,
            finish_reason=self._finish_reason,
            usage=self._usage.as_usage() if self._usage is not None else Usage(),
            model=self._model,
        )

    def _event(self, data: bytes) -> None:
        if self.done or data == b"[DONE]":
            self.done = True  # nothing after it counts, in whichever chunk it comes
            return
        try:
            chunk = _chunk(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"{self._where} sent what is not a chat completion: {one_line(str(error))}") from None
        if bytes(chunk.error) != b"null":
            error = msgspec.json.decode(chunk.error) if len(bytes(chunk.error)) <= LARGEST_ERROR else "a long error"
            raise stream_error(error, where=self._where, secrets=self._secrets)
        if chunk.usage is not None:
            self._usage = chunk.usage
        self._model = chunk.model or self._model
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choices = True
                self._finish_reason = choice.finish_reason or self._finish_reason
                self._message(choice.delta or choice.message or _Message())

    def _message(self, message: _Message) -> None:
        self._characters += len(message.reasoning or message.reasoning_content or "") + len(message.content or "")
        if self._characters > LARGEST_TEXT:
            raise Malformed(f"{self._where} sent a reply of over {LARGEST_TEXT} characters")
        if reasoning := message.reasoning or message.reasoning_content:
            self._split.served_apart()
            self._apart.append(reasoning)
            if self._on_delta is not None:
                self._tell(Delta(reasoning=reasoning))
        if message.content:
            self._tell(self._split.feed(message.content))

    def _tell(self, delta: Delta | None) -> None:
        if delta is None or self._on_delta is None:
            return
        try:
            self._on_delta(delta)
        except Exception as error:
            self.listeners = error
            raise
