"""Reads one event of a stream, or a whole body, in any dialect of the protocol.

Text that cannot be read is an error; any other field that cannot be read is unknown. msgspec reads correct chunks. What
it refuses, or reads nothing from, is read again by the slower, tolerant reader.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from scale_reasoning.engines.values import as_list, as_table
from scale_reasoning.types import JSON

T = TypeVar("T")


class Unreadable(ValueError):
    """It is no JSON, or its text cannot be read."""


class Message(msgspec.Struct, gc=False):
    """A piece of a reply. The fast reader leaves pieces with the fields of type None to the tolerant one."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_text: None = None
    reasoning_details: None = None
    thinking: None = None
    thinking_blocks: None = None
    refusal: None = None


class Choice(msgspec.Struct, gc=False):
    """One of the replies; `full`: its piece is a `message`, which may repeat earlier pieces.

    The fast reader ignores `message` and `text`, because some servers send them in addition to the delta.
    """

    index: int | None = 0
    delta: Message | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    usage: None = None
    error: None = None
    full: bool = False


class GroqPart(msgspec.Struct, gc=False):
    """The field that Groq adds to a chunk."""

    usage: Any = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    """One event. `error` is what a server sends instead of a reply."""

    choices: list[Choice] | None = None
    usage: Any = None
    model: str | None = None
    error: Any = None
    x_groq: GroqPart | None = None


MOST_CHOICES = 128
"""Choices of one event, at most; requests ask for one."""

MOST_CHUNKS = 10_000
"""Chunks in one list or body; the largest reply that is read has fewer."""

_NO_TEXT = "its content is neither text nor a list of parts"
_TOO_MANY = f"over {MOST_CHOICES} choices in one event"
_strict = msgspec.json.Decoder(Chunk).decode


def read(data: bytes) -> Chunk | list[Chunk]:
    """The chunk in the data of one event, or several, in a list or one per line. Raises Unreadable."""
    try:
        chunk = _strict(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _read_tolerantly(data, str(error))
    if len(chunk.choices or ()) > MOST_CHOICES:
        raise Unreadable(_TOO_MANY)
    plain = chunk.choices[0].delta is not None if chunk.choices else chunk.usage
    return chunk if plain and chunk.error is None else _read_tolerantly(data, "")


def read_body(data: bytes) -> list[Chunk]:
    """The chunks of a whole body. Raises Unreadable."""
    try:
        _strict(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _read_tolerantly(data, str(error))
    return _read_tolerantly(data, "")


def _read_tolerantly(data: bytes, refused: str) -> list[Chunk]:
    """Reads what is almost JSON, or almost a chunk; `refused` is the reason of the strict reader."""
    text = data.decode("utf-8-sig", "replace").strip()
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        value = None
    try:
        if value is None and text != "null":
            lines = [line.strip().removeprefix("data:").strip() for line in text.split("\n")]
            if lines == [text] != [""]:
                raise Unreadable
            value = [loads(line) for line in _check_count(lines) if line not in ("", "[DONE]")]
        values = _check_count(as_list(value)) if isinstance(value, list) else [value]
        return [_read_chunk(each) for each in values if each is not None]
    except (ValueError, RecursionError) as error:
        raise Unreadable(error if isinstance(error, Unreadable) and error.args else refused) from None


def _check_count(values: list[T]) -> list[T]:
    if len(values) > MOST_CHUNKS:
        raise Unreadable(f"over {MOST_CHUNKS:,} chunks at once")
    return values


def loads(text: str) -> JSON:
    """JSON, and NaN, Infinity and halves of surrogate pairs, which are no JSON but are sent.

    Raises ValueError, or RecursionError.
    """
    return json.loads(text, strict=False, parse_int=_read_integer)


def _read_integer(digits: str) -> int | None:
    return int(digits) if len(digits) < 20 else None


def _read_chunk(value: JSON) -> Chunk:
    table = as_table(value)
    choices: JSON = table.get("choices") or []
    if table is not value or not isinstance(choices, list):
        raise Unreadable
    choices = as_list(choices)
    if len(choices) > MOST_CHOICES:
        raise Unreadable(_TOO_MANY)
    model = table.get("model")
    # Moonshot puts the usage into the choice.
    holders = (table, as_table(choices[0]) if choices else {}, as_table(table.get("x_groq")))
    usage, error = (next((holder[key] for holder in holders if holder.get(key)), None) for key in ("usage", "error"))
    if not (choices or usage or error):
        error = _find_error(table)
    if isinstance(error, dict) and not any(as_table(error).values()):
        error = None
    return Chunk(
        choices=[_read_choice(choice) for choice in choices if choice is not None],
        usage=usage,
        model=clean(model) if isinstance(model, str) else None,
        error=clean(error),
    )


def clean(value: JSON) -> JSON:
    """The value without halves of surrogate pairs, which cannot be encoded."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _find_error(table: dict[str, JSON]) -> JSON:
    """The error in an object that has neither choices nor an `error`; None if there is none."""
    table = table | as_table(table.get("base_resp"))  # MiniMax
    code = next((table[key] for key in ("code", "status_code", "error_code") if key in table), None)
    said = next((table[key] for key in ("message", "detail", "error_msg", "status_msg", "msg") if table.get(key)), None)
    kind = f"{table.get('object')} {table.get('type')} {table.get('status')}".lower()
    failed = code not in (None, 0, "0", 200, "200") or "error" in kind or "detail" in table
    if said is None or not failed:
        return table if "error" in kind else None
    return {"message": said if isinstance(said, str) else json.dumps(said), "code": code}


def _read_choice(value: JSON) -> Choice:
    table = as_table(value)
    if table is not value:
        raise Unreadable
    full = not table.get("delta") and bool(table.get("message"))
    said = table.get("message") if full else table.get("delta") or {"content": table.get("text")}
    if not isinstance(said, dict):
        raise Unreadable
    message = _read_message(as_table(said))
    return Choice(
        index=_read_index(table.get("index")),
        delta=message,
        finish_reason=_read_reason(table.get("finish_reason")),
        logprobs=table.get("logprobs"),
        full=full,
    )


def _read_message(table: dict[str, JSON]) -> Message:
    text, thought = _read_content(table.get("content"))
    apart = (
        _read_thought(table.get(key))
        for key in (
            "reasoning", "reasoning_content", "reasoning_text", "thinking", "thinking_blocks", "reasoning_details",
        )
    )  # fmt: skip
    refusal = table.get("refusal")
    return Message(
        content=text or (refusal if isinstance(refusal, str) else None),
        reasoning=next((each for each in apart if each), thought),
    )


def _read_content(content: JSON) -> tuple[str, str]:
    """(text, reasoning) of a message's content: a string, or a list of parts."""
    if isinstance(content, str):
        return content, ""
    text, thought = list[str](), list[str]()
    for part in as_list(content) if isinstance(content, list) else [content]:
        table = as_table(part)
        kind = str(table.get("type", "text")).lower()
        if isinstance(part, str):
            text.append(part)
        elif part is not None and table is not part:
            raise Unreadable(_NO_TEXT)
        elif "think" in kind or "reason" in kind:
            thought.append(_read_thought(table))
        elif kind in ("text", "output_text", "refusal"):
            text.append(_read_text(table.get("text", table.get("content", table.get("refusal")))))
    return "".join(text), "".join(thought)


def _read_text(value: JSON) -> str:
    value = as_table(value).get("value", value)
    if value is None or isinstance(value, str):
        return value or ""
    raise Unreadable(_NO_TEXT)


def _read_thought(value: JSON) -> str:
    """The text of a thought in any shape; encrypted and unreadable parts are left out."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_read_thought(part) for part in as_list(value))
    table, keys = as_table(value), ("thinking", "reasoning", "reasoning_text", "text", "summary", "content")
    return next((said for key in keys if key in table and (said := _read_thought(table[key]))), "")


def _read_index(value: JSON) -> int:
    """The number of a choice; 0, the one that is asked for, where it cannot be read."""
    try:
        return int(float(value)) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0
    except (ValueError, OverflowError):
        return 0


def _read_reason(value: JSON) -> str | None:
    """A finish reason: a string, or an object (SGLang)."""
    value = as_table(value).get("type", value)
    return str(clean(value))[:100] if value else None
