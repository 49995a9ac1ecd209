"""What one event of a stream, or a whole body, says in any dialect of the protocol.

A field that nobody needs is unknown when it cannot be read, never an error; text that cannot be read is. Chunks as they
should be are read by msgspec; only what it refuses, or reads nothing from, is read again by the slower, tolerant way.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

import msgspec

from scale_reasoning.types import JSON

T = TypeVar("T")


class Unreadable(ValueError):
    """It is not JSON, or its text is none."""


class Message(msgspec.Struct, gc=False):
    """A piece of a reply. The fast reader leaves the fields that must be null to the tolerant one."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_text: None = None
    reasoning_details: None = None
    thinking: None = None
    thinking_blocks: None = None
    refusal: None = None


class Choice(msgspec.Struct, gc=False):
    """One of the replies; `full` says that its piece is a `message`, which may repeat what came before.

    The fast reader passes over `message` and `text`, since some servers send them in addition to the delta.
    """

    index: int | None = 0
    delta: Message | None = None
    finish_reason: str | None = None
    usage: None = None
    error: None = None
    full: bool = False


class Aside(msgspec.Struct, gc=False):
    """What Groq says next to a chunk."""

    usage: Any = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    """What came at once. `error` is what a server says in place of a reply."""

    choices: list[Choice] | None = None
    usage: Any = None
    model: str | None = None
    error: Any = None
    x_groq: Aside | None = None


MOST_CHOICES = 128
"""Choices of one event: a request for one reply has no use for more."""

MOST_CHUNKS = 10_000
"""Chunks in one list or body: a reply of the largest size that is read has fewer."""

_NO_TEXT = "its content is neither text nor a list of parts"
_TOO_MANY = f"over {MOST_CHOICES} choices in one event"
_strict = msgspec.json.Decoder(Chunk).decode


def read(data: bytes) -> Chunk | list[Chunk]:
    """What the data of one event says: a chunk, or all those that stand in a list or on lines of their own.

    Raises Unreadable.
    """
    try:
        chunk = _strict(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _tolerant(data, str(error))
    if len(chunk.choices or ()) > MOST_CHOICES:
        raise Unreadable(_TOO_MANY)
    plain = chunk.choices[0].delta is not None if chunk.choices else chunk.usage
    return chunk if plain and chunk.error is None else _tolerant(data, "")


def read_body(data: bytes) -> list[Chunk]:
    """The chunks of a whole body. Raises Unreadable."""
    try:
        _strict(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _tolerant(data, str(error))
    return _tolerant(data, "")


def _tolerant(data: bytes, refused: str) -> list[Chunk]:
    """Reads what is not quite JSON, or not quite a chunk; `refused` says why the strict reader did not."""
    text = data.decode("utf-8-sig", "replace").strip()
    try:
        value = _loads(text)
    except (ValueError, RecursionError):
        value = None
    try:
        if value is None and text != "null":
            lines = [line.strip().removeprefix("data:").strip() for line in text.split("\n")]
            if lines == [text] != [""]:
                raise Unreadable
            value = [_loads(line) for line in _few(lines) if line not in ("", "[DONE]")]
        values = _few(_list(value)) if isinstance(value, list) else [value]
        return [_chunk(each) for each in values if each is not None]
    except (ValueError, RecursionError) as error:
        raise Unreadable(error if isinstance(error, Unreadable) and error.args else refused) from None


def _few(values: list[T]) -> list[T]:
    if len(values) > MOST_CHUNKS:
        raise Unreadable(f"over {MOST_CHUNKS:,} chunks at once")
    return values


def _loads(text: str) -> JSON:
    """JSON, with NaN, Infinity and halves of surrogate pairs, which are not JSON and are sent all the same."""
    return json.loads(text, strict=False, parse_int=_integer)


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) < 20 else None


def _chunk(value: JSON) -> Chunk:
    table = _table(value)
    choices: JSON = table.get("choices") or []
    if table is not value or not isinstance(choices, list):
        raise Unreadable
    choices = _list(choices)
    if len(choices) > MOST_CHOICES:
        raise Unreadable(_TOO_MANY)
    model = table.get("model")
    places = (table, _table(choices[0]) if choices else {}, _table(table.get("x_groq")))  # Moonshot's is the choice's
    usage, error = (next((place[key] for place in places if place.get(key)), None) for key in ("usage", "error"))
    if not (choices or usage or error):
        error = _said_instead(table)
    if isinstance(error, dict) and not any(_table(error).values()):
        error = None
    return Chunk(
        choices=[_choice(choice) for choice in choices if choice is not None],
        usage=usage,
        model=_clean(model) if isinstance(model, str) else None,
        error=_clean(error),
    )


def _clean(value: JSON) -> JSON:
    """The value without halves of surrogate pairs, which nothing can encode."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _said_instead(table: dict[str, JSON]) -> JSON:
    """The error in an object that has neither choices nor an `error`; None when it says of none."""
    table = table | _table(table.get("base_resp"))  # MiniMax
    code = next((table[key] for key in ("code", "status_code", "error_code") if key in table), None)
    said = next((table[key] for key in ("message", "detail", "error_msg", "status_msg", "msg") if table.get(key)), None)
    kind = f"{table.get('object')} {table.get('type')} {table.get('status')}".lower()
    failed = code not in (None, 0, "0", 200, "200") or "error" in kind or "detail" in table
    if said is None or not failed:
        return table if "error" in kind else None
    return {"message": said if isinstance(said, str) else json.dumps(said), "code": code}


def _choice(value: JSON) -> Choice:
    table = _table(value)
    if table is not value:
        raise Unreadable
    full = not table.get("delta") and bool(table.get("message"))
    said = table.get("message") if full else table.get("delta") or {"content": table.get("text")}
    if not isinstance(said, dict):
        raise Unreadable
    message = _message(cast("dict[str, JSON]", said))
    return Choice(
        index=_index(table.get("index")), delta=message, finish_reason=_reason(table.get("finish_reason")), full=full
    )


def _message(table: dict[str, JSON]) -> Message:
    text, thought = _parts(table.get("content"))
    apart = (
        _thought(table.get(key))
        for key in (
            "reasoning", "reasoning_content", "reasoning_text", "thinking", "thinking_blocks", "reasoning_details",
        )
    )  # fmt: skip
    refusal = table.get("refusal")
    return Message(
        content=text or (refusal if isinstance(refusal, str) else None),
        reasoning=next((each for each in apart if each), thought),
    )


def _parts(content: JSON) -> tuple[str, str]:
    """(text, reasoning) of a message's content: a string, or a list of parts."""
    if isinstance(content, str):
        return content, ""
    text, thought = list[str](), list[str]()
    for part in _list(content) if isinstance(content, list) else [content]:
        table = _table(part)
        kind = str(table.get("type", "text")).lower()
        if isinstance(part, str):
            text.append(part)
        elif part is not None and table is not part:
            raise Unreadable(_NO_TEXT)
        elif "think" in kind or "reason" in kind:
            thought.append(_thought(table))
        elif kind in ("text", "output_text", "refusal"):
            text.append(_spoken(table.get("text", table.get("content", table.get("refusal")))))
    return "".join(text), "".join(thought)


def _spoken(value: JSON) -> str:
    value = _table(value).get("value", value)
    if value is None or isinstance(value, str):
        return value or ""
    raise Unreadable(_NO_TEXT)


def _thought(value: JSON) -> str:
    """All the text of a thought in any shape; what is encrypted or cannot be read is left out."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_thought(part) for part in _list(value))
    table, keys = _table(value), ("thinking", "reasoning", "reasoning_text", "text", "summary", "content")
    return next((said for key in keys if key in table and (said := _thought(table[key]))), "")


def _index(value: JSON) -> int:
    """The number of a choice; one that cannot be read is the first, the only one that is asked for."""
    try:
        return int(float(value)) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0
    except (ValueError, OverflowError):
        return 0


def _reason(value: JSON) -> str | None:
    """A finish reason: a string, or SGLang's object."""
    value = _table(value).get("type", value)
    return str(_clean(value))[:100] if value else None


def _table(value: JSON) -> dict[str, JSON]:
    return cast("dict[str, JSON]", value) if isinstance(value, dict) else {}


def _list(value: JSON) -> list[JSON]:
    return cast("list[JSON]", value)
