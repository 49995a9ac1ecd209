"""What a refusal's body states, whatever its shape: sentences, each with the place in the request that it is about.

Pure. Reads the messages of an error and passes over what merely repeats the request. Bounded, because a server may
say anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import msgspec

from scale_reasoning.types import JSON

MOST_STATEMENTS, LONGEST, DEEPEST = 32, 4_000, 8

_WORDS = (
    "message", "msg", "detail", "details", "error", "errors", "issues", "description", "reason", "title", "raw",
    "error_msg",
)  # fmt: skip
_INNER = (*_WORDS, "metadata", "fieldViolations", "field_violations", "data", "cause", "body")
_PLACES = ("param", "loc", "field", "parameter", "path", "argument")
"""Where OpenAI, pydantic, Google and others say which key they mean."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Some words of a refusal. `place` names what they are about as the server does, "" where it does not."""

    words: str
    place: str = ""


def statements(said: str) -> list[Statement]:
    """The statements of a refusal's body, JSON or not."""
    found = islice(_read(said, "", 0), MOST_STATEMENTS)
    return [each for each in dict.fromkeys(found) if each.words.strip()]


def _read(value: JSON, place: str, depth: int) -> Iterator[Statement]:
    if depth > DEEPEST:
        return
    if isinstance(value, str):
        yield from _text(value, place, depth)
    elif isinstance(value, list):
        for item in cast("list[JSON]", value)[:MOST_STATEMENTS]:
            yield from _read(item, place, depth + 1)
    elif isinstance(value, dict):
        table = cast("dict[str, JSON]", value)
        place = next((_place(table[key]) for key in _PLACES if table.get(key)), place)
        for key in _INNER:
            if key in table:
                yield from _read(table[key], place, depth + 1)


def _text(text: str, place: str, depth: int) -> Iterator[Statement]:
    """A text, which proxies like to make of another server's JSON and some words before it."""
    start, end = text.find("{"), text.rfind("}")
    if text.lstrip().startswith("["):
        start, end = text.find("["), text.rfind("]")
    if 0 <= start < end:
        try:
            inner = msgspec.json.decode(text[start : end + 1])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            inner = None
        if isinstance(inner, dict | list) and inner:
            yield from _read(cast("JSON", inner), place, depth + 1)
            text = text[:start]
    # Backslashes are a JSON string's that was cut or wrapped once more.
    yield Statement(text[:LONGEST].replace("\\", ""), place)


def _place(value: JSON) -> str:
    if isinstance(value, list):
        return ".".join(str(part) for part in cast("list[JSON]", value)[:20])
    return value[:200] if isinstance(value, str) else ""
