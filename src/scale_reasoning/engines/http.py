"""HTTP to one model server: connections, time-outs, the key, and which error of errors.py each failure is.

The only user of aiohttp's client. Redirects are never followed. Knows nothing of what bodies say, of retries after a
failure (policy.py) or of limits (limit.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from scale_reasoning.engines.refusals import error_for, quote
from scale_reasoning.errors import ConfigError, EngineError, Malformed, TimedOut, Unreachable

if TYPE_CHECKING:  # aiohttp takes a moment to import, and many commands need no server
    import aiohttp

KEEP_ALIVE = 60.0
"""Seconds that an idle connection is kept for the next request."""

LINGER = 0.5
"""Seconds that the connection of a finished reply has to end in order, so that it can be used again."""

Pool: TypeAlias = Literal["reused", "fresh"]
"""Whether a connection may have served an earlier request."""

Sends: TypeAlias = Literal["once", "twice"]
"""How often a request may be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds until there is a connection, until a reply's first byte, and between two pieces of a reply.

    None of them bounds a whole generation: thinking for 30 minutes is legal, 2 minutes of silence in it are not.
    """

    connect: float = 10.0
    first_byte: float = 600.0
    silence: float = 120.0


class Client:
    """Connections to the server at `base_url` (`http://host:8000/v1`). Close it after use.

    `where` names the server in messages, its host and port if not given. With `relay`, bodies and headers pass through
    unchanged: responses are not decompressed, and each wait for more of one may take `timeouts.first_byte`. Without it
    the caller bounds the reading of responses.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
        where: str = "",
        relay: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Connects nothing yet. Raises ConfigError for a `base_url` that is no http(s) URL, or an impossible key.

        `headers`, if given, are sent in place of the key as a bearer token.
        """
        try:
            parts = urlsplit(base_url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"base URL {base_url!r}: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigError(f"base URL {base_url!r}: must be like http://127.0.0.1:8000/v1")
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ConfigError("API key: holds a line break or another character that no key has")
        if api_key and parts.username is not None:
            raise ConfigError(f"base URL for {host}: has a user name while there is an API key too; remove one of them")
        self.base_url = base_url.rstrip("/").removesuffix("/chat/completions")
        self.where = where or host + (f":{port}" if port else "")
        self.timeouts = timeouts or Timeouts()
        self.secrets = tuple(secret for secret in (api_key, parts.password) if secret)
        """What no message may show."""
        self.closed = False
        self._relay = relay
        self._loopback = host in ("localhost", "::1") or host.startswith("127.")
        self._headers = {"content-type": "application/json"}
        if headers is not None:
            self._headers |= headers
        elif api_key:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._sessions: dict[Pool, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Closes every connection. A later `send` raises RuntimeError."""
        self.closed = True
        for session in self._sessions.values():
            await session.close()

    async def send(
        self,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str | None = None,
        at_most: Sends = "twice",
    ) -> aiohttp.ClientResponse:
        """The head of the response. Raises aiohttp's errors. The method is GET by default, POST with a body.

        The request is sent once more, on a new connection, when a kept connection ends before there is a response:
        llama.cpp ends connections right after a stream. Asking for a generation twice changes nothing on the server;
        what would is sent at most once, on a new connection.
        """
        import aiohttp

        method, url = method or ("GET" if body is None else "POST"), f"{self.base_url}{path}"
        more: dict[str, Any] = {"data": body, "headers": headers, "allow_redirects": False}
        if at_most == "once":
            return await self._session("fresh").request(method, url, **more)
        try:
            return await self._session("reused").request(method, url, **more)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._session("fresh").request(method, url, **more)

    def refusal(self, response: aiohttp.ClientResponse, content: bytes) -> EngineError:
        """The error of a response whose status is not 200; `content` is its body, or the beginning of it."""
        return error_for(
            response.status,
            content,
            where=self.where,
            retry_after=response.headers.get("retry-after"),
            location=response.headers.get("location"),
            secrets=self.secrets,
        )

    def hide_secrets(self, content: bytes) -> bytes:
        """A body without the key, which some servers quote in errors."""
        for secret in self.secrets:
            content = content.replace(secret.encode(), b"[secret]")
        return content

    def engine_error(self, error: Exception, *, began: bool = False) -> Exception:
        """The EngineError that an error of aiohttp, asyncio or msgspec stands for; any other error unchanged.

        `began`: a part of the reply was received.
        """
        import aiohttp

        where, timeouts = self.where, self.timeouts
        match error:
            case EngineError():
                return error
            case TimeoutError() if self.closed:
                return Unreachable(f"{where}: the engine was closed")
            case TimeoutError() if began:
                return TimedOut(f"{where} fell silent for {timeouts.silence:g} s in mid-reply")
            case aiohttp.ConnectionTimeoutError():
                return TimedOut(f"{where} did not accept a connection in {timeouts.connect:g} s")
            case TimeoutError():
                return TimedOut(f"{where} sent nothing for {timeouts.first_byte:g} s")
            case aiohttp.ClientConnectorError():
                return Unreachable(f"{where} cannot be reached: {quote(str(error.os_error), self.secrets)}")
            case aiohttp.ClientPayloadError() | ConnectionError() | aiohttp.ServerDisconnectedError():
                return Unreachable(f"{where} broke the connection{' in mid-reply' if began else ''}")
            case aiohttp.ClientError() | OSError():
                return Unreachable(f"{where}: {quote(str(error), self.secrets) or type(error).__name__}")
            case msgspec.MsgspecError() | ValueError() | RecursionError():
                return Malformed(f"{where} sent what is not JSON as expected: {quote(str(error))}")
            case _:
                return error

    def _session(self, pool: Pool) -> aiohttp.ClientSession:
        if self.closed:
            raise RuntimeError(f"the engine on {self.where} is closed")
        if pool not in self._sessions:
            import aiohttp

            timeouts, relay = self.timeouts, self._relay
            keep: dict[str, Any] = {"keepalive_timeout": KEEP_ALIVE} if pool == "reused" else {"force_close": True}
            # A proxy for the internet cannot reach a server of this machine.
            proxies = any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ)
            self._sessions[pool] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, **keep),
                cookie_jar=aiohttp.DummyCookieJar(),  # a cookie for one client of the proxy is not sent for another
                headers=self._headers,
                skip_auto_headers=("User-Agent", "Accept") if relay else (),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=timeouts.connect, sock_read=timeouts.first_byte if relay else None
                ),
                trust_env=proxies and not self._loopback,
                auto_decompress=not relay,
            )
        return self._sessions[pool]


async def read_some(response: aiohttp.ClientResponse, at_most: int) -> bytes:
    """The first `at_most` bytes of a body."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) >= at_most:
            break
    return bytes(content[:at_most])


async def read_rest(response: aiohttp.ClientResponse) -> None:
    """Waits a moment for the end of a response, so that its connection can be used again. Raises nothing."""
    import aiohttp

    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(LINGER):
            async for _ in response.content.iter_any():
                pass
