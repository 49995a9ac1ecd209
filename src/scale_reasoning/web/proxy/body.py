"""Reads a request's body, and decodes it as one JSON object, strictly: what two parsers could read differently is
refused.

Decides which bodies are accepted, and how long one may take. Does not know what the keys mean.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from typing import Any, NoReturn, cast

import msgspec
from aiohttp import web

from scale_reasoning.types import JSON
from scale_reasoning.web.proxy.refusals import Refusal, invalid

BODY_SECONDS = 30.0
"""Time limit for a request's body, which takes a slot while it arrives."""
LARGE_BODY = 2**16
"""Bytes. Larger bodies are decoded one at a time, with pauses in between."""
PAUSE = 2.0
"""Seconds of pause per second spent on decoding a large body."""

MOST_DIGITS = 40
"""Digits of an integer: more than any seed or count needs."""

MOST_VALUES = 50_000
"""Values in a body, without keys: more than any conversation has. Each takes time to decode."""

SHOWN_KEY = 60
"""Characters of a key that are quoted."""

_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # or unterminated, so that no quote starts a new search
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


async def read_body(request: web.Request) -> bytes:
    """The body as it was sent. Raises Refusal (408, 415) for one that is late or compressed, and aiohttp's error for
    one that is too large.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "unsupported_encoding", "the body must not be compressed")
    if (request.content_length or 0) > request.client_max_size:
        raise web.HTTPRequestEntityTooLarge(request.client_max_size)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Refusal(408, "body_timeout", f"the body did not arrive within {BODY_SECONDS:g} s") from None


async def read_json(request: web.Request) -> bytes:
    """The body as it was sent, see read_body. Raises Refusal (415) unless it is sent as JSON."""
    if request.content_type != "application/json":
        # Otherwise any web page could make a browser on this machine send one.
        raise Refusal(415, "unsupported_media_type", "the body must be sent as content-type: application/json")
    return await read_body(request)


class Decoder:
    """Decodes large bodies one at a time, so that other requests are answered meanwhile."""

    def __init__(self) -> None:
        self._large = asyncio.Lock()

    async def decode(self, content: bytes) -> dict[str, JSON]:
        """See decode_object."""
        if len(content) < LARGE_BODY:
            return decode_object(content)
        async with self._large:
            began = time.monotonic()
            try:
                return decode_object(content)
            finally:
                await asyncio.sleep(PAUSE * (time.monotonic() - began))


def decode_object(content: bytes) -> dict[str, JSON]:
    """The object in a request's body.

    Raises Refusal (400) for what is not UTF-8, not JSON or no object, for a key that is set twice, for numbers that no
    float holds (NaN, Infinity, 1e999) or of over 40 digits, for half a surrogate pair, for too deep nesting
    and for too many values.
    """
    value: JSON
    if _separators(content) > MOST_VALUES and _separators(_TEXT.sub(b"", content)) > MOST_VALUES:
        raise Refusal(400, "invalid_json", f"the body has more than {MOST_VALUES:,} values")
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer, parse_float=_float,
                           parse_constant=_constant)  # fmt: skip
        if _SURROGATE.search(content):
            msgspec.json.decode(content)  # refuses half a pair, which the json module accepts
    except RecursionError:
        raise Refusal(400, "invalid_json", "the body is nested too deeply") from None
    except (UnicodeDecodeError, ValueError, msgspec.MsgspecError) as error:
        raise Refusal(400, "invalid_json", f"the body is not valid JSON: {_message(error)}") from None
    if not isinstance(value, dict):
        raise invalid("body", f"expected an object, got {_NAMES.get(type(cast('object', value)), 'a number')}")
    return cast("dict[str, JSON]", value)


_NAMES: dict[type, str] = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}


def _separators(content: bytes) -> int:
    return sum(map(content.count, (b",", b"[", b"{")))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen = set[str]()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {twice[:SHOWN_KEY]!r} is set twice")
    return made


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"an integer of more than {MOST_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:SHOWN_KEY]} is too large")
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _message(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return str(error)
