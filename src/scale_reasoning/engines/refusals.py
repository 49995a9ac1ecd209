"""What a server's refusal means: an HTTP status and a body, or an error in mid-stream, become one of errors.py's.

Server text is untrusted: messages show it on one short line and without secrets.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Sequence

import msgspec

from scale_reasoning.engines.overflow import read_overflow
from scale_reasoning.engines.values import as_list, as_table, value_at
from scale_reasoning.errors import EngineError, Overloaded, Rejected
from scale_reasoning.printable import one_line
from scale_reasoning.types import JSON

SHOWN_CHARACTERS = 300

_PASSING = (408, 425, 429)
"""Statuses of 400 and above that may not come again."""

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
    """The error of an HTTP response whose status is not 200."""
    text = content[:100_000].decode("utf-8", "replace")
    if 300 <= status < 400:
        to = quote(location or "nowhere", secrets)
        return Rejected(f"{where} redirects to {to}: redirects are not followed, name that base URL instead", status)
    quoted = quote(_find_message(text), secrets)
    error = read_overflow(status, text, _too_long(where, quoted))
    if error is None and (status in _PASSING or (status >= 500 and status != 501)):
        error = Overloaded(f"{where} answered {status}: {quoted}", _seconds(retry_after), status)
    elif error is None:
        hint = f"; {_HINTS[status]}" if status in _HINTS else ""
        error = Rejected(f"{where} answered {status}: {quoted}{hint}", status)
    error.said = hide_secrets(text, secrets)
    return error


def stream_error(error: JSON, *, where: str, secrets: Sequence[str]) -> EngineError:
    """The error of an `error` object in the body or stream of a 200."""
    text = msgspec.json.encode(error).decode()
    quoted = quote(_find_message(text), secrets)
    code = value_at(error, "code")
    found = read_overflow(None, text, _too_long(where, quoted))
    if found is None and isinstance(code, int) and 400 <= code < 500 and code not in _PASSING:
        found = Rejected(f"{where} refused in mid-reply: {quoted}", code)
    found = found or Overloaded(f"{where} failed in mid-reply: {quoted}")
    found.said = hide_secrets(text, secrets)
    return found


def hide_secrets(text: str, secrets: Sequence[str]) -> str:
    """The text with `[secret]` for every secret."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return text


def quote(text: str, secrets: Sequence[str] = ()) -> str:
    """Untrusted text for a message: one short printable line without secrets."""
    return one_line(hide_secrets(text, secrets)[: 4 * SHOWN_CHARACTERS], SHOWN_CHARACTERS)


def _too_long(where: str, quoted: str) -> str:
    return f"{where}: the prompt does not fit the window: {quoted}"


def _find_message(text: str) -> str:
    """The message in an error body of any shape; a page of HTML is only named."""
    if re.match(r"\s*<(?:!doctype|html)", text, re.IGNORECASE):
        return "an HTML page"
    try:
        body = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return text or "(empty body)"
    while isinstance(body, dict | list) and body:
        if isinstance(body, list):
            body = as_list(body)[0]
            continue
        table = as_table(body)
        # OpenRouter: the message of the server behind it says more than "Provider returned error".
        raw = value_at(table, "metadata", "raw")
        inner = raw or next((table[key] for key in ("error", "message", "detail", "msg") if table.get(key)), None)
        if inner is None:
            break
        path = as_list(table.get("loc"))
        if path and isinstance(inner, str):  # pydantic names the key apart from the message
            inner = f"{'.'.join(map(str, path))}: {inner}"
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
