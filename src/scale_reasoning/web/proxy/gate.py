"""Which requests are admitted, and how many at a time: keys, hosts, slots. Does not know what they ask for."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from scale_reasoning.errors import ConfigError
from scale_reasoning.web.proxy.pace import Share
from scale_reasoning.web.proxy.refusals import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a request, and of all requests at a time.

    max_calls: bound on the model calls of a request. token_budget: new tokens of all its calls, None for no limit.
    max_connections: of all clients together.
    """

    max_concurrent: int = 64
    max_connections: int = 1000
    max_calls: int = 2000
    max_body_bytes: int = 4 * 2**20
    max_messages: int = 512
    token_budget: int | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            if (value := getattr(self, each.name)) is not None and value < 1:
                raise ConfigError(f"{each.name} = {value}: must be at least 1")


_MARKS = re.compile(r"[\s&=+,:;@/?\[\]]+")
"""What may stand around a key in a path or a query."""
LEFT_FREE = 3
"""A client has at most this many times the free slots, so it never takes the last ones from other clients."""


class Gate:
    """Admits valid keys; without keys, only a loopback Host (DNS rebinding).

    Each of several keys is a client with its own share, at most three quarters of the calls `in_flight`. Without keys
    every request counts as a client.
    """

    def __init__(self, keys: tuple[str, ...], *, slots: int, in_flight: int) -> None:
        most_sent = max(1, in_flight * 3 // 4) if len(keys) > 1 else None
        self._shares = {_digest(key): Share(most_sent) for key in keys}
        self._slots = slots
        self._taken = 0

    def admit(self, request: web.Request) -> Share:
        """The share of the request's client. Raises Refusal (401, 403) if the request is not admitted."""
        self.require_host(request)
        if not self._shares:
            return Share()
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        given = _digest(key.strip())
        known = [share for each, share in self._shares.items() if hmac.compare_digest(given, each)]
        if scheme.lower() != "bearer" or not known:
            raise Refusal(401, "invalid_api_key", "missing or wrong API key: send one of this server as a bearer token")
        return known[0]

    def holds_key(self, texts: Iterable[str]) -> bool:
        """Whether one of the texts, or a part of it between white space or marks, is a client's key."""
        parts = (part for text in texts for part in (text, *text.split(), *_MARKS.split(text)))
        return any(_digest(part) in self._shares for part in parts)

    def require_host(self, request: web.Request) -> None:
        """Raises Refusal (403) if there are no keys and the Host is not a loopback one."""
        # A page in a browser here may reach loopback through its own host name (DNS rebinding).
        if not self._shares and not is_loopback(_hostname(request.headers.get("host", ""))):
            raise Refusal(403, "host_not_allowed", "without API keys only requests to a loopback host are served")

    @contextlib.contextmanager
    def slot(self, share: Share) -> Generator[None]:
        """Takes a slot for one request. Raises Refusal (429) if there is none, or the client has too many."""
        free = self._slots - self._taken
        if free <= 0:
            raise Refusal(429, "rate_limit_exceeded", f"{self._slots} requests are being answered, which is the limit",
                          retry_after=1.0)  # fmt: skip
        if len(self._shares) > 1 and share.requests >= LEFT_FREE * free:
            raise Refusal(429, "rate_limit_exceeded", f"{share.requests} requests with this key are being answered: "
                          f"the {free} free slots are for other keys", retry_after=1.0)  # fmt: skip
        self._taken += 1
        share.requests += 1
        try:
            yield
        finally:
            self._taken -= 1
            share.requests -= 1


def read_keys(file: Path) -> tuple[str, ...]:
    """Reads the keys in a file, one per line; `#` begins a comment, but not within a key. Raises ConfigError for a file
    without keys.
    """
    try:
        lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--api-keys-file {file}: {error}") from error
    keys = tuple(dict.fromkeys(line for line in lines if line))
    if not keys:
        raise ConfigError(f"--api-keys-file {file}: has no key; write one per line")
    if any(not key.isascii() or " " in key for key in keys):
        raise ConfigError(f"--api-keys-file {file}: a key has a space or a character that is not ASCII")
    return keys


def is_loopback(host: str) -> bool:
    """Whether a host name or address is a loopback one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
