"""The model server itself: bodies go through as they come, unchanged, both ways; and which models there are.

Decides which headers pass and whose key goes where. Refuses to know what a body says. Beside engines/openai the one
other door to the HTTP client, for an engine makes a completion of what this must not touch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import web

from scale_reasoning.endpoint import Endpoints
from scale_reasoning.engines import Connection
from scale_reasoning.engines.limit import CEILING, Fixed, Places, enter
from scale_reasoning.engines.listing import at, listed
from scale_reasoning.engines.llama import Llama
from scale_reasoning.engines.openai import OpenAI, Timeouts
from scale_reasoning.engines.policy import Limited, Retrying
from scale_reasoning.engines.refusals import error_for, one_line
from scale_reasoning.engines.spread import Spread
from scale_reasoning.errors import ConfigError, EngineError, Rejected
from scale_reasoning.strategies import STRATEGIES, needs_both_modes
from scale_reasoning.types import JSON, Mode
from scale_reasoning.web.proxy.budget import within
from scale_reasoning.web.proxy.pace import Share
from scale_reasoning.web.proxy.readiness import NO_LIST, PROBE_SECONDS, Target
from scale_reasoning.web.proxy.refusals import KEY_REFUSED, Refusal, refusal_of
from scale_reasoning.web.proxy.wire import ID, Gone, Stream

SENT = ("accept", "user-agent", "x-request-id", "traceparent", "idempotency-key")
"""Headers of a client that the model server sees: none that could carry a client's key."""

KEPT_BACK = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",  # of one connection only (RFC 9110, 7.6.1)
    "set-cookie", "www-authenticate", "server", "date", "alt-svc", "strict-transport-security",  # of another server
    "x-request-id",  # this server has its own
}  # fmt: skip
"""Headers of a model server that the client does not see."""

LARGEST_ERROR, LARGEST_ANSWER = 2**20, 2**26
"""Bytes of an error's body that are looked through for the server's key; and of any other body that are passed on."""

REST = 3.0
"""Reading what model servers send all at once takes at most a quarter of the time: the rest is other requests'."""

LISTED_SECONDS = 60.0
"""How long a fetched list of models is kept."""


class Upstream:
    """The model server behind `endpoints`, or several, used in turn. Use as an async context manager."""

    def __init__(self, connection: Connection, endpoints: Endpoints, token_budget: int | None = None) -> None:
        endpoint = endpoints.get(Mode.SYSTEM2) or endpoints[Mode.SYSTEM1]
        self.model = endpoint.model
        targets = [Target(server, each.model) for each in endpoints.values() for _, server in _servers(each.engine)]
        self.targets = tuple(dict.fromkeys(targets))
        self._budget, self._limit_key = token_budget, endpoint.profile.limit_key
        self._servers = deque(_servers(endpoint.engine))
        if not self._servers:
            raise ConfigError(f"model {endpoint.model}: nothing to pass requests on to")
        _, first = self._servers[0]
        for each in targets:
            if isinstance(each.server, OpenAI):
                each.server.rest = REST
        self._key = first.key if isinstance(first, Llama) else connection.api_key
        self._timeouts = connection.timeouts or Timeouts()
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        runnable = [name for name in STRATEGIES if len(endpoints) == len(Mode) or not needs_both_modes(name)]
        own = [self.model, *(f"{self.model}@{name}" for name in runnable)]
        self._own = {name: _entry(name) for name in own}
        self._entries: dict[str, JSON] = {}
        self._listed_until = 0.0

    async def __aenter__(self) -> Self:
        hosts = [urlsplit(server.base_url).hostname or "" for _, server in self._servers]
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

    @property
    def own(self) -> tuple[str, ...]:
        """The served model's name, and the strategies over it."""
        return tuple(self._own)

    @property
    def in_flight(self) -> int:
        """Requests that the model servers are sent at a time; an adaptive limit counts as the most it may grow to."""
        limits = [places.limit for places, _ in self._servers]
        return sum(limit.most if isinstance(limit, Fixed) else CEILING for limit in limits)

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
        """What exists: nothing before the server answered for the first time."""
        now = asyncio.get_running_loop().time()
        if now >= self._listed_until:
            entries = await self._fetched()
            if entries is not None:
                self._entries = self._own | {name: entry for name, entry in entries.items() if at(entry, "id") == name}
            self._listed_until = now + (LISTED_SECONDS if entries else 1.0)
        return self._entries

    async def _fetched(self) -> Mapping[str, JSON] | None:
        """The server's own list of models, empty when it has none; None when it does not answer."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return listed(await self._servers[0][1].fetch("/models")) or {}
        except Rejected as error:
            return {} if error.status in NO_LIST else None
        except (EngineError, TimeoutError):
            return None

    async def relay(
        self, content: bytes, said: Mapping[str, JSON], request: web.Request, share: Share
    ) -> web.StreamResponse:
        """Passes a chat request on and its answer back, in a place of the server's as any call. `said` is what the
        body says: it goes up instead of the body where there is a token budget that it does not keep.

        Raises Refusal when the server fails, sent before or not.
        """
        if self._budget is not None:
            content = within(self._budget, content, said, limit_key=self._limit_key)
        try:
            async with self._asked(content, self._sent(request), share) as response:
                return await self._passed_back(response, request)
        except Gone:
            raise
        except TimeoutError:
            raise Refusal(504, "upstream_timeout", "the model server did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            told = one_line(str(error), (self._key,) if self._key else ()) or type(error).__name__
            raise Refusal(502, "upstream_unreachable", f"the model server: {told}") from None

    async def _passed_back(self, response: aiohttp.ClientResponse, request: web.Request) -> web.StreamResponse:
        if 300 <= response.status < 400:
            raise Refusal(502, "upstream_redirects", "the model server redirects: the base URL is not its own")
        if response.status in KEY_REFUSED:
            told = await self._error(response)
            raise refusal_of(error_for(response.status, told, where="the model server", retry_after=None, location=None,
                                       secrets=()))  # fmt: skip
        if response.status >= 400:
            headers = self._kept(response, "content-length")
            return web.Response(status=response.status, body=await self._error(response), headers=headers)
        if response.status < 200:
            raise Refusal(502, "upstream_malformed", f"the model server answered with the status {response.status}")
        stream, size = Stream(request, self._kept(response), response.status), 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise Refusal(502, "upstream_too_large", f"the model server sent over {LARGEST_ANSWER:,} bytes")
            await stream.write(chunk)
        return stream.response

    @asynccontextmanager
    async def _asked(
        self, content: bytes, headers: Mapping[str, str], share: Share
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The head of the answer, of the server whose turn it is; where that cannot be reached, of the next."""
        self._servers.rotate()
        left = list(self._servers)
        async with share.call():
            while left:
                up = [places for places, _ in left if places.most] or [left[0][0]]
                async with _place(up, share) as taken:
                    if taken is None:  # one of them went down meanwhile
                        continue
                    places, server = next(each for each in left if each[0] is taken)
                    left.remove((places, server))
                    try:
                        response = await self._posted(f"{server.base_url}/chat/completions", content, headers)
                    except aiohttp.ClientConnectorError:
                        if not left:
                            raise
                        continue
                    async with response:
                        yield response
                    return

    async def _posted(self, url: str, content: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """As `_asked`, of one; sent again if a kept connection turns out to have ended."""
        try:
            return await self._sessions["kept"].post(url, data=content, headers=headers, allow_redirects=False)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._sessions["fresh"].post(url, data=content, headers=headers, allow_redirects=False)

    def _sent(self, request: web.Request) -> dict[str, str]:
        headers = request.headers
        sent = {name: headers[name] for name in SENT if name in headers and _passable(headers[name])}
        sent["x-request-id"] = request[ID]
        sent["content-type"] = "application/json"  # with the client's charset it might say something else there
        sent["accept-encoding"] = "identity"  # the key must be found in an error's body
        return {**sent, "authorization": f"Bearer {self._key}"} if self._key else sent

    async def _error(self, response: aiohttp.ClientResponse) -> bytes:
        """An error's body without the server's key, which some quote. Raises Refusal where it cannot be read."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Refusal(502, "upstream_malformed", f"the model server answered {response.status} with a compressed "
                          "error, which was not asked for")  # fmt: skip
        content = await response.content.read(LARGEST_ERROR)
        while len(content) < LARGEST_ERROR and (more := await response.content.read(LARGEST_ERROR - len(content))):
            content += more
        if not self._key:
            return content
        whole = len(content) < LARGEST_ERROR
        content = content.replace(self._key.encode(), b"[secret]")
        return content if whole else content[: -len(self._key)]  # it may have been cut off in the key

    def _kept(self, response: aiohttp.ClientResponse, *without: str) -> dict[str, str]:
        """The headers that the client sees."""
        of_connection = {name.strip().lower() for name in response.headers.get("connection", "").split(",")}
        hidden = KEPT_BACK | of_connection | set(without)
        return {
            name.lower(): value
            for name, value in response.headers.items()
            if name.lower() not in hidden and _passable(value) and not (self._key and self._key in value)
        }


def _passable(value: str) -> bool:
    """Whether a header's value can go out again: without control characters, or bytes that are no UTF-8."""
    return "".join(value.split("\t")).isprintable()


@asynccontextmanager
async def _place(choice: Sequence[Places], share: Share) -> AsyncGenerator[Places | None]:
    """A place on one of `choice`; None: choose again. A server that is down has no places: it is tried without."""
    down = not choice[0].most
    taken = choice[0] if down else await enter(choice, share.urgency())
    try:
        yield taken
    finally:
        if taken is not None and not down:
            taken.leave()


def _servers(engine: Any) -> list[tuple[Places, OpenAI | Llama]]:
    """What speaks HTTP below an engine's policies, and the places for requests on it."""
    match engine:
        case Retrying():
            return _servers(engine.engine)
        case Limited():
            server = engine.engine
            return [(engine.places, server)] if isinstance(server, OpenAI | Llama) else []
        case Spread():
            return [found for limited in engine.engines.values() for found in _servers(limited)]
        case _:
            return []


def _entry(name: str) -> JSON:
    return {"id": name, "object": "model", "created": 0, "owned_by": "scale"}
