"""What a server's refusal means: an HTTP status and a body, or an error in mid-stream, become one of errors.py's.

Server text is untrusted: it is shown on one short line, without secrets, never whole.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Sequence
from typing import cast

import msgspec

from scale_reasoning.engines.overflow import overflow
from scale_reasoning.errors import EngineError, Overloaded, Rejected
from scale_reasoning.types import JSON

SHOWN_CHARACTERS = 300

_PASSING = (408, 425, 429)
"""What a later try may not meet."""

_HINTS = {
    401: "is the API key right? (--api-key-env names the variable that holds it)",
    403: "may this key use this model?",
    404: "are the base URL (does it end in /v1?) and the model's name right?",
}


def error_for(
    status: int,
    content: bytes,
    *,
    where: str,
    retry_after: str | None,
    location: str | None,
    secrets: Sequence[str],
) -> EngineError:
    """The error that an HTTP answer other than 200 stands for."""
    text = content[:100_000].decode("utf-8", "replace")
    if 300 <= status < 400:
        to = one_line(location or "nowhere", secrets)
        return Rejected(f"{where} redirects to {to}: redirects are not followed, name that base URL instead", status)
    error = _refusal(status, text, where=where, retry_after=_seconds(retry_after), secrets=secrets)
    error.said = _without(secrets, text)
    return error


def _refusal(status: int, text: str, *, where: str, retry_after: float | None, secrets: Sequence[str]) -> EngineError:
    said = one_line(_message(text), secrets)
    too_long = overflow(status, text, f"{where}: the prompt does not fit the window: {said}")
    if too_long is not None:
        return too_long
    if status in _PASSING or (status >= 500 and status != 501):
        return Overloaded(f"{where} answered {status}: {said}", retry_after, status)
    hint = f"; {_HINTS[status]}" if status in _HINTS else ""
    return Rejected(f"{where} answered {status}: {said}{hint}", status)


def stream_error(error: JSON, *, where: str, secrets: Sequence[str]) -> EngineError:
    """The error that an `error` object in a 200's body or stream stands for."""
    text = msgspec.json.encode(error).decode()
    found = _stream_refusal(error, text, where=where, secrets=secrets)
    found.said = _without(secrets, text)
    return found


def _stream_refusal(error: JSON, text: str, *, where: str, secrets: Sequence[str]) -> EngineError:
    said = one_line(_message(text), secrets)
    too_long = overflow(None, text, f"{where}: the prompt does not fit the window: {said}")
    if too_long is not None:
        return too_long
    code = cast("dict[str, JSON]", error).get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 500 and code not in _PASSING:
        return Rejected(f"{where} refused in mid-reply: {said}", code)
    return Overloaded(f"{where} failed in mid-reply: {said}")


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return text


def one_line(text: str, secrets: Sequence[str] = ()) -> str:
    """Untrusted text as one short printable line with every secret blotted out."""
    text = _without(secrets, text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * SHOWN_CHARACTERS]).split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"


def _message(text: str) -> str:
    """The message in an error body, whatever its shape; a page of HTML is only named."""
    if re.match(r"\s*<(?:!doctype|html)", text, re.IGNORECASE):
        return "an HTML page"
    try:
        body = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return text or "(empty body)"
    while isinstance(body, dict | list) and body:
        if isinstance(body, list):
            body = cast("list[JSON]", body)[0]
            continue
        table = cast("dict[str, JSON]", body)
        # OpenRouter: what the server behind it said is more than "Provider returned error".
        raw = cast("dict[str, JSON]", table["metadata"]).get("raw") if isinstance(table.get("metadata"), dict) else None
        inner = raw or next((table[key] for key in ("error", "message", "detail", "msg") if table.get(key)), None)
        if inner is None:
            break
        place = table.get("loc")
        if isinstance(place, list) and isinstance(inner, str):  # pydantic: which key it is stands apart
            inner = f"{'.'.join(map(str, cast('list[JSON]', place)))}: {inner}"
        body = inner
    return body if isinstance(body, str) else msgspec.json.encode(body).decode()


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds: a number, or a date."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
