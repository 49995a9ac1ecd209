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

from scale_reasoning.errors import ContextOverflow, EngineError, Overloaded, Rejected
from scale_reasoning.types import JSON

SHOWN_CHARACTERS = 300

_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|max_model_len|context (?:size|window|length)"
    r"|too (?:long|many tokens)|longer than the (?:model|maximum)|input length",
    re.IGNORECASE,
)
_WINDOW = re.compile(r"(?:n_ctx\W+|context (?:length|size|window) (?:is |of |\())(\d+)", re.IGNORECASE)
_PROMPT = re.compile(
    r"(\d+) (?:in the messages|in your prompt|input tokens|in the input|tokens from the input)|n_prompt_tokens\W+(\d+)"
    r"|(?:prompt contains(?: at least)?|resulted in|input \() ?(\d+)",
    re.IGNORECASE,
)
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
    said = one_line(_message(text), secrets)
    if 300 <= status < 400:
        to = one_line(location or "nowhere", secrets)
        return Rejected(f"{where} redirects to {to}: redirects are not followed, name that base URL instead", status)
    if status in (400, 413, 422) and _OVERFLOW.search(text):
        return _overflow(text, f"{where}: the prompt does not fit the window: {said}")
    if status in _PASSING or (status >= 500 and status != 501):
        return Overloaded(f"{where} answered {status}: {said}", _seconds(retry_after), status)
    hint = f"; {_HINTS[status]}" if status in _HINTS else ""
    return Rejected(f"{where} answered {status}: {said}{hint}", status)


def stream_error(error: JSON, *, where: str, secrets: Sequence[str]) -> EngineError:
    """The error that an `error` object in a 200's body or stream stands for."""
    text = msgspec.json.encode(error).decode()
    said = one_line(_message(text), secrets)
    if _OVERFLOW.search(text):
        return _overflow(text, f"{where}: the prompt does not fit the window: {said}")
    code = cast("dict[str, JSON]", error).get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 500 and code not in _PASSING:
        return Rejected(f"{where} refused in mid-reply: {said}", code)
    return Overloaded(f"{where} failed in mid-reply: {said}")


def _overflow(text: str, message: str) -> ContextOverflow:
    return ContextOverflow(message, _number(_PROMPT, text), _number(_WINDOW, text))


def one_line(text: str, secrets: Sequence[str] = ()) -> str:
    """Untrusted text as one short printable line with every secret blotted out."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
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
    while isinstance(body, dict):
        table = cast("dict[str, JSON]", body)
        inner = next((table[key] for key in ("error", "message", "detail") if table.get(key)), None)
        if inner is None:
            break
        body = inner
    return body if isinstance(body, str) else msgspec.json.encode(body).decode()


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return next((int(group) for group in found.groups() if group), None) if found else None


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
