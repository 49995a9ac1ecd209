"""The sentences of a refusal, whatever the shape of its body, each with the part of the request that it is about.

Pure. Reads the messages of an error and ignores what only repeats the request. Bounded, because the text is untrusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

import msgspec

from scale_reasoning.engines.values import as_list, as_table
from scale_reasoning.types import JSON

MOST_STATEMENTS, LONGEST, DEEPEST = 32, 4_000, 8
"""Statements of a refusal, characters of each, and levels of nesting that are read."""

_MESSAGE_KEYS = (
    "message", "msg", "detail", "details", "error", "errors", "issues", "description", "reason", "title", "raw",
    "error_msg", "metadata", "fieldViolations", "field_violations", "data", "cause", "body",
)  # fmt: skip
"""Keys whose values are messages, or hold some."""

_ABOUT_KEYS = ("param", "loc", "field", "parameter", "path", "argument")
"""Keys under which OpenAI, pydantic, Google and others name the key that a message is about."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Some text of a refusal. `about` is the server's name for the part of the request, "" where there is none."""

    text: str
    about: str = ""


def read_statements(body: str) -> list[Statement]:
    """The statements of a refusal's body, JSON or not."""
    found = islice(_read(body, "", 0), MOST_STATEMENTS)
    return [each for each in dict.fromkeys(found) if each.text.strip()]


def _read(value: JSON, about: str, depth: int) -> Iterator[Statement]:
    if depth > DEEPEST:
        return
    if isinstance(value, str):
        yield from _read_text(value, about, depth)
    elif isinstance(value, list):
        for item in as_list(value)[:MOST_STATEMENTS]:
            yield from _read(item, about, depth + 1)
    elif isinstance(value, dict):
        table = as_table(value)
        about = next((_join(table[key]) for key in _ABOUT_KEYS if table.get(key)), about)
        for key in _MESSAGE_KEYS:
            if key in table:
                yield from _read(table[key], about, depth + 1)


def _read_text(text: str, about: str, depth: int) -> Iterator[Statement]:
    """Proxies often put another server's JSON into a text, after some words of their own."""
    start, end = text.find("{"), text.rfind("}")
    if text.lstrip().startswith("["):
        start, end = text.find("["), text.rfind("]")
    if 0 <= start < end:
        try:
            inner = msgspec.json.decode(text[start : end + 1])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            inner = None
        if isinstance(inner, dict | list) and inner:
            yield from _read(cast("JSON", inner), about, depth + 1)
            text = text[:start]
    # Backslashes come from a JSON string that was cut, or encoded twice.
    yield Statement(text[:LONGEST].replace("\\", ""), about)


def _join(path: JSON) -> str:
    if isinstance(path, list):
        return ".".join(str(part) for part in as_list(path)[:20])
    return path[:200] if isinstance(path, str) else ""
