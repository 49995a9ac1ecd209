"""Reads a completion while it arrives, as a stream of events or as one JSON body, in every dialect of the protocol.

Decides what is text, what is reasoning and which counts are used. Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from scale_reasoning.engines import chunks
from scale_reasoning.engines.chunks import Choice, Chunk, Message, Unreadable
from scale_reasoning.engines.counts import Counts, read_counts
from scale_reasoning.engines.finish import failure_message, normalize_reason
from scale_reasoning.engines.logprobs import Logprobs
from scale_reasoning.engines.pieces import Pieces, join_pieces
from scale_reasoning.engines.refusals import quote, stream_error
from scale_reasoning.engines.sse import EventReader
from scale_reasoning.engines.think import ThinkSplitter
from scale_reasoning.errors import Malformed, Overloaded
from scale_reasoning.types import THINK, Completion, Delta, Marks, OnDelta, Usage

_BOM = b"\xef\xbb\xbf"

LARGEST_BODY, LARGEST_WHOLE, LARGEST_SCORED = 2**26, 2**20, 2**24
"""Bytes of a stream, of a reply in one JSON body, and of one with log-probabilities. A larger one is malformed."""

LARGEST_TEXT = 2**21
"""Characters of a reply, reasoning included. A longer one is malformed."""

LARGEST_ERROR = 2**16
"""Bytes of an error in a reply; a longer error is not quoted."""


class Dialect(Protocol):
    """Reads the chunks of one reply. Both methods raise Unreadable."""

    def read(self, data: bytes) -> Chunk | list[Chunk] | None:
        """What the data of one event says; None: the reply is complete, and nothing after it counts."""
        ...

    def read_body(self, data: bytes) -> list[Chunk]:
        """What a whole body says."""
        ...


class Reply:
    """A completion while it arrives. Its first byte decides whether it is a stream of events or one JSON body."""

    def __init__(
        self,
        on_delta: OnDelta | None,
        *,
        inside: bool,
        where: str,
        secrets: Sequence[str],
        think: Marks = THINK,
        logprobs: int | None = None,
        dialect: Dialect = chunks,
    ) -> None:
        """`logprobs` is the number of alternatives per token that were asked for; None: no log-probabilities."""
        self.began = self.done = False
        """Whether a byte has arrived, and whether the reply is complete, so that nothing more counts."""
        self.listener_error: Exception | None = None
        """What the listener raised, which is no failure of the server."""
        self._on_delta, self._where, self._secrets, self._dialect = on_delta, where, secrets, dialect
        self._inside, self._marks = inside, think
        self._events, self._splitter = EventReader(), ThinkSplitter(inside=inside, think=think)
        self._text, self._thought = Pieces(), Pieces()
        self._body, self._size, self._characters = bytearray(), 0, 0
        self.whole: bool | None = None
        """Whether it is one JSON body; None before its first byte."""
        self._apart: list[str] = []
        self._full: list[Message] = []
        self._others: list[Choice] = []
        self._choices = 0
        self._finish_reason: str | None = None
        self._counts: Counts | None = None
        self._model: str | None = None
        self._logprobs = None if logprobs is None else Logprobs(logprobs)

    @property
    def reasoning_is_apart(self) -> bool:
        """Whether the server counted reasoning in addition to the completion tokens."""
        return self._counts is not None and self._counts.reasoning_is_apart

    def feed(self, chunk: bytes) -> None:
        """Reads the next bytes of the body. Raises EngineErrors."""
        self.began = True
        self._size += len(chunk)
        largest = (LARGEST_WHOLE if self._logprobs is None else LARGEST_SCORED) if self.whole else LARGEST_BODY
        if self._size > largest:
            raise Malformed(f"{self._where} sent a reply of over {largest} bytes")
        if self.whole is None:
            chunk = (bytes(self._body) + chunk).removeprefix(_BOM).lstrip()
            self._body.clear()
            if not chunk or _BOM.startswith(chunk):
                self._body += chunk
                return
            self.whole = chunk[:1] in b"{["
        if self.whole:
            self._body += chunk
        else:
            for data in self._events.feed(chunk):
                self._read_event(data)

    def completion(self, *, content_type: str) -> Completion:
        """The completion, at the end of the body. Raises Malformed when there is none."""
        complete = self._read_end()
        self._add_other_choices()
        self._add_full_messages()
        if not self._choices:
            raise Malformed(f"{self._where} answered with no chat completion ({content_type})")
        if failure := failure_message(self._finish_reason, self._where):
            raise Overloaded(failure)
        if self._finish_reason is None and not complete:
            raise Malformed(f"{self._where} ended the reply before it was complete")
        finish_reason = normalize_reason(self._finish_reason)
        text, reasoning = self._split_text(cut_off=finish_reason == "length")
        if finish_reason == "length" and text.strip() == reasoning.strip():
            text = ""  # some servers repeat a thought that was cut off as the text
        usage = Usage() if self._counts is None else self._counts.usage(empty=not (text or reasoning))
        return Completion(
            text=text,
            reasoning=reasoning,
            finish_reason=finish_reason,
            usage=usage,
            model=self._model,
            logprobs=None if self._logprobs is None else self._logprobs.select(text),
        )

    def _read_end(self) -> bool:
        """Reads what is left of the body; whether it was complete."""
        if self.whole:
            try:
                found = self._dialect.read_body(bytes(self._body))
            except Unreadable as error:
                raise self._malformed(error) from None
            for chunk in found:
                self._add_chunk(chunk)
            return len(found) == 1
        if not self.done:
            for data in self._events.end():
                self._read_event(data)
        return self.done

    def _read_event(self, data: bytes) -> None:
        if self.done or data == b"[DONE]":
            self.done = True  # nothing after it counts, in any chunk
            return
        try:
            found = self._dialect.read(data)
        except Unreadable as error:
            self.done = data.strip(b'" \t') == b"[DONE]"
            if not self.done and not self._finish_reason:  # after the end of a reply nothing counts
                raise self._malformed(error) from None
            return
        if found is None:
            self.done = True
        elif isinstance(found, Chunk):
            self._add_chunk(found)
        else:
            for chunk in found:
                self._add_chunk(chunk)

    def _malformed(self, error: Unreadable) -> Malformed:
        return Malformed(f"{self._where} sent what is not a chat completion: {quote(str(error))}")

    def _add_chunk(self, chunk: Chunk) -> None:
        usage, error = chunk.usage, chunk.error
        if chunk.x_groq is not None:
            usage, error = usage or chunk.x_groq.usage, error or chunk.x_groq.error
        if error:
            if len(msgspec.json.encode(error)) > LARGEST_ERROR:
                error = "a long error"
            raise stream_error(error, where=self._where, secrets=self._secrets)
        if usage:
            self._counts = self._counts or Counts()
            self._counts.add(read_counts(usage))
        self._model = chunk.model or self._model
        for choice in chunk.choices or ():
            if not choice.index:
                self._add_choice(choice)
            elif len(chunk.choices or ()) == 1:
                self._others.append(choice)

    def _add_choice(self, choice: Choice) -> None:
        self._choices += 1
        if choice.finish_reason and not failure_message(self._finish_reason, self._where):
            self._finish_reason = choice.finish_reason
        if self._logprobs is not None:
            self._logprobs.add(choice.logprobs)
        if choice.delta is not None and choice.full:
            self._full.append(choice.delta)
        elif choice.delta is not None:
            self._add_message(choice.delta)

    def _add_message(self, message: Message) -> None:
        thought = message.reasoning or message.reasoning_content
        self._characters += len(thought or "") + len(message.content or "")
        if self._characters > LARGEST_TEXT:
            raise Malformed(f"{self._where} sent a reply of over {LARGEST_TEXT} characters")
        if thought and (piece := self._thought.add(thought)):
            self._splitter.disable()
            self._add_reasoning(piece)
        if message.content and (piece := self._text.add(message.content)):
            self._emit(self._splitter.feed(piece))

    def _add_reasoning(self, piece: str) -> None:
        self._apart.append(piece)
        if self._on_delta is not None:
            self._emit(Delta(reasoning=piece))

    def _add_other_choices(self) -> None:
        """Adds choices that are not numbered 0, where they can only be the one that was asked for."""
        numbers = [choice.index or 0 for choice in self._others]
        if self._choices == 0:
            growing = numbers == sorted(set(numbers))  # some servers number the tokens, not the choices
            for choice in self._others:
                if growing or choice.index == min(numbers):
                    self._add_choice(choice)
        elif self._choices == 1 and len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1)):
            for choice in self._others:
                self._add_choice(choice)

    def _add_full_messages(self) -> None:
        """Adds whole messages; where there were deltas, they only repeat them."""
        text = join_pieces([message.content or "" for message in self._full])
        thought = join_pieces([message.reasoning or "" for message in self._full])
        self._add_message(
            Message(content="" if self._text.count else text, reasoning="" if self._thought.count else thought)
        )

    def _split_text(self, *, cut_off: bool) -> tuple[str, str]:
        """(text, reasoning) of the reply. The listener gets both again where they differ from what it heard."""
        if left := self._thought.end():
            self._add_reasoning(left)
        if left := self._text.end():
            self._emit(self._splitter.feed(left))
        self._emit(self._splitter.end())
        emitted, splitter = self._splitter.emitted, self._splitter
        if self._text.repeats:
            splitter = ThinkSplitter(inside=self._inside, think=self._marks)
            if self._apart:
                splitter.disable()
            splitter.feed(self._text.last)
            splitter.end()
        parts = text, reasoning = splitter.split(cut_off=cut_off)
        reasoning = (self._thought.last if self._thought.repeats else "".join(self._apart)) + reasoning
        if self._on_delta is not None and (parts != emitted or self._thought.repeats):
            self._emit(Delta(restarted=True))
            self._emit(Delta(text=text, reasoning=reasoning))
        return text, reasoning

    def _emit(self, delta: Delta | None) -> None:
        if delta is None or self._on_delta is None:
            return
        try:
            self._on_delta(delta)
        except Exception as error:
            self.listener_error = error
            raise
