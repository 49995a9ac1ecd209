"""The model server itself: bodies go through as they come, unchanged, both ways; and which models there are.

Decides which headers pass and whose key goes where. Refuses to know what a body says. Beside engines/openai the one
other door to the HTTP client, for an engine makes a completion of what this must not touch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import web

from scale_reasoning.engines import Connection
from scale_reasoning.engines.listing import at
from scale_reasoning.engines.llama import Llama
from scale_reasoning.engines.openai import OpenAI, Timeouts
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.refusals import one_line
from scale_reasoning.engines.spread import Spread
from scale_reasoning.errors import ConfigError, EngineError
from scale_reasoning.lm import Endpoints
from scale_reasoning.strategies import STRATEGIES
from scale_reasoning.types import JSON, Mode
from scale_reasoning.web.proxy.refusals import Refusal
from scale_reasoning.web.proxy.wire import Gone, Stream

SENT = ("content-type", "accept", "user-agent", "x-request-id", "traceparent", "idempotency-key")
"""Headers of a client that the model server sees: none that could carry a client's key."""

KEPT_BACK = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",  # of one connection only (RFC 9110, 7.6.1)
    "set-cookie", "www-authenticate", "server", "date", "alt-svc", "strict-transport-security",  # of another server
}  # fmt: skip
"""Headers of a model server that the client does not see."""

LARGEST_ERROR = 2**20
"""Bytes of an error's body that are looked through for the server's key."""


LISTED_SECONDS = 60.0
"""How long a fetched list of models is kept."""


class Upstream:
    """The model server behind `endpoints`, or several, asked in turn. Use as an async context manager."""

    def __init__(self, connection: Connection, endpoints: Endpoints) -> None:
        endpoint = endpoints.get(Mode.SYSTEM2) or endpoints[Mode.SYSTEM1]
        self.model = endpoint.model
        self._servers = deque(_servers(endpoint.engine))
        if not self._servers:
            raise ConfigError(f"model {endpoint.model}: nothing to pass requests on to")
        first = self._servers[0]
        self._key = first.key if isinstance(first, Llama) else connection.api_key
        self._timeouts = connection.timeouts or Timeouts()
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._entries: dict[str, JSON] = {}
        self._listed_until = 0.0

    async def __aenter__(self) -> Self:
        hosts = [urlsplit(server.base_url).hostname or "" for server in self._servers]
        patience = aiohttp.ClientTimeout(
            total=None, sock_connect=self._timeouts.connect, sock_read=self._timeouts.first_byte
        )
        for pool in ("kept", "fresh"):
            self._sessions[pool] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=pool == "fresh"),
                timeout=patience,
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept"),
                trust_env=not all(host.startswith(("127.", "localhost", "::1")) for host in hosts),
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    async def models(self) -> bytes:
        """The server's own models and the strategies of the served one, as the protocol lists them."""
        return msgspec.json.encode({"object": "list", "data": list((await self._listed()).values())})

    async def model_named(self, name: str) -> bytes:
        """One entry of the list. Raises Refusal (404) when there is none of that name."""
        entry = (await self._listed()).get(name)
        if entry is None:
            raise Refusal(404, "model_not_found", "there is no model of this name", "model")
        return msgspec.json.encode(entry)

    async def _listed(self) -> dict[str, JSON]:
        now = asyncio.get_running_loop().time()
        if now >= self._listed_until:
            listed = await self._fetched()
            own = [self.model, *(f"{self.model}@{name}" for name in STRATEGIES)]
            self._entries = {name: _entry(name) for name in own} | {
                str(at(entry, "id")): entry for entry in listed if at(entry, "id")
            }
            self._listed_until = now + (LISTED_SECONDS if listed else 0)
        return self._entries

    async def _fetched(self) -> list[JSON]:
        """The entries of the server's own list of models, [] when it has none or does not answer."""
        try:
            entries = at(await self._servers[0].fetch("/models"), "data")
        except EngineError:
            return []
        return cast("list[JSON]", entries) if isinstance(entries, list) else []

    async def relay(self, content: bytes, request: web.Request) -> web.StreamResponse:
        """Passes a chat request on and its answer back. Raises Refusal when the server fails, sent before or not."""
        try:
            async with await self._asked(content, self._sent(request.headers)) as response:
                if 300 <= response.status < 400:
                    raise Refusal(502, "upstream_redirects", "the model server redirects: the base URL is not its own")
                if response.status >= 400:
                    headers = _kept(response, "content-length")
                    return web.Response(status=response.status, body=await self._error(response), headers=headers)
                stream = Stream(request, _kept(response), response.status)
                async for chunk in response.content.iter_any():
                    await stream.write(chunk)
                return stream.response
        except Gone:
            raise
        except TimeoutError:
            raise Refusal(504, "upstream_timeout", "the model server did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            told = one_line(str(error), (self._key,) if self._key else ()) or type(error).__name__
            raise Refusal(502, "upstream_unreachable", f"the model server: {told}") from None

    async def _asked(self, content: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The head of the answer, of the server whose turn it is; where that cannot be reached, of the next."""
        self._servers.rotate()
        *others, last = (f"{server.base_url}/chat/completions" for server in self._servers)
        for url in others:
            with suppress(aiohttp.ClientConnectorError):
                return await self._posted(url, content, headers)
        return await self._posted(last, content, headers)

    async def _posted(self, url: str, content: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """As `_asked`, of one; asked once more where a kept connection turned out to have ended."""
        try:
            return await self._sessions["kept"].post(url, data=content, headers=headers, allow_redirects=False)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._sessions["fresh"].post(url, data=content, headers=headers, allow_redirects=False)

    def _sent(self, headers: Mapping[str, str]) -> dict[str, str]:
        sent = {name: headers[name] for name in SENT if name in headers}
        sent["accept-encoding"] = "identity"  # the key must be found in an error's body
        return {**sent, "authorization": f"Bearer {self._key}"} if self._key else sent

    async def _error(self, response: aiohttp.ClientResponse) -> bytes:
        """An error's body without the server's key, which some quote."""
        content = await response.content.read(LARGEST_ERROR)
        while len(content) < LARGEST_ERROR and (more := await response.content.read(LARGEST_ERROR - len(content))):
            content += more
        return content.replace(self._key.encode(), b"[secret]") if self._key else content


def _kept(response: aiohttp.ClientResponse, *without: str) -> dict[str, str]:
    of_connection = {name.strip().lower() for name in response.headers.get("connection", "").split(",")}
    return {
        name.lower(): value
        for name, value in response.headers.items()
        if name.lower() not in KEPT_BACK | of_connection | set(without)
    }


def _servers(engine: Any) -> list[OpenAI | Llama]:
    """What speaks HTTP below an engine's policies."""
    match engine:
        case Retrying() | Limited():
            return _servers(engine.engine)
        case Spread():
            return [server for limited in engine.engines.values() for server in _servers(limited)]
        case OpenAI() | Llama():
            return [engine]
        case _:
            return []


def _entry(name: str) -> JSON:
    return {"id": name, "object": "model", "created": 0, "owned_by": "scale"}
